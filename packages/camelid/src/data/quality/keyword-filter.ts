/**
 * The keyword filter of Tülu 2: a row goes when any message, of any role, names another assistant or its maker.
 *
 * `substring` is the original, quirks included: case-insensitive, no word boundaries, so "bombarded", "palm tree" and
 * "Claudette" are removed; so is "open air". `word` asks for word boundaries, and for the product's spelling where a string is also an
 * ordinary word: "bard" in lower case stays, "Palm" stays unless written PaLM or PALM. "Claude Monet" still goes, and
 * names that grew ("ChatGPTs", "GPT4All") stay: a word filter cannot know better.
 *
 * @see open-instruct `should_be_filtered` (spec/tulu2.md section 1.8): `string.lower() in content.lower()`
 */
import { SettingsError } from "../../errors.js";
import type { Conversation } from "../conversation.js";
import { PerSource } from "./per-source.js";

export const TULU2_KEYWORDS: readonly string[] = [
  ...["OpenAI", "Open AI", "ChatGPT", "Chat GPT", "GPT-3", "GPT3", "GPT 3", "GPT-4", "GPT4", "GPT 4"],
  ...[
    "GPT-3.5",
    "GPT3.5",
    "GPT 3.5",
    "BingChat",
    "Bing Chat",
    "BARD",
    "Palm",
    "Anthropic",
    "Claude",
    "LAION",
  ],
  ...["Open Assistant", "OpenAssistant"],
];

/** In `word` mode these strings, which are also ordinary words, need that many capitals: Bard or BARD; PaLM or PALM. */
export const CAPITALS_IN_WORD_MODE: Readonly<Record<string, number>> = { BARD: 1, Palm: 2 };

export interface KeywordFilterOptions {
  readonly mode: "substring" | "word";
  /** Defaults to the 22 strings of Tülu 2. */
  readonly keywords?: readonly string[];
  /** Sources that pass unseen; Tülu 2 exempts `hard_coded`. */
  readonly exempt?: readonly string[];
}

export interface KeywordMatch {
  /** The longest string of the list found at this place, as the list spells it. */
  readonly keyword: string;
  readonly message: number;
  /** Place of the match in the message, in UTF-16 code units. */
  readonly start: number;
  readonly end: number;
}

export interface KeywordFilterSummary {
  readonly mode: "substring" | "word";
  readonly keywords: readonly string[];
  readonly rows: number;
  readonly removed: number;
  readonly exempt: number;
  readonly perSource: Record<string, { rows: number; removed: number }>;
  /** Rows that contain the string; a row with two strings counts for both. */
  readonly perKeyword: Record<string, number>;
}

export class KeywordFilter {
  private readonly keywords: readonly string[];
  private readonly exempt: ReadonlySet<string>;
  private readonly pattern: RegExp;
  private readonly spelling: ReadonlyMap<string, string>;
  private readonly perSource = new PerSource(() => ({ rows: 0, removed: 0 }));
  private readonly perKeyword = new Map<string, number>();
  private exemptRows = 0;

  constructor(private readonly options: KeywordFilterOptions) {
    this.keywords = options.keywords ?? TULU2_KEYWORDS;
    if (this.keywords.some((keyword) => keyword.trim() === "")) {
      throw new SettingsError(
        "ERR_KEYWORD_EMPTY",
        "the keyword list holds an empty string, which every row contains.",
        {
          fix: "take it out of the list.",
        },
      );
    }
    this.exempt = new Set(options.exempt);
    this.spelling = new Map(this.keywords.map((keyword) => [keyword.toLowerCase(), keyword]));
    this.pattern = keywordPattern([...this.spelling.keys()]);
  }

  /** Every place where a string was found, in order; empty when the row stays. */
  process(row: Conversation): KeywordMatch[] {
    if (this.exempt.has(row.dataset)) {
      this.exemptRows++;
      return [];
    }
    const counts = this.perSource.of(row.dataset);
    counts.rows++;

    const matches: KeywordMatch[] = [];
    for (const [message, { content }] of row.messages.entries()) {
      const lower = content.toLowerCase();
      this.pattern.lastIndex = 0;
      // The usual row has none: no array, no match object.
      if (this.pattern.test(lower)) this.collect(content, lower, message, matches);
    }
    if (matches.length > 0) {
      counts.removed++;
      for (const keyword of new Set(matches.map((match) => match.keyword))) {
        this.perKeyword.set(keyword, (this.perKeyword.get(keyword) ?? 0) + 1);
      }
    }
    return matches;
  }

  finish(): KeywordFilterSummary {
    return {
      mode: this.options.mode,
      keywords: this.keywords,
      rows: this.exemptRows + this.perSource.sum((counts) => counts.rows),
      removed: this.perSource.sum((counts) => counts.removed),
      exempt: this.exemptRows,
      perSource: this.perSource.toObject(),
      perKeyword: Object.fromEntries(
        this.keywords
          .filter((keyword) => this.perKeyword.has(keyword))
          .map((k) => [k, this.perKeyword.get(k)!]),
      ),
    };
  }

  private collect(content: string, lower: string, message: number, into: KeywordMatch[]): void {
    this.pattern.lastIndex = 0;
    for (let match = this.pattern.exec(lower); match !== null; match = this.pattern.exec(lower)) {
      const keyword = this.spelling.get(match[0])!;
      const start = originalOffset(content, lower, match.index);
      const end = originalOffset(content, lower, match.index + match[0].length);
      if (this.options.mode === "substring" || isProductName(content, start, end, keyword)) {
        into.push({ keyword, message, start, end });
      } else {
        this.pattern.lastIndex = match.index + 1; // a rejected place must not swallow a good one inside it
      }
    }
  }
}

/** One alternation over lower-cased text; longest first, so that "GPT-3.5" is not reported as "GPT-3". */
function keywordPattern(lowerKeywords: string[]): RegExp {
  const longestFirst = [...lowerKeywords].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  return new RegExp(
    longestFirst.map((keyword) => keyword.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"),
    "g",
  );
}

const WORD_BEFORE = /[\p{L}\p{M}\p{N}_]$/u;
const WORD_AFTER = /^[\p{L}\p{M}\p{N}_]/u;

function isProductName(content: string, start: number, end: number, keyword: string): boolean {
  if (WORD_BEFORE.test(content.slice(Math.max(0, start - 2), start))) return false;
  if (WORD_AFTER.test(content.slice(end, end + 2))) return false;
  const capitals = content.slice(start, end).match(/\p{Lu}/gu)?.length ?? 0;
  return capitals >= (CAPITALS_IN_WORD_MODE[keyword] ?? 0);
}

/** Lower case can be longer than the original ("İ" becomes two units): maps a place in it back. */
function originalOffset(content: string, lower: string, offset: number): number {
  if (content.length === lower.length) return offset;
  let original = 0;
  for (let at = 0; at < offset && original < content.length; original++)
    at += content[original]!.toLowerCase().length;
  return original;
}
