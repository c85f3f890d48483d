import { DataError } from "../errors.js";
import type { ChatTemplate } from "../tokenizer/chat-template.js";
import type { SpecialMatcher } from "../tokenizer/special-tokens.js";
import type { ChatLayout } from "./chat-layout.js";
import { learnSkeleton, type Skeleton } from "./chat-skeleton.js";
import type { Message } from "./conversation.js";
import { protectContents } from "./protected-contents.js";
import type { ContentRange, RenderedSegment } from "./segments.js";
import { cutSegments } from "./segments.js";
import { promptRenderer, type TextRenderer, trainingRenderer } from "./trained-ranges.js";

/**
 * Any Jinja chat template. What the model itself writes is found in one of two ways:
 *
 * - the template says so with `{% generation %}` tags, or
 * - by prefixes: the text up to an answer is the conversation so far with a generation prompt, the answer ends where
 *   the conversation including it ends. Templates that rewrite earlier turns break this and are refused.
 *
 * Rendering every prefix of every row would cost a template run per message. Most templates only copy contents, so the
 * layout of a sequence of roles is learnt once (`Skeleton`) and filled in. Where the template's source does not prove
 * that it only copies, each row is rendered once and compared with the filled skeleton; rows that differ go the long way.
 */
export function templateLayout(template: ChatTemplate, specials: SpecialMatcher): ChatLayout {
  const training = segmenter(template, specials, trainingRenderer(template, specials), false);
  const prompting = segmenter(template, specials, promptRenderer(template), true);
  return {
    conversation: training,
    prompt(messages, { untrimmedPrompt = false } = {}) {
      if (!untrimmedPrompt) return prompting(messages);
      throw new DataError("ERR_UNTRIMMED_PROMPT", "untrimmed prompts belong to the Tülu layout.", {
        fix: "leave `untrimmedPrompt` off: this model's chat template decides what is trimmed.",
      });
    },
  };
}

function segmenter(
  template: ChatTemplate,
  specials: SpecialMatcher,
  render: TextRenderer,
  addGenerationPrompt: boolean,
): (messages: readonly Message[]) => RenderedSegment[] {
  const skeletons = new Map<string, Skeleton | undefined>();
  const skeletonOf = (messages: readonly Message[]): Skeleton | undefined => {
    const roles = messages.map(({ role }) => role).join(" ");
    if (!skeletons.has(roles)) skeletons.set(roles, learnSkeleton(render, specials, messages));
    return skeletons.get(roles);
  };
  const agrees = (segments: readonly RenderedSegment[], messages: readonly Message[]): boolean =>
    segments.map(({ text }) => text).join("") === template.render(messages, { addGenerationPrompt });
  return (messages) => {
    const segments = skeletonOf(messages)?.fill(messages);
    if (segments !== undefined && (template.copiesContents || agrees(segments, messages))) return segments;
    return segmentsByRendering(render, specials, messages);
  };
}

/** The general way: contents are protected from being read as special tokens, then looked up in the rendered text. */
function segmentsByRendering(
  render: TextRenderer,
  specials: SpecialMatcher,
  messages: readonly Message[],
): RenderedSegment[] {
  const row = protectContents(messages, specials);
  const { text, trained } = render(row.messages, row.marks);
  const contents = locateContents(text, row.messages, specials);
  return cutSegments(text, contents, trained, specials).map((segment) => ({
    ...segment,
    text: row.restore(segment.text),
  }));
}

/** Contents in order, each searched behind the one before. One that the template changed counts as template text. */
function locateContents(
  text: string,
  messages: readonly Message[],
  specials: SpecialMatcher,
): ContentRange[] {
  const taken = specials.find(text);
  const found: ContentRange[] = [];
  let position = 0;
  for (const { role, content } of messages) {
    const trimmed = content.trim();
    if (trimmed.length === 0) continue;
    let start = text.indexOf(trimmed, position);
    while (start >= 0 && taken.some((match) => match.start < start + trimmed.length && match.end > start)) {
      start = text.indexOf(trimmed, start + 1);
    }
    if (start < 0) continue;
    position = start + trimmed.length;
    found.push({ start, end: position, role });
  }
  return found;
}
