import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Queue } from "./engine.js";
import type { GenerationDelta, GenerationRequest } from "./requests.js";
import { writeSample } from "./write-sample.js";

/** The samples of one request, piece by piece. Whoever stops reading ends the request. */
export async function* streamOne(
  queue: Queue,
  model: LanguageModel,
  tokenizer: Tokenizer,
  request: GenerationRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<GenerationDelta> {
  const ready: GenerationDelta[] = [];
  let failure: { error: unknown } | undefined;
  let wake: (() => void) | undefined;
  let open = request.samples ?? 1;
  const give = (delta: GenerationDelta): void => {
    ready.push(delta);
    wake?.();
  };
  const wantsLogprobs = request.topLogprobs !== undefined;
  const newDelta = (sample: number): GenerationDelta => ({
    sample,
    text: "",
    outputIds: [],
    ...(wantsLogprobs ? { logprobs: [] } : {}),
  });
  const cancels = Array.from({ length: open }, (_, sample) => {
    // Tokens gather until their text is certain.
    let gathered = newDelta(sample);
    return writeSample(queue, model, tokenizer, request, sample, {
      onToken(id, logprob) {
        gathered.outputIds.push(id);
        if (logprob !== undefined) gathered.logprobs?.push(logprob);
      },
      onText(text) {
        give({ ...gathered, text });
        gathered = newDelta(sample);
      },
      onEnd({ finishReason }) {
        open--;
        give({ ...gathered, finishReason });
      },
      onFailure(error) {
        failure = { error };
        wake?.();
      },
    });
  });
  const cancel = (): void => {
    for (const end of cancels) end();
  };
  if (signal?.aborted) cancel();
  else signal?.addEventListener("abort", cancel, { once: true });
  try {
    while (true) {
      for (let delta = ready.shift(); delta !== undefined; delta = ready.shift()) yield delta;
      if (failure !== undefined) throw failure.error;
      if (open === 0) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    cancel();
  }
}
