/**
 * The look of every report: paper and ink, one accent, hairlines instead of boxes, headings in the margin where
 * there is room. Colours come in pairs for light and dark; `data-theme` on the root overrules the system.
 * Everything a page needs is in here: no font, image or style comes from elsewhere.
 */
export const themeCss = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#fcfbf8, #181715);
  --wash: light-dark(#f4f1ea, #211f1c);
  --ink: light-dark(#24211d, #e9e5dd);
  --soft: light-dark(#6b655b, #a8a196);
  --faint: light-dark(#a59e92, #6e685f);
  --line: light-dark(#e5dfd4, #322f2a);
  --accent: light-dark(#9c4f14, #e2a46e);
  --good: light-dark(#2e7146, #7fc498);
  --warn: light-dark(#946200, #e0b453);
  --bad: light-dark(#b3312c, #f08078);
  --c1: light-dark(#a9561a, #e2a46e);
  --c2: light-dark(#17746f, #62bdb4);
  --c3: light-dark(#5558a8, #a0a3ee);
  --c4: light-dark(#a83f66, #e78fb0);
  --c5: light-dark(#66751a, #b7c46a);
  --c6: light-dark(#2f76a8, #7db9e3);
  --c7: light-dark(#7d5fa0, #c3a4e4);
  --c8: light-dark(#6f6a62, #aaa398);
  --sans: ui-sans-serif, system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
:root[data-theme="light"] { color-scheme: light; }
:root[data-theme="dark"] { color-scheme: dark; }
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 4rem;
  font: 15px/1.55 var(--sans); font-variant-numeric: tabular-nums; }
a { color: var(--accent); text-underline-offset: 0.15em; text-decoration-thickness: 1px; }
code, pre, .mono { font-family: var(--mono); font-size: 0.87em; }
small, .soft { color: var(--soft); }
small { font-size: 0.85em; }
p { margin: 0 0 0.8rem; max-width: 44rem; }
::selection { background: color-mix(in srgb, var(--accent) 28%, transparent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }

.masthead { display: flex; justify-content: space-between; align-items: center; gap: 1rem;
  font-size: 0.85em; color: var(--soft); }
.masthead b { color: var(--accent); font-weight: 600; letter-spacing: 0.01em; }
.masthead button { all: unset; cursor: pointer; display: flex; padding: 0.35rem; border-radius: 50%; color: var(--soft); }
.masthead button:hover { color: var(--ink); background: var(--wash); }
.masthead button:focus-visible { outline: 2px solid var(--accent); }
h1 { font: 500 clamp(1.7rem, 4.5vw, 2.4rem)/1.15 var(--serif); letter-spacing: -0.012em; margin: 1.6rem 0 0.5rem;
  overflow-wrap: anywhere; }
.lead { font-size: 1.08rem; line-height: 1.5; color: var(--soft); max-width: 46rem; margin-bottom: 1.6rem; }
.lead b, .lead strong { color: var(--ink); font-weight: 600; }

section { border-top: 1px solid var(--line); padding: 1.3rem 0 2rem; }
section > header h2 { font: 500 1.15rem/1.3 var(--serif); margin: 0 0 0.3rem; }
section > header p { color: var(--soft); font-size: 0.87em; line-height: 1.45; margin: 0 0 1rem; }
section > div { min-width: 0; }
h3 { font-size: 0.9rem; font-weight: 600; margin: 1.6rem 0 0.4rem; }
h3 small { font-weight: 400; color: var(--soft); margin-left: 0.5em; }
section > div > :first-child { margin-top: 0; }
section > div > :last-child { margin-bottom: 0; }
@media (min-width: 60rem) {
  section { display: grid; grid-template-columns: 11.5rem minmax(0, 1fr); column-gap: 2.5rem; }
  section > header { padding-right: 0.5rem; }
}

.figures { display: flex; flex-wrap: wrap; gap: 0.9rem 2.4rem; margin: 0 0 1.8rem; }
.figures div { min-width: 5rem; }
.figures dt { font-size: 0.8em; color: var(--soft); }
.figures dd { margin: 0; font-size: 1.45rem; line-height: 1.2; letter-spacing: -0.01em; }
.figures dd small { font-size: 0.62em; color: var(--soft); letter-spacing: 0; }

.note { border-left: 2px solid var(--faint); padding: 0.05rem 0 0.05rem 0.8rem; margin: 0 0 0.9rem; max-width: 46rem; }
.note.warn { border-color: var(--warn); }
.note.bad { border-color: var(--bad); }
.note.good { border-color: var(--good); }
.note.good b { color: var(--good); } .note.warn b { color: var(--warn); } .note.bad b { color: var(--bad); }

.pairs { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.18rem 1.4rem; margin: 0; }
.pairs dt { color: var(--soft); }
.pairs dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { .pairs { grid-template-columns: minmax(0, 1fr); row-gap: 0; } .pairs dd { margin-bottom: 0.45rem; } }

.scroll { overflow-x: auto; margin: 0 0 1rem; }
table { border-collapse: collapse; font-size: 0.9em; line-height: 1.4; min-width: min(100%, 26rem); }
th { font-weight: 500; color: var(--soft); text-align: left; vertical-align: bottom; border-bottom: 1px solid var(--line); }
th, td { padding: 0.28rem 1.4rem 0.28rem 0; }
td { vertical-align: top; border-bottom: 1px solid color-mix(in srgb, var(--line) 55%, transparent); }
tr:last-child td { border-bottom: 0; }
th.num, td.num { text-align: right; }
td.num { white-space: nowrap; }
td.text { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 12rem; }
td.mono { overflow-wrap: anywhere; }
td.key { white-space: nowrap; }
@media (max-width: 34rem) { th, td { padding-right: 0.9rem; } table { min-width: 0; } }
tr.quiet td { color: var(--soft); }
caption { text-align: left; color: var(--soft); padding-bottom: 0.3rem; }

details { margin: 0 0 1rem; }
summary { cursor: pointer; color: var(--soft); margin-bottom: 0.5rem; }
summary:hover { color: var(--ink); }
pre, .text-block { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
blockquote { margin: 0 0 0.5rem; padding: 0.5rem 0.8rem; background: var(--wash); border-radius: 3px; white-space: pre-wrap;
  overflow-wrap: anywhere; }

@media print {
  :root, :root[data-theme] { color-scheme: light; --paper: #fff; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .masthead button, .tip { display: none; }
  section { break-inside: auto; padding: 0.8rem 0 1rem; }
  figure, tr, blockquote { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .tok { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details > * { content-visibility: visible; }
}
`;
