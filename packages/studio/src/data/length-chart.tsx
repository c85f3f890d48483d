import type { MixSource } from "../api.ts";
import { compact } from "../format.ts";
import { useWidth } from "../hooks.ts";

const HEIGHT = 130;
const BINS = 48;

/** Lengths of rows, drawn from the quantiles that the manifest keeps. */
export function LengthChart({ sources }: { sources: MixSource[] }) {
  const [area, width] = useWidth<HTMLDivElement>();
  const there = sources.filter(({ quantiles }) => quantiles.length > 1);
  if (there.length === 0) return <p class="soft">The mixture has no lengths.</p>;
  const low = Math.log(Math.max(1, Math.min(...there.map(({ quantiles }) => quantiles[0]!))));
  const high = Math.log(Math.max(2, ...there.map(({ quantiles }) => quantiles.at(-1)!))) + 0.01;
  const curves = there.map((source) => ({ source, bins: binned(source, low, high) }));
  const top = Math.max(...curves.flatMap(({ bins }) => bins));
  const x = (bin: number) => ((bin + 0.5) / BINS) * width;
  const ticks = ticksBetween(low, high);
  return (
    <div ref={area}>
      <div class="strip-legend">
        {there.map(({ name, quantiles }, i) => (
          <span key={name}>
            <span class={`swatch t${(i % 8) + 1}`} />
            {name}, median {compact(quantiles[quantiles.length >> 1]!)}
          </span>
        ))}
      </div>
      <svg
        class="lengths"
        width={width}
        height={HEIGHT + 18}
        role="img"
        aria-label={there
          .map(({ name, quantiles }) => `${name}: median ${quantiles[quantiles.length >> 1]}`)
          .join("; ")}
      >
        {curves.map(({ source, bins }, i) => (
          <path
            key={source.name}
            class={`t${(i % 8) + 1}`}
            d={`M${bins.map((rows, bin) => `${x(bin).toFixed(1)} ${(HEIGHT - (rows / top) * (HEIGHT - 6)).toFixed(1)}`).join("L")}`}
          />
        ))}
        <line x1="0" x2={width} y1={HEIGHT} y2={HEIGHT} />
        {ticks.map((tick) => (
          <text key={tick} x={((Math.log(tick) - low) / (high - low)) * width} y={HEIGHT + 14}>
            {compact(tick)}
          </text>
        ))}
      </svg>
    </div>
  );
}

/** Powers of ten, or more where there are few of them. */
function ticksBetween(low: number, high: number): number[] {
  const inside = (of: readonly number[]) =>
    [0, 1, 2, 3, 4, 5, 6]
      .flatMap((power) => of.map((digit) => digit * 10 ** power))
      .filter((tick) => Math.log(tick) >= low && Math.log(tick) <= high);
  const ticks = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]].map(inside);
  // Rows that are nearly of one length: its own numbers.
  const ends = [0.1, 0.5, 0.9].map((share) => Math.round(Math.exp(low + share * (high - low))));
  return ticks.find(({ length }) => length >= 3) ?? [...new Set(ends)];
}

/** Rows in each bin, a little smoothed: 200 quantiles are not every row. */
function binned({ quantiles, counts }: MixSource, low: number, high: number): number[] {
  const bins = new Array<number>(BINS).fill(0);
  for (const length of quantiles) {
    const bin = Math.min(
      BINS - 1,
      Math.max(0, Math.floor(((Math.log(Math.max(1, length)) - low) / (high - low)) * BINS)),
    );
    bins[bin]! += (counts.written ?? 1) / quantiles.length;
  }
  return bins.map((_, i) =>
    [-2, -1, 0, 1, 2].reduce((sum, d) => sum + (bins[i + d] ?? 0) * [0.1, 0.2, 0.4, 0.2, 0.1][d + 2]!, 0),
  );
}
