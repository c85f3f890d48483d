/** Benchmarks at a step of a training run: the model in memory, a whole evaluation in the run folder. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createEngine } from "../generate/engine.js";
import type { LanguageModel } from "../model/language-model.js";
import { cacheDirectory } from "../run/cache-directory.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { engineModel } from "./engine-model.js";
import { type EvaluateOptions, evaluate } from "./evaluate.js";
import { METRICS, readMetrics } from "./results-folder.js";

export type TrainingEvalOptions = Pick<
  EvaluateOptions,
  "tasks" | "data" | "profile" | "seed" | "shots" | "limit" | "settings" | "roles" | "concurrency" | "signal"
> & {
  /** The run folder; results go to `evals/step-N` in it, a whole evaluation each with report and predictions. */
  run: string;
  step: number;
  /** What answers are kept under: a hash of the weights. Results that the step's folder has of others make way. */
  identity?: string;
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
  { run, step, data = [], identity, ...options }: TrainingEvalOptions,
): Promise<TrainingEval[]> {
  const results: TrainingEval[] = [];
  await using engine = createEngine(model, tokenizer);
  const { profile = "standard", seed = 42 } = options;
  const name = `${run} at step ${step}`;
  const own = { identity: identity ?? name, profile, seed };
  const out = join(run, "evals", `step-${step}`);
  if (holdsOther(out, own)) rmSync(out, { recursive: true });
  await evaluate({
    ...options,
    data: [...data, join(cacheDirectory(), "benchmarks")],
    out,
    model: engineModel({ engine, name, identity: own.identity, profile }),
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

/** A resumed run may come to a step again with other weights (another machine rounds otherwise) or be asked otherwise. */
function holdsOther(folder: string, own: { identity: string; profile: string; seed: number }): boolean {
  if (!existsSync(join(folder, METRICS))) return false;
  try {
    const { model, profile, seed } = readMetrics(folder);
    return model.identity !== own.identity || profile !== own.profile || seed !== own.seed;
  } catch {
    return true; // unreadable
  }
}
