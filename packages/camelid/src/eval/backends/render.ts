/** A task's prompts as text and as token ids, through the renderer of training and serving. */
import { chatLayout } from "../../data/chat-layout.js";
import { checkRoleOrder } from "../../data/conversation.js";
import type { RenderedSegment } from "../../data/segments.js";
import { tokenizeSegments } from "../../data/tokenize-segments.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { recogniseTuluTemplate } from "../../tokenizer/tulu-template.js";
import type { Profile, Prompt, TokenTools } from "../task.js";

export interface PromptRenderer {
  /** The text the model gets, special tokens of the template included, BOS left out where the tokenizer adds it. */
  text(prompt: Prompt): string;
  /** Token ids, BOS included where texts of the model start with one; `continuation` is put behind without a break. */
  ids(prompts: readonly { prompt: Prompt; continuation?: string }[]): Promise<Int32Array[]>;
}

/**
 * The paper's code neither trimmed users' texts nor kept special tokens typed in them apart; that profile does the same
 * where the model has the Tülu layout.
 */
export function promptRenderer(tokenizer: Tokenizer, profile: Profile): PromptRenderer {
  const { chatTemplate } = tokenizer;
  const tulu = chatTemplate === undefined || recogniseTuluTemplate(chatTemplate) !== undefined;
  const untrimmedPrompt = profile === "tulu2-paper" && tulu;
  const options = {
    tokenVariant: "B",
    specialTokensInContent: profile === "tulu2-paper" ? "parse" : "text",
  } as const;

  const segmentsOf = (prompt: Prompt): RenderedSegment[] => {
    if ("text" in prompt) return prompt.text === "" ? [] : [plain(prompt.text)];
    checkRoleOrder(prompt.messages, "a prompt of the task");
    const segments = chatLayout(tokenizer).prompt(
      prompt.messages,
      untrimmedPrompt ? { untrimmedPrompt } : {},
    );
    if (prompt.prefix === undefined) return segments;
    const last = segments.at(-1)?.text.at(-1);
    return [...segments, plain(last === "\n" || last === " " ? prompt.prefix : ` ${prompt.prefix}`)];
  };

  return {
    text: (prompt) =>
      segmentsOf(prompt)
        .map(({ text }) => text)
        .join(""),
    async ids(prompts) {
      const rows = prompts.map(({ prompt, continuation }) =>
        continuation === undefined || continuation === ""
          ? segmentsOf(prompt)
          : [...segmentsOf(prompt), plain(continuation)],
      );
      return (await tokenizeSegments(rows, tokenizer, options)).map(({ ids }) => ids);
    },
  };
}

/** What tasks may ask of the tokenizer. */
export function tokenTools(
  tokenizer: Tokenizer,
  renderer: PromptRenderer,
  contextLength: number,
): TokenTools {
  return {
    tokenizer,
    contextLength,
    count: async (prompt) => (await renderer.ids([{ prompt }]))[0]!.length,
  };
}

const plain = (text: string): RenderedSegment => ({ text, trained: false, role: "template" });
