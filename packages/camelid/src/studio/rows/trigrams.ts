/**
 * Which rows may hold a text, without reading them. Each row has a set of bits, one for every three letters, digits or spaces
 * in a row that stand in its line (a signature file: Faloutsos and Christodoulakis 1984). The bits lie turned over, those of
 * all rows for one trigram side by side (BitFunnel: Goodwin et al. 2017), so a question reads a few kilobytes for each of its
 * trigrams. A row that has them all may hold the text and must be looked at; one that lacks any does not hold it.
 *
 * A file: the number of rows as a double, then blocks of {@link BLOCK} rows, the last one shorter: {@link BITS} slices of a bit a row.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";

const BITS = 2048;
/** Not a power of two: the same byte of many slices would fall into the same few places of the processor's caches. */
const BLOCK = 33_280;
const HEADER = 8;

/** 1 to 37 for what trigrams are made of, letters' case aside; 0 parts them. */
const LETTER = new Uint8Array(256);
for (const [i, sign] of [..." 0123456789abcdefghijklmnopqrstuvwxyz"].entries()) {
  LETTER[sign.charCodeAt(0)] = i + 1;
  LETTER[sign.toUpperCase().charCodeAt(0)] = i + 1;
}
const [LINE_END, BACKSLASH, U, ZERO, EIGHT] = [0x0a, 0x5c, 0x75, 0x30, 0x38];

/** Golden-ratio hashing of three letters to one of {@link BITS}. */
const sliceOf = (a: number, b: number, c: number): number =>
  Math.imul((a * 38 + b) * 38 + c, 0x9e3779b1) >>> 21;

/** Takes a file of JSON lines piece by piece, wherever it is cut. */
export class TrigramWriter {
  rows = 0;
  readonly #block = new Uint8Array((BITS * BLOCK) / 8);
  #inBlock = 0;
  #open = false;
  #before = 0;
  #last = 0;

  constructor(readonly file: number) {
    writeSync(file, Buffer.alloc(HEADER));
  }

  /** Plain assignments, no lists taken apart: this loop meets every byte of every file. */
  take(piece: Uint8Array): void {
    const block = this.#block;
    let byte = this.#inBlock >> 3;
    let bit = 1 << (this.#inBlock & 7);
    let a = this.#before;
    let b = this.#last;
    let open = this.#open;
    for (let i = 0; i < piece.length; i++) {
      const sign = piece[i]!;
      const c = LETTER[sign]!;
      if (c !== 0) {
        if (a !== 0 && b !== 0) block[sliceOf(a, b, c) * (BLOCK / 8) + byte]! |= bit;
      } else if (sign === LINE_END) {
        if (open) this.#endRow(); // blank lines are no rows
        byte = this.#inBlock >> 3;
        bit = 1 << (this.#inBlock & 7);
        open = false;
        b = 0;
        a = 0;
        continue;
      } else if (sign === BACKSLASH) {
        if (hidesLetter(piece, i)) for (let at = byte; at < block.length; at += BLOCK / 8) block[at]! |= bit;
        if (piece[i + 1] !== LINE_END) i++; // the letter of an escape is none of the text
      }
      open = true;
      a = b;
      b = c;
    }
    this.#before = a;
    this.#last = b;
    this.#open = open;
  }

  end(): void {
    if (this.#open) this.#endRow();
    this.#flush();
    writeSync(this.file, Float64Array.of(this.rows), 0, HEADER, 0);
  }

  #endRow(): void {
    this.rows++;
    if (++this.#inBlock === BLOCK) this.#flush();
  }

  #flush(): void {
    const stride = Math.ceil(this.#inBlock / 8);
    const out = new Uint8Array(BITS * stride);
    for (let slice = 0; slice < BITS; slice++) {
      const from = (slice * BLOCK) / 8;
      out.set(this.#block.subarray(from, from + stride), slice * stride);
    }
    writeSync(this.file, out);
    this.#block.fill(0);
    this.#inBlock = 0;
  }
}

/** A letter or digit written as `\u00..`: the row is then always looked at; so where the piece ends too soon to tell. */
function hidesLetter(piece: Uint8Array, at: number): boolean {
  if (at + 4 >= piece.length) return true;
  return piece[at + 1] === U && piece[at + 2] === ZERO && piece[at + 3] === ZERO && piece[at + 4]! < EIGHT;
}

/**
 * Places of the rows that may hold `words`, in order.
 * @returns undefined when the words have no three letters in a row: any row may hold them
 */
export function mayHold(path: string, words: string): Int32Array | undefined {
  const slices = slicesOf(words);
  if (slices.length === 0) return undefined;
  const file = openSync(path, "r");
  try {
    const header = Buffer.alloc(HEADER);
    readSync(file, header, 0, HEADER, 0);
    const rows = header.readDoubleLE(0);
    const found = new Int32Array(rows);
    let count = 0;
    for (let first = 0; first < rows; first += BLOCK) {
      const bits = blockBits(file, first, Math.min(BLOCK, rows - first), slices);
      for (let at = 0; at < bits.length; at++) {
        for (let byte = bits[at]!, place = first + at * 8; byte !== 0; byte >>= 1, place++)
          if (byte & 1) found[count++] = place;
      }
    }
    return found.slice(0, count);
  } finally {
    closeSync(file);
  }
}

function slicesOf(words: string): number[] {
  const slices = new Set<number>();
  let [a, b] = [0, 0];
  for (const sign of words.toLowerCase()) {
    const code = sign.charCodeAt(0);
    const c = code < 256 ? LETTER[code]! : 0;
    if (a !== 0 && b !== 0 && c !== 0) slices.add(sliceOf(a, b, c));
    [a, b] = [b, c];
  }
  return [...slices];
}

function blockBits(file: number, first: number, rows: number, slices: readonly number[]): Uint8Array {
  const stride = Math.ceil(rows / 8);
  const bits = new Uint8Array(stride).fill(0xff);
  if (rows % 8 !== 0) bits[stride - 1] = (1 << (rows % 8)) - 1;
  const slice = new Uint8Array(stride);
  const start = HEADER + (BITS * first) / 8;
  for (const one of slices) {
    readSync(file, slice, 0, stride, start + one * stride);
    for (let at = 0; at < stride; at++) bits[at]! &= slice[at]!;
  }
  return bits;
}
