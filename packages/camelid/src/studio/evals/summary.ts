import { type EvalMetrics, readMetrics } from "../../eval/results-folder.js";
import type { EvalSummary } from "../api.js";

/** One line of the list of evaluations. */
export function summarizeEval(folder: string, id: string): EvalSummary {
  return evalSummary(id, readMetrics(folder));
}

export function evalSummary(id: string, { model, updated, tasks }: EvalMetrics): EvalSummary {
  return {
    ...{ id, model: model.name, madeAt: updated },
    tasks: Object.entries(tasks).map(([key, { title, score, interval, unit, lower_is_better }]) => ({
      ...{ key, title, score, unit },
      interval: interval === null ? null : [interval[0], interval[1]],
      lowerIsBetter: lower_is_better ?? false,
    })),
  };
}
