import { DataError } from "../errors.js";
import type { ChatTemplate } from "../tokenizer/chat-template.js";
import type { SpecialMatcher } from "../tokenizer/special-tokens.js";
import type { Message } from "./conversation.js";
import type { Range } from "./segments.js";

/** A rendered conversation and the stretches of it that the model itself writes. */
interface RenderedText {
  readonly text: string;
  readonly trained: readonly Range[];
}

/** Renders messages that hold no special token's text; `marks` are two characters that occur in no content. */
export type TextRenderer = (
  messages: readonly Message[],
  marks: readonly [start: string, end: string],
) => RenderedText;

/** For inference: nothing is trained, so earlier turns may be rewritten as the template likes. */
export function promptRenderer(template: ChatTemplate): TextRenderer {
  return (messages) => ({ text: template.render(messages, { addGenerationPrompt: true }), trained: [] });
}

/**
 * For training: finds what is trained by the template's generation tags, or by prefixes. The renderer throws a DataError
 * ERR_TEMPLATE_NOT_PREFIX when the template has no tags and rewrites earlier turns.
 */
export function trainingRenderer(template: ChatTemplate, specials: SpecialMatcher): TextRenderer {
  return (messages, marks) => {
    if (template.marksGeneration)
      return readMarks(template.render(messages, { generationMarks: marks }), marks);
    const text = template.render(messages);
    const trained = messages.flatMap(({ role }, index) =>
      role === "assistant" ? [answerRange(template, specials, messages, index, text)] : [],
    );
    return { text, trained };
  };
}

function readMarks(marked: string, [start, end]: readonly [string, string]): RenderedText {
  const trained: Range[] = [];
  let text = "";
  for (const part of marked.split(start)) {
    const close = part.indexOf(end);
    if (close >= 0) trained.push({ start: text.length, end: text.length + close });
    text += part.replace(end, "");
  }
  return { text, trained };
}

function answerRange(
  template: ChatTemplate,
  specials: SpecialMatcher,
  messages: readonly Message[],
  index: number,
  text: string,
): Range {
  const before = template.render(messages.slice(0, index), { addGenerationPrompt: true });
  const after = template.render(messages.slice(0, index + 1));
  if (!text.startsWith(after) || !after.startsWith(before)) throw notAPrefix(index, text.startsWith(after));
  return { start: before.length, end: endOfTurn(after, before.length, specials) };
}

/** The turn ends with the template's terminator; a line feed after it is layout and carries no loss. */
function endOfTurn(text: string, start: number, specials: SpecialMatcher): number {
  const last = specials.find(text.slice(start)).at(-1);
  if (last === undefined) return text.length;
  const terminator = start + last.end;
  return text.slice(terminator).trim().length === 0 ? terminator : text.length;
}

function notAPrefix(index: number, answerStays: boolean): DataError {
  const problem = answerStays
    ? "the generation prompt is not how the answer begins in the finished conversation"
    : "an answer is written differently once the conversation goes on";
  return new DataError("ERR_TEMPLATE_NOT_PREFIX", `the chat template rewrites earlier text: ${problem}.`, {
    where: `messages[${index}]`,
    fix:
      "use a template that marks answers with {% generation %} tags, one that keeps earlier turns as they were, or rows " +
      "with one answer each.",
  });
}
