/**
 * Counts of whole numbers (characters, words, tokens, turns), from which quantiles are read.
 *
 * Exact below 65,536; above, values share a bucket with others less than 1/256 away, and the bucket's lower end stands
 * for them. Adding histograms is exact, so parts may be counted in any order on any thread with the same result.
 */
export class LengthHistogram {
  count = 0;
  sum = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  private buckets = new Float64Array(256);

  /** @param value a whole number from 0 to 2^53 - 1 */
  add(value: number, times = 1): void {
    const bucket = bucketOf(value);
    if (bucket >= this.buckets.length) this.reserve(bucket + 1);
    this.buckets[bucket]! += times;
    this.count += times;
    this.sum += value * times;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }

  merge(other: LengthHistogram): void {
    this.reserve(other.buckets.length);
    other.buckets.forEach((count, bucket) => {
      this.buckets[bucket]! += count;
    });
    this.count += other.count;
    this.sum += other.sum;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
  }

  /** The least value that a fraction `q` of all values does not exceed (nearest rank); undefined when empty. */
  quantile(q: number): number | undefined {
    if (this.count === 0) return undefined;
    const rank = Math.max(1, Math.ceil(q * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < this.buckets.length; bucket++) {
      seen += this.buckets[bucket]!;
      if (seen >= rank) return Math.min(this.max, Math.max(this.min, bucketStart(bucket)));
    }
    return this.max;
  }

  summary(): LengthSummary | undefined {
    if (this.count === 0) return undefined;
    const [p5, p25, p50, p75, p95, p99] = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99].map((q) => this.quantile(q)!);
    const { count, sum, min, max } = this;
    return {
      count,
      sum,
      mean: sum / count,
      min,
      p5: p5!,
      p25: p25!,
      p50: p50!,
      p75: p75!,
      p95: p95!,
      p99: p99!,
      max,
    };
  }

  /** Counts per bin for a chart: bin i holds values in [edges[i], edges[i + 1]), the last one all above. */
  binned(edges: readonly number[]): number[] {
    const bins = new Array<number>(edges.length).fill(0);
    this.buckets.forEach((count, bucket) => {
      if (count === 0) return;
      const value = bucketStart(bucket);
      const bin = edges.findLastIndex((edge) => edge <= value);
      if (bin >= 0) bins[bin]! += count;
    });
    return bins;
  }

  /** Everything, as plain data that `fromJSON` reads: how a worker hands its part over. */
  toJSON(): HistogramData {
    const buckets: [number, number][] = [];
    this.buckets.forEach((count, bucket) => {
      if (count > 0) buckets.push([bucket, count]);
    });
    const range = this.count === 0 ? {} : { min: this.min, max: this.max };
    return { count: this.count, sum: this.sum, ...range, buckets };
  }

  static fromJSON(data: HistogramData): LengthHistogram {
    const histogram = new LengthHistogram();
    for (const [bucket, count] of data.buckets) {
      histogram.reserve(bucket + 1);
      histogram.buckets[bucket] = count;
    }
    histogram.count = data.count;
    histogram.sum = data.sum;
    if (data.min !== undefined) histogram.min = data.min;
    if (data.max !== undefined) histogram.max = data.max;
    return histogram;
  }

  private reserve(buckets: number): void {
    if (buckets <= this.buckets.length) return;
    const larger = new Float64Array(Math.max(buckets, 2 * this.buckets.length));
    larger.set(this.buckets);
    this.buckets = larger;
  }
}

export interface LengthSummary {
  readonly count: number;
  readonly sum: number;
  readonly mean: number;
  readonly min: number;
  readonly p5: number;
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface HistogramData {
  readonly count: number;
  readonly sum: number;
  readonly min?: number;
  readonly max?: number;
  readonly buckets: readonly (readonly [bucket: number, count: number])[];
}

const EXACT = 2 ** 16;
/** Buckets for each doubling above `EXACT`. */
const PER_OCTAVE = 256;

function bucketOf(value: number): number {
  if (value < EXACT) return value;
  const octave = Math.floor(Math.log2(value / EXACT));
  const within = Math.floor((value / (EXACT * 2 ** octave) - 1) * PER_OCTAVE);
  return EXACT + octave * PER_OCTAVE + within;
}

function bucketStart(bucket: number): number {
  if (bucket < EXACT) return bucket;
  const octave = Math.floor((bucket - EXACT) / PER_OCTAVE);
  return EXACT * 2 ** octave * (1 + ((bucket - EXACT) % PER_OCTAVE) / PER_OCTAVE);
}
