/**
 * Rows that hold words. Their trigrams say which rows may; few of those are read at once. Where many may, or trigrams do not
 * tell, the first matches are shown while the database reads every text.
 */
import { existsSync } from "node:fs";
import { sql } from "../../data/files/duckdb.js";
import { Keep, KeepPromises } from "../rows/keep.js";
import { recordOf } from "../rows/record.js";
import type { RowFile } from "../rows/row-file.js";
import { scanInThread } from "../rows/scan.js";
import { mayHold } from "../rows/trigrams.js";
import { among, cacheFile, integers, type RowTable } from "./row-table.js";

export interface Found {
  /** In the order of the rows that were asked for. */
  places: Int32Array;
  /** There may be more: the search goes on. */
  partial: boolean;
}

/** The database reads every text for some words, once they are asked for again: those typed on from are not worth it. */
interface Reading {
  places: Promise<Int32Array> | undefined;
  /** When they were last asked for. */
  asked: number;
  stop: AbortController;
}

/** Rows that are read at once. */
const FEW = 1000;
/** Matches that a search shows while it goes on, and rows that are read to find them. */
const FIRST_PAGE = 100;
const FIRST = 400;
/** The page asks again and again while it shows a first page; one that does not has typed on. */
const GIVEN_UP_MS = 500;

export class RowSearch {
  readonly #few = new KeepPromises<Int32Array>(24);
  readonly #readings = new Keep<Reading>(24);
  #trigrams: string | undefined;

  constructor(
    readonly table: RowTable,
    readonly file: () => Promise<RowFile>,
  ) {
    this.#prepare(cacheFile(table.file, "trigrams")).catch(() => {}); // without them every text is read
  }

  /** Beside the table, so that both are there at about the same time. */
  async #prepare(path: string): Promise<void> {
    if (!existsSync(path)) await scanInThread({ kind: "trigrams", path: this.table.file, into: path });
    this.#trigrams = path;
  }

  /** @param order all rows that are wanted, in the order that is wanted */
  async find(words: string, order: Int32Array): Promise<Found> {
    const may = this.#trigrams === undefined ? undefined : mayHold(this.#trigrams, words);
    if (may !== undefined && may.length <= FEW) {
      const places = await this.#few.get(words, () => this.#lookAt(words, may));
      return { places: among(order, places), partial: false };
    }
    const reading = this.#read(words);
    const first = (may === undefined ? order : among(order, may)).subarray(0, FIRST);
    const beginning = await this.#lookAt(words, first, FIRST_PAGE);
    const all = reading === undefined ? undefined : await Promise.race([reading, undefined]);
    return all === undefined
      ? { places: beginning, partial: true }
      : { places: among(order, all), partial: false };
  }

  /** @param enough matches: no further rows are read then */
  async #lookAt(words: string, places: Int32Array, enough = FEW): Promise<Int32Array> {
    const file = await this.file();
    const wanted = words.toLowerCase();
    const found: number[] = [];
    for (const place of places) {
      const record = recordOf(file.row(place) ?? "");
      if (record.id === words || textsOf(record).some((text) => text.toLowerCase().includes(wanted))) {
        found.push(place);
        if (found.length === enough) break;
      }
    }
    return Int32Array.from(found);
  }

  #read(words: string): Promise<Int32Array> | undefined {
    const now = performance.now();
    const reading = this.#readings.get(words, () => ({
      places: undefined,
      asked: 0,
      stop: new AbortController(),
    }));
    if (reading.asked > 0 && reading.places === undefined) {
      for (const other of this.#readings.values()) if (now - other.asked > GIVEN_UP_MS) other.stop.abort();
      reading.stop = new AbortController();
      const query = `SELECT rowid::INTEGER FROM rows WHERE ${matches(words)}`;
      reading.places = integers(this.table, query, reading.stop.signal);
      reading.places.catch(() => this.#readings.delete(words)); // what failed is asked again the next time
    }
    reading.asked = now;
    return reading.places;
  }
}

/** The same texts as the columns of the table: see `createRows`. */
function textsOf({ messages, chosen, rejected }: Record<string, unknown>): string[] {
  const turns = (list: unknown) =>
    (Array.isArray(list) ? list : []) as ({ role?: unknown; content?: unknown } | null)[];
  const said = (role: string) =>
    turns(messages ?? chosen)
      .filter((turn) => turn?.role === role)
      .map((turn) => String(turn?.content ?? ""))
      .join("\n\n");
  return [said("user"), said("assistant"), said("system"), String(turns(rejected).at(-1)?.content ?? "")];
}

function matches(words: string): string {
  const wanted = sql(words.toLowerCase());
  return ["prompt", "answer", "system", "rejected"]
    .map((column) => `contains(lower(${column}), ${wanted})`)
    .concat(`id = ${sql(words)}`)
    .join(" OR ");
}
