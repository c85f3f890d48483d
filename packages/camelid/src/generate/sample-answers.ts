import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type DecodeOptions, generateGreedy } from "./decode.js";
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
  options: DecodeOptions,
): Promise<SampleAnswer[]> {
  const decoded = await generateGreedy(model, await promptIds(prompts, tokenizer), options);
  return decoded.map(({ outputIds, finishReason }, i) => ({
    prompt: promptText(prompts[i]!),
    text: tokenizer.decode(outputIds),
    finish_reason: finishReason,
  }));
}

function promptText({ content }: Prompt): string {
  return "text" in content ? content.text : content.messages.map((message) => message.content).join("\n");
}
