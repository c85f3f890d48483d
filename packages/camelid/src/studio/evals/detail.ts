import { type EvalMetrics, readMetrics } from "../../eval/results-folder.js";
import type { EvalDetail, EvalTask } from "../api.js";
import { evalSummary } from "./summary.js";

export function evalDetail(folder: string, id: string): EvalDetail {
  const metrics = readMetrics(folder);
  const { profile, seed, updated, averages, contamination } = metrics;
  return {
    summary: evalSummary(id, metrics),
    ...{ profile, seed, updated, averages: { ...averages } },
    contamination: Object.entries(contamination?.contacts ?? {}).map(([benchmark, rows]) => ({
      benchmark,
      rows,
    })),
    contaminationNote:
      contamination === undefined
        ? null
        : !contamination.searched
          ? "The training mixture was not searched for these benchmarks."
          : contamination.removed
            ? "Rows that hold texts of benchmarks were removed from the training mixture."
            : "Rows that hold texts of benchmarks are in the training mixture.",
    tasks: Object.entries(metrics.tasks).map(([key, task]) => taskOf(key, task)),
  };
}

function taskOf(key: string, task: EvalMetrics["tasks"][string]): EvalTask {
  const {
    title,
    metric,
    unit,
    score,
    interval,
    items,
    right,
    wrong,
    failed,
    skipped,
    truncated,
    empty,
    seconds,
  } = task;
  return {
    ...{ key, title, metric, unit, score, items, right, wrong, failed, skipped, truncated, empty, seconds },
    lowerIsBetter: task.lower_is_better ?? false,
    interval: interval === null ? null : [interval[0], interval[1]],
    method: task.interval_method,
    extractionFailed: task.extraction_failed,
    promptTooLong: task.prompt_too_long,
    reasons: { ...task.reasons },
    groups: Object.entries(task.groups ?? {}).map(([name, group]) => ({ name, ...group })),
    settings: { ...task.settings },
    notes: [...task.notes],
    upstream:
      task.upstream === undefined ? null : { compared: task.upstream.compared, agree: task.upstream.agree },
  };
}
