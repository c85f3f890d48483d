import { InternalError } from "../errors.js";

/** Markup that is safe by construction: only the `html` tag and {@link trustedMarkup} make it. */
export class Html {
  readonly #text: string;
  constructor(text: string, key: typeof constructionKey) {
    if (key !== constructionKey) throw new InternalError("Html is made by the html tag only.");
    this.#text = text;
  }
  toString(): string {
    return this.#text;
  }
}
const constructionKey = Symbol("html");

/** What may stand in a `${}` of {@link html}. `undefined`, `null` and `false` render as nothing. */
export type HtmlValue = Html | string | number | bigint | null | undefined | false | readonly HtmlValue[];

/**
 * Tagged template for HTML and inline SVG. Every value is escaped, unless it is itself `Html`; values may
 * stand only where escaping is enough to make them harmless: in text and in quoted attributes. Names of tags
 * and attributes, unquoted attributes, scripts, styles, comments and `on...` attributes take no values, and
 * link attributes refuse `javascript:` and its kin. Such a template throws when it is first used, whatever
 * the value, so a test that renders a page once finds the mistake.
 *
 * @throws {InternalError} when a value stands in a place where it could become code
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let holes = analysed.get(strings);
  if (holes === undefined) {
    holes = findHoles(strings);
    analysed.set(strings, holes);
  }
  let text = strings[0]!;
  for (let i = 0; i < values.length; i += 1) text += render(values[i], holes[i]!) + strings[i + 1]!;
  return new Html(text, constructionKey);
}

/** Marks text as markup without looking at it. For constants of this program only, never for data. */
export function trustedMarkup(constant: string): Html {
  return new Html(constant, constructionKey);
}

/** Escapes for text and for attributes in either kind of quotes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => entities[character]!);
}

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
};

/** Where a value stands: in text, or in a quoted attribute of this (lower-case) name. */
type Hole = { in: "text" } | { in: "attribute"; name: string };

const analysed = new WeakMap<TemplateStringsArray, Hole[]>();

const linkAttributes = new Set([
  "href",
  "src",
  "srcset",
  "xlink:href",
  "action",
  "formaction",
  "poster",
  "data",
  "ping",
]);

function render(value: HtmlValue, hole: Hole): string {
  if (value === null || value === undefined || value === false) return "";
  if (hole.in === "text") {
    if (Array.isArray(value)) return value.map((item: HtmlValue) => render(item, hole)).join("");
    return value instanceof Html ? value.toString() : escapeHtml(plain(value));
  }
  const text = plain(value);
  // Control characters and spaces are what browsers skip before they read a scheme.
  if (
    linkAttributes.has(hole.name) &&
    !/^(#|https?:\/\/|mailto:|data:image\/(png|jpeg|gif|webp);|[\w./-]*(\?|#|$))/i.test(text)
  ) {
    throw new InternalError(
      `the address ${JSON.stringify(text.slice(0, 60))} is not allowed in ${hole.name}="".`,
    );
  }
  if (hole.name === "style" && (!/^[\w\s.,:;%#()+-]*$/.test(text) || /url\s*\(/i.test(text))) {
    throw new InternalError(`the style ${JSON.stringify(text.slice(0, 60))} is not a plain value.`);
  }
  return escapeHtml(text);
}

function plain(value: HtmlValue): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  const kind = value instanceof Html ? "markup inside an attribute" : typeof value;
  throw new InternalError(`an html template was given ${kind}; it takes text, numbers and html.`);
}

/** Reads the constant parts as a browser would, just far enough to know where each value stands. */
function findHoles(strings: TemplateStringsArray): Hole[] {
  const holes: Hole[] = [];
  let state: "text" | "tag" | "double" | "single" | "raw" | "comment" = "text";
  let tag = ""; // the tag up to here: its name and the attributes read so far
  for (let part = 0; part < strings.length; part += 1) {
    const text = strings[part]!;
    for (let i = 0; i < text.length; i += 1) {
      const character = text[i]!;
      if (state === "text" && character === "<") {
        if (text.startsWith("<!--", i)) state = "comment";
        else {
          state = "tag";
          tag = "";
        }
      } else if (state === "comment" && text.startsWith("-->", i)) state = "text";
      else if (state === "raw" && /^<\/(script|style)/i.test(text.slice(i, i + 9))) {
        state = "tag";
        tag = "";
      } else if (state === "tag") {
        if (character === ">") state = /^(script|style)\b/i.test(tag) ? "raw" : "text";
        else if (character === '"') state = "double";
        else if (character === "'") state = "single";
        else tag += character;
      } else if ((state === "double" && character === '"') || (state === "single" && character === "'")) {
        state = "tag";
        tag += '""';
      }
    }
    if (part < strings.length - 1) holes.push(holeIn(state, tag, text));
  }
  return holes;
}

function holeIn(state: string, tag: string, before: string): Hole {
  if (state === "text") return { in: "text" };
  const name = /([^\s"'>/=]+)\s*=\s*$/.exec(tag)?.[1]?.toLowerCase();
  if ((state === "double" || state === "single") && name !== undefined) {
    if (!name.startsWith("on") && name !== "srcdoc") return { in: "attribute", name };
  }
  throw new InternalError(
    `an html template has a value after ${JSON.stringify(before.slice(-40))}, where escaping does not make it safe.`,
    { fix: "put values in text or in quoted attributes only." },
  );
}
