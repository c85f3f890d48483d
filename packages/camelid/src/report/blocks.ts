import { type Html, type HtmlValue, html } from "./html.js";

/** A few large numbers in a row, each with its name above and its unit beside. */
export function figures(items: readonly { name: string; value: HtmlValue; unit?: string }[]): Html {
  return html`<dl class="figures">${items.map(
    ({ name, value, unit }) =>
      html`<div><dt>${name}</dt><dd>${value}${unit !== undefined && html` <small>${unit}</small>`}</dd></div>`,
  )}</dl>`;
}

/** Names and values, two columns; one on a phone. */
export function keyValues(items: Iterable<readonly [name: string, value: HtmlValue]>): Html {
  return html`<dl class="pairs">${[...items].map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A remark set apart by a line in the margin. */
export function note(text: HtmlValue, tone: "plain" | "good" | "warn" | "bad" = "plain"): Html {
  return html`<div class="note ${tone}">${text}</div>`;
}

export interface Column {
  name: string;
  /** `number` aligns right, `text` keeps line breaks, `code` is monospaced, `key` too and never breaks. */
  kind?: "number" | "text" | "code" | "key";
  /** Explains the column when pointed at. */
  hint?: string;
}

export interface TableRow {
  cells: readonly HtmlValue[];
  /** Steps back: a default, a row that is only there for completeness. */
  quiet?: boolean;
}

const cellClass = { number: "num", text: "text", code: "mono", key: "mono key", plain: "" };

/** A table that scrolls sideways by itself when the page is narrow. */
export function table(columns: readonly Column[], rows: Iterable<TableRow | readonly HtmlValue[]>): Html {
  const classOf = (i: number) => cellClass[columns[i]?.kind ?? "plain"];
  const body = [...rows].map((row) => {
    const { cells, quiet } = "cells" in row ? row : { cells: row, quiet: false };
    return html`<tr class="${quiet ? "quiet" : ""}">${cells.map((cell, i) => html`<td class="${classOf(i)}">${cell}</td>`)}</tr>\n`;
  });
  return html`<div class="scroll"><table>
<thead><tr>${columns.map(({ name, hint }, i) => html`<th class="${classOf(i)}" title="${hint ?? ""}">${name}</th>`)}</tr></thead>
<tbody>${body}</tbody>
</table></div>`;
}

/** Something long that opens on a click (and always when printed). */
export function fold(summary: HtmlValue, body: HtmlValue): Html {
  return html`<details><summary>${summary}</summary>${body}</details>`;
}

/** Charts side by side as room allows. */
export function sideBySide(charts: readonly HtmlValue[]): Html {
  return html`<div class="charts">${charts}</div>`;
}
