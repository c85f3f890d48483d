/** Decoding with a KV cache, several prompts at once. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { DataError } from "../errors.js";
import { createKvCache } from "../model/kv-cache.js";
import type { LanguageModel } from "../model/language-model.js";
import { packRows } from "../nn/packed-rows.js";

export interface DecodeOptions {
  maxNewTokens: number;
  /** Any of these ends a text; the model's own end tokens when left out. */
  stopTokenIds?: readonly number[];
  /** Prompts decoded together. */
  batchSize?: number;
  /** Called between two steps, with every token decoded so far: for progress, and to let signals through. */
  onStep?: (newTokens: number) => Promise<void> | void;
  signal?: AbortSignal;
}

export interface Decoded {
  /** New tokens, without the one that ended the text. */
  outputIds: Int32Array;
  /** `stop`: the model ended the text; `length`: it was cut at `maxNewTokens` or at the model's longest context. */
  finishReason: "stop" | "length";
}

/**
 * Greedy continuations: at every step the most likely token, the smallest id among equals.
 * @param prompts token ids, BOS included; none may be empty
 * @returns one result per prompt, in order; fewer when `signal` is aborted
 * @throws {DataError} ERR_PROMPT_EMPTY, ERR_PROMPT_TOO_LONG
 */
export async function generateGreedy(
  model: LanguageModel,
  prompts: readonly ArrayLike<number>[],
  options: DecodeOptions,
): Promise<Decoded[]> {
  const { batchSize = 16 } = options;
  for (const [index, prompt] of prompts.entries()) {
    checkPrompt(prompt, index, model.config.maxPositionEmbeddings);
  }
  const results: Decoded[] = [];
  for (let at = 0; at < prompts.length && !options.signal?.aborted; at += batchSize) {
    results.push(...(await decodeBatch(model, prompts.slice(at, at + batchSize), options)));
  }
  return results;
}

interface Sequence {
  place: number;
  output: number[];
  /** Most tokens it may still get. */
  limit: number;
}

async function decodeBatch(
  model: LanguageModel,
  prompts: readonly ArrayLike<number>[],
  options: DecodeOptions,
): Promise<Decoded[]> {
  const stops = new Set(options.stopTokenIds ?? model.config.eosTokenIds);
  const context = model.config.maxPositionEmbeddings;
  const results: Decoded[] = [];
  let active: Sequence[] = prompts.map((prompt, place) => ({
    place,
    output: [],
    limit: Math.min(options.maxNewTokens, context - prompt.length),
  }));
  using cache = createKvCache(
    model.config,
    active.map(({ place, limit }) => prompts[place]!.length + limit),
    model,
  );
  let next: ArrayLike<number>[] = [...prompts];
  let decoded = 0;
  while (active.length > 0 && !options.signal?.aborted) {
    const tokens = nextTokens(model, next, cache);
    decoded += tokens.length;
    const going: number[] = [];
    active.forEach((sequence, i) => {
      const token = tokens[i]!;
      const stopped = stops.has(token);
      if (!stopped) sequence.output.push(token);
      if (stopped || sequence.output.length >= sequence.limit) {
        results[sequence.place] = {
          outputIds: Int32Array.from(sequence.output),
          finishReason: stopped ? "stop" : "length",
        };
      } else {
        going.push(i);
      }
    });
    if (going.length < active.length) cache.retain(going);
    active = going.map((i) => active[i]!);
    next = active.map(({ output }) => output.slice(-1));
    await options.onStep?.(decoded);
  }
  for (const { place, output } of active) {
    results[place] = { outputIds: Int32Array.from(output), finishReason: "length" };
  }
  return results;
}

/** Feeds each sequence its new tokens and takes the most likely next one. Only last positions meet the head. */
function nextTokens(
  model: LanguageModel,
  rows: readonly ArrayLike<number>[],
  cache: ReturnType<typeof createKvCache>,
): number[] {
  return torch.noGrad(() => {
    using _ = torch.tensorScope();
    const packed = packRows(rows, model.device, cache.lengths);
    const hidden = model
      .hiddenStates(packed, cache)
      .indexSelect(0, lastPositions(packed.lengths, model.device));
    return torch.linear(hidden, model.headWeight).argmax(-1).toArray();
  });
}

function lastPositions(lengths: readonly number[], device: string): Tensor {
  let end = 0;
  const positions = lengths.map((length) => {
    end += length;
    return BigInt(end - 1);
  });
  return torch.tensor(BigInt64Array.from(positions), { device });
}

function checkPrompt(prompt: ArrayLike<number>, index: number, context: number): void {
  if (prompt.length === 0) {
    throw new DataError("ERR_PROMPT_EMPTY", "the prompt has no tokens.", {
      where: `prompt ${index + 1}`,
      fix: "give it some text; a tokenizer with a BOS makes even an empty text one token.",
    });
  }
  if (prompt.length >= context) {
    throw new DataError(
      "ERR_PROMPT_TOO_LONG",
      `the prompt has ${prompt.length} tokens, the model's context ${context}.`,
      {
        where: `prompt ${index + 1}`,
        fix: "shorten the prompt, or use a model with a longer context.",
      },
    );
  }
}
