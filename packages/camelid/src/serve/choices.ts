/** The engine's answers to all prompts of a request, as numbered choices. */
import type { Engine, FinishReason, GenerationDelta, TokenLogprob } from "../generate/requests.js";
import type { Plan } from "./plan-request.js";

export interface Piece {
  /** Which choice. */
  index: number;
  text: string;
  tokens: number;
  logprobs?: TokenLogprob[] | undefined;
  finishReason?: FinishReason | undefined;
}

/**
 * Pieces as they become certain. Leaving the loop, or the signal, ends what is under way.
 * @throws what the engine says of the request, before anything is computed or answered
 */
export function choicePieces(engine: Engine, plan: Plan, signal: AbortSignal): AsyncGenerator<Piece> {
  return numbered(
    plan.prompts.map((request) => engine.stream(request, { signal })),
    plan.n,
  );
}

async function* numbered(
  streams: readonly AsyncIterable<GenerationDelta>[],
  n: number,
): AsyncGenerator<Piece> {
  const piece = (prompt: number, delta: GenerationDelta): Piece => ({
    index: prompt * n + delta.sample,
    text: delta.text,
    tokens: delta.outputIds.length,
    logprobs: delta.logprobs,
    finishReason: delta.finishReason,
  });
  if (streams.length === 1) {
    for await (const delta of streams[0]!) yield piece(0, delta);
    return;
  }
  const iterators = streams.map((stream) => stream[Symbol.asyncIterator]());
  const next = async (prompt: number) => ({ prompt, result: await iterators[prompt]!.next() });
  const waiting = new Map(iterators.map((_, prompt) => [prompt, next(prompt)]));
  try {
    while (waiting.size > 0) {
      const { prompt, result } = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(prompt);
        continue;
      }
      waiting.set(prompt, next(prompt));
      yield piece(prompt, result.value);
    }
  } finally {
    // Nobody waits for them any more; a failure that nobody hears would end the process.
    for (const piece of waiting.values()) piece.catch(() => {});
    for (const iterator of iterators) iterator.return?.().catch(() => {});
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
