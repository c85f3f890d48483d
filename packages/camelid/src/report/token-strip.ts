import { type Html, html } from "./html.js";

export type TokenRole = "system" | "user" | "assistant" | "template";

export interface StripToken {
  /** The token as text; bytes that are not UTF-8 by themselves as the caller likes to show them. */
  text: string;
  id: number;
  role: TokenRole;
  /** The model learns to produce this token. */
  trained: boolean;
  /** A special token: it came from the template, not from what someone typed. */
  special?: boolean;
  /** Shown when pointed at, besides id and role: a loss, a log-probability. */
  note?: string;
}

/**
 * A row as the model gets it: every token set apart, coloured by who says it, underlined where it is trained.
 * White space is visible: a dot for a space, an arrow for a tab, a hook and a real break for a line feed.
 */
export function tokenStrip(tokens: readonly StripToken[]): Html {
  return html`<div class="strip">${tokens.map((token, i) => oneToken(token, i))}</div>`;
}

/** What the colours and lines of token strips mean. Once a page is enough. */
export function tokenLegend(): Html {
  const roles: TokenRole[] = ["system", "user", "assistant", "template"];
  return html`<div class="strip-legend">${roles.map((role) => html`<span><span class="tok ${roleClass[role]}">${role}</span></span>`)}<span><span class="tok a t">trained</span> counts in the loss</span><span><span class="tok a">not trained</span></span><span><span class="tok p x">&lt;s&gt;</span> special token</span><span><span class="tok u"><i>·</i></span> space</span><span><span class="tok u"><i>↵</i></span> line feed</span><span><span class="tok u"><i>→</i></span> tab</span></div>`;
}

const roleClass: Record<TokenRole, string> = { system: "s", user: "u", assistant: "a", template: "p" };

function oneToken({ text, id, role, trained, special, note }: StripToken, index: number): Html {
  const classes = `tok ${roleClass[role]}${trained ? " t" : ""}${special ? " x" : ""}`;
  const title = `${index}: id ${id}, ${role}, ${trained ? "trained" : "not trained"}${special ? ", special" : ""}${note === undefined ? "" : `\n${note}`}`;
  // The break stands after the token's own mark, so that lines break where the text does.
  const breaks = text.split("\n").length - 1;
  // Marks for spaces give a browser no place to break a line; a token that begins a word does.
  return html`${/^\s/.test(text) && html`<wbr>`}<span class="${classes}" title="${title}">${visible(text)}</span>${breaks > 0 && html`<br>`}`;
}

/** White space and other unseen characters as marks, which a style sets back from the text. */
function visible(text: string): Html[] {
  const parts = text.split(/([ \t\n\r\u00a0\u200b-\u200f\u2028\u2029\ufeff\p{Cc}]+)/u);
  return parts.map((part, i) => (i % 2 === 0 ? html`${part}` : html`<i>${[...part].map(mark).join("")}</i>`));
}

function mark(character: string): string {
  switch (character) {
    case " ":
      return "·";
    case "\n":
      return "↵";
    case "\t":
      return "→";
    case "\r":
      return "␍";
    case "\u00a0":
      return "⍽";
    default:
      return `⟨${character.codePointAt(0)!.toString(16).toUpperCase().padStart(2, "0")}⟩`;
  }
}

export const tokenCss = `
.strip { font: 0.86rem/2 var(--mono); overflow-wrap: anywhere; margin: 0 0 1.2rem; }
.tok { padding: 0.12em 0; border-radius: 2px; box-decoration-break: clone; -webkit-box-decoration-break: clone; white-space: pre-wrap;
  background: color-mix(in srgb, var(--tint) var(--deep, 13%), transparent); border-bottom: 2px solid transparent;
  margin-right: 1px; }
.tok:hover { outline: 1px solid var(--soft); }
.tok.s { --tint: var(--c3); } .tok.u { --tint: var(--c6); } .tok.a { --tint: var(--c1); } .tok.p { --tint: var(--c8); --deep: 9%; color: var(--soft); }
.tok.t { --deep: 22%; border-bottom-color: var(--tint); color: var(--ink); }
.tok.x { box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--tint) 55%, transparent); padding-left: 0.2em; padding-right: 0.2em; }
.tok i { font-style: normal; opacity: 0.42; }
.strip-legend { display: flex; flex-wrap: wrap; gap: 0.35rem 1.2rem; font-size: 0.85rem; color: var(--soft); margin: 0 0 1rem; }
.strip-legend .tok { font-family: var(--mono); padding: 0.12em 0.3em; }
`;
