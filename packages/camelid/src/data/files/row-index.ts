/**
 * Where each row of a plain JSON file begins and ends, found in one pass over the bytes.
 *
 * Twelve bytes a row in memory whatever the rows weigh: a 100 MB row costs no more than a short one.
 * The same pass hashes the file. Rows are not parsed here; a broken one is found when it is read.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { DataError } from "../../errors.js";

export interface RowIndex {
  /** JSON lines, or the elements of one top-level array. */
  readonly layout: "lines" | "array";
  readonly count: number;
  /** Byte offset and byte length of row i, without line break or comma. */
  readonly starts: Float64Array;
  readonly lengths: Uint32Array;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Lines with nothing but white space; they are not rows. */
  readonly blankLines: number;
  /** Set when an array file ended before its closing bracket; the readable elements are indexed. */
  readonly damage?: DataError;
}

const LF = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE, COMMA] = [0x5b, 0x5d, 0x7b, 0x7d, 0x2c];

/** @param shownAs the name errors use when `path` is an unpacked copy. */
export async function indexRows(path: string, shownAs: string = path): Promise<RowIndex> {
  const hash = createHash("sha256");
  const rows = new RowTable();
  let scanner: Scanner | undefined;
  let position = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 4 << 20 })) {
    const chunk = piece as Buffer;
    hash.update(chunk);
    if (scanner === undefined) {
      const first = firstByte(chunk);
      if (first === -1) {
        position += chunk.length;
        continue;
      }
      scanner = chunk[first] === OPEN_BRACKET ? new ArrayScanner(rows) : new LineScanner(rows);
      // A byte order mark belongs to no row; JSON.parse would reject it.
      const skipped = first >= 3 && chunk[first - 1] === 0xbf ? first : 0;
      scanner.scan(skipped === 0 ? chunk : chunk.subarray(skipped), position + skipped);
    } else scanner.scan(chunk, position);
    position += chunk.length;
  }
  const layout = scanner instanceof ArrayScanner ? "array" : "lines";
  const complete = scanner?.end(position) ?? true;
  const damage = complete
    ? undefined
    : new DataError(
        "ERR_DATA_TRUNCATED",
        `the JSON array has no closing bracket; ${rows.count} whole elements were found.`,
        {
          where: `${shownAs} byte ${position}`,
          fix: "download the file again, or keep the readable rows with --on-bad skip.",
        },
      );
  return {
    layout,
    ...rows.finish(),
    sizeBytes: position,
    sha256: hash.digest("hex"),
    blankLines: scanner instanceof LineScanner ? scanner.blankLines : 0,
    ...(damage && { damage }),
  };
}

/** First byte that is neither white space nor part of a UTF-8 byte order mark; -1 when there is none. */
function firstByte(chunk: Buffer): number {
  let i = chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? 3 : 0;
  while (i < chunk.length && isSpace(chunk[i]!)) i++;
  return i < chunk.length ? i : -1;
}

interface Scanner {
  scan(chunk: Buffer, position: number): void;
  /** @returns whether the file ended where it may. */
  end(position: number): boolean;
}

class LineScanner implements Scanner {
  blankLines = 0;
  #lineStart = -1;
  /** Whether the line so far holds a byte that is not white space. */
  #solid = false;

  constructor(readonly rows: RowTable) {}

  scan(chunk: Buffer, position: number): void {
    if (this.#lineStart < 0) this.#lineStart = position;
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      this.#solid ||= hasSolidByte(chunk, from, at);
      this.#close(position + at);
      from = at + 1;
      this.#lineStart = position + from;
      this.#solid = false;
    }
    this.#solid ||= hasSolidByte(chunk, from, chunk.length);
  }

  end(position: number): boolean {
    if (this.#solid) this.#close(position);
    return true;
  }

  #close(end: number): void {
    if (this.#solid) this.rows.push(this.#lineStart, end - this.#lineStart);
    else this.blankLines++;
  }
}

/** Elements of the outermost array, with a depth counter that knows strings and escapes. */
class ArrayScanner implements Scanner {
  #depth = 0;
  #inString = false;
  /** Inside a string: the next byte is escaped. Only carried across chunks. */
  #escaped = false;
  #elementStart = -1;
  #lastSolid = -1;
  #closed = false;

  constructor(readonly rows: RowTable) {}

  scan(chunk: Buffer, position: number): void {
    let i = 0;
    const n = chunk.length;
    while (i < n) {
      if (this.#inString) {
        i = this.#skipString(chunk, i);
        this.#lastSolid = position + i - 1;
        continue;
      }
      const byte = chunk[i]!;
      if (byte === QUOTE) {
        if (this.#depth === 1 && this.#elementStart < 0) this.#elementStart = position + i;
        this.#inString = true;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (this.#depth === 1 && this.#elementStart < 0) this.#elementStart = position + i;
        this.#depth++;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#depth--;
        if (this.#depth === 0) {
          this.#closeElement();
          this.#closed = true;
        }
      } else if (byte === COMMA) {
        if (this.#depth === 1) this.#closeElement();
      } else if (this.#depth === 1 && this.#elementStart < 0 && !isSpace(byte)) {
        this.#elementStart = position + i;
      }
      if (!isSpace(byte) && byte !== COMMA) this.#lastSolid = position + i;
      i++;
    }
  }

  end(): boolean {
    // Only the closing bracket is missing: the last element is whole.
    if (!this.#closed && this.#depth === 1 && !this.#inString) this.#closeElement();
    return this.#closed;
  }

  /** @returns the position after the closing quote, or the chunk's end. */
  #skipString(chunk: Buffer, from: number): number {
    let i = from;
    if (this.#escaped) {
      this.#escaped = false;
      i++;
    }
    for (;;) {
      const quote = chunk.indexOf(QUOTE, i);
      const stop = quote === -1 ? chunk.length : quote;
      let slashes = 0;
      while (stop - 1 - slashes >= i && chunk[stop - 1 - slashes] === BACKSLASH) slashes++;
      if (quote === -1) {
        this.#escaped = slashes % 2 === 1;
        return chunk.length;
      }
      i = quote + 1;
      if (slashes % 2 === 0) {
        this.#inString = false;
        return i;
      }
    }
  }

  #closeElement(): void {
    if (this.#elementStart >= 0) {
      // The closing bracket of the array itself is not yet in #lastSolid when this runs.
      this.rows.push(this.#elementStart, this.#lastSolid + 1 - this.#elementStart);
    }
    this.#elementStart = -1;
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function hasSolidByte(chunk: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (!isSpace(chunk[i]!)) return true;
  return false;
}

/** Growing columns of offsets and lengths. */
class RowTable {
  count = 0;
  #starts = new Float64Array(1024);
  #lengths = new Uint32Array(1024);

  push(start: number, length: number): void {
    if (this.count === this.#starts.length) {
      const starts = new Float64Array(this.count * 2);
      starts.set(this.#starts);
      this.#starts = starts;
      const lengths = new Uint32Array(this.count * 2);
      lengths.set(this.#lengths);
      this.#lengths = lengths;
    }
    this.#starts[this.count] = start;
    this.#lengths[this.count++] = length;
  }

  finish() {
    return {
      count: this.count,
      starts: this.#starts.slice(0, this.count),
      lengths: this.#lengths.slice(0, this.count),
    };
  }
}
