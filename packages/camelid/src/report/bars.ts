import { type Html, html } from "./html.js";
import { percent, xAxis, yAxis } from "./line-chart.js";
import { niceStep, numberText, scaleOf } from "./scale.js";

export interface HistogramOptions {
  title: string;
  unit?: string;
  values: ArrayLike<number>;
  /** Values above this go into one last bar, whose share the caption tells. Default: the 99.5th percentile. */
  max?: number;
  /** About how many bars. */
  bars?: number;
  /** Height in rem. */
  height?: number;
  color?: number;
}

/** How often values fall into equal ranges. */
export function histogram({
  title,
  unit,
  values,
  max,
  bars = 40,
  height = 9,
  color = 1,
}: HistogramOptions): Html {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  const caption = (extra: string) =>
    html`<figcaption><b>${title}</b>${unit !== undefined && html`<span class="unit">${unit}</span>`}<span class="unit">${extra}</span></figcaption>`;
  if (sorted.length === 0) return html`<figure>${caption("")}<div class="empty">nothing yet</div></figure>`;
  const top = max ?? sorted[Math.ceil(sorted.length * 0.995) - 1]!;
  const low = sorted[0]!;
  const width = Math.max(
    niceStep(Math.max(top - low, Math.abs(low) / 10, 1e-12) / bars),
    sorted.every(Number.isInteger) ? 1 : 0,
  );
  const start = Math.floor(low / width) * width;
  const count = Math.max(1, Math.floor((top - start) / width) + 1);
  const counts = new Array<number>(count).fill(0);
  let above = 0;
  for (const value of sorted) {
    const bar = Math.floor((value - start) / width);
    if (bar >= count) above += 1;
    counts[Math.min(bar, count - 1)]! += 1;
  }
  const x = scaleOf([start, start + count * width], { tight: true });
  const y = scaleOf(counts, { from: 0, ticks: 3 });
  const rectangles = counts.map((size, i) => {
    const [left, right] = [x.at(start + i * width), x.at(start + (i + 1) * width)];
    const at = (share: number) => Number((share * 1000).toFixed(1));
    return size === 0
      ? ""
      : `M${at(left)} 1000V${at(1 - y.at(size))}H${at(right - (right - left) * 0.12)}V1000z`;
  });
  const median = sorted[Math.floor(sorted.length / 2)]!;
  const last =
    above > 0 ? `; ${numberText(above)} above ${numberText(start + count * width)} are in the last bar` : "";
  const extra = `median ${numberText(median)}, largest ${numberText(sorted.at(-1)!)}${last}`;
  return html`<figure>${caption(extra)}
<div class="chart">
${yAxis(y)}
<div class="plot" style="--h:${height}rem"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label="${title}: ${sorted.length} values, ${extra}">
<path class="grid" d="${y.ticks.map((tick) => `M0 ${(1 - y.at(tick)) * 1000}H1000`).join("")}"/>
<path class="bars c${color}" d="${rectangles.join("")}"/>
</svg></div>
${xAxis(x)}
</div></figure>
`;
}

export interface Bar {
  name: string;
  value: number;
  /** What stands at the end of the bar; the number unless given. */
  text?: string;
  color?: number;
  /** Drawn as a whisker over the bar's end. */
  interval?: readonly [low: number, high: number];
}

/** Named values as horizontal bars, longest = `max` (the largest value unless given). */
export function barChart({ title, unit, bars, max }: BarChartOptions): Html {
  const full = max ?? Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  return html`<figure><figcaption><b>${title}</b>${unit !== undefined && html`<span class="unit">${unit}</span>`}</figcaption>
<div class="hbars">${bars.map(({ name, value, text, color = 1, interval }) => {
    const share = (of: number) => Math.min(1, Math.max(0, of / full));
    const whisker =
      interval !== undefined &&
      html`<span class="whisker" style="left:${percent(share(interval[0]))};width:${percent(share(interval[1]) - share(interval[0]))}"></span>`;
    return html`<div><span class="name">${name}</span><span class="track"><span class="bar c${color}" style="width:${percent(share(value))}"></span>${whisker}</span><span class="value">${text ?? numberText(value)}</span></div>`;
  })}</div></figure>`;
}

export interface BarChartOptions {
  title: string;
  unit?: string;
  bars: readonly Bar[];
  max?: number;
}
