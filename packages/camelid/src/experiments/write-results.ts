/** The end of an experiment: table.txt, table.json and report.html in a folder of its name. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../run/atomic-write.js";
import { type RunRecord, readRun } from "../run/read-run.js";
import type { Experiment } from "./experiment.js";
import type { PlannedEval } from "./plan.js";
import { experimentReport } from "./report.js";
import { type Results, readResults } from "./results.js";
import type { Made } from "./run-stages.js";
import { tableText } from "./table-text.js";

export interface Written {
  readonly results: Results;
  readonly text: string;
  readonly report: string;
}

/** @param remark what everybody has to know before they look at a number */
export async function writeResults(
  out: string,
  experiment: Experiment,
  made: readonly Made[],
  remark?: string,
): Promise<Written> {
  const evals = made.flatMap(({ planned }) => (planned.does === "eval" ? [planned] : []));
  const results = await readResults(experiment, evals);
  const folder = join(out, experiment.name);
  mkdirSync(folder, { recursive: true });
  const text = tableText(experiment, results, remark);
  writeFileAtomic(join(folder, "table.txt"), text);
  writeFileAtomic(join(folder, "table.json"), jsonOf(experiment, results, evals, remark));
  const report = join(folder, "report.html");
  const shared = remark === undefined ? {} : { remark };
  writeFileAtomic(
    report,
    experimentReport({ experiment, results, made, runs: await runsOf(made), folder, ...shared }),
  );
  return { results, text, report };
}

async function runsOf(made: readonly Made[]): Promise<Map<string, RunRecord>> {
  const runs = new Map<string, RunRecord>();
  for (const { planned } of made) {
    if (planned.does === "sft" || planned.does === "dpo")
      runs.set(planned.name, await readRun(planned.folder));
  }
  return runs;
}

function jsonOf(
  { name, title, columns, published }: Experiment,
  results: Results,
  evals: readonly PlannedEval[],
  remark: string | undefined,
): string {
  const named = <Cell>(cells: readonly Cell[]) =>
    Object.fromEntries(columns.map((column, i) => [column.name, cells[i]]));
  const value = {
    format: 1,
    experiment: name,
    title,
    ...(remark === undefined ? {} : { remark }),
    columns,
    rows: results.rows.map((row) => ({ ...row, cells: named(row.cells) })),
    differences: results.differences.map((one) => ({ ...one, cells: named(one.cells) })),
    published: { ...published, note: "as printed in arXiv 2311.10702v2; not of this experiment" },
    evaluations: evals.map(({ name: row, folder, settings }) => ({ row, folder, settings })),
    notes: results.notes,
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}
