/** Requests answered by our own engine. */
import type { Engine, Generation, GenerationRequest, Score, ScoreRequest } from "../../generate/requests.js";
import type { Asked, Backend, Outcome } from "../backend.js";
import { keyOf } from "../canonical.js";
import type { GenerateAnswer, Profile, TaskRequest } from "../task.js";
import { promptRenderer } from "./render.js";
import { type Prepared, prepareScores, prepareText, scoreAnswer, textAnswer } from "./scoring.js";

export interface EngineBackendOptions {
  engine: Engine;
  /** For people: the model folder. */
  name: string;
  /** Hash of weights, tokenizer and precision: what answers belong to. */
  identity: string;
  profile: Profile;
}

/** Requests that go to the engine in one call: enough to keep it full, few enough that their ids fit into memory. */
const PER_CALL = 2048;

/** The engine stays the caller's. */
export function engineBackend({ engine, name, identity, profile }: EngineBackendOptions): Backend {
  const renderer = promptRenderer(engine.tokenizer, profile);
  const context = engine.model.config.maxPositionEmbeddings;
  const prepared = new WeakMap<TaskRequest, Prepared>();
  const counts = { requests: 0, generated_tokens: 0 };

  async function prepare(batch: readonly Asked[]): Promise<Prepared[]> {
    const fresh = batch.map(({ request }) => request).filter((request) => !prepared.has(request));
    const generated = fresh.filter((request) => request.kind === "generate");
    const scored = fresh.filter((request) => request.kind === "score");
    const ids = await renderer.ids(generated);
    for (const [i, request] of generated.entries()) {
      prepared.set(request, { kind: "generate", promptIds: ids[i]! });
    }
    const parts = await prepareScores(scored, engine.tokenizer, renderer);
    for (const [i, request] of scored.entries()) prepared.set(request, parts[i]!);
    for (const request of fresh) {
      if (request.kind === "text") prepared.set(request, await prepareText(request, renderer, context));
      else if (request.kind === "classify") prepared.set(request, { kind: "classify" });
    }
    return batch.map(({ request }) => prepared.get(request)!);
  }

  async function askSome(
    batch: readonly Asked[],
    onOutcome: (index: number, outcome: Outcome) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const parts = await prepare(batch);
    const generations: { index: number; request: GenerationRequest }[] = [];
    const scores: { index: number; requests: readonly ScoreRequest[] }[] = [];
    parts.forEach((part, index) => {
      const { request, seed, where } = batch[index]!;
      const longest = longestOf(part);
      if (part.kind === "classify" || request.kind === "classify") {
        onOutcome(index, refuse("unsupported", "a language model does not classify texts"));
      } else if (longest > context || (part.kind === "generate" && longest >= context)) {
        onOutcome(
          index,
          refuse("prompt-too-long", `${where}: ${longest} tokens, the context holds ${context}`),
        );
      } else if (part.kind === "generate" && request.kind === "generate") {
        generations.push({ index, request: generationRequest(request, part.promptIds, seed) });
      } else if (part.kind !== "generate") {
        scores.push({ index, requests: part.requests });
      }
    });
    counts.requests += batch.length;

    if (generations.length > 0 && !signal.aborted) {
      const told = generations.map(({ request }) => request);
      await engine.generate(told, {
        signal,
        onDone(i, samples) {
          if (samples.some(({ finishReason }) => finishReason === "cancelled")) return;
          const { index, request } = generations[i]!;
          for (const { outputIds } of samples) counts.generated_tokens += outputIds.length;
          onOutcome(index, { answer: generateAnswer(samples, request.promptIds.length, engine) });
        },
      });
    }
    if (scores.length > 0 && !signal.aborted) await askScores(batch, scores, onOutcome, signal);
  }

  async function askScores(
    batch: readonly Asked[],
    scores: readonly { index: number; requests: readonly ScoreRequest[] }[],
    onOutcome: (index: number, outcome: Outcome) => void,
    signal: AbortSignal,
  ): Promise<void> {
    // One task request may be several of the engine's; its answer is known when all of them are.
    const owners = scores.flatMap((entry) => entry.requests.map((_, part) => ({ entry, part })));
    const results = new Map<number, Score[][]>(scores.map(({ index }) => [index, []]));
    const left = new Map(scores.map(({ index, requests }) => [index, requests.length]));
    const done = (at: number, found: Score[]) => {
      const { entry, part } = owners[at]!;
      const all = results.get(entry.index)!;
      all[part] = found;
      const waiting = left.get(entry.index)! - 1;
      left.set(entry.index, waiting);
      if (waiting > 0) return;
      const own = prepared.get(batch[entry.index]!.request)!;
      if (own.kind === "score") onOutcome(entry.index, { answer: scoreAnswer(own, all) });
      else if (own.kind === "text") onOutcome(entry.index, { answer: textAnswer(all) });
    };
    for (const { index, requests } of scores) {
      if (requests.length === 0) onOutcome(index, { answer: textAnswer([]) });
    }
    try {
      await engine.score(
        owners.map(({ entry, part }) => entry.requests[part]!),
        { signal, onDone: done },
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  return {
    name,
    identity: keyOf({ identity, profile: profile === "tulu2-paper" ? "untrimmed" : "" }),
    canScore: true,
    show: renderer.text,
    async keys(batch) {
      const parts = await prepare(batch);
      return parts.map((part, i) => keyOf({ ids: idsOf(part), decoding: decodingOf(batch[i]!) }));
    },
    async ask(batch, onOutcome, signal) {
      for (let at = 0; at < batch.length && !signal.aborted; at += PER_CALL) {
        const some = batch.slice(at, at + PER_CALL);
        await askSome(some, (index, outcome) => onOutcome(at + index, outcome), signal);
      }
    },
    stats: () => ({ ...counts }),
    async [Symbol.asyncDispose]() {},
  };
}

function longestOf(part: Prepared): number {
  if (part.kind === "generate") return part.promptIds.length;
  if (part.kind === "classify") return 0;
  let longest = 0;
  for (const { promptIds, continuations } of part.requests) {
    for (const continuation of continuations)
      longest = Math.max(longest, promptIds.length + continuation.length);
  }
  return longest;
}

function idsOf(part: Prepared): unknown {
  if (part.kind === "generate") return Array.from(part.promptIds);
  if (part.kind === "classify") return [];
  return part.requests.map(({ promptIds, continuations }) => [
    Array.from(promptIds),
    continuations.map((ids) => Array.from(ids)),
  ]);
}

/** What besides the ids decides an answer; greedy answers do not depend on a seed. */
function decodingOf({ request, seed }: Asked): unknown {
  if (request.kind !== "generate") return { kind: request.kind };
  const { maxNewTokens, temperature = 0, topP, samples = 1, stop = [], topLogprobs } = request;
  return {
    maxNewTokens,
    temperature,
    topP,
    samples,
    stop,
    topLogprobs,
    ...(temperature > 0 ? { seed } : {}),
  };
}

function generationRequest(
  request: Extract<TaskRequest, { kind: "generate" }>,
  promptIds: Int32Array,
  seed: number,
): GenerationRequest {
  const { maxNewTokens, temperature, topP, samples, stop, topLogprobs } = request;
  return {
    promptIds,
    maxNewTokens,
    seed,
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(samples === undefined ? {} : { samples }),
    ...(stop === undefined ? {} : { stop }),
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
  };
}

function generateAnswer(
  samples: readonly Generation[],
  promptTokens: number,
  engine: Engine,
): GenerateAnswer {
  return {
    kind: "generate",
    promptTokens,
    samples: samples.map(({ text, finishReason, outputIds, logprobs }) => ({
      text,
      finishReason: finishReason === "length" ? "length" : "stop",
      tokens: outputIds.length,
      ...(logprobs?.[0] === undefined
        ? {}
        : {
            // Likeliest last: of tokens that read alike ("yes" with and without its space) it is the one that stays.
            firstLogprobs: Object.fromEntries(
              logprobs[0].top.toReversed().map(({ id, logp }) => [engine.tokenizer.decode([id]), logp]),
            ),
          }),
    })),
  };
}

const refuse = (reason: "unsupported" | "prompt-too-long", message: string): Outcome => ({
  refused: { reason, message },
});
