/** Stored answers through the same grading as live ones. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { DataError } from "../errors.js";
import { writeFileAtomic } from "../run/atomic-write.js";
import type { ItemState } from "./answer-items.js";
import { contextOf, type EvalOutcome, type EvaluateOptions } from "./evaluate.js";
import { gradeItems } from "./grade-items.js";
import { type ItemRecord, predictionLine, readPrediction } from "./predictions.js";
import { loadTask, taskNames } from "./registry.js";
import { readReplayFiles } from "./replay-files.js";
import { evalReport } from "./report/eval-report.js";
import { type EvalMetrics, openResults, writeMetrics } from "./results-folder.js";
import { summarise, type TaskSummary } from "./summary.js";
import type { Answer, ReplayEntry, ReplayFile, Task, TaskContext } from "./task.js";

export type ReplayOptions = Omit<EvaluateOptions, "model" | "roles" | "dryRun" | "limit" | "tasks"> & {
  /** File or folder. */
  replay: string;
  /** Only these; any that recognises the files when left out. */
  tasks?: readonly string[];
};

/** The run of a format that knows no names. */
export const UNNAMED_RUN = "stored";

/** Answers of one system to one task, from one or more files. */
interface Stored {
  task: Task;
  run: string;
  entries: ReplayEntry[];
}

/**
 * Grades stored answers.
 * @throws {DataError} ERR_EVAL_REPLAY, ERR_EVAL_REPLAY_DAMAGED, ERR_EVAL_REPLAY_FORMAT; nothing is written then
 */
export async function replay(options: ReplayOptions): Promise<EvalOutcome> {
  const { out, profile = "standard", seed = 42, onTask, onProgress } = options;
  const files = readReplayFiles(options.replay);
  const tasks = await Promise.all((options.tasks ?? taskNames()).map(loadTask));
  const notes = new Map(tasks.map((task): [string, string[]] => [task.name, []]));
  const contexts = new Map(tasks.map((task) => [task.name, contextOf(task, options, notes.get(task.name)!)]));
  const stored = await recognise(files, tasks, contexts, options.replay);

  const model = { name: `stored answers ${basename(resolve(options.replay))}`, identity: identityOf(files) };
  const summaries: Record<string, TaskSummary> = { ...openResults(out, { ...model, profile, seed }) };
  for (const { task, run, entries } of stored) {
    const started = performance.now();
    const context = contexts.get(task.name)!;
    const states = entries.map(({ item, answers }): ItemState => {
      return {
        item,
        requests: [],
        answers: [...answers],
        complete: true,
        refusal: undefined,
        promptTooLong: false,
      };
    });
    const graded = await gradeItems(task, states, context, (done) =>
      onProgress?.({ task: task.name, stage: "grade", done, total: states.length }),
    );
    if (context.signal.aborted)
      return { outcome: "interrupted", metrics: metricsOf(model, options, summaries) };
    const records = graded.map((record, i): ItemRecord => {
      const { upstreamScore, prompt } = entries[i]!;
      return {
        ...record,
        ...(upstreamScore === undefined ? {} : { upstreamScore }),
        ...(prompt === undefined ? {} : { prompt }),
      };
    });
    const key = run === UNNAMED_RUN ? task.name : `${task.name}@${run}`;
    const predictions = `${key.replaceAll(/[^\w@.-]/g, "_")}.jsonl`;
    const lines = records.map((record) => predictionLine(task.name, record, undefined));
    writeFileAtomic(join(out, predictions), lines.join(""));
    const summary = summarise(task, records, context, {
      ...(run === UNNAMED_RUN ? {} : { run }),
      files: [...context.data.used.values()],
      notes: notes.get(task.name)!,
      limit: undefined,
      predictions,
      seconds: (performance.now() - started) / 1000,
    });
    summaries[key] = summary;
    onTask?.(summary);
  }
  const metrics = metricsOf(model, options, summaries);
  writeMetrics(out, metrics);
  writeFileAtomic(join(out, "report.html"), evalReport(out, metrics));
  return { outcome: "completed", metrics };
}

async function recognise(
  files: readonly ReplayFile[],
  tasks: readonly Task[],
  contexts: ReadonlyMap<string, TaskContext>,
  source: string,
): Promise<Stored[]> {
  const stored = new Map<string, Stored>();
  const add = (task: Task, run: string, entries: readonly ReplayEntry[]) => {
    const key = `${task.name}@${run}`;
    const known = stored.get(key);
    if (known === undefined) stored.set(key, { task, run, entries: [...entries] });
    else known.entries.push(...entries);
  };
  for (const file of files) {
    const own = readPrediction(file.records[0]);
    const task = own && tasks.find(({ name }) => name === own.task);
    if (task !== undefined) {
      add(task, UNNAMED_RUN, await ownPredictions(file, task, contexts.get(task.name)!));
      continue;
    }
    const found = tasks
      .flatMap((one) => (one.replays ?? []).map((format) => ({ task: one, format })))
      .find(({ format }) => format.recognises(file.name, file.records[0]));
    if (found === undefined) continue;
    const runs = await found.format.read(file, contexts.get(found.task.name)!);
    for (const { run, entries } of runs) add(found.task, run, entries);
  }
  for (const { task, run, entries } of stored.values()) checkTwice(task, run, entries, source);
  if (stored.size > 0) return [...stored.values()];
  const known = tasks.flatMap(({ replays = [] }) => replays.map(({ name }) => name));
  throw new DataError("ERR_EVAL_REPLAY_FORMAT", "the file is in no format that is known.", {
    where: source,
    fix: `known are predictions files of \`camelid eval\`${known.map((name) => `; ${name}`).join("")}.`,
  });
}

/** Our own predictions file: answers by id, items from the data folder. */
async function ownPredictions(file: ReplayFile, task: Task, context: TaskContext): Promise<ReplayEntry[]> {
  const items = new Map((await task.load(context)).map((item) => [item.id, item]));
  return file.records.flatMap((record, index): ReplayEntry[] => {
    const prediction = readPrediction(record);
    const where = `${file.path} record ${index + 1}`;
    if (prediction === undefined) {
      throw new DataError("ERR_EVAL_REPLAY_DAMAGED", "the record is no whole prediction.", {
        where,
        fix: "get the file again; nothing of it was scored.",
      });
    }
    const item = items.get(prediction.id);
    if (item === undefined) {
      throw new DataError("ERR_EVAL_REPLAY", `the data have no item "${prediction.id}" of ${task.title}.`, {
        where,
        fix: "give the --data, --profile and --seed that the predictions were made with.",
      });
    }
    // What was skipped or refused has no answers to grade.
    if (prediction.verdict === "skipped" || prediction.answers.length === 0) return [];
    const { prompt } = prediction;
    const answers = prediction.answers as unknown as Answer[];
    return [{ item, answers, ...(prompt === null ? {} : { prompt }) }];
  });
}

function checkTwice(task: Task, run: string, entries: readonly ReplayEntry[], source: string): void {
  const seen = new Set<string>();
  for (const { item } of entries) {
    if (!seen.has(item.id)) {
      seen.add(item.id);
      continue;
    }
    throw new DataError("ERR_EVAL_REPLAY", `${task.title}, run "${run}": item ${item.id} has two answers.`, {
      where: source,
      fix: "replay one set of answers at a time.",
    });
  }
}

function identityOf(files: readonly ReplayFile[]): string {
  const hash = createHash("sha256");
  for (const { path } of files) hash.update(readFileSync(path));
  return `replay ${hash.digest("hex")}`;
}

function metricsOf(
  model: EvalMetrics["model"],
  { profile = "standard", seed = 42 }: ReplayOptions,
  tasks: Readonly<Record<string, TaskSummary>>,
): EvalMetrics {
  return { format: 1, model, profile, seed, updated: new Date().toISOString(), tasks };
}
