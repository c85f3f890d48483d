import { DataError } from "../errors.js";
import type { SpecialMatcher } from "../tokenizer/special-tokens.js";
import type { Message, Role } from "./conversation.js";
import type { ContentRange, RenderedSegment } from "./segments.js";
import { cutSegments } from "./segments.js";
import type { TextRenderer } from "./trained-ranges.js";

/** How a template lays out one sequence of roles, as long as it copies contents without looking into them. */
export interface Skeleton {
  /** The segments of messages with these roles. */
  fill(messages: readonly Message[]): RenderedSegment[];
}

/** Template text as it stands, or the place of a message's content. */
type Part =
  | RenderedSegment
  | { message: number; role: Role; trained: boolean; trim: (text: string) => string };

/**
 * Learns the layout from a conversation of place holders with white space around them, which shows what is trimmed.
 * Undefined when a content is missing, doubled, cut, or when answers cannot be told apart.
 */
export function learnSkeleton(
  render: TextRenderer,
  specials: SpecialMatcher,
  messages: readonly Message[],
): Skeleton | undefined {
  const holders = messages.map(({ role }, index) => ({ role, content: BLANK + holder(index) + BLANK }));
  const rendered = renderedOrUndefined(() => render(holders, MARKS));
  if (rendered === undefined) return undefined;
  const { text, trained } = rendered;

  const contents: (ContentRange & { trim: (text: string) => string })[] = [];
  for (const [index, { role }] of messages.entries()) {
    const core = text.indexOf(holder(index), contents.at(-1)?.end ?? 0);
    if (core < 0 || text.indexOf(holder(index), core + 1) >= 0) return undefined;
    const coreEnd = core + holder(index).length;
    const blankBefore = text.slice(0, core).endsWith(BLANK);
    const blankAfter = text.startsWith(BLANK, coreEnd);
    contents.push({
      role,
      start: blankBefore ? core - BLANK.length : core,
      end: blankAfter ? coreEnd + BLANK.length : coreEnd,
      trim: trimmer(!blankBefore, !blankAfter),
    });
  }

  const segments = cutSegments(text, contents, trained, specials);
  if (segments.filter(({ role }) => role !== "template").length !== messages.length) return undefined;
  let next = 0;
  const parts = segments.map((segment): Part => {
    if (segment.role === "template") return segment;
    const message = next++;
    return { message, role: segment.role, trained: segment.trained, trim: contents[message]!.trim };
  });
  return { fill: (row) => fill(parts, row) };
}

function fill(parts: readonly Part[], messages: readonly Message[]): RenderedSegment[] {
  return parts.map((part) =>
    "text" in part
      ? part
      : { text: part.trim(messages[part.message]!.content), role: part.role, trained: part.trained },
  );
}

/** A template may reject the place holders, or not be prefix-faithful; then each row is rendered on its own. */
function renderedOrUndefined<T>(render: () => T): T | undefined {
  try {
    return render();
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
}

function trimmer(start: boolean, end: boolean): (text: string) => string {
  if (start && end) return (text) => text.trim();
  if (start) return (text) => text.trimStart();
  if (end) return (text) => text.trimEnd();
  return (text) => text;
}

// White space that no template writes of its own accord, around characters for private use.
const BLANK = "\t \t";
const holder = (index: number) => `\u{F0000}${index}\u{F0001}`;
const MARKS = ["\u{F0002}", "\u{F0003}"] as const;
