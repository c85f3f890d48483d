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
  const mean: (number | null)[] = new Array(count).fill(null);
  const low: (number | null)[] = new Array(count).fill(null);
  const high: (number | null)[] = new Array(count).fill(null);
  const peak: (number | null)[] = new Array(count).fill(null);
  const seen = new Uint32Array(count);
  const bad: Bucketed["bad"] = [];
  let badCount = 0;
  const end = series.indexFrom(to + 1);
  for (let i = series.indexFrom(from); i < end; i++) {
    const value = series.value(i);
    const step = series.step(i);
    if (!Number.isFinite(value)) {
      badCount++;
      if (bad.length < LISTED) bad.push({ step, value: String(value) });
      continue;
    }
    const bucket = Math.floor((step - from) / width);
    const before = seen[bucket]!++;
    mean[bucket] = before === 0 ? value : mean[bucket]! + (value - mean[bucket]!) / (before + 1);
    if (before === 0 || value < low[bucket]!) low[bucket] = value;
    if (before === 0 || value > high[bucket]!) {
      high[bucket] = value;
      peak[bucket] = step;
    }
  }
  const smooth = smoothing >= 2 ? smoothed(series, grid, smoothing) : undefined;
  if (width === 1) return { mean, peak, ...(smooth && { smooth }), bad, badCount };
  // Half of a long run's answer would be means that nobody draws behind a smoothed line and a band.
  const middle = smooth === undefined ? { mean } : { mean: [], smooth };
  return { ...middle, low: short(low), high: short(high), peak, bad, badCount };
}

/**
 * Mean over the steps before and after, weighted less the farther away: an exponential mean from either side, so that the line
 * does not lag behind what it smooths, each corrected for its start (Kingma & Ba 2015, section 3). It is taken over every step;
 * then the middle of each bucket is kept. Values that are not numbers do not enter it.
 */
function smoothed(series: Series, { from, to, width, count }: Grid, over: number): (number | null)[] {
  const decay = 1 - 2 / (over + 1);
  const kept: (number | null)[] = new Array(count).fill(null);
  const end = series.indexFrom(to + 1);
  const before = oneSided(series, 0, end, decay);
  const after = oneSided(series, end - 1, -1, decay);
  for (let i = series.indexFrom(from); i < end; i++) {
    const bucket = Math.floor((series.step(i) - from) / width);
    const middle = Math.min(to, from + bucket * width + Math.floor(width / 2));
    if (series.step(i) > middle && kept[bucket] !== null) continue;
    const mean = (before[i]! + after[i]!) / 2;
    if (Number.isFinite(mean)) kept[bucket] = mean;
  }
  return short(kept);
}

/** The mean of a value and those on one side of it; NaN before the first number. */
function oneSided(series: Series, first: number, end: number, decay: number): Float64Array {
  const means = new Float64Array(series.length);
  const stride = first <= end ? 1 : -1;
  let [sum, weight] = [0, 0];
  for (let i = first; i !== end; i += stride) {
    const value = series.value(i);
    if (Number.isFinite(value)) {
      sum = decay * sum + (1 - decay) * value;
      weight = decay * weight + (1 - decay);
    }
    means[i] = sum / weight;
  }
  return means;
}

/** Six digits are more than a chart shows, and a third of the bytes. */
function short(values: (number | null)[]): (number | null)[] {
  return values.map((value) => (value === null ? null : Number(value.toPrecision(6))));
}
