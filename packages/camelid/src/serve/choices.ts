/** The engine's answers to all prompts of a request, as numbered choices. */
import type { Engine, FinishReason, TokenLogprob } from "../generate/requests.js";
import type { Plan } from "./plan-request.js";

export interface Piece {
  /** Which choice. */
  index: number;
  text: string;
  tokens: number;
  logprobs?: TokenLogprob[] | undefined;
  finishReason?: FinishReason | undefined;
}

/** Pieces as they become certain. Leaving the loop, or the signal, ends what is under way. */
export async function* choicePieces(engine: Engine, plan: Plan, signal: AbortSignal): AsyncGenerator<Piece> {
  const streams = plan.prompts.map((request) => engine.stream(request, { signal })[Symbol.asyncIterator]());
  const next = async (prompt: number) => ({ prompt, result: await streams[prompt]!.next() });
  const waiting = new Map(streams.map((_, prompt) => [prompt, next(prompt)]));
  try {
    while (waiting.size > 0) {
      const { prompt, result } = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(prompt);
        continue;
      }
      waiting.set(prompt, next(prompt));
      const { sample, text, outputIds, logprobs, finishReason } = result.value;
      yield { index: prompt * plan.n + sample, text, tokens: outputIds.length, logprobs, finishReason };
    }
  } finally {
    for (const stream of streams) void stream.return?.();
  }
}

export type Choice = Required<Omit<Piece, "logprobs">> & Pick<Piece, "logprobs">;

/** The same pieces, joined. */
export async function wholeChoices(pieces: AsyncIterable<Piece>): Promise<Choice[]> {
  const choices: Choice[] = [];
  for await (const { index, text, tokens, logprobs, finishReason } of pieces) {
    choices[index] ??= { index, text: "", tokens: 0, finishReason: "length", logprobs: logprobs && [] };
    const choice = choices[index];
    choice.text += text;
    choice.tokens += tokens;
    if (logprobs !== undefined) choice.logprobs?.push(...logprobs);
    if (finishReason !== undefined) choice.finishReason = finishReason;
  }
  return choices;
}
