import type { AddedToken } from "./tokenizer-files.js";

/** A special token found in a text, at [start, end) in UTF-16 units. */
export interface SpecialMatch {
  readonly start: number;
  readonly end: number;
  readonly token: AddedToken;
}

export interface SpecialMatcher {
  readonly tokens: ReadonlyMap<string, AddedToken>;
  /** True when any special token's text occurs in `text`. */
  occursIn(text: string): boolean;
  /** All special tokens of `text`, left to right, the longest where several start at the same place. */
  find(text: string): SpecialMatch[];
}

export function specialMatcher(addedTokens: readonly AddedToken[]): SpecialMatcher {
  const tokens = new Map(addedTokens.filter((token) => token.special).map((token) => [token.content, token]));
  const longestFirst = [...tokens.keys()].sort((a, b) => b.length - a.length).map(escapeRegExp);
  const source = longestFirst.length === 0 ? "(?!)" : longestFirst.join("|");
  const anywhere = new RegExp(source, "u");
  const everywhere = new RegExp(source, "gu");
  return {
    tokens,
    occursIn: (text) => anywhere.test(text),
    find: (text) =>
      [...text.matchAll(everywhere)]
        .map(({ index, 0: content }) => ({
          start: index,
          end: index + content.length,
          token: tokens.get(content)!,
        }))
        .filter((match) => !match.token.single_word || standsAlone(text, match)),
  };
}

/**
 * What a special token takes from its text: itself, and the white space beside it where its `lstrip` and `rstrip` flags
 * (or `both`, for the tokenizers of 2023 that always stripped) say so.
 */
export function swallowed(match: SpecialMatch, text: string, both = false): { start: number; end: number } {
  let { start, end } = match;
  if (both || match.token.lstrip) while (start > 0 && WHITE_SPACE.test(text[start - 1]!)) start--;
  if (both || match.token.rstrip) while (end < text.length && WHITE_SPACE.test(text[end]!)) end++;
  return { start, end };
}

function standsAlone(text: string, { start, end }: SpecialMatch): boolean {
  return !WORD_BEFORE.test(text.slice(0, start)) && !WORD_AFTER.test(text.slice(end));
}

const WHITE_SPACE = /\p{White_Space}/u;
const WORD_BEFORE = /[\p{L}\p{M}\p{N}\p{Pc}]$/u;
const WORD_AFTER = /^[\p{L}\p{M}\p{N}\p{Pc}]/u;

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
