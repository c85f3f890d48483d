import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Queue } from "./engine.js";
import type { GenerateOptions, Generation, GenerationRequest } from "./requests.js";
import { writeSample } from "./write-sample.js";

/** Every sample of every request is a sequence of its own; beginnings are shared in the cache. */
export function generateAll(
  queue: Queue,
  model: LanguageModel,
  tokenizer: Tokenizer,
  requests: readonly GenerationRequest[],
  { signal, onDone, onProgress }: GenerateOptions,
): Promise<Generation[][]> {
  return new Promise((resolve, reject) => {
    const results: Generation[][] = requests.map(() => []);
    const missing = requests.map(({ samples = 1 }) => samples);
    let done = 0;
    let tokens = 0;
    const cancels: (() => void)[] = [];
    let settled = false;
    const settle = (end: () => void): void => {
      settled = true;
      signal?.removeEventListener("abort", cancelAll);
      end();
    };
    const cancelAll = (): void => {
      for (const cancel of cancels) cancel();
    };
    const fail = (error: unknown): void => {
      if (settled) return;
      settle(() => reject(error));
      cancelAll();
    };
    /** What callbacks throw ends this call, not the engine. */
    const tell = (callback: () => void): void => {
      if (settled) return;
      try {
        callback();
      } catch (error) {
        fail(error);
      }
    };

    if (requests.length === 0) resolve(results);
    for (const [index, request] of requests.entries()) {
      for (let sample = 0; sample < (request.samples ?? 1); sample++) {
        const cancel = writeSample(queue, model, tokenizer, request, sample, {
          onToken() {
            tokens++;
            tell(() => onProgress?.({ done, total: requests.length, tokens }));
          },
          onEnd(generation) {
            results[index]![sample] = generation;
            if (--missing[index]! > 0) return;
            done++;
            tell(() => {
              onDone?.(index, results[index]!);
              onProgress?.({ done, total: requests.length, tokens });
            });
            if (done === requests.length && !settled) settle(() => resolve(results));
          },
          onFailure: fail,
        });
        cancels.push(cancel);
      }
    }
    if (signal?.aborted) cancelAll();
    else signal?.addEventListener("abort", cancelAll, { once: true });
  });
}
