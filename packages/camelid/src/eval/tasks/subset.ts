/** Which items of a benchmark a profile scores. */
import { PythonRandom } from "../../data/python-random.js";

/** Python's `random.sample(items, count)`; all of them, in order, when there are no more than that. */
export function sample<T>(items: readonly T[], count: number, random: PythonRandom): T[] {
  if (items.length <= count) return [...items];
  return Array.from(random.sampleIndexes(items.length, count), (index) => items[index]!);
}

/** The stream that the paper's code draws from: `random.seed(42)`. */
export function paperRandom(seed: number): PythonRandom {
  return new PythonRandom(seed);
}
