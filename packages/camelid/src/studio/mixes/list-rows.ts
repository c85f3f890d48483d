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
 * Sorting and choosing a source are done anew for each page, in milliseconds. A search through all texts takes as long as
 * reading them, so what it found is kept: turning pages must not search again.
 */
export class RowLists {
  readonly #found = new Keep<Promise<Int32Array>>(24);
  readonly #counts = new Keep<Promise<number>>(100);

  constructor(readonly table: RowTable) {}

  async page(question: RowsQuestion): Promise<Pick<RowsReply, "total" | "rows">> {
    const { offset, limit, words } = question;
    const where = question.dataset === "" ? "" : `WHERE dataset = ${sql(question.dataset)}`;
    if (words !== "") {
      const found = await this.#search(question);
      return { total: found.length, rows: await this.#rowsAt([...found.subarray(offset, offset + limit)]) };
    }
    const total = await this.#count(where);
    if (where === "" && question.sort === "place" && !question.descending) {
      return { total, rows: await this.#rowsAt(range(offset, Math.min(total, offset + limit))) };
    }
    const text = `SELECT rowid::INTEGER FROM rows ${where} ${orderOf(question)} LIMIT ${limit} OFFSET ${offset}`;
    const places = await this.table.ask((connection) => integers(connection, text));
    return { total, rows: await this.#rowsAt([...places]) };
  }

  #rowsAt(places: readonly number[]): Promise<ListedRow[]> {
    return this.table.ask((connection) => rowsAt(connection, places));
  }

  #count(where: string): Promise<number> {
    return keptPromise(this.#counts, where, async () => {
      const reader = await this.table.ask((connection) =>
        connection.runAndReadAll(`SELECT count(*) FROM rows ${where}`),
      );
      return Number(reader.getRows()[0]![0]);
    });
  }

  #search(question: RowsQuestion): Promise<Int32Array> {
    const inSource = question.dataset === "" ? "" : `dataset = ${sql(question.dataset)} AND`;
    const text = `SELECT rowid::INTEGER FROM rows WHERE ${inSource} (${matches(question.words)}) ${orderOf(question)}`;
    return keptPromise(this.#found, text, () => this.table.ask((connection) => integers(connection, text)));
  }
}

function orderOf({ sort, descending }: RowsQuestion): string {
  const direction = descending ? "DESC" : "ASC";
  return sort === "place" ? `ORDER BY rowid ${direction}` : `ORDER BY ${sort} ${direction}, rowid`;
}

/** What failed is asked again the next time. */
function keptPromise<T>(keep: Keep<Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  return keep.get(key, () => {
    const making = make();
    making.catch(() => keep.delete(key));
    return making;
  });
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
