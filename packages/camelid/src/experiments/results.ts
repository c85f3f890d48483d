/** What came of an experiment: its table with intervals, and the differences that it is about. */
import { gradedOf } from "../eval/predictions.js";
import { averagesOf } from "../eval/published.js";
import { loadTask } from "../eval/registry.js";
import { readMetrics, readPredictions } from "../eval/results-folder.js";
import { type Interval, pairedBootstrap, uncertaintyOf } from "../eval/statistics.js";
import type { Graded } from "../eval/task.js";
import type { Column, Experiment } from "./experiment.js";
import type { PlannedEval } from "./plan.js";

export interface Measured {
  readonly value: number;
  /** 95 %. */
  readonly interval: Interval;
  readonly items: number;
}

export interface ResultRow {
  readonly name: string;
  readonly model: string;
  readonly folder: string;
  /** In the order of the columns; undefined where the row does without the task or no item has a verdict. */
  readonly cells: readonly (Measured | undefined)[];
  readonly average: { readonly value: number; readonly interval: Interval } | undefined;
}

export interface Difference {
  readonly first: string;
  readonly second: string;
  /** Second less first over the items that both have. `clear`: the interval leaves zero out. */
  readonly cells: readonly (DifferenceCell | undefined)[];
  readonly average: Omit<DifferenceCell, "p" | "items"> | undefined;
}

export interface DifferenceCell {
  readonly difference: number;
  readonly interval: Interval;
  readonly p: number;
  readonly items: number;
  readonly clear: boolean;
}

export interface Results {
  readonly rows: readonly ResultRow[];
  readonly differences: readonly Difference[];
  /** What the tasks remark, each once. */
  readonly notes: readonly string[];
}

export async function readResults(experiment: Experiment, evals: readonly PlannedEval[]): Promise<Results> {
  const { columns } = experiment;
  const scored = new Map<string, (Scored | undefined)[]>();
  const rows: ResultRow[] = [];
  for (const { name, model, folder, tasks } of evals) {
    const items = await Promise.all(
      columns.map((column) => (tasks.includes(column.task) ? itemsOf(column, folder) : undefined)),
    );
    scored.set(name, items);
    const cells = items.map((one) =>
      one === undefined || one.graded.length === 0 ? undefined : measure(one),
    );
    rows.push({ name, model, folder, cells, average: averageOf(experiment, cells) });
  }
  const differences = experiment.compare.map(([first, second]): Difference => {
    const [a, b] = [scored.get(first)!, scored.get(second)!];
    const cells = columns.map((_, i) => differenceOf(a[i], b[i]));
    return { first, second, cells, average: averageDifference(experiment, cells) };
  });
  return { rows, differences, notes: notesOf(evals) };
}

/** The items that a column is made of, and how they become its number. */
interface Scored {
  readonly graded: readonly Graded[];
  readonly score: (graded: readonly Graded[]) => number;
}

async function itemsOf({ task: name, of }: Column, folder: string): Promise<Scored | undefined> {
  const summary = readMetrics(folder).tasks[name];
  if (summary === undefined) return undefined;
  const task = await loadTask(name);
  const graded = readPredictions(folder, summary).flatMap((row) => gradedOf(row) ?? []);
  const score = (items: readonly Graded[]) => task.score(items, summary.profile);
  if (of === undefined) return { graded, score };
  if ("group" in of) return { graded: graded.filter(({ group }) => group === of.group), score };
  const having = graded.filter(({ values }) => values[of.value] !== undefined);
  const mean = (items: readonly Graded[]) =>
    items.reduce((sum, { values }) => sum + values[of.value]!, 0) / items.length;
  // Without groups: a mean over items is resampled over items.
  return { graded: having.map((item) => ({ ...item, group: undefined })), score: mean };
}

function measure({ graded, score }: Scored): Measured {
  const { interval } = uncertaintyOf(graded, score);
  return { value: score(graded), interval, items: graded.length };
}

function differenceOf(a: Scored | undefined, b: Scored | undefined): DifferenceCell | undefined {
  if (a === undefined || b === undefined) return undefined;
  const second = new Map(b.graded.map((item) => [item.id, item]));
  const both = a.graded.filter(({ id }) => second.has(id));
  if (both.length === 0) return undefined;
  const others = both.map(({ id }) => second.get(id)!);
  const { difference, interval, p } = pairedBootstrap(both, others, a.score);
  return { difference, interval, p, items: both.length, clear: isClear(interval) };
}

const isClear = ([low, high]: Interval): boolean => low > 0 || high < 0;

/** The paper's mean. Its interval takes the columns' errors as independent: they are of different items. */
function averageOf(experiment: Experiment, cells: readonly (Measured | undefined)[]): ResultRow["average"] {
  const { columns, average } = experiment;
  if (average === undefined) return undefined;
  const value = averagesOf(Object.fromEntries(columns.map(({ task }, i) => [task, cells[i]?.value ?? null])))[
    average
  ];
  if (value === undefined) return undefined;
  const half = halfWidth(cells.map((cell) => cell!.interval));
  return { value, interval: [value - half, value + half] };
}

function averageDifference(
  { columns, average }: Experiment,
  cells: readonly (DifferenceCell | undefined)[],
): Difference["average"] {
  if (average === undefined || cells.some((cell) => cell === undefined)) return undefined;
  // ToxiGen enters as 100 - x.
  const signed = cells.map((cell, i) => (columns[i]!.lowerIsBetter ? -1 : 1) * cell!.difference);
  const difference = signed.reduce((sum, one) => sum + one, 0) / signed.length;
  const half = halfWidth(cells.map((cell) => cell!.interval));
  const interval: Interval = [difference - half, difference + half];
  return { difference, interval, clear: isClear(interval) };
}

/** Of the mean of independent numbers, from their 95 % intervals. */
function halfWidth(intervals: readonly Interval[]): number {
  const squares = intervals.map(([low, high]) => ((high - low) / 2) ** 2);
  return Math.sqrt(squares.reduce((sum, one) => sum + one, 0)) / intervals.length;
}

function notesOf(evals: readonly PlannedEval[]): string[] {
  const notes = evals.flatMap(({ folder }) => {
    const { tasks } = readMetrics(folder);
    return Object.values(tasks).flatMap((summary) => {
      const lost = summary.failed + summary.skipped;
      return [
        ...summary.notes.map((note) => `${summary.title}: ${note}`),
        ...(lost > 0
          ? [`${summary.title}: ${lost} of ${summary.items} items have no verdict in ${folder}.`]
          : []),
      ];
    });
  });
  return [...new Set(notes)];
}
