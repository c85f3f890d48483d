/** A page of the list of rows: chosen by source and by words, in the order asked for. */
import type { ListedRow, RowsReply } from "../api.js";
import { KeepPromises } from "../rows/keep.js";
import { recordOf } from "../rows/record.js";
import type { RowFile } from "../rows/row-file.js";
import { preview } from "../rows/row-view.js";
import { RowSearch } from "./row-search.js";
import { among, integers, type RowTable } from "./row-table.js";

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
 * What questions share is asked of the table once and kept: each order of all rows, and the numbers in their columns. The rows
 * of a page are then read from the file, a hundred short reads; in the table they lie compressed with thousands of others.
 */
export class RowLists {
  readonly #search: RowSearch;
  readonly #columns = new KeepPromises<Int32Array>(12);
  readonly #lists = new KeepPromises<Int32Array>(24);
  #sources: Promise<Map<string, [from: number, to: number]>> | undefined;

  /** @param file opens the file of the table */
  constructor(
    readonly table: RowTable,
    readonly file: () => Promise<RowFile>,
  ) {
    this.#search = new RowSearch(table, file);
    // Before someone asks: sorting hundreds of thousands of rows takes longer than a click may.
    const prepared = [table.ready, file()] as const;
    Promise.all(prepared)
      .then(() => Promise.all(["turns", "chars"].flatMap((name) => [this.#column(name), this.#order(name)])))
      .then(() => this.#order("dataset"))
      .catch(() => {}); // said when a page is asked for
  }

  async page(question: RowsQuestion): Promise<Pick<RowsReply, "total" | "rows" | "partial">> {
    const { words, offset, limit, dataset, sort, descending } = question;
    const key = JSON.stringify([dataset, sort, descending]);
    const all = await this.#lists.get(key, () => this.#inOrder(question));
    const { places, partial } =
      words === "" ? { places: all, partial: false } : await this.#search.find(words, all);
    const rows = await this.#listed(places.subarray(offset, offset + limit));
    return { total: places.length, rows, partial };
  }

  async #inOrder({ dataset, sort, descending }: RowsQuestion): Promise<Int32Array> {
    const order = await this.#order(sort);
    const chosen = dataset === "" ? order : among(order, await this.#ofSource(dataset));
    return descending ? chosen.toReversed() : chosen;
  }

  #order(sort: string): Promise<Int32Array> {
    const by = sort === "place" ? "rowid" : `${sort}, rowid`;
    return this.#columns.get(by, () =>
      integers(this.table, `SELECT rowid::INTEGER FROM rows ORDER BY ${by}`),
    );
  }

  #column(name: string): Promise<Int32Array> {
    return this.#columns.get(name, () => integers(this.table, `SELECT coalesce(${name}, -1) FROM rows`));
  }

  /** By source the rows of one stand together. */
  async #ofSource(dataset: string): Promise<Int32Array> {
    this.#sources ??= this.#stretches();
    const [from, to] = (await this.#sources).get(dataset) ?? [0, 0];
    return (await this.#order("dataset")).subarray(from, to);
  }

  async #stretches(): Promise<Map<string, [number, number]>> {
    const reader = await this.table.ask((connection) =>
      connection.runAndReadAll("SELECT dataset, count(*)::INTEGER FROM rows GROUP BY 1 ORDER BY 1"),
    );
    let end = 0;
    return new Map(
      reader.getRows().map(([name, rows]) => {
        const from = end;
        end += Number(rows);
        return [String(name), [from, end]];
      }),
    );
  }

  async #listed(places: Int32Array): Promise<ListedRow[]> {
    const [file, turns, chars] = await Promise.all([
      this.file(),
      this.#column("turns"),
      this.#column("chars"),
    ]);
    return Array.from(places, (place) => {
      const record = recordOf(file.row(place) ?? "");
      const isRow = turns[place]! >= 0;
      return {
        ...{ place, dataset: String(record.dataset ?? ""), id: String(record.id ?? "") },
        preview: isRow ? preview(record) : "(not a row that can be used)",
        turns: isRow ? turns[place]! : null,
        chars: isRow ? chars[place]! : null,
      };
    });
  }
}
