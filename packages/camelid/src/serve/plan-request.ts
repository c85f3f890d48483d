/** From what a client asked to what the engine is asked. */
import { randomInt } from "node:crypto";
import type { Message } from "../data/conversation.js";
import { renderPrompt } from "../data/render.js";
import type { Engine, GenerationRequest } from "../generate/requests.js";
import { Refusal } from "./failures.js";
import type { ChatRequest, CompletionRequest } from "./requests.js";

export interface Limits {
  /** Most new tokens of one answer, and what a chat request gets that names no number. */
  maxNewTokens: number;
}

/** One engine request for each prompt; choice i of prompt p has the index p * n + i. */
export interface Plan {
  prompts: GenerationRequest[];
  /** Choices of one prompt. */
  n: number;
  promptTokens: number;
}

/** Texts of one request: with more, one client would fill the batch of all, and memory with answers it has not read yet. */
const MOST_CHOICES = 128;

/** OpenAI's default where a completion names no length. */
const SHORT = 16;

/** @throws {DataError} what rendering throws: roles out of order, a template that refuses */
export async function planChat(engine: Engine, request: ChatRequest, limits: Limits): Promise<Plan> {
  const messages = request.messages.map(
    ({ role, content }): Message => ({ role: role === "developer" ? "system" : role, content }),
  );
  // What a user types is text, even where it looks like a special token.
  const promptIds = await renderPrompt(messages, engine.tokenizer);
  const wanted = request.max_completion_tokens ?? request.max_tokens ?? limits.maxNewTokens;
  return plan(
    [promptIds],
    request,
    wanted,
    limits,
    request.logprobs ? (request.top_logprobs ?? 0) : undefined,
  );
}

export async function planCompletion(
  engine: Engine,
  request: CompletionRequest,
  limits: Limits,
): Promise<Plan> {
  const prompts = await promptsOf(engine, request.prompt);
  return plan(prompts, request, request.max_tokens ?? SHORT, limits, request.logprobs ?? undefined);
}

async function promptsOf(
  { tokenizer }: Engine,
  prompt: CompletionRequest["prompt"],
): Promise<ArrayLike<number>[]> {
  if (typeof prompt === "string") return tokenizer.encodeBatch([prompt], { addSpecialTokens: true });
  const isTexts = typeof prompt[0] === "string";
  if (isTexts) return tokenizer.encodeBatch(prompt as string[], { addSpecialTokens: true });
  return typeof prompt[0] === "number" ? [prompt as number[]] : (prompt as number[][]);
}

function plan(
  prompts: readonly ArrayLike<number>[],
  request: ChatRequest | CompletionRequest,
  wanted: number,
  limits: Limits,
  topLogprobs: number | undefined,
): Plan {
  if (prompts.length * (request.n ?? 1) > MOST_CHOICES)
    throw new Refusal(
      400,
      "too_many_choices",
      `n: prompts times n is more than ${MOST_CHOICES}; ask in several requests.`,
      { param: "n" },
    );
  const { temperature, top_p, top_k, seed, stop, n } = request;
  // Draws differ from request to request unless the client asks for the same ones again.
  const firstSeed = seed ?? randomInt(2 ** 47);
  const shared = {
    maxNewTokens: Math.min(wanted, limits.maxNewTokens),
    temperature: temperature ?? 1,
    topP: top_p ?? 1,
    ...(top_k == null ? {} : { topK: top_k }),
    ...(stop == null ? {} : { stop: [stop].flat() }),
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
    samples: n ?? 1,
  };
  return {
    prompts: prompts.map((promptIds, i) => ({ ...shared, promptIds, seed: firstSeed + i })),
    n: n ?? 1,
    promptTokens: prompts.reduce((sum, { length }) => sum + length, 0),
  };
}
