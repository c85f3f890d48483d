import * as torch from "@camelid/torch";
import type { LanguageModel } from "../model/language-model.js";
import { tokenLogps } from "../nn/log-probs.js";
import { packRows } from "../nn/packed-rows.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { generateGreedy } from "./decode.js";
import type { Engine, EngineSettings, Generation, Score } from "./requests.js";

/** @param model stays the caller's: the engine does not dispose of it */
export function createEngine(
  model: LanguageModel,
  tokenizer: Tokenizer,
  settings: EngineSettings = {},
): Engine {
  let generatedTokens = 0;
  const engine: Engine = {
    model,
    tokenizer,
    async generate(requests, options = {}) {
      const results: Generation[][] = [];
      for (const [index, request] of requests.entries()) {
        const samples: Generation[] = [];
        for (let sample = 0; sample < (request.samples ?? 1); sample++) {
          const [decoded] = await generateGreedy(model, [request.promptIds], {
            maxNewTokens: request.maxNewTokens,
            ...(request.stopTokenIds === undefined ? {} : { stopTokenIds: request.stopTokenIds }),
            ...(options.signal === undefined ? {} : { signal: options.signal }),
          });
          const outputIds = decoded?.outputIds ?? new Int32Array(0);
          generatedTokens += outputIds.length;
          const whole = tokenizer.decode(outputIds);
          const cuts = (request.stop ?? []).map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
          samples.push({
            outputIds,
            text: cuts.length > 0 ? whole.slice(0, Math.min(...cuts)) : whole,
            finishReason: cuts.length > 0 ? "stop" : (decoded?.finishReason ?? "cancelled"),
          });
        }
        results.push(samples);
        options.onDone?.(index, samples);
        options.onProgress?.({ done: index + 1, total: requests.length, tokens: generatedTokens });
      }
      return results;
    },
    async *stream(request, options = {}) {
      const [samples] = await engine.generate([request], options);
      for (const [sample, { text, outputIds, finishReason }] of samples!.entries()) {
        yield { sample, text, outputIds: [...outputIds], finishReason };
      }
    },
    async score(requests, options = {}) {
      return requests.map(({ promptIds, continuations }, index) => {
        options.signal?.throwIfAborted();
        const scores = continuations.map((continuation) => scoreOne(model, promptIds, continuation));
        options.onDone?.(index, scores);
        return scores;
      });
    },
    stats: () => ({
      running: 0,
      waiting: 0,
      kvCacheBytes: settings.kvCacheBytes ?? 2 ** 30,
      kvReservedBytes: 0,
      kvUsedBytes: 0,
      kvPeakBytes: 0,
      steps: 0,
      promptTokens: 0,
      reusedTokens: 0,
      generatedTokens,
    }),
    async [Symbol.asyncDispose]() {},
  };
  return engine;
}

function scoreOne(model: LanguageModel, prompt: ArrayLike<number>, continuation: ArrayLike<number>): Score {
  return torch.noGrad(() => {
    using _ = torch.tensorScope();
    const count = continuation.length;
    const packed = packRows([[...Array.from(prompt), ...Array.from(continuation)]], model.device);
    const hidden = model.hiddenStates(packed).narrow(0, prompt.length - 1, count);
    const ids = BigInt64Array.from(Array.from(continuation, BigInt));
    const best = torch.linear(hidden, model.headWeight).argmax(-1).toArray();
    const logps = tokenLogps(hidden, model.headWeight, torch.tensor(ids, { device: model.device }));
    const tokenLogps_ = logps.toTypedArray() as Float32Array;
    return {
      logp: tokenLogps_.reduce((sum, logp) => sum + logp, 0),
      tokenLogps: tokenLogps_,
      isGreedy: best.every((id, i) => id === continuation[i]),
    };
  });
}
