/** How sure a score is: intervals for one run, and for the difference of two over the same items. */
import type { Graded } from "./task.js";

/** [low, high], 95 % unless said otherwise. */
export type Interval = readonly [low: number, high: number];

const Z95 = 1.959963984540054;
const RESAMPLES = 1000;

/** Wilson's score interval of a proportion, which stays sensible near 0 and 1 and for few items. */
export function wilson(right: number, count: number, z = Z95): Interval {
  if (count === 0) return [Number.NaN, Number.NaN];
  const p = right / count;
  const z2 = (z * z) / count;
  const middle = (p + z2 / 2) / (1 + z2);
  const half = (z * Math.sqrt((p * (1 - p)) / count + z2 / (4 * count))) / (1 + z2);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** What an interval was computed with. */
export interface Uncertainty {
  interval: Interval;
  method: "wilson" | "bootstrap";
}

/**
 * 95 % interval of a task's score. A percentage of right answers gets Wilson's; everything else a percentile bootstrap over
 * items, drawn within their groups: the subjects and languages of a benchmark are fixed, its questions are a sample.
 */
export function uncertaintyOf(
  graded: readonly Graded[],
  score: (graded: readonly Graded[]) => number,
  { seed = 42, resamples = RESAMPLES }: { seed?: number; resamples?: number } = {},
): Uncertainty {
  const right = proportion(graded, score);
  if (right !== undefined) {
    const [low, high] = wilson(right, graded.length);
    return { interval: [100 * low, 100 * high], method: "wilson" };
  }
  const strata = strataOf(graded);
  const random = generator(seed);
  const scores = Float64Array.from({ length: resamples }, () => {
    const drawn = resample(strata, random).map((index) => graded[index]!);
    return score(drawn);
  });
  return { interval: percentiles(scores), method: "bootstrap" };
}

/** The number of right answers, when the score is nothing but their percentage. */
function proportion(
  graded: readonly Graded[],
  score: (graded: readonly Graded[]) => number,
): number | undefined {
  let right = 0;
  for (const { score: one } of graded) {
    if (one !== 0 && one !== 1) return undefined;
    right += one;
  }
  const plain = (100 * right) / graded.length;
  return Math.abs(score(graded) - plain) < 1e-9 ? right : undefined;
}

export interface PairedDifference {
  /** Score of the second run less that of the first, over the items both have. */
  difference: number;
  interval: Interval;
  /** Share of resamples on the other side of zero, doubled: about the p-value of "no difference". */
  p: number;
}

/**
 * Paired bootstrap: items are drawn once and scored in both runs, so what makes an item hard cancels out.
 * @param a, b the same items in the same order
 */
export function pairedBootstrap(
  a: readonly Graded[],
  b: readonly Graded[],
  score: (graded: readonly Graded[]) => number,
  { seed = 42, resamples = RESAMPLES }: { seed?: number; resamples?: number } = {},
): PairedDifference {
  const difference = score(b) - score(a);
  const strata = strataOf(a);
  const random = generator(seed);
  const differences = Float64Array.from({ length: resamples }, () => {
    const drawn = resample(strata, random);
    return score(drawn.map((index) => b[index]!)) - score(drawn.map((index) => a[index]!));
  });
  let [below, above] = [0, 0];
  for (const value of differences) {
    if (value <= 0) below++;
    if (value >= 0) above++;
  }
  const p = Math.min(1, (2 * Math.min(below, above)) / resamples);
  return { difference, interval: percentiles(differences), p };
}

/** Places of the items of each group. */
function strataOf(graded: readonly Graded[]): number[][] {
  const groups = new Map<string | undefined, number[]>();
  graded.forEach(({ group }, index) => {
    const places = groups.get(group);
    if (places === undefined) groups.set(group, [index]);
    else places.push(index);
  });
  return [...groups.values()];
}

function resample(strata: readonly (readonly number[])[], random: () => number): number[] {
  const drawn: number[] = [];
  for (const places of strata) {
    for (let i = 0; i < places.length; i++) drawn.push(places[Math.floor(random() * places.length)]!);
  }
  return drawn;
}

function percentiles(values: Float64Array): Interval {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  if (sorted.length === 0) return [Number.NaN, Number.NaN];
  const at = (share: number) => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
  };
  return [at(0.025), at(0.975)];
}

/** Numbers in [0, 1), the same for the same seed (splitmix32). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}
