import { mix32 } from "./word-scanner.js";

/**
 * MinHash sketches: `size` bytes a row, of which two rows share a fraction close to the Jaccard similarity of their
 * sets of word n-grams (shingles).
 *
 * Method: fast similarity sketching (Dahlgaard, Knudsen and Thorup 2017, https://arxiv.org/abs/1704.04370). In round r
 * each shingle is hashed to one bin and a value; the least value stays. Bins filled in an earlier round are closed, and
 * rounds go on until every bin is filled. A row of a few hundred words needs 2 to 4 rounds, not `size` hashes a
 * shingle, and yet the estimate is as good for a row of ten words as for one of ten thousand (plain one-permutation
 * hashing leaves bins empty and gets worse there).
 *
 * Only 8 bits of each minimum are kept (b-bit minwise hashing, Li and König 2010, https://arxiv.org/abs/0910.3349): two
 * unrelated bins agree once in 256, which the estimate takes out again.
 */
export class MinHasher {
  private readonly roundSeeds: Uint32Array;
  /** Per bin: its least value, and the round that filled it. */
  private readonly least: Uint32Array;
  private readonly filledIn: Uint16Array;
  private shingles = new Uint32Array(1024);

  constructor(
    readonly size: number,
    readonly shingleWords: number,
    seed: number,
  ) {
    // `size` rounds with random bins, then one forced round a bin, so that even a single shingle fills them all.
    this.roundSeeds = Uint32Array.from({ length: 2 * size }, (_, round) => mix32(mix32(seed | 0) + round));
    this.least = new Uint32Array(size);
    this.filledIn = new Uint16Array(size);
  }

  /**
   * Writes the sketch of a text of `count` word hashes to `into` at `offset`.
   * A text shorter than a shingle is one shingle. @returns false, and writes nothing, when there is no word
   */
  sketch(words: Uint32Array, count: number, into: Uint8Array, offset: number): boolean {
    if (count === 0) return false;
    const shingleCount = this.shingle(words, count);
    const { size, roundSeeds, least, filledIn, shingles } = this;
    filledIn.fill(UNFILLED);
    let open = size;
    for (let round = 0; open > 0 && round < size; round++) {
      const seed = roundSeeds[round]!;
      for (let i = 0; i < shingleCount; i++) {
        const hash = mix32(shingles[i]! ^ seed);
        const bin = ((hash >>> 16) * size) >>> 16;
        const filled = filledIn[bin]!;
        if (filled < round) continue; // closed in an earlier round
        const value = Math.imul(hash, 0x9e3779b1) >>> 0;
        if (filled === UNFILLED) {
          filledIn[bin] = round;
          least[bin] = value;
          open--;
        } else if (value < least[bin]!) least[bin] = value;
      }
    }
    for (let bin = 0; open > 0 && bin < size; bin++) {
      if (filledIn[bin] !== UNFILLED) continue;
      filledIn[bin] = size + bin;
      least[bin] = 0xffffffff;
      const seed = roundSeeds[size + bin]!;
      for (let i = 0; i < shingleCount; i++) least[bin] = Math.min(least[bin]!, mix32(shingles[i]! ^ seed));
      open--;
    }
    for (let bin = 0; bin < size; bin++) into[offset + bin] = fingerprint(least[bin]!, filledIn[bin]!);
    return true;
  }

  /** Hashes of all runs of `shingleWords` words, rolling; repeats stay in, a minimum does not see them. */
  private shingle(words: Uint32Array, count: number): number {
    const n = Math.min(this.shingleWords, count);
    const shingles = count - n + 1;
    if (count > this.shingles.length) this.shingles = new Uint32Array(2 * count);
    const into = this.shingles;
    let leaving = 1; // weight of the word that drops out
    for (let i = 0; i < n; i++) leaving = Math.imul(leaving, SHINGLE_BASE);
    let rolling = 0;
    for (let i = 0; i < n; i++) rolling = (Math.imul(rolling, SHINGLE_BASE) + words[i]!) | 0;
    into[0] = rolling;
    for (let i = 1; i < shingles; i++) {
      rolling =
        (Math.imul(rolling, SHINGLE_BASE) + words[i + n - 1]! - Math.imul(leaving, words[i - 1]!)) | 0;
      into[i] = rolling;
    }
    return shingles;
  }
}

/** Least number of equal bytes of two sketches of `size` for an estimated similarity of `threshold` or more. */
export function equalBytesFor(threshold: number, size: number): number {
  return Math.ceil(size * (threshold + (1 - threshold) / 256) - 1e-9);
}

/** Jaccard similarity in [0, 1] estimated from the number of equal bytes; standard error sqrt(J (1 - J) / size). */
export function estimatedJaccard(equalBytes: number, size: number): number {
  return Math.max(0, (equalBytes / size - 1 / 256) / (1 - 1 / 256));
}

/** No round: sketches have at most 256 x 64 bytes, and rounds twice that. */
const UNFILLED = 0xffff;
/** Odd, and 3 modulo 4, so that differences of its powers keep as many low bits as possible. */
const SHINGLE_BASE = 0x2c1b3c6f;

/** The minimum of many values has zeros in front; mixing makes any 8 bits of it uniform. */
function fingerprint(value: number, round: number): number {
  return Math.imul(mix32(value ^ Math.imul(round + 1, 0x85ebca6b)), 0x01000193) >>> 24;
}
