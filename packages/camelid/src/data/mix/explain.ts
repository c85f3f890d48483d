/** "Where does this row come from, why is that one missing": one query on a mixture's lineage. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SettingsError } from "../../errors.js";
import { sql, withDatabase } from "../files/duckdb.js";

export interface Explanation {
  readonly id: string | null;
  readonly dataset: string;
  readonly source: string;
  readonly file: string;
  /** From 0; `rowEnd` is past the last row where one fate covers several. */
  readonly row: number;
  readonly rowEnd: number;
  readonly steps: string | null;
  readonly fate: string;
  readonly reason: string | null;
  readonly line: number | null;
}

/**
 * Everything the lineage knows of an id, or of a raw row named as `FILE:ROW` (row from 1, file by its ending).
 * @throws {SettingsError} when the folder holds no mixture
 */
export async function explain(folder: string, what: string, limit = 20): Promise<Explanation[]> {
  const lineage = join(folder, "lineage.parquet");
  if (!existsSync(lineage)) {
    throw new SettingsError("ERR_MIX_LINEAGE", "the folder holds no mixture.", {
      where: lineage,
      fix: "give --out the folder that `camelid mix` wrote.",
    });
  }
  const rawRow = /^(.+):(\d+)$/.exec(what);
  const condition =
    rawRow === null
      ? `id = ${sql(what)}`
      : `id = ${sql(what)} OR (ends_with(file, ${sql(rawRow[1]!)}) AND row <= ${Number(rawRow[2]) - 1} AND row_end > ${Number(rawRow[2]) - 1})`;
  return await withDatabase(async (connection) => {
    const reader = await connection.runAndReadAll(
      `SELECT id, dataset, source, file, row, row_end, steps, fate, reason, line FROM read_parquet(${sql(lineage)}) WHERE ${condition} LIMIT ${limit}`,
    );
    return reader.getRowObjectsJson().map((row) => ({
      id: row.id as string | null,
      dataset: row.dataset as string,
      source: row.source as string,
      file: row.file as string,
      row: Number(row.row),
      rowEnd: Number(row.row_end),
      steps: row.steps as string | null,
      fate: row.fate as string,
      reason: row.reason as string | null,
      line: row.line === null ? null : Number(row.line),
    }));
  });
}

/** A few sentences for people. */
export function explanationText(what: string, explanations: readonly Explanation[]): string {
  if (explanations.length === 0) {
    return `"${what}" is in no lineage entry. Rows outside a draw have no id: ask for them as FILE:ROW, for example train.jsonl:17.\n`;
  }
  return explanations.map(describe).join("\n");
}

function describe({
  id,
  dataset,
  source,
  file,
  row,
  rowEnd,
  steps,
  fate,
  reason,
  line,
}: Explanation): string {
  const rows = rowEnd - row === 1 ? `row ${row + 1}` : `rows ${row + 1} to ${rowEnd}`;
  const target = fate === "held-out" ? "held-out.jsonl" : "train.jsonl";
  const lines = [
    `${id ?? "(no record)"}  ${dataset}`,
    `  from   ${file} ${rows}, source ${source}`,
    ...(steps === null ? [] : [`  steps  ${steps}`]),
    `  fate   ${fate}${line === null ? "" : `: ${target} line ${line}`}${reason === null ? "" : ` (${reason})`}`,
  ];
  return `${lines.join("\n")}\n`;
}
