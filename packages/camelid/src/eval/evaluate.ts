/** An evaluation from items to files: what `camelid eval` does, for programs. */
import { join } from "node:path";
import { SettingsError } from "../errors.js";
import { writeFileAtomic } from "../run/atomic-write.js";
import { closest } from "../settings/suggest.js";
import { type Answerer, answerItems } from "./answer-items.js";
import { AnswerStore } from "./answer-store.js";
import type { Backend } from "./backend.js";
import { DataFolder } from "./data-folder.js";
import { gradeItems } from "./grade-items.js";
import { predictionLine } from "./predictions.js";
import { averagesOf } from "./published.js";
import { loadTask } from "./registry.js";
import { evalReport } from "./report/eval-report.js";
import { type Contamination, type EvalMetrics, openResults, writeMetrics } from "./results-folder.js";
import { summarise, type TaskSummary } from "./summary.js";
import type { Profile, RoleSettings, Task, TaskContext, TaskItem, TokenTools } from "./task.js";

export interface EvaluateOptions {
  /** Names of tasks, as in `--tasks`. */
  tasks: readonly string[];
  /** Output folder: new, empty, or with results of the same model. */
  out: string;
  /** Who is evaluated. It stays the caller's. */
  model: EvaluatedModel;
  profile?: Profile;
  /** Folders with the official files, the first that has one wins. */
  data?: readonly string[];
  /** First seed of subsets and samples; 42. */
  seed?: number;
  /** Demonstrations in a prompt, instead of the tasks' own numbers. */
  shots?: number;
  /** At most this many items a task, evenly spread. */
  limit?: number;
  /** Task -> its options. */
  settings?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Where the answerers of the tasks' roles are. */
  roles?: Readonly<Record<string, Pick<RoleSettings, "endpoint" | "model" | "apiKeyEnv" | "price">>>;
  /** An official file with other bytes is an error; else it is noted. */
  strictData?: boolean;
  /** Programs or judgments at once; 4. */
  concurrency?: number;
  /** Prompts are written to TASK.dry-run.jsonl, nobody is asked; answers known from before lead to the judges' prompts. */
  dryRun?: boolean;
  contamination?: Contamination;
  signal?: AbortSignal;
  onProgress?(progress: EvalProgress): void;
  /** Told when a task is done; its files are on disk then. */
  onTask?(summary: TaskSummary): void;
}

export interface EvaluatedModel {
  backend: Backend;
  tokens?: TokenTools;
  /** Prompts go through the chat template. */
  chat: boolean;
}

export interface EvalProgress {
  task: string;
  stage: "load" | "answer" | "grade";
  done: number;
  total: number;
}

export interface EvalOutcome {
  outcome: "completed" | "interrupted";
  metrics: EvalMetrics;
}

/**
 * Evaluates task by task. Every answer is on disk as soon as it is known: called again with the same folder, only what is
 * missing is asked. A task's files appear when all of it is done.
 * @throws {SettingsError} ERR_EVAL_TASK, ERR_EVAL_OUT, ERR_EVAL_NO_SCORES before anything is asked; {DataError} of tasks
 */
export async function evaluate(options: EvaluateOptions): Promise<EvalOutcome> {
  const { model, out, profile = "standard", seed = 42, onTask } = options;
  const tasks = await Promise.all([...new Set(options.tasks)].map(loadTask));
  for (const task of tasks) {
    checkScores(task, model.backend);
    checkOptions(task, options.settings?.[task.name] ?? {});
  }
  const { name, identity } = model.backend;
  const known = openResults(out, { name, identity, profile, seed });
  await using answerers = new Answerers(options);

  const summaries: Record<string, TaskSummary> = { ...known };
  let interrupted = false;
  for (const task of tasks) {
    const summary = await evaluateTask(task, options, answerers);
    if (summary === undefined) {
      interrupted = true;
      break;
    }
    summaries[task.name] = summary;
    writeResults(options, summaries, answerers.counters());
    onTask?.(summary);
  }
  const metrics = metricsOf(options, summaries, answerers.counters());
  return { outcome: interrupted ? "interrupted" : "completed", metrics };
}

async function evaluateTask(
  task: Task,
  options: EvaluateOptions,
  answerers: Answerers,
): Promise<TaskSummary | undefined> {
  const { seed = 42, limit, out, model, onProgress, dryRun = false } = options;
  const started = performance.now();
  const notes: string[] = [];
  const context = contextOf(task, options, notes);
  onProgress?.({ task: task.name, stage: "load", done: 0, total: 0 });
  const items = spread(await task.load(context), limit);
  checkIds(task, items);
  const states = await answerItems(task, items, context, {
    seed,
    answerer: (role) => answerers.of(task, role),
    onProgress: (done, total) => onProgress?.({ task: task.name, stage: "answer", done, total }),
  });
  const records = await gradeItems(task, states, context, (done) =>
    onProgress?.({ task: task.name, stage: "grade", done, total: states.length }),
  );
  if (records.length < states.length) return undefined;
  const predictions = `${task.name}${dryRun ? ".dry-run" : ""}.jsonl`;
  const lines = records.map((record) => predictionLine(task.name, record, model.backend));
  writeFileAtomic(join(out, predictions), lines.join(""));
  return summarise(task, records, context, {
    files: [...context.data.used.values()],
    notes,
    limit,
    predictions,
    seconds: (performance.now() - started) / 1000,
  });
}

/** What a task is told. @param notes grows as the task has something to remark */
export function contextOf(
  task: Task,
  options: Pick<
    EvaluateOptions,
    "profile" | "data" | "seed" | "shots" | "settings" | "strictData" | "concurrency" | "signal"
  > & { model?: EvaluatedModel },
  notes: string[],
): TaskContext {
  const { profile = "standard", seed = 42, model, concurrency = 4 } = options;
  const strict = options.strictData ?? false;
  return {
    profile,
    data: new DataFolder(options.data ?? [], task.files, { strict }),
    chat: model?.chat ?? true,
    shots: options.shots,
    seed,
    tokens: model?.tokens,
    canScore: model?.backend.canScore ?? true,
    concurrency,
    settings: options.settings?.[task.name] ?? {},
    signal: options.signal ?? new AbortController().signal,
    note: (text) => {
      if (!notes.includes(text)) notes.push(text);
    },
  };
}

function checkScores(task: Task, backend: Backend): void {
  if (!task.needsScores || backend.canScore) return;
  throw new SettingsError("ERR_EVAL_NO_SCORES", `${task.title} needs log-probabilities of given texts.`, {
    where: backend.name,
    fix: "evaluate a model folder, or an endpoint with /completions: --endpoint-api completions --tokenizer FOLDER.",
  });
}

/** @throws {SettingsError} ERR_EVAL_OPTION for an option that the task would not look at */
function checkOptions({ name, options }: Task, given: Readonly<Record<string, string>>): void {
  if (options === undefined) return;
  for (const key of Object.keys(given)) {
    if (key in options) continue;
    const meant = closest(key, Object.keys(options));
    throw new SettingsError("ERR_EVAL_OPTION", `${name} has no option "${key}".`, {
      where: "--options",
      fix: `${meant === undefined ? "" : `did you mean "${meant}"? `}Options: ${Object.keys(options).join(", ")}.`,
    });
  }
}

/** `count` items evenly over the list, so that every group has its share. */
export function spread<Item>(items: readonly Item[], count: number | undefined): readonly Item[] {
  if (count === undefined || items.length <= count) return items;
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}

function checkIds(task: Task, items: readonly TaskItem[]): void {
  const seen = new Set<string>();
  for (const { id } of items) {
    if (seen.has(id)) throw new TypeError(`task ${task.name} has two items "${id}"`);
    seen.add(id);
  }
}

/** The model and the roles' answerers, each opened when it is first needed, with the file of what it has said. */
class Answerers implements AsyncDisposable {
  readonly #open = new Map<string, Answerer>();

  constructor(readonly options: EvaluateOptions) {}

  async of(task: Task, role: string): Promise<Answerer> {
    const key = role === "model" ? role : `${task.name}.${role}`;
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const opened = role === "model" ? this.options.model.backend : await this.#openRole(task, role);
    // Roles know of dry runs themselves: they estimate what asking would cost.
    const backend = this.options.dryRun && role === "model" ? asksNobody(opened) : opened;
    const answerer = { backend, store: new AnswerStore(join(this.options.out, "answers", `${key}.jsonl`)) };
    this.#open.set(key, answerer);
    return answerer;
  }

  async #openRole(task: Task, role: string): Promise<Backend> {
    const open = task.roles?.[role];
    if (open === undefined) throw new TypeError(`task ${task.name} has no role "${role}"`);
    const { roles = {}, out, concurrency = 4, dryRun = false, signal } = this.options;
    return open({
      role,
      ...roles[role],
      cache: join(out, "answers"),
      dryRun,
      concurrency,
      signal: signal ?? new AbortController().signal,
    });
  }

  counters(): Record<string, Readonly<Record<string, number>>> {
    return Object.fromEntries([...this.#open].map(([key, { backend }]) => [key, backend.stats()]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [key, { backend, store }] of this.#open) {
      store[Symbol.dispose]();
      if (key !== "model") await backend[Symbol.asyncDispose]();
    }
  }
}

/** What has been answered before is known; the rest is only shown. */
function asksNobody(backend: Backend): Backend {
  const { name, identity, canScore } = backend;
  return {
    name,
    identity,
    canScore,
    async ask(batch, onOutcome) {
      for (const index of batch.keys()) {
        onOutcome(index, { refused: { reason: "dry-run", message: "nobody was asked" } });
      }
    },
    stats: () => backend.stats(),
    ...(backend.keys === undefined ? {} : { keys: (batch) => backend.keys!(batch) }),
    ...(backend.show === undefined ? {} : { show: (prompt) => backend.show!(prompt) }),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

function metricsOf(
  { model, profile = "standard", seed = 42, contamination }: EvaluateOptions,
  tasks: Readonly<Record<string, TaskSummary>>,
  counters: EvalMetrics["counters"] & object,
): EvalMetrics {
  const averages = averagesOf(
    Object.fromEntries(Object.entries(tasks).map(([name, { score }]) => [name, score])),
  );
  return {
    format: 1,
    model: { name: model.backend.name, identity: model.backend.identity },
    profile,
    seed,
    updated: new Date().toISOString(),
    tasks,
    ...(Object.keys(averages).length > 0 ? { averages } : {}),
    ...(contamination === undefined ? {} : { contamination }),
    ...(Object.keys(counters).length > 0 ? { counters } : {}),
  };
}

function writeResults(
  options: EvaluateOptions,
  tasks: Readonly<Record<string, TaskSummary>>,
  counters: EvalMetrics["counters"] & object,
): void {
  if (options.dryRun) return;
  const metrics = metricsOf(options, tasks, counters);
  writeMetrics(options.out, metrics);
  writeFileAtomic(join(options.out, "report.html"), evalReport(options.out, metrics));
}
