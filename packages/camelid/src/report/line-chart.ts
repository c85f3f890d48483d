import { type Html, type HtmlValue, html } from "./html.js";
import { numberText, type Scale, scaleOf, tickTexts } from "./scale.js";

export interface Series {
  name: string;
  /** [x, y] in order of x. A y that is not finite leaves a gap and a mark. */
  points: readonly (readonly [number, number])[];
  /** Colour 1 to 8; by position unless given, so that one source has one colour in every chart. */
  color?: number;
}

export interface LineChartOptions {
  title: string;
  unit?: string;
  series: readonly Series[];
  /** Name of the x axis, for the cross-hair. */
  xName?: string;
  /** Draws the data faintly and its running mean over it. */
  smooth?: boolean;
  logY?: boolean;
  /** A value the y axis must include, such as 0. */
  from?: number;
  /** Height in rem. */
  height?: number;
}

/** More points than this cannot be told apart on a screen. */
const maxPoints = 600;

/** One or several lines over a common x. */
export function lineChart(options: LineChartOptions): Html {
  const { title, unit, series, xName = "step", smooth = false, logY = false, from, height = 13 } = options;
  const all = series.flatMap(({ points }) => points);
  const finite = all.filter(([, y]) => Number.isFinite(y));
  const drawn = smooth ? series.map((one) => ({ ...one, points: runningMean(one.points) })) : series;
  const caption = html`<figcaption><b>${title}</b>${unit !== undefined && html`<span class="unit">${unit}</span>`}${legend(drawn)}</figcaption>`;
  if (finite.length === 0)
    return html`<figure>${caption}<div class="empty">${all.length === 0 ? "nothing yet" : "no finite value"}</div>${all.length > 0 && html`<div class="empty">${all.length} values are NaN or infinite</div>`}</figure>`;
  const x = scaleOf(
    all.map(([at]) => at),
    { tight: true, ticks: height < 10 ? 2 : 5 },
  );
  const y = scaleOf(
    finite.map(([, value]) => value),
    { log: logY, ticks: height < 10 ? 3 : 5, ...(from === undefined ? {} : { from }) },
  );
  const lines = series.map((one, i) => {
    const color = `c${(((one.color ?? i + 1) - 1) % 8) + 1}`;
    return html`${smooth && html`<path class="raw ${color}" d="${pathOf(thin(one.points), x, y)}"/>`}<path class="series ${color}" data-name="${series.length > 1 ? one.name : ""}" d="${pathOf(thin(drawn[i]!.points), x, y)}"/>`;
  });
  return html`<figure>${caption}
<div class="chart" data-x="${x.min} ${x.max}" data-y="${y.min} ${y.max}" data-log="${y.log ? 1 : 0}" data-xname="${xName}">
${yAxis(y)}
<div class="plot" style="--h:${height}rem"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label="${describe(options)}">
<path class="grid" d="${y.ticks.map((tick) => `M0 ${place(1 - y.at(tick))}H1000`).join("")}"/>
${lines}
</svg>${badMarks(all, x)}</div>
${xAxis(x)}
</div></figure>
`;
}

/** The y axis: words over the grid lines. The longest one, unseen, gives the column its width. */
export function yAxis(scale: Scale): Html {
  const texts = tickTexts(scale.ticks);
  const widest = texts.reduce((a, b) => (b.length > a.length ? b : a), "");
  return html`<div class="y"><span class="widest">${widest}</span>${texts.map(
    (text, i) =>
      html`<span class="place" style="top:${percent(1 - scale.at(scale.ticks[i]!))}">${text}</span>`,
  )}</div>`;
}

export function xAxis(scale: Scale): Html {
  const texts = tickTexts(scale.ticks);
  return html`<div class="x">${texts.map((text, i) => {
    const at = scale.at(scale.ticks[i]!);
    return html`<span class="${at < 0.03 ? "first" : at > 0.97 ? "last" : ""}" style="left:${percent(at)}">${text}</span>`;
  })}</div>`;
}

function legend(series: readonly Series[]): HtmlValue {
  if (series.length < 2) return undefined;
  return series.map(({ name, points, color }, i) => {
    const last = points.at(-1)?.[1];
    return html`<span class="legend c${(((color ?? i + 1) - 1) % 8) + 1}"><i></i>${name}${last !== undefined && html` <b>${numberText(last)}</b>`}</span>`;
  });
}

/** A NaN must be seen: a dashed line where it happened. The first is named; a row of them is drawn as ten at most. */
function badMarks(points: readonly (readonly [number, number])[], x: Scale): HtmlValue {
  const bad = [...new Set(points.filter(([, y]) => !Number.isFinite(y)).map(([at]) => at))];
  const every = Math.ceil(bad.length / 10);
  return bad
    .filter((_, i) => i % every === 0)
    .map(
      (at, i) => html`<div class="bad ${i === 0 ? "" : "again"}" style="left:${percent(x.at(at))}"></div>`,
    );
}

function describe({ title, series, xName = "step" }: LineChartOptions): string {
  const parts = series.map(({ name, points }) => {
    const finite = points.filter(([, y]) => Number.isFinite(y));
    const [first, last] = [finite[0], finite.at(-1)];
    if (first === undefined || last === undefined) return `${name}: no values`;
    return `${name}: ${numberText(first[1])} at ${xName} ${first[0]} to ${numberText(last[1])} at ${xName} ${last[0]}`;
  });
  return `${title}. ${parts.join("; ")}.`;
}

function pathOf(points: readonly (readonly [number, number])[], x: Scale, y: Scale): string {
  let path = "";
  let penDown = false;
  for (const [at, value] of points) {
    if (Number.isFinite(value)) path += `${penDown ? "L" : "M"}${place(x.at(at))} ${place(1 - y.at(value))}`;
    penDown = Number.isFinite(value);
  }
  // A single point is drawn as a dot: a line of no length with round ends.
  return points.length === 1 && path !== "" ? `${path}h0` : path;
}

/** Keeps the extremes of each stretch, so that a spike of one step stays visible. */
export function thin(points: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  if (points.length <= maxPoints) return points;
  const kept = new Set<readonly [number, number]>([points[0]!, points.at(-1)!]);
  const size = points.length / (maxPoints / 2);
  for (let start = 0; start < points.length; start += size) {
    const stretch = points.slice(Math.floor(start), Math.floor(start + size));
    for (const point of stretch) if (!Number.isFinite(point[1])) kept.add(point);
    const finite = stretch.filter(([, y]) => Number.isFinite(y));
    if (finite.length === 0) continue;
    kept.add(finite.reduce((a, b) => (b[1] < a[1] ? b : a)));
    kept.add(finite.reduce((a, b) => (b[1] > a[1] ? b : a)));
  }
  return points.filter((point) => kept.has(point));
}

/** The mean of each point and its neighbours, a fortieth of all points to either side; values that are not finite stay. */
export function runningMean(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const reach = Math.floor(points.length / 40);
  const sums = [0];
  const counts = [0];
  for (const [i, [, y]] of points.entries()) {
    sums.push(sums[i]! + (Number.isFinite(y) ? y : 0));
    counts.push(counts[i]! + (Number.isFinite(y) ? 1 : 0));
  }
  return points.map(([x, y], i) => {
    if (!Number.isFinite(y)) return [x, y];
    const [from, to] = [Math.max(0, i - reach), Math.min(points.length, i + reach + 1)];
    return [x, (sums[to]! - sums[from]!) / (counts[to]! - counts[from]!)];
  });
}

function place(share: number): string {
  return String(Number((share * 1000).toFixed(1)));
}

export function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}
