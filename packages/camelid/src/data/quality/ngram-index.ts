import { GrowableUint32 } from "./growable.js";
import { mix32 } from "./word-scanner.js";

/**
 * Which benchmark texts contain a word n-gram, and where: built once, then asked for every position of every row.
 *
 * An n-gram is a 64-bit hash: two rolling polynomials of its word hashes. The first, computed in a few operations a
 * word, is looked up in a bitmap small enough for the cache; only on a hit (2 % of random n-grams) the second is
 * computed and the table consulted. With three million n-grams, an accidental match needs some 10^12 positions.
 */
export class NgramIndex {
  /** Distinct n-grams. */
  readonly size: number;
  private readonly table: NgramTable;
  private readonly filter: Uint32Array;
  private readonly filterShift: number;
  /** Postings of n-gram g: from `first[g]` to `first[g + 1]`. Empty for n-grams that too many texts share. */
  private readonly first: Uint32Array;
  private readonly texts: Uint32Array;
  private readonly positions: Uint32Array;
  private readonly leaving: number;

  /**
   * @param texts   word hashes of each text
   * @param n       words in an n-gram
   * @param maxTexts  n-grams in more texts than this are common phrasing, evidence of nothing
   */
  constructor(
    texts: readonly Uint32Array[],
    readonly n: number,
    maxTexts: number,
  ) {
    this.leaving = power(BASE_1, n);
    this.table = new NgramTable();
    const occurrences = new GrowableUint32();
    const textsWith = new GrowableUint32();
    const lastText = new GrowableUint32();
    texts.forEach((words, text) => {
      for (let at = 0; at + n <= words.length; at++) {
        const ngram = this.table.add(hash1(words, at, n), hash2(words, at, n));
        occurrences.push(ngram);
        if (ngram === textsWith.length) {
          textsWith.push(0);
          lastText.push(0);
        }
        if (lastText.data[ngram] === text + 1) continue;
        lastText.data[ngram] = text + 1;
        textsWith.data[ngram]!++;
      }
    });
    this.size = this.table.size;

    const telling = (ngram: number) => textsWith.data[ngram]! <= maxTexts;
    this.first = new Uint32Array(this.size + 1);
    for (let i = 0; i < occurrences.length; i++) {
      const ngram = occurrences.data[i]!;
      if (telling(ngram)) this.first[ngram + 1]!++;
    }
    for (let ngram = 0; ngram < this.size; ngram++) this.first[ngram + 1]! += this.first[ngram]!;
    this.texts = new Uint32Array(this.first[this.size]!);
    this.positions = new Uint32Array(this.first[this.size]!);
    const next = this.first.slice();
    let i = 0;
    texts.forEach((words, text) => {
      for (let at = 0; at + n <= words.length; at++) {
        const ngram = occurrences.data[i++]!;
        if (!telling(ngram)) continue;
        this.texts[next[ngram]!] = text;
        this.positions[next[ngram]!++] = at;
      }
    });

    // 32 bits an n-gram, rounded up: 1 in 32 to 64 random lookups passes. At most 2^27 bits, 16 MB.
    const bits = Math.min(27, Math.max(10, 5 + Math.ceil(Math.log2(this.size + 1))));
    this.filterShift = 32 - bits;
    this.filter = new Uint32Array(2 ** (bits - 5));
    for (let ngram = 0; ngram < this.size; ngram++) {
      if (this.first[ngram] === this.first[ngram + 1]) continue;
      const bit = mix32(this.table.first(ngram)) >>> this.filterShift;
      this.filter[bit >>> 5]! |= 1 << (bit & 31);
    }
  }

  /** Calls `found` for every place where an n-gram of the text occurs in a benchmark text. */
  search(
    words: Uint32Array,
    count: number,
    found: (at: number, text: number, position: number) => void,
  ): void {
    const { n, filter, filterShift, leaving } = this;
    if (count < n || this.texts.length === 0) return;
    let rolling = 0;
    for (let i = 0; i < count; i++) {
      rolling = (Math.imul(rolling, BASE_1) + words[i]!) | 0;
      if (i >= n) rolling = (rolling - Math.imul(leaving, words[i - n]!)) | 0;
      if (i < n - 1) continue;
      const bit = mix32(rolling) >>> filterShift;
      if ((filter[bit >>> 5]! & (1 << (bit & 31))) === 0) continue;
      const at = i - n + 1;
      const ngram = this.table.find(rolling, hash2(words, at, n));
      if (ngram < 0) continue;
      for (let p = this.first[ngram]!; p < this.first[ngram + 1]!; p++)
        found(at, this.texts[p]!, this.positions[p]!);
    }
  }

  /** Positions of a text whose n-gram is telling, ascending: the part of it that can be matched at all. */
  tellingPositions(words: Uint32Array): number[] {
    const positions: number[] = [];
    for (let at = 0; at + this.n <= words.length; at++) {
      const ngram = this.table.find(hash1(words, at, this.n), hash2(words, at, this.n));
      if (ngram >= 0 && this.first[ngram]! < this.first[ngram + 1]!) positions.push(at);
    }
    return positions;
  }
}

/** Number of words covered by n-grams at these ascending positions. */
export function coveredWords(positions: readonly number[], n: number): number {
  let covered = 0;
  let end = 0;
  for (const position of positions) {
    covered += position + n - Math.max(position, end);
    end = position + n;
  }
  return covered;
}

// Odd multipliers, 3 modulo 4: differences of their powers keep as many low bits as possible.
const BASE_1 = 0x2c1b3c6f;
const BASE_2 = 0x5f356495 ^ 2;

function hash1(words: Uint32Array, at: number, n: number): number {
  let hash = 0;
  for (let i = at; i < at + n; i++) hash = (Math.imul(hash, BASE_1) + words[i]!) | 0;
  return hash;
}

/** Over differently mixed words, so that what collides in one polynomial does not in the other. */
function hash2(words: Uint32Array, at: number, n: number): number {
  let hash = 0;
  for (let i = at; i < at + n; i++) {
    const word = words[i]!;
    hash = (Math.imul(hash, BASE_2) + Math.imul(word ^ (word >>> 15), 0x27d4eb2f)) | 0;
  }
  return hash;
}

function power(base: number, exponent: number): number {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = Math.imul(result, base);
  return result;
}

/** Distinct 64-bit hashes, numbered 0, 1, 2, ... in order of arrival. */
class NgramTable {
  private readonly h1 = new GrowableUint32();
  private readonly h2 = new GrowableUint32();
  private slots = new Uint32Array(1 << 12);

  get size(): number {
    return this.h1.length;
  }

  first(ngram: number): number {
    return this.h1.data[ngram]!;
  }

  add(h1: number, h2: number): number {
    const found = this.find(h1, h2);
    if (found >= 0) return found;
    this.h1.push(h1);
    this.h2.push(h2);
    if (2 * this.size > this.slots.length) this.grow();
    else this.place(this.size - 1);
    return this.size - 1;
  }

  /** @returns -1 when absent */
  find(h1: number, h2: number): number {
    const mask = this.slots.length - 1;
    const [first, second] = [h1 >>> 0, h2 >>> 0];
    for (let slot = mix32(h1) & mask; ; slot = (slot + 1) & mask) {
      const ngram = this.slots[slot]! - 1;
      if (ngram < 0 || (this.h1.data[ngram] === first && this.h2.data[ngram] === second)) return ngram;
    }
  }

  private place(ngram: number): void {
    const mask = this.slots.length - 1;
    let slot = mix32(this.h1.data[ngram]!) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = ngram + 1;
  }

  private grow(): void {
    this.slots = new Uint32Array(2 * this.slots.length);
    for (let ngram = 0; ngram < this.size; ngram++) this.place(ngram);
  }
}
