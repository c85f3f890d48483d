import { renderPrompts } from "../data/render.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Prompt } from "./read-prompts.js";

/**
 * Token ids that the model continues: a conversation through the chat template, plain text after the BOS where texts of
 * this model start with one (a tokenizer may name a BOS and never use it).
 */
export async function promptIds(
  prompts: readonly Prompt[],
  tokenizer: Tokenizer,
): Promise<ArrayLike<number>[]> {
  const chats = await renderPrompts(
    prompts.flatMap(({ content }) => ("messages" in content ? [content.messages] : [])),
    tokenizer,
  );
  const texts = await tokenizer.encodeBatch(
    prompts.flatMap(({ content }) => ("text" in content ? [content.text] : [])),
    { addSpecialTokens: true },
  );
  // Both lists are in the order of the prompts.
  let chat = 0;
  let text = 0;
  return prompts.map(({ content }) => ("messages" in content ? chats[chat++]! : texts[text++]!));
}
