/** Averages that tasks use as their score. Fast: bootstrap calls them on thousands of resamples. */
import type { Graded } from "./task.js";

/** Plain mean of the items' scores; NaN for none. */
export function meanScore(graded: readonly Graded[]): number {
  let sum = 0;
  for (const { score } of graded) sum += score;
  return sum / graded.length;
}

/** Mean of the groups' means, every group counting the same; NaN for none. */
export function meanOverGroups(graded: readonly Graded[]): number {
  const sums = new Map<string | undefined, { sum: number; count: number }>();
  for (const { group, score } of graded) {
    const entry = sums.get(group);
    if (entry === undefined) sums.set(group, { sum: score, count: 1 });
    else {
      entry.sum += score;
      entry.count++;
    }
  }
  let total = 0;
  for (const { sum, count } of sums.values()) total += sum / count;
  return total / sums.size;
}

/** Mean of one of the items' `values`, over the items that have it; NaN for none. */
export function meanValue(graded: readonly Graded[], name: string): number {
  let sum = 0;
  let count = 0;
  for (const { values } of graded) {
    const value = values[name];
    if (value === undefined) continue;
    sum += value;
    count++;
  }
  return sum / count;
}
