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
function smoothed(series: Series, { from, to, width, count }: Grid, over: number): (number | null)[] {
  const end = series.indexFrom(to + 1);
  // Where the mean is wanted, -1 for a bucket without steps.
  const middles = Array.from({ length: count }, (_, bucket) => {
    const first = from + bucket * width;
    const [left, right] = [series.indexFrom(first), Math.min(end, series.indexFrom(first + width))];
    return left < right ? Math.min(right - 1, series.indexFrom(first + Math.floor(width / 2))) : -1;
  });
  const wanted = middles.filter((middle) => middle >= 0);
  const before = oneSided(series, 0, end, over, wanted);
  const after = oneSided(series, end - 1, -1, over, wanted.toReversed()).reverse();
  let next = 0;
  return middles.map((middle) => {
    if (middle < 0) return null;
    const mean = (before[next]! + after[next]!) / 2;
    next++;
    return Number.isFinite(mean) ? short(mean) : null;
  });
}

/** At each of the wanted places, in the order they are come to: the mean of its value and those passed before; else NaN. */
function oneSided(
  series: Series,
  first: number,
  end: number,
  over: number,
  wanted: readonly number[],
): Float64Array {
  const { values } = series.arrays;
  const means = new Float64Array(wanted.length);
  const share = 2 / (over + 1);
  const stride = first <= end ? 1 : -1;
  let [sum, weight, next] = [0, 0, 0];
  for (let i = first; i !== end; i += stride) {
    const value = values[i]!;
    // Not so for NaN and the infinities; this loop runs over every step of every curve.
    if (value - value === 0) {
      sum += share * (value - sum);
      weight += share * (1 - weight);
    }
    if (i === wanted[next]) means[next++] = sum / weight;
  }
  return means;
}

/** Six digits are more than a chart shows, and a third of the bytes. */
function short(value: number): number {
  return Number(value.toPrecision(6));
}
