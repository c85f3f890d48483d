import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { longestText } from "./check-requests.js";
import type { Queue } from "./engine.js";
import type { FinishReason, Generation, GenerationRequest, TokenLogprob } from "./requests.js";
import { choiceOf } from "./sampling.js";
import type { WrittenSequence } from "./step.js";
import { TextStream } from "./text-stream.js";

export interface SampleListener {
  /** A token that belongs to the output. */
  onToken?(id: number, logprob: TokenLogprob | undefined): void;
  /** Text as it becomes certain; given only where somebody listens, because it costs decoding. */
  onText?(text: string): void;
  onEnd(generation: Generation): void;
  onFailure(error: unknown): void;
}

/**
 * Hands one sample of a request to the engine.
 * @returns a function that ends it as it is; without effect after its end
 */
export function writeSample(
  queue: Queue,
  model: LanguageModel,
  tokenizer: Tokenizer,
  request: GenerationRequest,
  sample: number,
  listener: SampleListener,
): () => void {
  const prompt = Array.from(request.promptIds);
  const longest = longestText(request, model.config);
  const endTokens = new Set(request.stopTokenIds ?? model.config.eosTokenIds);
  const stops = request.stop ?? [];
  // Without stop strings and listeners the text is decoded once, at the end.
  const stream =
    stops.length > 0 || listener.onText !== undefined ? new TextStream(tokenizer, stops) : undefined;
  const logprobs: TokenLogprob[] = [];
  let ended = false;

  const end = (finishReason: FinishReason): void => {
    if (ended) return;
    ended = true;
    queue.remove(sequence);
    const outputIds = Int32Array.from(sequence.tokens.slice(prompt.length));
    const rest = stream?.finish();
    if (rest) listener.onText?.(rest);
    listener.onEnd({
      outputIds,
      text: stream?.text ?? tokenizer.decode(outputIds),
      // The last characters may complete a stop string only when it is known that no byte follows.
      finishReason: stream?.stopped ? "stop" : finishReason,
      ...(request.topLogprobs === undefined ? {} : { logprobs }),
    });
  };

  const sequence: WrittenSequence = {
    kind: "written",
    tokens: [...prompt],
    promptLength: prompt.length,
    computed: 0,
    blocks: [],
    nodes: [],
    choice: choiceOf(request, sample),
    topLogprobs: request.topLogprobs,
    // The last token is always computed: its output is the next one.
    reusable: () => sequence.tokens.length - 1,
    take(id, logprob) {
      if (ended) return;
      if (endTokens.has(id)) return end("stop");
      sequence.tokens.push(id);
      if (logprob !== undefined) logprobs.push(logprob);
      listener.onToken?.(id, logprob);
      const text = stream?.push(id);
      if (text) listener.onText?.(text);
      if (stream?.stopped) end("stop");
      else if (sequence.tokens.length >= longest) end("length");
    },
  };
  queue.add(sequence, (error) => {
    ended = true;
    listener.onFailure(error);
  });
  return () => end("cancelled");
}
