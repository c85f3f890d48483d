/**
 * A long run on a short axis: steps are put into as many buckets of one width as the chart has columns. A bucket keeps its
 * lowest, highest and mean value, so that no spike is lost, and the step of the highest, so that a click finds it.
 */
import type { Bucketed } from "../api.js";
import type { Series } from "./series.js";

export interface Grid {
  readonly from: number;
  readonly to: number;
  /** Steps in a bucket. */
  readonly width: number;
  readonly count: number;
}

/** @param points columns wanted; a run with fewer steps has one bucket a step */
export function gridOf(from: number, to: number, points: number): Grid {
  const steps = Math.max(1, to - from + 1);
  const width = Math.max(1, Math.ceil(steps / Math.max(1, points)));
  return { from, to, width, count: Math.ceil(steps / width) };
}

/** The middle step of every bucket. */
export function gridSteps({ from, to, width, count }: Grid): number[] {
  return Array.from({ length: count }, (_, i) => {
    const first = from + i * width;
    return (first + Math.min(to, first + width - 1)) / 2;
  });
}

const LISTED = 50;

/** @param smoothing steps to smooth over; below 2 none */
export function bucketed(series: Series, grid: Grid, smoothing: number): Bucketed {
  const { from, to, width, count } = grid;
  const { steps, values } = series.arrays;
  const sum = new Float64Array(count);
  const seen = new Uint32Array(count);
  const low = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  const peak = new Float64Array(count);
  const bad: Bucketed["bad"] = [];
  let badCount = 0;
  const end = series.indexFrom(to + 1);
  let bucket = 0;
  for (let i = series.indexFrom(from), last = from + width; i < end; i++) {
    const value = values[i]!;
    const step = steps[i]!;
    for (; step >= last; last += width) bucket++; // steps only rise
    if (!Number.isFinite(value)) {
      badCount++;
      if (bad.length < LISTED) bad.push({ step, value: String(value) });
      continue;
    }
    sum[bucket]! += value;
    seen[bucket]!++;
    if (value < low[bucket]!) low[bucket] = value;
    if (value > high[bucket]!) {
      high[bucket] = value;
      peak[bucket] = step;
    }
  }
  const there = (pick: (bucket: number) => number): (number | null)[] =>
    Array.from(seen, (many, at) => (many === 0 ? null : pick(at)));
  const smooth = smoothing >= 2 ? smoothed(series, grid, smoothing) : undefined;
  const common = { peak: there((at) => peak[at]!), ...(smooth && { smooth }), bad, badCount };
  if (width === 1) return { ...common, mean: there((at) => sum[at]!) };
  // Means that nobody draws behind a smoothed line and a band would be a third of a long run's answer.
  const mean = smooth === undefined ? there((at) => sum[at]! / seen[at]!) : [];
  return { ...common, mean, low: there((at) => short(low[at]!)), high: there((at) => short(high[at]!)) };
}

/**
 * Mean over the steps before and after, weighted less the farther away: an exponential mean from either side, so that the line
 * does not lag behind what it smooths, each corrected for its start (Kingma & Ba 2015, section 3). It is taken over every step;
 * then the middle of each bucket is kept. Values that are not numbers do not enter it.
 */
export function smoothed(series: Series, { from, to, width, count }: Grid, over: number): (number | null)[] {
  const end = series.indexFrom(to + 1);
  const means: (number | null)[] = new Array(count).fill(null);
  // Where the mean is wanted: the middle of every bucket that has steps.
  const buckets = new Int32Array(count);
  const middles = new Int32Array(count);
  let many = 0;
  let right = series.indexFrom(from);
  for (let bucket = 0; bucket < count; bucket++) {
    const first = from + bucket * width;
    const left = right;
    right = Math.min(end, series.indexFrom(first + width));
    if (left >= right) continue;
    buckets[many] = bucket;
    middles[many++] = Math.min(right - 1, series.indexFrom(first + Math.floor(width / 2)));
  }
  if (many === 0) return means;
  const wanted = middles.subarray(0, many);
  const { values } = series.arrays;
  // Farther away a value weighs less than e to the -60.
  const reach = 30 * over;
  const [first, last] = [
    Math.max(0, wanted[0]! - reach),
    Math.min(series.length - 1, wanted[many - 1]! + reach),
  ];
  const before = oneSided(values, first, 1, wanted, over);
  const after = oneSided(values, last, -1, wanted.toReversed(), over);
  for (let i = 0; i < many; i++) {
    const mean = (before[i]! + after[many - 1 - i]!) / 2;
    if (Number.isFinite(mean)) means[buckets[i]!] = short(mean);
  }
  return means;
}

/** At each of the wanted places, in the order they are come to from `first`: the mean of its value and those passed; else NaN. */
function oneSided(
  values: Float64Array,
  first: number,
  stride: 1 | -1,
  wanted: Int32Array,
  over: number,
): Float64Array {
  const means = new Float64Array(wanted.length);
  const share = 2 / (over + 1);
  const rest = 1 - share;
  let sum = 0;
  let weight = 0;
  let at = first;
  for (let next = 0; next < wanted.length; next++) {
    for (const end = wanted[next]! + stride; at !== end; at += stride) {
      const value = values[at]!;
      // Not so for NaN and the infinities; this loop runs over every step of every curve.
      if (value - value === 0) {
        sum = sum * rest + share * value;
        weight = weight * rest + share;
      }
    }
    means[next] = sum / weight;
  }
  return means;
}

/** Six digits are more than a chart shows, and a third of the bytes. Dividing by whole powers of ten gives the nearest short number. */
function short(value: number): number {
  const size = Math.abs(value);
  if (!(size > 1e-280 && size < 1e280)) return value;
  const power = Math.floor(Math.log10(size)) - 5;
  const unit = 10 ** Math.abs(power);
  return power < 0 ? Math.round(value * unit) / unit : Math.round(value / unit) * unit;
}
