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
  const chats = prompts.flatMap(({ content }) => ("messages" in content ? [content.messages] : []));
  const rendered = await renderPrompts(chats, tokenizer);
  const bos = tokenizer.addsBos ? [tokenizer.bosTokenId!] : [];
  let chat = 0;
  const ids: ArrayLike<number>[] = [];
  for (const { content } of prompts) {
    ids.push("messages" in content ? rendered[chat++]! : [...bos, ...(await tokenizer.encode(content.text))]);
  }
  return ids;
}
