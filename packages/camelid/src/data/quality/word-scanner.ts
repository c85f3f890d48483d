/**
 * The one definition of a word for near-deduplication, decontamination, statistics and language guessing.
 *
 * Normalisation: Unicode NFC; simple lower case; a word is a run of letters, marks and digits (Unicode \p{L}\p{M}\p{N}
 * and everything outside the Basic Multilingual Plane, so that emoji count); all else separates. Scripts written
 * without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) give one word per letter, otherwise a Chinese paragraph would
 * be a single "word" and share nothing with its near copy.
 *
 * Words come out as 32-bit hashes with their place in the text. No string is made per word: the text is copied once
 * into a UTF-16 buffer and read through a 65,536-entry table.
 */

export class WordScanner {
  /** Number of words found since the last `reset`. */
  count = 0;
  /** Hash of each word; entries from `count` on are stale. */
  hashes = new Uint32Array(1024);
  /** First code unit of each word in the (NFC) text it came from, and the one after its last. */
  starts = new Uint32Array(1024);
  ends = new Uint32Array(1024);

  private readonly folded = unitTables().folded;
  private readonly standsAlone = unitTables().standsAlone;
  private readonly units = new UnitBuffer();

  reset(): void {
    this.count = 0;
  }

  /**
   * Adds the words of a text after those already there, looking at no more than `maxUnits` UTF-16 units.
   * @returns the text that `starts` and `ends` point into: the NFC form of `text`
   */
  append(text: string, maxUnits = Number.POSITIVE_INFINITY): string {
    const normal = toNfc(text);
    const loaded = this.units.load(normal);
    const length = loaded <= maxUnits ? loaded : maxUnits | 0;
    this.reserve(this.count + length); // never more words than units
    const { folded, standsAlone, hashes, starts, ends } = this;
    const units = this.units.view;
    let count = this.count;
    let start = -1;
    let hash = 0;
    for (let i = 0; i < length; i++) {
      const unit = units[i]!;
      const letter = folded[unit]!;
      if (letter !== 0 && (unit < FIRST_STANDING_ALONE || standsAlone[unit] === 0)) {
        if (start < 0) {
          start = i;
          hash = WORD_SEED;
        }
        hash = Math.imul(hash ^ letter, WORD_PRIME);
        continue;
      }
      if (start >= 0) {
        starts[count] = start;
        ends[count] = i;
        hashes[count++] = mix32(hash);
        start = -1;
      }
      if (letter !== 0) {
        starts[count] = i;
        ends[count] = i + 1;
        hashes[count++] = mix32(Math.imul(WORD_SEED ^ letter, WORD_PRIME));
      }
    }
    if (start >= 0) {
      starts[count] = start;
      ends[count] = length;
      hashes[count++] = mix32(hash);
    }
    this.count = count;
    return normal;
  }

  private reserve(words: number): void {
    if (words <= this.hashes.length) return;
    const capacity = Math.max(words, 2 * this.hashes.length);
    this.hashes = grown(this.hashes, capacity, this.count);
    this.starts = grown(this.starts, capacity, this.count);
    this.ends = grown(this.ends, capacity, this.count);
  }
}

/** Hash of a single word, equal to what the scanner gives for it inside a text. */
export function wordHash(word: string): number {
  const scanner = new WordScanner();
  scanner.append(word);
  if (scanner.count !== 1)
    throw new RangeError(`expected one word, found ${scanner.count} in ${JSON.stringify(word)}`);
  return scanner.hashes[0]!;
}

/** NFC form; free for strings that V8 stores in one byte a character, where the pattern cannot match. */
export function toNfc(text: string): string {
  return /[\u0300-\uffff]/.test(text) ? text.normalize("NFC") : text;
}

/** A reusable buffer of UTF-16 code units: one copy per text, then plain typed-array reads. */
export class UnitBuffer {
  view = new Uint16Array(1 << 14);
  private bytes = Buffer.from(this.view.buffer);

  /** Copies the text in and returns its length in code units; lone surrogates survive. 16 bytes of room follow it. */
  load(text: string): number {
    if (text.length + 8 > this.view.length) {
      this.view = new Uint16Array(Math.ceil((text.length * 1.5) / 8) * 8 + 8);
      this.bytes = Buffer.from(this.view.buffer);
    }
    return this.bytes.write(text, 0, "utf16le") / 2;
  }
}

// FNV-1a over code units; the mixer below spreads its weak high bits.
const WORD_SEED = 0x811c9dc5 | 0;
const WORD_PRIME = 0x01000193;

/** A bijection of 32-bit integers in which each input bit flips each output bit about half of the time. */
export function mix32(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

function grown(array: Uint32Array<ArrayBuffer>, capacity: number, used: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(capacity);
  larger.set(array.subarray(0, used));
  return larger;
}

/** Thai: no unit below it is a word of its own. */
const FIRST_STANDING_ALONE = 0x0e00;

interface UnitTables {
  /** By UTF-16 unit: 0 when it separates words, else the unit in lower case. */
  readonly folded: Uint16Array;
  /** 1 when a letter is a word of its own. */
  readonly standsAlone: Uint8Array;
}

let sharedTables: UnitTables | undefined;

/** Built at first use (some 20 ms) rather than at import. */
function unitTables(): UnitTables {
  if (sharedTables !== undefined) return sharedTables;
  const wordUnit = /[\p{L}\p{M}\p{N}\p{Cs}]/u;
  const unspaced =
    /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
  const folded = new Uint16Array(0x1_0000);
  const standsAlone = new Uint8Array(0x1_0000);
  for (let unit = 1; unit < folded.length; unit++) {
    const character = String.fromCharCode(unit);
    if (!wordUnit.test(character)) continue;
    // Only U+0130 lower-cases to two units; its first, "i", is what people mean.
    folded[unit] = character.toLowerCase().charCodeAt(0);
    standsAlone[unit] = unspaced.test(character) ? 1 : 0;
  }
  sharedTables = { folded, standsAlone };
  return sharedTables;
}
