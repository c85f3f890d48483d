import { expect, test } from "vitest";
import { PythonRandom, weightedIndex } from "./python-random.js";

// Vectors of spec 1.3; the rest printed by CPython 3.11:
//   random.seed(42); [random.getrandbits(32) for _ in range(3)]   ...

test("the first outputs of seed 42 are Python's", () => {
  const words = new PythonRandom(42);
  expect([words.getrandbits(32), words.getrandbits(32), words.getrandbits(32)]).toEqual([
    2746317213, 478163327, 107420369,
  ]);
  const doubles = new PythonRandom(42);
  expect(doubles.random()).toBe(0.6394267984578837);
  expect(doubles.random()).toBe(0.025010755222666936);
});

test("sample uses the pool method for small populations, as Python does", () => {
  const drawn = new PythonRandom(42).sampleIndexes(250, 40);
  expect([...drawn.slice(0, 8)]).toEqual([163, 28, 6, 189, 70, 62, 57, 35]);
  expect(drawn.reduce((a, b) => a + b)).toBe(4636);
});

test("sample rejects repeats through a set for large populations", () => {
  // random.seed(42); s = random.sample(range(52002), 2000): s[:4], s[-2:], sum(s)
  const drawn = new PythonRandom(42).sampleIndexes(52002, 2000);
  expect([...drawn.slice(0, 4)]).toEqual([41905, 7296, 1639, 48598]);
  expect([...drawn.slice(-2)]).toEqual([28797, 34345]);
  expect(drawn.reduce((a, b) => a + b)).toBe(52708530);
  expect(new Set(drawn).size).toBe(2000);
});

test("shuffle of 0..9 with seed 42 is Python's", () => {
  const items = Uint32Array.from({ length: 10 }, (_, i) => i);
  new PythonRandom(42).shuffle(items);
  expect([...items]).toEqual([7, 3, 2, 8, 5, 6, 9, 4, 0, 1]);
});

test("a stream goes on where the last draw stopped", () => {
  // random.seed(42); random.sample(range(100), 7); random.random(); x = list(range(30)); random.shuffle(x); x[:5]; random.random()
  const random = new PythonRandom(42);
  expect([...random.sampleIndexes(100, 7)]).toEqual([81, 14, 3, 94, 35, 31, 28]);
  const double = random.random();
  const items = Uint32Array.from({ length: 30 }, (_, i) => i);
  random.shuffle(items);
  expect([double, ...items.slice(0, 5), random.random()]).toEqual([
    0.1395379285251439, 5, 20, 12, 9, 22, 0.15547949981178155,
  ]);
});

test("seeds of 32 bits and more are fed word by word", () => {
  // random.seed(2**40 + 7); random.random()
  expect(new PythonRandom(2 ** 40 + 7).random()).toBe(0.6137037779936511);
  expect(new PythonRandom(0).random()).toBe(0.8444218515250481);
});

test("weighted choice follows bisect-right on cumulative weights", () => {
  expect(weightedIndex([0.2, 0.3, 0.4], 0)).toBe(0);
  expect(weightedIndex([0.2, 0.3, 0.4], 0.5)).toBe(1); // 0.5 * 0.4 = 0.2 is past the first weight
  expect(weightedIndex([0.2, 0.3, 0.4], 0.999999)).toBe(2);
});

test("a text is a seed as Python makes one of it", () => {
  // random.Random("a").random() ..., printed by CPython 3.11
  const two = (seed: string) => {
    const random = new PythonRandom(seed);
    return [random.random(), random.random()];
  };
  expect(two("is_switched_outputsWhat is up?0")).toEqual([0.11395369932497368, 0.6554530989396712]);
  expect(two("a")).toEqual([0.2720295377534757, 0.06733663088629693]);
  expect(two("")).toEqual([0.9602256525641875, 0.595411957851699]);
  expect(two("ünï".repeat(50))).toEqual([0.9957296996817514, 0.21711105936800512]);
});
