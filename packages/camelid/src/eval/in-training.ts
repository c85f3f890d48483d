/** Benchmarks at a step of a training run, as `eval-end` events beside the loss. */
import { join } from "node:path";
import { createEngine } from "../generate/engine.js";
import type { LanguageModel } from "../model/language-model.js";
import { cacheDirectory } from "../run/cache-directory.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { engineModel } from "./engine-model.js";
import { type EvaluateOptions, evaluate } from "./evaluate.js";

export type TrainingEvalOptions = Pick<
  EvaluateOptions,
  "tasks" | "data" | "profile" | "seed" | "shots" | "limit" | "settings" | "concurrency" | "signal"
> & {
  /** The run folder; results go to `evals/step-N` in it, a whole evaluation each with report and predictions. */
  run: string;
  step: number;
};

/** What `run.log` takes beside `event` and `step`. */
export interface TrainingEval {
  name: string;
  metrics: Record<string, number>;
}

/**
 * Evaluates the weights as they are now. Draws nothing from the random state of training: samples have seeds of their own.
 * Aborted, it returns the tasks that were done.
 *
 *     for (const result of await evaluateInTraining(model, tokenizer, { run: run.path, step, tasks: ["gsm8k"], limit: 100 }))
 *       run.log({ event: "eval-end", step, ...result });
 */
export async function evaluateInTraining(
  model: LanguageModel,
  tokenizer: Tokenizer,
  { run, step, data = [], ...options }: TrainingEvalOptions,
): Promise<TrainingEval[]> {
  const results: TrainingEval[] = [];
  await using engine = createEngine(model, tokenizer);
  const { profile = "standard" } = options;
  const name = `${run} at step ${step}`;
  await evaluate({
    ...options,
    data: [...data, join(cacheDirectory(), "benchmarks")],
    out: join(run, "evals", `step-${step}`),
    model: engineModel({ engine, name, identity: name, profile }),
    onTask(summary) {
      const { task, score, interval, metrics = {} } = summary;
      results.push({
        name: task,
        metrics: {
          ...(score === null ? {} : { score }),
          ...(interval === null ? {} : { low: interval[0], high: interval[1] }),
          items: summary.graded,
          ...metrics,
        },
      });
    },
  });
  return results;
}
