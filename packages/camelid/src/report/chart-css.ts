/**
 * Charts draw lines and areas in an SVG that is stretched to its box, and set every word as HTML over it: so text
 * keeps its size from a phone to a wide screen, and strokes keep their width.
 */
export const chartCss = `
${[1, 2, 3, 4, 5, 6, 7, 8].map((i) => `.c${i} { --c: var(--c${i}); }`).join(" ")}
figure { margin: 0 0 1.8rem; min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1.1rem; margin-bottom: 0.45rem; font-size: 0.9em; }
figcaption b { font-weight: 600; }
figcaption .unit { color: var(--soft); }
.legend { display: inline-flex; align-items: baseline; gap: 0.4em; color: var(--soft); }
.legend i { align-self: center; width: 1.1em; height: 0; border-top: 2px solid var(--c, var(--ink)); }
.legend b { font-weight: 500; color: var(--ink); }
.chart { display: grid; grid-template-columns: auto minmax(0, 1fr); font-size: 0.78rem; color: var(--soft); line-height: 1; }
.chart .y { position: relative; }
.chart .y span { display: block; padding-right: 0.6em; text-align: right; }
.chart .y .place { position: absolute; right: 0; transform: translateY(-50%); white-space: nowrap; }
.chart .y .widest { visibility: hidden; height: 0; }
.chart .plot { position: relative; height: var(--h, 13rem); cursor: crosshair; }
.chart svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.chart svg * { vector-effect: non-scaling-stroke; }
.chart .grid { stroke: var(--line); stroke-width: 1; fill: none; }
.chart .series { stroke: var(--c); stroke-width: 1.6; fill: none; stroke-linejoin: round; stroke-linecap: round; }
.chart .raw { stroke: var(--c); stroke-width: 1; fill: none; opacity: 0.3; }
.chart .bars { fill: var(--c); }
.chart .bad { position: absolute; top: 0; width: 0; height: 100%; border-left: 1px dashed var(--bad); }
.chart .bad::before { content: "NaN"; position: absolute; left: 3px; top: 1px; color: var(--bad); font-size: 0.72rem; }
.chart .bad.again::before { content: ""; }
.chart .x { position: relative; grid-column: 2; height: 1.35em; margin-top: 0.5em; }
.chart .x span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.chart .x span.first { transform: none; }
.chart .x span.last { transform: translateX(-100%); }
.chart .cross { position: absolute; top: 0; bottom: 0; width: 0; border-left: 1px solid var(--faint); pointer-events: none; }
.chart .tip { position: absolute; top: 0.2rem; padding: 0.4rem 0.55rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: 4px; color: var(--ink); white-space: nowrap; pointer-events: none; line-height: 1.5; z-index: 2;
  box-shadow: 0 2px 10px light-dark(#0001, #0006); }
.chart .tip i { display: inline-block; width: 0.7em; height: 2px; background: var(--c); vertical-align: middle; margin-right: 0.4em; }
.charts { display: grid; gap: 0 2.2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
.empty { color: var(--faint); font-size: 0.9em; padding: 1rem 0; }

.hbars { display: grid; grid-template-columns: max-content minmax(3rem, 1fr) max-content; gap: 0.22rem 0.9rem; font-size: 0.9em; }
.hbars > div { display: grid; grid-template-columns: subgrid; grid-column: 1 / -1; align-items: center; }
.hbars .name { overflow-wrap: anywhere; }
.hbars .bar { display: block; height: 0.72em; border-radius: 1px 2px 2px 1px; background: var(--c); min-width: 1px; }
.hbars .track { position: relative; }
.hbars .whisker { position: absolute; top: 50%; height: 0; border-top: 1.5px solid var(--ink); opacity: 0.75; }
.hbars .whisker::before, .hbars .whisker::after { content: ""; position: absolute; top: -0.3em; height: 0.5em; border-left: 1.5px solid var(--ink); }
.hbars .whisker::after { right: 0; }
.hbars .value { text-align: right; color: var(--soft); }
@media (max-width: 34rem) {
  .hbars { grid-template-columns: minmax(0, 1fr) max-content; row-gap: 0.5rem; }
  .hbars .track { grid-row: 2; grid-column: 1 / -1; }
}
`;
