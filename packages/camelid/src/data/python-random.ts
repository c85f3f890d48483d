/**
 * Python's `random.Random`, bit for bit: the original converter drew its samples from one
 * `random.seed(42)` stream, so equal rows need an equal stream.
 *
 * MT19937 seeded through `init_by_array([seed])`; 53-bit doubles; `_randbelow` by rejection.
 * @see CPython `Lib/random.py`, `Modules/_randommodule.c`; vectors in spec 1.3 and python-random.test.ts
 */
import { createHash } from "node:crypto";

const N = 624;
const M = 397;

export class PythonRandom {
  readonly #state = new Uint32Array(N);
  #index = N;

  /**
   * @param seed non-negative integer below 2^53, or a text: Python takes its UTF-8 bytes and their SHA-512 as one big number.
   * Its 32-bit words, lowest first, go to `init_by_array`.
   */
  constructor(seed: number | string) {
    if (typeof seed === "string") {
      this.#seedByArray(wordsOf(seed));
      return;
    }
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new RangeError(`seed ${seed} is not an integer in [0, 2^53)`);
    const high = Math.floor(seed / 2 ** 32);
    this.#seedByArray(high > 0 ? [seed >>> 0, high] : [seed >>> 0]);
  }

  /** Uniform in [0, 1) with 53 bits. */
  random(): number {
    const a = this.#next32() >>> 5;
    const b = this.#next32() >>> 6;
    return (a * 67108864 + b) / 9007199254740992;
  }

  /** `k` in 1..32 random bits as an unsigned number. */
  getrandbits(k: number): number {
    return this.#next32() >>> (32 - k);
  }

  /** Uniform integer in [0, n), 1 <= n < 2^32. */
  randbelow(n: number): number {
    const bits = 32 - Math.clz32(n);
    let r = this.getrandbits(bits);
    while (r >= n) r = this.getrandbits(bits);
    return r;
  }

  /** `random.shuffle`, in place. */
  shuffle(items: Uint32Array | unknown[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.randbelow(i + 1);
      const held = items[i]!;
      items[i] = items[j]!;
      items[j] = held as never;
    }
  }

  /** `random.sample(range(n), k)`: which `k` of `n` positions, in drawing order. */
  sampleIndexes(n: number, k: number): Uint32Array {
    if (k < 0 || k > n) throw new RangeError(`cannot sample ${k} of ${n}`);
    const result = new Uint32Array(k);
    // Python picks the cheaper of two methods; they consume the stream differently, so the rule is part of parity.
    const setSize = 21 + (k > 5 ? 4 ** Math.ceil(logBase4(k * 3)) : 0);
    if (n <= setSize) {
      const pool = Uint32Array.from({ length: n }, (_, i) => i);
      for (let i = 0; i < k; i++) {
        const j = this.randbelow(n - i);
        result[i] = pool[j]!;
        pool[j] = pool[n - i - 1]!;
      }
    } else {
      const chosen = new Set<number>();
      for (let i = 0; i < k; i++) {
        let j = this.randbelow(n);
        while (chosen.has(j)) j = this.randbelow(n);
        chosen.add(j);
        result[i] = j;
      }
    }
    return result;
  }

  #seedByArray(key: readonly number[]): void {
    const s = this.#state;
    s[0] = 19650218;
    for (let i = 1; i < N; i++) s[i] = Math.imul(1812433253, s[i - 1]! ^ (s[i - 1]! >>> 30)) + i;
    let i = 1;
    let j = 0;
    for (let k = Math.max(N, key.length); k > 0; k--) {
      s[i] = (s[i]! ^ Math.imul(s[i - 1]! ^ (s[i - 1]! >>> 30), 1664525)) + key[j]! + j;
      if (++i >= N) {
        s[0] = s[N - 1]!;
        i = 1;
      }
      if (++j >= key.length) j = 0;
    }
    for (let k = N - 1; k > 0; k--) {
      s[i] = (s[i]! ^ Math.imul(s[i - 1]! ^ (s[i - 1]! >>> 30), 1566083941)) - i;
      if (++i >= N) {
        s[0] = s[N - 1]!;
        i = 1;
      }
    }
    s[0] = 0x80000000;
  }

  #next32(): number {
    if (this.#index >= N) this.#twist();
    let y = this.#state[this.#index++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const s = this.#state;
    for (let k = 0; k < N; k++) {
      const y = (s[k]! & 0x80000000) | (s[(k + 1) % N]! & 0x7fffffff);
      s[k] = s[(k + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#index = 0;
  }
}

/** `int.from_bytes(text + sha512(text), "big")` in 32-bit words, lowest first, without leading zeros. */
function wordsOf(text: string): number[] {
  const bytes = Buffer.from(text, "utf8");
  const all = Buffer.concat([bytes, createHash("sha512").update(bytes).digest()]);
  const words: number[] = [];
  for (let end = all.length; end > 0; end -= 4) {
    let word = 0;
    for (let i = Math.max(0, end - 4); i < end; i++) word = word * 256 + all[i]!;
    words.push(word);
  }
  while (words.length > 1 && words.at(-1) === 0) words.pop();
  return words;
}

/**
 * `random.choices(options, weights)` for one `random()` draw already taken: the index of the option.
 * Cumulative weights are summed left to right and searched with bisect-right, as Python does.
 */
export function weightedIndex(cumulativeWeights: readonly number[], draw: number): number {
  const last = cumulativeWeights.length - 1;
  const target = draw * cumulativeWeights[last]!;
  let low = 0;
  let high = last; // Python passes hi = n - 1, so rounding can never leave the list
  while (low < high) {
    const middle = (low + high) >> 1;
    if (target < cumulativeWeights[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** `math.log(x, 4)` as CPython computes it: a quotient of natural logarithms. */
function logBase4(x: number): number {
  return Math.log(x) / Math.log(4);
}
