import { describe, expect, test } from "vitest";
import { meanOverGroups, meanScore } from "./metrics.js";
import { pairedBootstrap, uncertaintyOf, wilson } from "./statistics.js";
import type { Graded } from "./task.js";

const item = (score: number, group?: string, id = "x"): Graded => ({ id, group, score, values: {} });
const percent = (graded: readonly Graded[]) => 100 * meanScore(graded);

describe("Wilson's interval", () => {
  test("equals the published example: 81 of 263 (Newcombe 1998, table I)", () => {
    const [low, high] = wilson(81, 263);
    expect(low).toBeCloseTo(0.2553, 4);
    expect(high).toBeCloseTo(0.3662, 4);
  });

  test("stays inside 0 and 1 where nothing or all is right", () => {
    expect(wilson(0, 20)[0]).toBe(0);
    expect(wilson(0, 20)[1]).toBeCloseTo(0.1611, 4); // Newcombe's 0 of 20
    expect(wilson(1, 1)[1]).toBe(1);
  });
});

describe("the interval of a score", () => {
  test("shares of right answers get Wilson's", () => {
    const graded = [...Array(81).fill(item(1)), ...Array(182).fill(item(0))];
    const { interval, method } = uncertaintyOf(graded, percent);
    expect(method).toBe("wilson");
    expect(interval[0]).toBeCloseTo(25.53, 2);
  });

  test("other numbers get a bootstrap that holds the standard error", () => {
    const graded = Array.from({ length: 400 }, (_, i) => item((i % 20) / 19));
    const { interval, method } = uncertaintyOf(graded, percent);
    expect(method).toBe("bootstrap");
    // Standard deviation of a uniform grid of 20 points over 0..100, over the root of 400, 1.96 times both ways.
    const width = 2 * 1.96 * (Math.sqrt((20 + 1) / (12 * 19)) * 100 * (1 / 20));
    expect(interval[1] - interval[0]).toBeGreaterThan(0.85 * width);
    expect(interval[1] - interval[0]).toBeLessThan(1.15 * width);
  });

  test("groups keep their sizes: a mean over groups whose items agree is certain", () => {
    const graded = [...Array(5).fill(item(1, "a")), ...Array(50).fill(item(0, "b"))];
    const { interval, method } = uncertaintyOf(graded, (some) => 100 * meanOverGroups(some));
    expect(method).toBe("bootstrap");
    expect(interval).toEqual([50, 50]);
  });

  test("the same seed gives the same interval", () => {
    const graded = Array.from({ length: 50 }, (_, i) => item(i / 50));
    expect(uncertaintyOf(graded, percent)).toEqual(uncertaintyOf(graded, percent));
    expect(uncertaintyOf(graded, percent, { seed: 1 })).not.toEqual(
      uncertaintyOf(graded, percent, { seed: 2 }),
    );
  });
});

describe("the paired bootstrap", () => {
  const hard = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? 1 : 0));
  const a = hard.map((score, i) => item(score, undefined, String(i)));

  test("a run against itself differs by nothing", () => {
    expect(pairedBootstrap(a, a, percent)).toMatchObject({ difference: 0, interval: [0, 0], p: 1 });
  });

  test("a small gain on every tenth item is clear when paired, though the scores' own intervals overlap", () => {
    const b = a.map((one, i) => (i % 10 === 1 ? { ...one, score: 1 } : one));
    const { difference, interval, p } = pairedBootstrap(a, b, percent);
    expect(difference).toBeGreaterThan(0);
    expect(interval[0]).toBeGreaterThan(0);
    expect(p).toBeLessThan(0.01);
    expect(uncertaintyOf(a, percent).interval[1]).toBeGreaterThan(uncertaintyOf(b, percent).interval[0]);
  });

  test("gains and losses that cancel are no difference", () => {
    const b = a.map((one, i) => ({ ...one, score: hard[(i + 1) % 300]! }));
    const { interval, p } = pairedBootstrap(a, b, percent);
    expect(interval[0]).toBeLessThan(0);
    expect(interval[1]).toBeGreaterThan(0);
    expect(p).toBeGreaterThan(0.2);
  });
});
