/** What a task came to: the entry of metrics.json. */
import type { FileUsed } from "./data-folder.js";
import { type ItemRecord, isEmpty, isTruncated } from "./predictions.js";
import { uncertaintyOf } from "./statistics.js";
import type { Graded, Profile, Task, TaskContext } from "./task.js";

export interface TaskSummary {
  readonly task: string;
  /** Of a replay: the system that wrote the answers. */
  readonly run?: string;
  readonly title: string;
  readonly profile: Profile;
  readonly metric: string;
  readonly unit: "%" | "";
  readonly lower_is_better?: boolean;
  /** null when no item has a verdict. */
  readonly score: number | null;
  /** 95 %. */
  readonly interval: readonly [number, number] | null;
  readonly interval_method: "wilson" | "bootstrap" | null;
  readonly items: number;
  /** In the score. */
  readonly graded: number;
  readonly right: number;
  readonly wrong: number;
  /** Without a verdict, and why. */
  readonly failed: number;
  readonly skipped: number;
  readonly reasons?: Readonly<Record<string, number>>;
  /** Answers cut by the token limit; nothing could be read out; white space only; prompt did not fit. */
  readonly truncated: number;
  readonly extraction_failed: number;
  readonly empty: number;
  readonly prompt_too_long: number;
  readonly groups?: Readonly<Record<string, { readonly score: number; readonly items: number }>>;
  readonly metrics?: Readonly<Record<string, number>>;
  readonly files: readonly FileUsed[];
  readonly notes: readonly string[];
  readonly shots?: number;
  readonly limit?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Verdicts stored upstream: how many there are, how many agree, the first ids that do not. */
  readonly upstream?: {
    readonly compared: number;
    readonly agree: number;
    readonly differ: readonly string[];
  };
  readonly predictions: string;
  readonly seconds: number;
}

export interface SummaryFacts {
  run?: string;
  files: readonly FileUsed[];
  notes: readonly string[];
  limit: number | undefined;
  predictions: string;
  seconds: number;
}

export function summarise(
  task: Task,
  records: readonly ItemRecord[],
  context: TaskContext,
  facts: SummaryFacts,
): TaskSummary {
  const graded = records.flatMap((record) => gradedRecord(record) ?? []);
  const count = (test: (record: ItemRecord) => boolean | undefined) => records.filter(test).length;
  const score = finite(graded.length > 0 ? task.score(graded, context.profile) : Number.NaN);
  const uncertainty =
    score === null
      ? undefined
      : uncertaintyOf(graded, (items) => task.score(items, context.profile), { seed: context.seed });
  const metrics = graded.length > 0 ? task.metrics?.(graded, context) : undefined;
  const reasons = tally(
    records.flatMap(({ status, reason }) => (status === "graded" ? [] : [reason ?? status])),
  );
  return {
    task: task.name,
    ...(facts.run === undefined ? {} : { run: facts.run }),
    title: task.title,
    profile: context.profile,
    metric: task.metric.name,
    unit: task.metric.unit,
    ...(task.metric.lowerIsBetter ? { lower_is_better: true } : {}),
    score,
    interval: uncertainty?.interval ?? null,
    interval_method: uncertainty?.method ?? null,
    items: records.length,
    graded: graded.length,
    right: count(({ status, grade }) => status === "graded" && grade?.verdict === "right"),
    wrong: count(({ status, grade }) => status === "graded" && grade?.verdict === "wrong"),
    failed: count(({ status }) => status === "failed"),
    skipped: count(({ status }) => status === "skipped"),
    ...(Object.keys(reasons).length > 0 ? { reasons } : {}),
    truncated: count(({ state }) => isTruncated(state.answers, state.requests)),
    extraction_failed: count(({ grade }) => grade?.extractionFailed),
    empty: count(({ state }) => isEmpty(state.answers, state.requests)),
    prompt_too_long: count(
      ({ state, reason }) => state.promptTooLong || reason?.startsWith("prompt-too-long"),
    ),
    ...groupsOf(task, graded, context.profile),
    ...(metrics === undefined ? {} : { metrics: dropNaN(metrics) }),
    files: facts.files,
    notes: facts.notes,
    ...(context.shots === undefined ? {} : { shots: context.shots }),
    ...(facts.limit === undefined ? {} : { limit: facts.limit }),
    ...(Object.keys(context.settings).length > 0 ? { settings: context.settings } : {}),
    ...upstreamOf(records),
    predictions: facts.predictions,
    seconds: Math.round(facts.seconds * 10) / 10,
  };
}

function gradedRecord({ state, status, grade }: ItemRecord): Graded | undefined {
  if (status !== "graded" || grade === undefined) return undefined;
  const { id, group } = state.item;
  return { id, group, score: grade.score, values: grade.values ?? {} };
}

function groupsOf(task: Task, graded: readonly Graded[], profile: Profile): Pick<TaskSummary, "groups"> {
  const groups = new Map<string, Graded[]>();
  for (const item of graded) {
    if (item.group === undefined) continue;
    const same = groups.get(item.group);
    if (same === undefined) groups.set(item.group, [item]);
    else same.push(item);
  }
  if (groups.size === 0) return {};
  const entries = [...groups].map(([name, items]) => [
    name,
    { score: task.score(items, profile), items: items.length },
  ]);
  return { groups: Object.fromEntries(entries) };
}

function upstreamOf(records: readonly ItemRecord[]): Pick<TaskSummary, "upstream"> {
  const compared = records.filter(({ upstreamScore }) => upstreamScore !== undefined);
  if (compared.length === 0) return {};
  const differ = compared.filter(({ grade, upstreamScore }) => grade?.score !== upstreamScore);
  return {
    upstream: {
      compared: compared.length,
      agree: compared.length - differ.length,
      differ: differ.slice(0, 20).map(({ state }) => state.item.id),
    },
  };
}

function tally(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) {
    const kind = word.split(":")[0]!;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** JSON has no NaN: a number that no item contributes to is left out. */
function dropNaN(metrics: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
