import type { SpecialMatcher } from "../tokenizer/special-tokens.js";
import type { Role } from "./conversation.js";

/** Who wrote a piece of a rendered text; `template` is everything that is nobody's content. */
export type SegmentRole = Role | "template";

/** A piece of a rendered conversation. Joined, the texts of a row's segments are its rendered text. */
export interface RenderedSegment {
  readonly text: string;
  /** Its tokens carry loss. */
  readonly trained: boolean;
  readonly role: SegmentRole;
  /** The text of a special token, put there by the template. */
  readonly special?: boolean;
  /** First of its row: the template has a BOS before it, which the tokenizer adds here. */
  readonly afterBos?: boolean;
}

/** [start, end) in UTF-16 units. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface ContentRange extends Range {
  readonly role: Role;
}

/**
 * Cuts a rendered text into segments: around special tokens, at the ends of contents and of trained ranges. All special
 * tokens of `text` are the template's; contents do not reach into them.
 */
export function cutSegments(
  text: string,
  contents: readonly ContentRange[],
  trained: readonly Range[],
  specials: SpecialMatcher,
): RenderedSegment[] {
  const matches = specials.find(text);
  const insideSpecial = (cut: number) => matches.some(({ start, end }) => cut > start && cut < end);
  const ends = [...contents, ...trained, ...matches].flatMap(({ start, end }) => [start, end]);
  const cuts = [...new Set([...ends, text.length])].filter((cut) => cut > 0 && !insideSpecial(cut));
  cuts.sort((a, b) => a - b);

  const segments: RenderedSegment[] = [];
  let from = 0;
  for (const to of cuts) {
    const at = from;
    const holds = ({ start, end }: Range) => at >= start && at < end;
    const special = matches.some(holds);
    segments.push({
      text: text.slice(from, to),
      trained: trained.some(holds),
      role: contents.find(holds)?.role ?? "template",
      ...(special ? { special } : {}),
    });
    from = to;
  }
  return segments;
}
