/** A range of values mapped to 0..1, with round numbers for its axis. */
export interface Scale {
  readonly min: number;
  readonly max: number;
  readonly log: boolean;
  readonly ticks: readonly number[];
  /** 0 at `min`, 1 at `max`. */
  at(value: number): number;
}

/**
 * @param values non-finite ones are ignored
 * @param options `ticks`: about how many; `tight`: end at the data instead of at round numbers (for steps);
 *   `from`: a value that must be in the range, such as 0; `log`: powers of ten, needs positive values
 */
export function scaleOf(
  values: Iterable<number>,
  options: { ticks?: number; tight?: boolean; from?: number; log?: boolean } = {},
): Scale {
  let [min, max] = [options.from ?? Number.POSITIVE_INFINITY, options.from ?? Number.NEGATIVE_INFINITY];
  let smallestPositive = Number.POSITIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    if (value > 0) smallestPositive = Math.min(smallestPositive, value);
  }
  if (min > max) [min, max] = [0, 1];
  if (options.log && smallestPositive < max) return logScale(smallestPositive, max);
  if (min === max) {
    const half = min === 0 ? 1 : Math.abs(min) / 2;
    [min, max] = options.tight ? [min, max + 1] : [min - half, max + half];
  }
  const step = niceStep((max - min) / (options.ticks ?? 5));
  if (!options.tight)
    [min, max] = [Math.floor(min / step + 1e-9) * step, Math.ceil(max / step - 1e-9) * step];
  const ticks: number[] = [];
  // Multiplying instead of adding up keeps 0.3 from becoming 0.30000000000000004.
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i += 1)
    ticks.push(Number((i * step).toPrecision(12)));
  return { min, max, log: false, ticks, at: (value) => (value - min) / (max - min) };
}

function logScale(low: number, high: number): Scale {
  const [first, last] = [
    Math.floor(Math.log10(low)),
    Math.max(Math.floor(Math.log10(low)) + 1, Math.ceil(Math.log10(high))),
  ];
  const every = Math.ceil((last - first) / 6);
  const ticks = Array.from(
    { length: Math.floor((last - first) / every) + 1 },
    (_, i) => 10 ** (first + i * every),
  );
  return {
    min: 10 ** first,
    max: 10 ** last,
    log: true,
    ticks,
    at: (value) => (Math.log10(Math.max(value, 10 ** first)) - first) / (last - first),
  };
}

/** The round number (1, 2 or 5 times a power of ten) nearest above `rough`. */
export function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const share = rough / power;
  return (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10) * power;
}

/** Numbers of an axis, all with the same number of decimals: `0.5, 1.0, 1.5`; small ones as `2e-5`. */
export function tickTexts(ticks: readonly number[]): string[] {
  const largest = Math.max(...ticks.map(Math.abs));
  if (largest > 0 && (largest < 1e-3 || largest >= 1e7))
    return ticks.map((tick) => (tick === 0 ? "0" : tick.toExponential().replace("e+", "e")));
  const decimals = Math.max(
    0,
    ...ticks.map((tick) => (String(Number(tick.toPrecision(6))).split(".")[1] ?? "").length),
  );
  return ticks.map((tick) =>
    tick.toLocaleString("en-US", {
      minimumFractionDigits: Math.min(decimals, 4),
      maximumFractionDigits: Math.max(4, decimals),
    }),
  );
}

/** A value for a person: 4 significant digits, `NaN` as NaN, thousands grouped. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size !== 0 && size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(4)));
}
