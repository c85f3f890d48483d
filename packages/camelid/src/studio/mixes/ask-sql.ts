/** SQL that a person typed, over the read-only table of one file. */
import { DataError } from "../../errors.js";
import type { SqlReply } from "../api.js";
import type { RowTable } from "./row-table.js";

const MOST_ROWS = 1000;
/** A cell is looked at, not exported. */
const LONGEST_CELL = 2000;
const TIME_MS = 15_000;

/** @throws {DataError} `ERR_STUDIO_SQL` with the database's own message */
export async function askSql(table: RowTable, text: string): Promise<SqlReply> {
  const started = performance.now();
  try {
    return await table.ask(async (connection) => {
      const statements = await connection.extractStatements(text);
      if (statements.count !== 1)
        throw new Error(statements.count === 0 ? "there is no statement" : "give one statement at a time");
      const reader = await connection.streamAndReadUntil(text, MOST_ROWS + 1);
      const names = reader.columnNames();
      const types = reader.columnTypes();
      const rows = reader.getRowsJson();
      return {
        columns: names.map((name, i) => ({ name, type: String(types[i]) })),
        rows: rows.slice(0, MOST_ROWS).map((row) => row.map(cell)),
        more: rows.length > MOST_ROWS,
        ms: performance.now() - started,
      };
    }, TIME_MS);
  } catch (cause) {
    const message = (cause as Error).message;
    const stopped = /interrupt/i.test(message);
    throw new DataError(
      "ERR_STUDIO_SQL",
      stopped ? `the query took more than ${TIME_MS / 1000} seconds and was stopped.` : message,
      {
        fix: "the tables are listed beside the query; they can be read and not changed.",
        cause,
      },
    );
  }
}

function cell(value: unknown): string | number | boolean | null {
  if (value === null || typeof value === "boolean" || typeof value === "number") return value;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // Whole numbers come as text, so that none loses digits; those that lose none are shown as numbers.
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  return text.length > LONGEST_CELL ? `${text.slice(0, LONGEST_CELL)} …` : text;
}
