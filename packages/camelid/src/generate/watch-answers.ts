/** What a model says to the same prompts before and after training, and how long it speaks. */
import type { PairRow } from "../data/pair-rows.js";
import { IGNORE_INDEX } from "../data/render.js";
import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { generateOnce } from "./generate-once.js";
import { promptIds } from "./prompt-ids.js";
import { type Prompt, readPrompts } from "./read-prompts.js";
import type { SampleAnswer } from "./sample-answers.js";

export interface WatchedPrompt {
  readonly ids: ArrayLike<number>;
  readonly text: string;
  /** The answer that the data prefers. */
  readonly reference?: string;
}

export interface AnswerPromptSettings {
  /** A file of prompts; takes the place of the pairs' own. */
  samplePrompts: string | null;
  /** How many of the pairs' prompts; null for none. */
  answerPrompts: number | null;
  maxNewTokens: number;
}

/**
 * @param pairs whose prompts may be taken, from all over the list; those that leave no room for an answer are passed over
 * @param context the model's longest row, in tokens
 * @throws {DataError} of the file samplePrompts
 */
export async function promptsToWatch(
  { samplePrompts, answerPrompts, maxNewTokens }: AnswerPromptSettings,
  pairs: readonly PairRow[],
  tokenizer: Tokenizer,
  context: number,
): Promise<WatchedPrompt[]> {
  if (samplePrompts !== null) return fromFile(await readPrompts(samplePrompts), tokenizer);
  const fitting = pairs.filter(({ promptTokens }) => promptTokens + maxNewTokens <= context);
  const count = Math.min(answerPrompts ?? 0, fitting.length);
  return Array.from({ length: count }, (_, i) =>
    fromPair(fitting[Math.floor((i * fitting.length) / count)]!, tokenizer),
  );
}

async function fromFile(prompts: readonly Prompt[], tokenizer: Tokenizer): Promise<WatchedPrompt[]> {
  const ids = await promptIds(prompts, tokenizer);
  return prompts.map(({ content }, i) => ({
    ids: ids[i]!,
    text: "text" in content ? content.text : content.messages.map((message) => message.content).join("\n"),
  }));
}

function fromPair({ chosen, promptTokens }: PairRow, tokenizer: Tokenizer): WatchedPrompt {
  const { inputIds, labels } = chosen;
  return {
    ids: inputIds.subarray(0, promptTokens),
    text: tokenizer.decode(inputIds.subarray(0, promptTokens)),
    reference: tokenizer.decode(inputIds.filter((_, at) => labels[at] !== IGNORE_INDEX)),
  };
}

export interface WatchedAnswers {
  /** In the fields of a `sample` event. */
  samples: (SampleAnswer & { reference?: string })[];
  /** Means over the answers; `answers/ended` is the share that the model ended itself. */
  metrics: Record<"answers/prompts" | "answers/tokens" | "answers/characters" | "answers/ended", number>;
}

/** Greedy answers, so that nothing random is drawn: training is not disturbed. @param prompts at least one */
export async function watchAnswers(
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompts: readonly WatchedPrompt[],
  { maxNewTokens }: { maxNewTokens: number },
): Promise<WatchedAnswers> {
  const requests = prompts.map(({ ids }) => ({ promptIds: ids, maxNewTokens }));
  const answers = (await generateOnce(model, tokenizer, requests)).map(([answer]) => answer!);
  const samples = answers.map(({ text, finishReason }, i) => {
    const { text: prompt, reference } = prompts[i]!;
    const finish_reason = finishReason === "stop" ? ("stop" as const) : ("length" as const);
    return { prompt, text, finish_reason, ...(reference !== undefined && { reference }) };
  });
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    samples,
    metrics: {
      "answers/prompts": samples.length,
      "answers/tokens": mean(answers.map(({ outputIds }) => outputIds.length)),
      "answers/characters": mean(samples.map(({ text }) => text.length)),
      "answers/ended": mean(samples.map(({ finish_reason }) => (finish_reason === "stop" ? 1 : 0))),
    },
  };
}
