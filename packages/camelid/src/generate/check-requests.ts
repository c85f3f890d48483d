/** Requests are checked before anything is computed: one that can never be answered should not cost the others. */
import { DataError, SettingsError } from "../errors.js";
import { blocksFor, type KvBlocks } from "../model/kv-cache.js";
import type { ModelConfig } from "../model/model-config.js";
import type { GenerationRequest, ScoreRequest } from "./requests.js";

export function checkGeneration(
  request: GenerationRequest,
  index: number,
  config: ModelConfig,
  blocks: KvBlocks,
): void {
  const { promptIds, maxNewTokens, temperature = 0, topP = 1, topK = 1, seed = 0 } = request;
  const { samples = 1, stop = [], topLogprobs = 0 } = request;
  const where = `request ${index + 1}`;
  const demand = (holds: boolean, what: string, fix: string): void => {
    if (!holds) throw new SettingsError("ERR_DECODING", what, { where, fix });
  };
  const whole = (value: number, least: number, most: number): boolean =>
    Number.isSafeInteger(value) && value >= least && value <= most;
  demand(
    whole(maxNewTokens, 1, Number.MAX_SAFE_INTEGER),
    `maxNewTokens is ${maxNewTokens}.`,
    "give 1 or more.",
  );
  demand(temperature >= 0 && temperature < Infinity, `temperature is ${temperature}.`, "give 0 or more.");
  demand(
    topP > 0 && topP <= 1,
    `topP is ${topP}.`,
    "give more than 0, and at most 1, which keeps everything.",
  );
  demand(whole(topK, 1, Number.MAX_SAFE_INTEGER), `topK is ${topK}.`, "give 1 or more, or leave it out.");
  demand(whole(seed, 0, Number.MAX_SAFE_INTEGER), `seed is ${seed}.`, "give an integer from 0 to 2^53 - 1.");
  demand(whole(samples, 1, 2 ** 32), `samples is ${samples}.`, "give 1 or more.");
  demand(!stop.includes(""), "a stop string is empty.", "remove it: an empty text would stop everything.");
  demand(
    whole(topLogprobs, 0, config.vocabSize),
    `topLogprobs is ${topLogprobs}.`,
    `give 0 to ${config.vocabSize}, the size of the vocabulary.`,
  );
  checkPrompt(promptIds, `prompt ${index + 1}`, config);
  if (promptIds.length >= config.maxPositionEmbeddings) {
    throw tooLong(`prompt ${index + 1}`, promptIds.length, config);
  }
  checkRoom(longestText(request, config), blocks, where);
}

export function checkScore(
  { promptIds, continuations }: ScoreRequest,
  index: number,
  config: ModelConfig,
  blocks: KvBlocks,
): void {
  const where = `prompt ${index + 1}`;
  checkPrompt(promptIds, where, config);
  for (const [i, continuation] of continuations.entries()) {
    checkIds(continuation, `${where}, continuation ${i + 1}`, config);
    const length = promptIds.length + continuation.length;
    if (length > config.maxPositionEmbeddings)
      throw tooLong(`${where}, continuation ${i + 1}`, length, config);
    checkRoom(length, blocks, where);
  }
}

/** Most tokens that prompt and output together can come to. */
export function longestText(
  { promptIds, maxNewTokens }: Pick<GenerationRequest, "promptIds" | "maxNewTokens">,
  { maxPositionEmbeddings }: ModelConfig,
): number {
  return Math.min(promptIds.length + maxNewTokens, maxPositionEmbeddings);
}

function checkPrompt(ids: ArrayLike<number>, where: string, config: ModelConfig): void {
  if (ids.length === 0) {
    throw new DataError("ERR_PROMPT_EMPTY", "the prompt has no tokens.", {
      where,
      fix: "give it some text; a tokenizer with a BOS makes even an empty text one token.",
    });
  }
  checkIds(ids, where, config);
}

function checkIds(ids: ArrayLike<number>, where: string, { vocabSize }: ModelConfig): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw new DataError(
      "ERR_PROMPT_TOKEN",
      `token ${i + 1} is ${id}, the model has ids 0 to ${vocabSize - 1}.`,
      {
        where,
        fix: "encode the text with the tokenizer of this model.",
      },
    );
  }
}

function tooLong(where: string, length: number, { maxPositionEmbeddings }: ModelConfig): DataError {
  return new DataError(
    "ERR_PROMPT_TOO_LONG",
    `the text has ${length} tokens, the model's context ${maxPositionEmbeddings}, and a prompt needs room for one more.`,
    { where, fix: "shorten the prompt, or use a model with a longer context." },
  );
}

function checkRoom(tokens: number, blocks: KvBlocks, where: string): void {
  const needed = blocksFor(tokens);
  if (needed <= blocks.numBlocks) return;
  const budget = blocks.numBlocks * blocks.blockBytes;
  throw new DataError(
    "ERR_KV_BUDGET",
    `${tokens} tokens need ${needed * blocks.blockBytes} bytes for keys and values; the budget has room for ${budget}.`,
    { where, fix: `set kvCacheBytes to ${needed * blocks.blockBytes} or more, or ask for fewer tokens.` },
  );
}
