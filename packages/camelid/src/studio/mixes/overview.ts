/** What a table of rows holds, in a few numbers. */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { RowsOverview } from "../api.js";
import type { RowTable } from "./row-table.js";

export async function rowsOverview(table: RowTable): Promise<Omit<RowsOverview, "state" | "kind">> {
  return await table.ask(async (connection) => {
    const rows = async (text: string) => (await connection.runAndReadAll(text)).getRowsJson();
    const datasets = await rows(
      "SELECT dataset, count(*), coalesce(sum(chars), 0), coalesce(sum(turns), 0) FROM rows GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 200",
    );
    const bins = await rows(
      `SELECT floor(log2(greatest(chars, 1)) * ${BINS})::INTEGER AS bin, count(*) FROM rows WHERE turns IS NOT NULL GROUP BY 1 ORDER BY 1`,
    );
    return {
      datasets: datasets.map(([name, many, chars, turns]) => ({
        name: String(name),
        rows: Number(many),
        chars: Number(chars),
        turns: Number(turns),
      })),
      lengths: histogram(bins.map(([bin, many]) => [Number(bin), Number(many)])),
      tables: await tables(connection),
    };
  });
}

/** Bins to a doubling of the length. */
const BINS = 3;

function histogram(bins: [bin: number, rows: number][]): RowsOverview["lengths"] {
  if (bins.length === 0) return null;
  const [first, last] = [bins[0]![0], bins.at(-1)![0]];
  const many = last - first + 1;
  const rows = new Array<number>(many).fill(0);
  for (const [bin, count] of bins) rows[bin - first] = count;
  return { edges: Array.from({ length: many + 1 }, (_, i) => Math.round(2 ** ((first + i) / BINS))), rows };
}

async function tables(connection: DuckDBConnection): Promise<RowsOverview["tables"]> {
  const columns = (
    await connection.runAndReadAll(
      "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY table_oid DESC, column_index",
    )
  ).getRowsJson();
  const names = [...new Set(columns.map(([name]) => String(name)))].sort((a, b) =>
    a === "rows" ? -1 : b === "rows" ? 1 : a < b ? -1 : 1,
  );
  return await Promise.all(
    names.map(async (name) => {
      const counted = (
        await connection.runAndReadAll(`SELECT count(*) FROM "${name.replaceAll('"', '""')}"`)
      ).getRowsJson();
      const own = columns.filter(([table]) => table === name);
      return {
        name,
        columns: own.map(([, column, type]) => ({ name: String(column), type: String(type) })),
        rows: Number(counted[0]![0]),
      };
    }),
  );
}
