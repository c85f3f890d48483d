/**
 * Random numbers by counting: a number is a function of key and counter, so it does not matter who else draws, in what order,
 * or how often a step is repeated. Philox-4x32-10 (Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405).
 */

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

export type Words4 = readonly [number, number, number, number];

/** @param key two words @param counter four words, each in [0, 2^32) */
export function philox4x32(counter: Words4, key: readonly [number, number]): Words4 {
  let [a, b, c, d] = counter;
  let [k, l] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [highA, lowA] = multiply(MULTIPLIERS[0], a);
    const [highC, lowC] = multiply(MULTIPLIERS[1], c);
    [a, b, c, d] = [(highC ^ b ^ k) >>> 0, lowC, (highA ^ d ^ l) >>> 0, lowA];
    k = (k + WEYL[0]) >>> 0;
    l = (l + WEYL[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** High and low word of a 64-bit product. */
function multiply(x: number, y: number): [number, number] {
  const [x1, x0, y1, y0] = [x >>> 16, x & 0xffff, y >>> 16, y & 0xffff];
  const middle = x1 * y0 + ((x0 * y0) >>> 16);
  const carry = x0 * y1 + (middle % 65536);
  const high = x1 * y1 + Math.floor(middle / 65536) + Math.floor(carry / 65536);
  return [high >>> 0, Math.imul(x, y) >>> 0];
}

/**
 * The number that chooses token `position` of a sample.
 * @param seed integer in [0, 2^53)
 * @returns in [0, 1), with 53 random bits
 */
export function uniformAt(seed: number, sample: number, position: number): number {
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  const [a, b] = philox4x32([position, sample, 0, 0], key);
  return (a * 2 ** 21 + (b >>> 11)) / 2 ** 53;
}
