import { expect, test } from "vitest";
import { philox4x32, uniformAt, type Words4 } from "./random.js";

// Published with the method: Random123's kat_vectors, philox4x32 with 10 rounds.
const KNOWN: { counter: Words4; key: [number, number]; words: Words4 }[] = [
  { counter: [0, 0, 0, 0], key: [0, 0], words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
];

test("the words are those of the reference", () => {
  for (const { counter, key, words } of KNOWN) expect(philox4x32(counter, key)).toEqual(words);
});

test("numbers are even over [0, 1), and each of seed, sample and position changes them", () => {
  const numbers = Array.from({ length: 20_000 }, (_, i) => uniformAt(3, i % 4, Math.floor(i / 4)));
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  for (let tenth = 0; tenth < 10; tenth++) {
    const share = numbers.filter((number) => Math.floor(number * 10) === tenth).length / numbers.length;
    // Standard deviation of a share: sqrt(0.1 * 0.9 / 20000) = 0.0021.
    expect(Math.abs(share - 0.1)).toBeLessThan(0.01);
  }
  expect(new Set(numbers).size).toBe(numbers.length);
  const first = uniformAt(0, 0, 0);
  for (const other of [uniformAt(1, 0, 0), uniformAt(2 ** 32, 0, 0), uniformAt(0, 1, 0), uniformAt(0, 0, 1)])
    expect(other).not.toBe(first);
});
