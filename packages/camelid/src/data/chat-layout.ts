import { compileChatTemplate } from "../tokenizer/chat-template.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { recogniseTuluTemplate } from "../tokenizer/tulu-template.js";
import type { Message } from "./conversation.js";
import type { RenderedSegment } from "./segments.js";
import { templateLayout } from "./template-layout.js";
import { tuluLayout } from "./tulu-layout.js";

export interface PromptOptions {
  /** Leave system and user contents of a prompt untrimmed, as the original Tülu evaluation did. Tülu layout only. */
  untrimmedPrompt?: boolean;
}

/** How a model writes conversations down. */
export interface ChatLayout {
  /** The text of a whole conversation, for training. */
  conversation(messages: readonly Message[]): RenderedSegment[];
  /** The text up to where the model begins to answer. */
  prompt(messages: readonly Message[], options?: PromptOptions): RenderedSegment[];
}

const layouts = new WeakMap<Tokenizer, ChatLayout>();

/** The folder's chat template, or the Tülu layout where the folder has none (or has that very template). */
export function chatLayout(tokenizer: Tokenizer): ChatLayout {
  const known = layouts.get(tokenizer);
  if (known !== undefined) return known;
  const layout = makeLayout(tokenizer);
  layouts.set(tokenizer, layout);
  return layout;
}

function makeLayout(tokenizer: Tokenizer): ChatLayout {
  const source = tokenizer.chatTemplate;
  if (source === undefined) return tuluLayout(tokenizer, tokenizer.addsBos);
  const shipped = recogniseTuluTemplate(source);
  if (shipped !== undefined) return tuluLayout(tokenizer, shipped.addsBos);
  return templateLayout(compileChatTemplate(source, tokenizer, tokenizer.folder), tokenizer.specials);
}
