/** A page of the list of rows: chosen by source and by words, in the order asked for. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { sql } from "../../data/files/duckdb.js";
import type { ListedRow, RowsReply } from "../api.js";
import { Keep } from "../rows/keep.js";
import type { RowTable } from "./row-table.js";

export interface RowsQuestion {
  dataset: string;
  /** Found anywhere in the texts, letters' case aside. */
  words: string;
  sort: "place" | "chars" | "turns" | "dataset" | "id";
  descending: boolean;
  offset: number;
  limit: number;
}

/**
 * Which rows match, in order, kept by question: turning pages must not search again. A search through all texts takes as
 * long as reading them; a sort, milliseconds.
 */
export class RowLists {
  readonly #orders = new Keep<Promise<Int32Array | undefined>>(24);

  constructor(readonly table: RowTable) {}

  async page(question: RowsQuestion): Promise<Pick<RowsReply, "total" | "rows">> {
    const order = await this.#order(question);
    const { offset, limit } = question;
    const state = this.table.state;
    const total = order?.length ?? (state.kind === "ready" ? state.rows : 0);
    const places =
      order === undefined
        ? range(offset, Math.min(total, offset + limit))
        : [...order.subarray(offset, offset + limit)];
    return { total, rows: await this.table.ask((connection) => rowsAt(connection, places)) };
  }

  /** Undefined: every row, as in the file. */
  #order(question: RowsQuestion): Promise<Int32Array | undefined> {
    const { dataset, words, sort, descending } = question;
    const conditions = [
      ...(dataset === "" ? [] : [`dataset = ${sql(dataset)}`]),
      ...(words === "" ? [] : [`(${matches(words)})`]),
    ];
    if (conditions.length === 0 && sort === "place" && !descending) return Promise.resolve(undefined);
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    const by = sort === "place" ? "rowid" : sort;
    const text = `SELECT rowid::INTEGER FROM rows ${where} ORDER BY ${by} ${descending ? "DESC" : "ASC"}${sort === "place" ? "" : ", rowid"}`;
    return this.#orders.get(text, () => {
      const asking = this.table.ask((connection) => integers(connection, text));
      asking.catch(() => this.#orders.delete(text));
      return asking;
    });
  }
}

function matches(words: string): string {
  const wanted = sql(words.toLowerCase());
  return ["prompt", "answer", "system", "rejected"]
    .map((column) => `contains(lower(${column}), ${wanted})`)
    .concat(`id = ${sql(words)}`)
    .join(" OR ");
}

async function integers(connection: DuckDBConnection, text: string): Promise<Int32Array> {
  const result = await connection.run(text);
  const found: number[] = [];
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk === undefined || chunk.rowCount === 0) break;
    const column = chunk.getColumnValues(0);
    for (const value of column) found.push(value as number);
  }
  return Int32Array.from(found);
}

async function rowsAt(connection: DuckDBConnection, places: readonly number[]): Promise<ListedRow[]> {
  if (places.length === 0) return [];
  const reader = await connection.runAndReadAll(
    `SELECT rowid::INTEGER AS place, dataset, id, beginning, turns, chars FROM rows WHERE rowid IN (${places.join(",")})`,
  );
  const found = new Map(reader.getRows().map((row) => [Number(row[0]), row]));
  return places.map((place) => {
    const [, dataset, id, beginning, turns, chars] = found.get(place) ?? [];
    return {
      ...{ place, dataset: String(dataset ?? ""), id: String(id ?? "") },
      preview: turns === null ? "(not a row that can be used)" : String(beginning ?? "").replace(/\s+/g, " "),
      turns: turns === null || turns === undefined ? null : Number(turns),
      chars: chars === null || chars === undefined ? null : Number(chars),
    };
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
