/** Two evaluations item by item: which differs from which by more than chance, and where. */
import { DataError } from "../errors.js";
import { gradedOf, type Prediction } from "./predictions.js";
import { loadTask, taskNames } from "./registry.js";
import { readMetrics, readPredictions } from "./results-folder.js";
import { type PairedDifference, pairedBootstrap } from "./statistics.js";
import type { TaskSummary } from "./summary.js";
import type { Graded } from "./task.js";

export interface Comparison {
  readonly a: { readonly folder: string; readonly model: string };
  readonly b: { readonly folder: string; readonly model: string };
  readonly tasks: readonly TaskComparison[];
  /** Tasks that only one of them has. */
  readonly unmatched: readonly string[];
}

export interface TaskComparison extends PairedDifference {
  readonly key: string;
  readonly title: string;
  readonly unit: "%" | "";
  readonly lowerIsBetter: boolean;
  /** Scores over the items that both have. */
  readonly scoreA: number;
  readonly scoreB: number;
  readonly items: number;
  /** Items with a verdict in one of them only: in neither score here. */
  readonly onlyA: number;
  readonly onlyB: number;
  /** The difference is unlikely to be chance: the 95 % interval leaves zero out. */
  readonly clear: boolean;
  /** Right in one and wrong in the other. */
  readonly gained: readonly Flip[];
  readonly lost: readonly Flip[];
  /** What makes the two incomparable: other profile, data, limit. */
  readonly warnings: readonly string[];
}

export interface Flip {
  readonly id: string;
  readonly group: string | undefined;
  readonly target: string | undefined;
  readonly prompt: string | null;
  readonly a: string;
  readonly b: string;
}

/** @throws {DataError} ERR_EVAL_RESULTS, ERR_EVAL_COMPARE when they share no task or no item */
export async function compareResults(folderA: string, folderB: string): Promise<Comparison> {
  const [metricsA, metricsB] = [readMetrics(folderA), readMetrics(folderB)];
  const keys = Object.keys(metricsA.tasks).filter((key) => metricsB.tasks[key] !== undefined);
  if (keys.length === 0) {
    throw new DataError("ERR_EVAL_COMPARE", "the two evaluations have no task in common.", {
      where: `${folderA}: ${Object.keys(metricsA.tasks).join(", ")}; ${folderB}: ${Object.keys(metricsB.tasks).join(", ")}`,
      fix: "evaluate both on the same tasks.",
    });
  }
  const tasks: TaskComparison[] = [];
  for (const key of keys) {
    const [a, b] = [metricsA.tasks[key]!, metricsB.tasks[key]!];
    tasks.push(await compareTask(key, [folderA, a], [folderB, b]));
  }
  const all = new Set([...Object.keys(metricsA.tasks), ...Object.keys(metricsB.tasks)]);
  return {
    a: { folder: folderA, model: metricsA.model.name },
    b: { folder: folderB, model: metricsB.model.name },
    tasks,
    unmatched: [...all].filter((key) => !keys.includes(key)),
  };
}

async function compareTask(
  key: string,
  [folderA, a]: readonly [string, TaskSummary],
  [folderB, b]: readonly [string, TaskSummary],
): Promise<TaskComparison> {
  if (!taskNames().includes(a.task)) {
    throw new DataError("ERR_EVAL_COMPARE", `there is no task "${a.task}" here.`, {
      where: folderA,
      fix: "compare with the version that made these results.",
    });
  }
  const task = await loadTask(a.task);
  const rowsB = new Map(readPredictions(folderB, b).map((row) => [row.id, row]));
  const [gradedA, gradedB]: [Graded[], Graded[]] = [[], []];
  const [gained, lost]: [Flip[], Flip[]] = [[], []];
  let onlyA = 0;
  for (const rowA of readPredictions(folderA, a)) {
    const one = gradedOf(rowA);
    const rowB = rowsB.get(rowA.id);
    const other = rowB && gradedOf(rowB);
    if (one === undefined) continue;
    if (rowB === undefined || other === undefined) {
      onlyA++;
      continue;
    }
    gradedA.push(one);
    gradedB.push(other);
    if (rowA.verdict !== "right" && rowB.verdict === "right") gained.push(flip(rowA, rowB));
    if (rowA.verdict === "right" && rowB.verdict !== "right") lost.push(flip(rowA, rowB));
  }
  if (gradedA.length === 0) {
    throw new DataError("ERR_EVAL_COMPARE", `${a.title}: the two evaluations have no item in common.`, {
      where: `${folderA}, ${folderB}`,
      fix: "use the same data, profile and limit.",
    });
  }
  const gradedInB = [...rowsB.values()].filter((row) => gradedOf(row) !== undefined).length;
  const paired = pairedBootstrap(gradedA, gradedB, (items) => task.score(items, a.profile));
  const [low, high] = paired.interval;
  return {
    key,
    title: a.run === undefined ? a.title : `${a.title}, ${a.run}`,
    unit: a.unit,
    lowerIsBetter: a.lower_is_better ?? false,
    scoreA: task.score(gradedA, a.profile),
    scoreB: task.score(gradedB, a.profile),
    items: gradedA.length,
    onlyA,
    onlyB: gradedInB - gradedA.length,
    ...paired,
    clear: low > 0 || high < 0,
    gained,
    lost,
    warnings: warningsOf(a, b),
  };
}

function flip(a: Prediction, b: Prediction): Flip {
  return { id: a.id, group: a.group, target: a.target, prompt: a.prompt, a: a.output, b: b.output };
}

function warningsOf(a: TaskSummary, b: TaskSummary): string[] {
  const warnings: string[] = [];
  if (a.profile !== b.profile) warnings.push(`profiles differ: ${a.profile} and ${b.profile}`);
  if ((a.shots ?? null) !== (b.shots ?? null)) warnings.push("the number of examples differs");
  const bytes = (one: TaskSummary) => one.files.map(({ path, sha256 }) => `${path} ${sha256}`).join();
  if (bytes(a) !== bytes(b)) warnings.push("the data files differ");
  return warnings;
}
