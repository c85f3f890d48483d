/** The output folder of an evaluation: metrics.json, one predictions file a task, report.html, answers/ to resume from. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DataError, SettingsError } from "../errors.js";
import { writeFileAtomic } from "../run/atomic-write.js";
import { type Prediction, readPrediction } from "./predictions.js";
import type { Averages } from "./published.js";
import type { TaskSummary } from "./summary.js";
import type { Profile } from "./task.js";

export const METRICS = "metrics.json";

export interface EvalMetrics {
  readonly format: 1;
  readonly model: { readonly name: string; readonly identity: string };
  readonly profile: Profile;
  readonly seed: number;
  readonly updated: string;
  /** By `task`, or `task@run` for replays of several systems. */
  readonly tasks: Readonly<Record<string, TaskSummary>>;
  readonly averages?: Averages;
  /** What is known of the model's training data and these benchmarks. */
  readonly contamination?: Contamination;
  /** Tokens, requests, retries, cost of the last run, by answerer. */
  readonly counters?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface Contamination {
  readonly manifest: string;
  /** Benchmark, as the mixture names it -> training rows that hold texts of it. */
  readonly contacts: Readonly<Record<string, number>>;
  /** Whether the mixture was searched at all. */
  readonly searched: boolean;
  /** Whether rows that were found were removed. */
  readonly removed: boolean;
}

/**
 * Makes the folder, or takes one with results of the same model and profile, whose other tasks are kept.
 * @throws {SettingsError} ERR_EVAL_OUT: the folder holds something else
 */
export function openResults(
  folder: string,
  own: { identity: string; name: string; profile: Profile; seed: number },
): EvalMetrics["tasks"] {
  const path = join(folder, METRICS);
  if (!existsSync(path)) {
    const entries = existsSync(folder) ? readdirSync(folder) : [];
    const foreign = entries.find((name) => !OWN_NAMES.test(name));
    if (foreign !== undefined) {
      throw new SettingsError("ERR_EVAL_OUT", "the output folder holds files that are no evaluation's.", {
        where: join(folder, foreign),
        fix: "choose a new or empty folder for --out.",
      });
    }
    mkdirSync(folder, { recursive: true });
    return {};
  }
  const metrics = readMetrics(folder);
  const differs =
    metrics.profile !== own.profile
      ? `results of profile ${metrics.profile}, not ${own.profile}`
      : metrics.seed !== own.seed
        ? `results of seed ${metrics.seed}, not ${own.seed}`
        : metrics.model.identity !== own.identity
          ? modelDiffers(metrics.model.name, own.name)
          : undefined;
  if (differs === undefined) return metrics.tasks;
  throw new SettingsError("ERR_EVAL_OUT", `the output folder holds ${differs}.`, {
    where: path,
    fix: "choose another --out; results of one folder are comparable.",
  });
}

function modelDiffers(before: string, now: string): string {
  return before === now
    ? `results of ${now} with other weights or in another precision`
    : `results of ${before}, not of ${now}`;
}

/** What an interrupted evaluation may have left in a folder without metrics.json. */
const OWN_NAMES = /^(answers|report\.html|\.lock|.*\.jsonl|\..*\.tmp)$/;

/** @throws {DataError} ERR_EVAL_RESULTS when there is no readable metrics.json */
export function readMetrics(folder: string): EvalMetrics {
  const path = join(folder, METRICS);
  try {
    const metrics = JSON.parse(readFileSync(path, "utf8")) as EvalMetrics;
    if (metrics.format === 1 && typeof metrics.tasks === "object" && metrics.tasks !== null) return metrics;
  } catch (cause) {
    throw new DataError("ERR_EVAL_RESULTS", "the folder holds no readable results of `camelid eval`.", {
      where: path,
      fix: "give a folder that --out named.",
      cause,
    });
  }
  throw new DataError("ERR_EVAL_RESULTS", "metrics.json was written by another version.", {
    where: path,
    fix: "evaluate again.",
  });
}

export function writeMetrics(folder: string, metrics: EvalMetrics): void {
  writeFileAtomic(join(folder, METRICS), `${JSON.stringify(metrics, null, 2)}\n`);
}

/**
 * The predictions of a task.
 * @throws {DataError} ERR_EVAL_RESULTS naming the line that is cut or is no prediction
 */
export function readPredictions(folder: string, summary: Pick<TaskSummary, "predictions">): Prediction[] {
  const path = join(folder, summary.predictions);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new DataError("ERR_EVAL_RESULTS", "the predictions file cannot be read.", {
      where: path,
      fix: "evaluate again; answers are kept, so it is quick.",
      cause,
    });
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line, index) => parseLine(line, `${path} line ${index + 1}`));
}

export function parseLine(line: string, where: string): Prediction {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  const prediction = readPrediction(value);
  if (prediction !== undefined) return prediction;
  throw new DataError("ERR_EVAL_RESULTS", "the line is no whole prediction; the file may have been cut.", {
    where,
    fix: "evaluate again; answers are kept, so it is quick.",
  });
}
