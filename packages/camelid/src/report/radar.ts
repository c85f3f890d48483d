import { type Html, html } from "./html.js";

export interface RadarOptions {
  title: string;
  unit?: string;
  /** At least three; clockwise from the top. */
  axes: readonly string[];
  /** Values run from 0 in the middle to `max` at the rim; 100 unless given. */
  max?: number;
  series: readonly RadarSeries[];
}

export interface RadarSeries {
  name: string;
  /** One per axis; undefined leaves a gap in the outline. */
  values: readonly (number | undefined)[];
  /** 1 to 8. */
  color?: number;
  /** Filled: the one the page is about. */
  main?: boolean;
}

/** Radius of the rim in the drawing's units; its centre is 0, 0. */
const RIM = 100;

/**
 * Several measures of a few systems as outlines around one centre. Words are HTML set over the drawing, so that they keep
 * their size.
 */
export function radar({ title, unit, axes, max = 100, series }: RadarOptions): Html {
  const at = (axis: number, share: number): [number, number] => {
    const angle = (axis / axes.length) * 2 * Math.PI - Math.PI / 2;
    return [Math.cos(angle) * share * RIM, Math.sin(angle) * share * RIM];
  };
  const ring = (share: number) => polygon(axes.map((_, i) => at(i, share)));
  const spokes = axes.map((_, i) => `M0 0L${pair(at(i, 1))}`).join("");
  const shapes = series.map(({ name, values, color = 1, main = false }) => {
    const points = values.map((value, i) =>
      value === undefined ? undefined : at(i, Math.min(1, Math.max(0, value / max))),
    );
    return html`<path class="${main ? "shape main" : "shape"} c${color}" d="${outline(points)}"><title>${name}</title></path>${points.map(
      (point) =>
        point !== undefined &&
        html`<circle class="knot c${color}" cx="${round(point[0])}" cy="${round(point[1])}" r="${main ? 2 : 1.4}"/>`,
    )}`;
  });
  return html`<figure><figcaption><b>${title}</b>${unit !== undefined && html`<span class="unit">${unit}</span>`}${series.map(
    ({ name, color = 1 }) => html`<span class="legend c${color}"><i></i><b>${name}</b></span>`,
  )}</figcaption>
<div class="radar"><svg viewBox="-100 -100 200 200" role="img" aria-label="${ariaText(title, axes, series)}">
<path class="grid" d="${[0.25, 0.5, 0.75, 1].map(ring).join("")}${spokes}"/>
${shapes}
</svg>${axes.map((name, i) => {
    const [x, y] = at(i, 1.08);
    const side = Math.abs(x) < RIM / 5 ? "middle" : x > 0 ? "right" : "left";
    return html`<span class="axis ${side} ${y > RIM / 2 ? "below" : ""}" style="left:${round(50 + x / 2)}%;top:${round(50 + y / 2)}%">${name}</span>`;
  })}<span class="scale" style="top:${round(50 - 25)}%">${max / 2}</span><span class="scale" style="top:0%">${max}</span></div></figure>
`;
}

/** A closed line through the points, broken at gaps. */
function outline(points: readonly ([number, number] | undefined)[]): string {
  if (points.every((point) => point !== undefined)) return polygon(points);
  return points
    .map((point, i) => {
      if (point === undefined) return "";
      const before = points[(i + points.length - 1) % points.length];
      return before === undefined ? `M${pair(point)}` : `M${pair(before)}L${pair(point)}`;
    })
    .join("");
}

function polygon(points: readonly [number, number][]): string {
  return `M${points.map(pair).join("L")}Z`;
}

const pair = ([x, y]: readonly [number, number]): string => `${round(x)} ${round(y)}`;
const round = (value: number): number => Number(value.toFixed(2));

function ariaText(title: string, axes: readonly string[], series: readonly RadarSeries[]): string {
  const told = series.map(
    ({ name, values }) => `${name}: ${values.map((value, i) => `${axes[i]} ${value ?? "none"}`).join(", ")}`,
  );
  return `${title}. ${told.join("; ")}`;
}

export const radarCss = `
.radar { position: relative; width: min(24rem, calc(100% - 9rem)); aspect-ratio: 1; margin: 2rem auto 3rem; font-size: 0.78rem; color: var(--soft); line-height: 1.2; }
.radar svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.radar svg * { vector-effect: non-scaling-stroke; }
.radar .grid { stroke: var(--line); stroke-width: 1; fill: none; }
.radar .shape { stroke: var(--c); stroke-width: 1.4; fill: none; stroke-linejoin: round; }
.radar .shape.main { stroke-width: 2.2; fill: var(--c); fill-opacity: 0.14; }
.radar .knot { fill: var(--c); }
.radar .axis { position: absolute; transform: translate(-50%, -100%); white-space: nowrap; color: var(--ink); }
.radar .axis.right { transform: translate(0, -50%); }
.radar .axis.left { transform: translate(-100%, -50%); }
.radar .axis.middle.below { transform: translate(-50%, 0); }
.radar .scale { position: absolute; left: 50%; padding-left: 0.3em; font-size: 0.9em; color: var(--faint); transform: translateY(-50%); }
@media (max-width: 34rem) { .radar { width: calc(100% - 7rem); font-size: 0.7rem; } }
`;
