import { createHash } from "node:crypto";
import { chartCss } from "./chart-css.js";
import { type Html, type HtmlValue, html, trustedMarkup } from "./html.js";
import { itemBrowserCss } from "./item-browser.js";
import { pageScript } from "./page-script.js";
import { radarCss } from "./radar.js";
import { themeCss } from "./theme.js";
import { tokenCss } from "./token-strip.js";

export interface PageOptions {
  /** The large heading: the run's name, the data file. */
  title: string;
  /** What kind of page it is, beside the project's name: `run report`. */
  kind: string;
  /** The whole story in one or two sentences; `<b>` for what matters. */
  lead?: HtmlValue;
  body: HtmlValue;
}

/**
 * A whole HTML file as text. It opens from disk, loads nothing, and forbids its own browser to load or run
 * anything but what it was written with (a content security policy that names its one script by hash).
 */
export function page({ title, kind, lead, body }: PageOptions): string {
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="icon" href="data:,">
<title>${title} · Camelid</title>
${styles}
</head>
<body>
<div class="masthead"><span><b>Camelid</b> · ${kind}</span>${themeButton}</div>
<h1>${title}</h1>
${lead !== undefined && html`<p class="lead">${lead}</p>`}
<main>
${body}
</main>
${script}
</body>
</html>
`;
  return document.toString();
}

export interface SectionOptions {
  heading: string;
  /** A line or two in the margin under the heading: how to read what follows. */
  note?: HtmlValue;
  body: HtmlValue;
}

/** One part of a page, its heading in the margin where there is room. */
export function section({ heading, note, body }: SectionOptions): Html {
  return html`<section>
<header><h2>${heading}</h2>${note !== undefined && html`<p>${note}</p>`}</header>
<div>${body}</div>
</section>
`;
}

const hash = createHash("sha256").update(pageScript).digest("base64");
const policy = `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
const styles = trustedMarkup(`<style>${themeCss}${chartCss}${tokenCss}${radarCss}${itemBrowserCss}</style>`);
const script = trustedMarkup(`<script>${pageScript}</script>`);
const themeButton = trustedMarkup(
  '<button id="theme" type="button" aria-label="Switch between light and dark" title="Light / dark">' +
    '<svg width="17" height="17" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.2" fill="none" ' +
    'stroke="currentColor" stroke-width="1.3"/><path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor"/></svg></button>',
);
