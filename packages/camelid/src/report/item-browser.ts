import { type Html, type HtmlValue, html } from "./html.js";

/** What became of an item; decides its mark and the filter it belongs to. */
export type ItemVerdict = "right" | "wrong" | "failed" | "skipped";

export interface BrowserItem {
  id: string;
  verdict: ItemVerdict;
  /** Beside the id, in the closed line: group, extraction and target, score. */
  facts: HtmlValue;
  /** Remarks in colour: cut, nothing extracted. */
  flags?: readonly string[];
  /** Named texts, long ones in full. */
  texts: readonly { name: string; text: string }[];
}

export interface ItemBrowserOptions {
  /** Unique on the page, letters, digits and hyphens. */
  name: string;
  items: readonly BrowserItem[];
  /** How many of each verdict there are in all; the page may hold fewer. */
  counts: Readonly<Record<ItemVerdict, number>>;
  /** Other words for the verdicts: in a comparison `right` is gained. */
  labels?: Partial<Readonly<Record<ItemVerdict, string>>>;
}

const VERDICTS: readonly ItemVerdict[] = ["right", "wrong", "failed", "skipped"];

/**
 * Items to look through, one line each that opens, with a choice of verdicts above. The filter is style sheet alone: it works
 * in a page that is not allowed to run anything.
 */
export function itemBrowser({ name, items, counts, labels = {} }: ItemBrowserOptions): Html {
  const kinds = VERDICTS.filter((verdict) => counts[verdict] > 0);
  const all = kinds.reduce((sum, verdict) => sum + counts[verdict], 0);
  const choice = (value: ItemVerdict | "all", count: number) => {
    const word = value === "all" ? value : (labels[value] ?? value);
    const label = html`<span>${word} <small>${count.toLocaleString("en-US")}</small></span>`;
    return value === "all"
      ? html`<label><input type="radio" name="${name}" value="all" checked>${label}</label>`
      : html`<label><input type="radio" name="${name}" value="${value}">${label}</label>`;
  };
  return html`<div class="browser">
<div class="filters" role="radiogroup" aria-label="Which items">${choice("all", all)}${kinds.map((verdict) => choice(verdict, counts[verdict]))}</div>
<div class="items">${items.map(
    ({ id, verdict, facts, flags = [], texts }) =>
      html`<details class="${verdict}"><summary><i></i><code>${id}</code> <span>${facts}</span>${flags.map((flag) => html` <em>${flag}</em>`)}</summary>
<dl>${texts.map(({ name: label, text }) => html`<dt>${label}</dt><dd><pre>${text}</pre></dd>`)}</dl></details>
`,
  )}</div></div>`;
}

export const itemBrowserCss = `
.browser .filters { display: flex; flex-wrap: wrap; gap: 0.3rem; margin: 0 0 0.7rem; }
.browser .filters label { cursor: pointer; font-size: 0.87em; }
.browser .filters input { position: absolute; opacity: 0; }
.browser .filters span { display: inline-block; padding: 0.12rem 0.7rem; border: 1px solid var(--line); border-radius: 1rem; color: var(--soft); }
.browser .filters input:checked + span { color: var(--ink); border-color: var(--accent); background: var(--wash); }
.browser .filters input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }
.browser .items { max-height: 34rem; overflow-y: auto; border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.browser details { margin: 0; border-bottom: 1px solid color-mix(in srgb, var(--line) 55%, transparent); font-size: 0.9em; }
.browser details:last-child { border-bottom: 0; }
.browser summary { display: flex; flex-wrap: wrap; gap: 0.1rem 0.7rem; align-items: baseline; margin: 0; padding: 0.28rem 0.2rem; list-style: none; }
.browser summary::-webkit-details-marker { display: none; }
.browser summary i { width: 0.6em; height: 0.6em; border-radius: 50%; background: var(--faint); align-self: center; }
.browser .right > summary i { background: var(--good); }
.browser .wrong > summary i { background: var(--bad); }
.browser .failed > summary i { background: var(--warn); }
.browser summary span { color: var(--soft); overflow-wrap: anywhere; }
.browser summary em { font-style: normal; color: var(--warn); font-size: 0.92em; }
.browser dl { margin: 0.2rem 0 0.9rem 1.3rem; }
.browser dt { color: var(--soft); font-size: 0.9em; margin-top: 0.5rem; }
.browser dd { margin: 0; }
.browser pre { background: var(--wash); padding: 0.5rem 0.8rem; border-radius: 3px; max-height: 22rem; overflow: auto; }
.browser:has(input[value="right"]:checked) details:not(.right),
.browser:has(input[value="wrong"]:checked) details:not(.wrong),
.browser:has(input[value="failed"]:checked) details:not(.failed),
.browser:has(input[value="skipped"]:checked) details:not(.skipped) { display: none; }
@media print { .browser .items { max-height: none; } .browser .filters { display: none; } }
`;
