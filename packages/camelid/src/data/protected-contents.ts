import type { SpecialMatcher } from "../tokenizer/special-tokens.js";
import type { Message } from "./conversation.js";

/**
 * Messages whose contents hold no special token's text: each such text is replaced by one private-use character, so
 * that every special token in the rendered text is the template's. `restore` puts the texts back.
 */
export interface ProtectedContents {
  readonly messages: readonly Message[];
  /** Two more characters that occur in no content, for marking a rendered text. */
  readonly marks: readonly [start: string, end: string];
  restore(text: string): string;
}

export function protectContents(messages: readonly Message[], specials: SpecialMatcher): ProtectedContents {
  const contents = [...specials.tokens.keys()];
  const base = unusedCharacters(messages, contents.length + 2);
  const character = (index: number) => String.fromCodePoint(base + index);
  const marks = [character(contents.length), character(contents.length + 1)] as const;
  if (!messages.some((message) => specials.occursIn(message.content))) {
    return { messages, marks, restore: (text) => text };
  }
  const standIns = new Map(contents.map((content, index) => [content, character(index)]));
  const originals = new Map(contents.map((content, index) => [character(index), content]));
  const anyStandIn = new RegExp(`[${character(0)}-${character(contents.length - 1)}]`, "gu");
  const protect = (text: string) => {
    let out = "";
    let position = 0;
    for (const { start, end, token } of specials.find(text)) {
      out += text.slice(position, start) + standIns.get(token.content)!;
      position = end;
    }
    return out + text.slice(position);
  };
  return {
    messages: messages.map(({ role, content }) => ({ role, content: protect(content) })),
    marks,
    restore: (text) => text.replace(anyStandIn, (standIn) => originals.get(standIn)!),
  };
}

/** First of `count` neighbouring code points of the last private-use plane that occur in no content. */
function unusedCharacters(messages: readonly Message[], count: number): number {
  const text = messages.map(({ content }) => content).join("");
  if (!/[\u{100000}-\u{10FFFD}]/u.test(text)) return FIRST_PRIVATE;
  const used = new Set(Array.from(text, (character) => character.codePointAt(0)!));
  for (let base = FIRST_PRIVATE; ; base += count) {
    if (Array.from({ length: count }, (_, index) => base + index).every((point) => !used.has(point)))
      return base;
  }
}

const FIRST_PRIVATE = 0x100000;
