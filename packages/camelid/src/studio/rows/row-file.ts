/**
 * Any row of a file of rows by its place, as lineage counts them: lines of JSON lines from 0, or items of a JSON array. One
 * pass finds the line ends; then a row costs one read.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { DataError } from "../../errors.js";
import { scanInThread } from "./scan.js";

export interface RowFile {
  readonly path: string;
  /** Lines or items, blank lines included. */
  readonly count: number;
  /** The line or item as it stands in the file; undefined past the end. */
  text(place: number): string | undefined;
  /** The n-th row, blank lines not counted: as readers of JSON lines count, the embedded database among them. */
  row(n: number): string | undefined;
}

/** Larger ones are not read into memory for a look at a row. */
const LARGEST_WHOLE = 256 << 20;
/** A row longer than this is not sent to a browser. */
const LONGEST_ROW = 8 << 20;

/** @throws {DataError} `ERR_STUDIO_FILE` when the file is too large for its form */
export async function openRowFile(path: string): Promise<RowFile> {
  if (path.endsWith(".gz"))
    return wholeFile(path, gunzipSync(await readWhole(path), { maxOutputLength: LARGEST_WHOLE }));
  const head = Buffer.alloc(64);
  const file = openSync(path, "r");
  const read = readSync(file, head, 0, 64, 0);
  closeSync(file);
  if (head.toString("utf8", 0, read).trimStart().startsWith("["))
    return wholeFile(path, await readWhole(path));
  return new LineFile(path, await scanInThread({ kind: "line-ends", path }));
}

class LineFile implements RowFile {
  readonly count: number;
  /** Places of the lines that hold something; undefined where all do. */
  readonly #solid: number[] | undefined;
  constructor(
    readonly path: string,
    readonly ends: Float64Array,
  ) {
    this.count = ends.length;
    const isBlank = (place: number) => ends[place]! - (place === 0 ? -1 : ends[place - 1]!) === 1;
    const places = Array.from({ length: this.count }, (_, place) => place);
    if (places.some(isBlank)) this.#solid = places.filter((place) => !isBlank(place));
  }

  row(n: number): string | undefined {
    return this.text(this.#solid === undefined ? n : (this.#solid[n] ?? -1));
  }

  text(place: number): string | undefined {
    if (!(place >= 0 && place < this.count)) return undefined;
    const start = place === 0 ? 0 : this.ends[place - 1]! + 1;
    const length = this.ends[place]! - start;
    if (length > LONGEST_ROW) {
      throw new DataError("ERR_STUDIO_FILE", `the row has ${length} bytes, too many to show.`, {
        where: `${this.path} line ${place + 1}`,
        fix: `read it with \`sed -n ${place + 1}p\`.`,
      });
    }
    const buffer = Buffer.alloc(length);
    const file = openSync(this.path, "r");
    try {
      readSync(file, buffer, 0, length, start);
    } finally {
      closeSync(file);
    }
    return buffer.toString("utf8").replace(/^\uFEFF/, "");
  }
}

async function readWhole(path: string): Promise<Buffer> {
  if (statSync(path).size > LARGEST_WHOLE) {
    throw new DataError("ERR_STUDIO_FILE", "the file is too large to be read whole.", {
      where: path,
      fix: "make JSON lines of it with `camelid mix`; their rows are read one by one.",
    });
  }
  return await readFile(path);
}

function wholeFile(path: string, bytes: Buffer): RowFile {
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
  if (!text.trimStart().startsWith("[")) {
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    const solid = lines.filter((line) => line.trim() !== "");
    return { path, count: lines.length, text: (place) => lines[place], row: (n) => solid[n] };
  }
  const items = JSON.parse(text) as unknown[];
  const item = (place: number) => (place in items ? JSON.stringify(items[place]) : undefined);
  return { path, count: items.length, text: item, row: item };
}
