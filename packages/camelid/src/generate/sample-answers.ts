import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { generateOnce } from "./generate-once.js";
import { promptIds } from "./prompt-ids.js";
import type { Prompt } from "./read-prompts.js";

export interface SampleAnswer {
  prompt: string;
  text: string;
  finish_reason: "stop" | "length";
}

/** Greedy answers to a few prompts, in the fields of a `sample` event. Draws no random number: training is not disturbed. */
export async function sampleAnswers(
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  { maxNewTokens }: { maxNewTokens: number },
): Promise<SampleAnswer[]> {
  const requests = (await promptIds(prompts, tokenizer)).map((ids) => ({ promptIds: ids, maxNewTokens }));
  const answers = await generateOnce(model, tokenizer, requests);
  return answers.map(([answer], i) => ({
    prompt: promptText(prompts[i]!),
    text: answer!.text,
    finish_reason: answer!.finishReason === "stop" ? "stop" : "length",
  }));
}

function promptText({ content }: Prompt): string {
  return "text" in content ? content.text : content.messages.map((message) => message.content).join("\n");
}
