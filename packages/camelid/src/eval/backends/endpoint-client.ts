/** Calls to one endpoint: so many at once, repeated with growing pauses, all of them waiting when the server says so. */
import { setMaxListeners } from "node:events";
import OpenAI, { APIConnectionError, APIError, APIUserAbortError } from "openai";
import { HubError } from "../../errors.js";
import type { Score } from "../../generate/requests.js";
import type { Outcome, Refusal } from "../backend.js";
import type { GeneratedText, GenerateRequest, Prompt } from "../task.js";

export interface EndpointLimits {
  /** Calls under way at the same time; 8. */
  concurrency: number;
  /** Tries of one request beyond the first; 6. */
  maxRetries: number;
  /** Milliseconds until a call counts as failed; 300,000. */
  timeoutMs: number;
  /** First pause between tries in milliseconds, doubled each time up to a minute; 500. */
  pauseMs: number;
}

interface ClientOptions extends Partial<EndpointLimits> {
  endpoint: string;
  model: string;
  apiKey?: string;
  price?: readonly [input: number, output: number];
}

const LONGEST_PAUSE_MS = 60_000;
/** So many requests that fail for good in a row are the endpoint's failure, not theirs. */
const FAILURES_IN_A_ROW = 5;

export class EndpointClient {
  readonly #openai: OpenAI;
  readonly #options: ClientOptions;
  readonly #counts = {
    requests: 0,
    retries: 0,
    rate_limited: 0,
    failed: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
  };
  /** Nobody calls before this time: a server that limits the rate limits all. */
  #pausedUntil = 0;
  #failuresInARow = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#openai = new OpenAI({
      baseURL: options.endpoint,
      apiKey: options.apiKey ?? "none", // servers of one's own ask for no key, the client insists on one
      maxRetries: 0,
      timeout: options.timeoutMs ?? 300_000,
    });
  }

  /** Runs `work` for 0..count-1, `concurrency` at a time; stops at the first error that ends all. */
  async forEach(
    count: number,
    signal: AbortSignal,
    work: (index: number, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const stop = new AbortController();
    const own = AbortSignal.any([signal, stop.signal]);
    setMaxListeners(0, own); // every call under way listens
    let next = 0;
    let fatal: unknown;
    const worker = async () => {
      while (next < count && !own.aborted) {
        try {
          await work(next++, own);
        } catch (error) {
          if (!own.aborted) fatal = error;
          stop.abort();
        }
      }
    };
    const workers = Math.max(1, this.#options.concurrency ?? 8);
    await Promise.all(Array.from({ length: Math.min(workers, count) }, worker));
    if (fatal !== undefined) throw fatal;
  }

  async chat(
    request: GenerateRequest,
    prompt: Extract<Prompt, { messages: unknown }>,
    seed: number,
    prefix: "drop" | "continue",
    signal: AbortSignal,
  ): Promise<Outcome> {
    const continued = prefix === "continue" && prompt.prefix !== undefined;
    const messages = prompt.messages.map(({ role, content }) => ({ role, content }));
    const body = {
      model: this.#options.model,
      messages: continued ? [...messages, { role: "assistant" as const, content: prompt.prefix! }] : messages,
      // vLLM's and SGLang's way to let the model go on inside a message.
      ...(continued ? { continue_final_message: true, add_generation_prompt: false } : {}),
      max_tokens: request.maxNewTokens,
      ...sampling(request, seed),
      ...(request.topLogprobs === undefined ? {} : { logprobs: true, top_logprobs: request.topLogprobs }),
    };
    return this.#call(signal, async (options) => {
      const reply = await this.#openai.chat.completions.create({ ...body, stream: false }, options);
      this.#count(reply.usage);
      const samples = reply.choices.map(({ message, finish_reason, logprobs }): GeneratedText => {
        const top = logprobs?.content?.[0]?.top_logprobs;
        return {
          text: message.content ?? "",
          finishReason: finish_reason === "length" ? "length" : "stop",
          tokens: tokensEach(reply.usage?.completion_tokens, reply.choices.length),
          ...(top === undefined
            ? {}
            : { firstLogprobs: Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])) }),
        };
      });
      return answerOf(samples, reply.usage?.prompt_tokens);
    });
  }

  async complete(
    request: GenerateRequest,
    ids: ArrayLike<number> | string,
    maxTokens: number,
    seed: number,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const body = {
      model: this.#options.model,
      prompt: typeof ids === "string" ? ids : Array.from(ids),
      max_tokens: maxTokens,
      ...sampling(request, seed),
      ...(request.topLogprobs === undefined ? {} : { logprobs: request.topLogprobs }),
    };
    return this.#call(signal, async (options) => {
      const reply = await this.#openai.completions.create({ ...body, stream: false }, options);
      this.#count(reply.usage);
      const samples = reply.choices.map(({ text, finish_reason, logprobs }): GeneratedText => {
        const top = logprobs?.top_logprobs?.[0];
        return {
          text,
          finishReason: finish_reason === "length" ? "length" : "stop",
          tokens: tokensEach(reply.usage?.completion_tokens, reply.choices.length),
          ...(top === undefined || top === null ? {} : { firstLogprobs: top }),
        };
      });
      return answerOf(
        samples,
        reply.usage?.prompt_tokens ?? (typeof ids === "string" ? undefined : ids.length),
      );
    });
  }

  /** Log-probabilities of `continuation` behind `prompt`, read off the echo of both. */
  async score(
    prompt: ArrayLike<number>,
    continuation: ArrayLike<number>,
    signal: AbortSignal,
  ): Promise<Score | { refused: Refusal }> {
    const ids = [...Array.from(prompt), ...Array.from(continuation)];
    let found: Score | undefined;
    const outcome = await this.#call(signal, async (options) => {
      const body = { model: this.#options.model, prompt: ids, max_tokens: 1, echo: true, logprobs: 1 };
      const reply = await this.#openai.completions.create(
        { ...body, temperature: 0, stream: false },
        options,
      );
      this.#count(reply.usage);
      const logprobs = reply.choices[0]?.logprobs;
      const logps = logprobs?.token_logprobs?.slice(prompt.length, ids.length) ?? [];
      if (logps.length < continuation.length || logps.some((logp) => typeof logp !== "number")) {
        return {
          refused: { reason: "unsupported", message: "the endpoint does not echo log-probabilities" },
        };
      }
      const best = logprobs?.top_logprobs?.slice(prompt.length, ids.length) ?? [];
      found = {
        logp: logps.reduce((sum, logp) => sum + logp, 0),
        tokenLogps: Float32Array.from(logps),
        isGreedy: logps.every((logp, i) => Object.values(best[i] ?? {}).every((other) => other <= logp)),
      };
      return { answer: { kind: "score", scores: [] } } as Outcome;
    });
    return "refused" in outcome ? outcome : found!;
  }

  stats(): Readonly<Record<string, number>> {
    const { price } = this.#options;
    const { prompt_tokens, completion_tokens } = this.#counts;
    if (price === undefined) return { ...this.#counts };
    return { ...this.#counts, cost_usd: (prompt_tokens * price[0] + completion_tokens * price[1]) / 1e6 };
  }

  /**
   * One request, tried until it succeeds, is refused, or has been tried often enough.
   * @throws {HubError} ERR_ENDPOINT when no request would succeed
   */
  async #call(
    signal: AbortSignal,
    attempt: (options: { signal: AbortSignal }) => Promise<Outcome>,
  ): Promise<Outcome> {
    const { maxRetries = 6, pauseMs = 500 } = this.#options;
    for (let tried = 0; ; tried++) {
      await this.#waitForTurn(signal);
      this.#counts.requests++;
      try {
        const outcome = await attempt({ signal });
        this.#failuresInARow = 0;
        return outcome;
      } catch (error) {
        if (signal.aborted || error instanceof APIUserAbortError) throw error;
        const refusal = refusalOf(error);
        if (refusal !== undefined) return { refused: refusal };
        if (!isPassing(error)) throw this.#fatal(error);
        const pause = retryAfterMs(error) ?? Math.min(LONGEST_PAUSE_MS, pauseMs * 2 ** tried);
        if (error instanceof APIError && error.status === 429) {
          this.#counts.rate_limited++;
          this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + pause);
        }
        if (tried >= maxRetries) {
          this.#counts.failed++;
          if (++this.#failuresInARow >= FAILURES_IN_A_ROW) throw this.#fatal(error);
          return { refused: { reason: "failed", message: `${tried + 1} tries; last: ${messageOf(error)}` } };
        }
        this.#counts.retries++;
        // Spread out, so that calls that failed together do not come back together.
        await sleep(pause * (1 + Math.random() / 4), signal);
      }
    }
  }

  async #waitForTurn(signal: AbortSignal): Promise<void> {
    for (let wait = this.#pausedUntil - performance.now(); wait > 0; ) {
      await sleep(wait, signal);
      wait = this.#pausedUntil - performance.now();
    }
    signal.throwIfAborted();
  }

  #count(usage: { prompt_tokens?: number; completion_tokens?: number } | null | undefined): void {
    this.#counts.prompt_tokens += usage?.prompt_tokens ?? 0;
    this.#counts.completion_tokens += usage?.completion_tokens ?? 0;
  }

  #fatal(error: unknown): HubError {
    const { endpoint, model } = this.#options;
    return new HubError("ERR_ENDPOINT", `the endpoint does not answer: ${messageOf(error)}.`, {
      where: `${endpoint}, model ${model}`,
      fix: "check address, model name and key; answers so far are kept, the same command goes on with them.",
      cause: error,
    });
  }
}

function sampling({ temperature = 0, topP, samples = 1, stop }: GenerateRequest, seed: number) {
  return {
    temperature,
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(samples === 1 ? {} : { n: samples }),
    ...(stop === undefined || stop.length === 0 ? {} : { stop: [...stop] }),
    ...(temperature > 0 ? { seed: seed % 2 ** 31 } : {}),
  };
}

function answerOf(samples: readonly GeneratedText[], promptTokens: number | undefined): Outcome {
  return { answer: { kind: "generate", samples, ...(promptTokens === undefined ? {} : { promptTokens }) } };
}

const tokensEach = (all: number | undefined, choices: number) =>
  Math.round((all ?? 0) / Math.max(1, choices));

/** What is wrong with this request alone. */
function refusalOf(error: unknown): Refusal | undefined {
  if (
    !(error instanceof APIError) ||
    (error.status !== 400 && error.status !== 413 && error.status !== 422)
  ) {
    return undefined;
  }
  const message = messageOf(error);
  const tooLong = /context|maximum.*(length|tokens)|too long|too many tokens/i.test(message);
  return { reason: tooLong ? "prompt-too-long" : "failed", message };
}

/** Rate limits, overload, time-outs and broken connections pass. */
function isPassing(error: unknown): boolean {
  if (error instanceof APIConnectionError) return true;
  if (!(error instanceof APIError)) return error instanceof SyntaxError; // half an answer
  const { status } = error;
  return status === undefined || status === 408 || status === 409 || status === 429 || status >= 500;
}

function retryAfterMs(error: unknown): number | undefined {
  if (!(error instanceof APIError)) return undefined;
  const text = error.headers?.get("retry-after-ms") ?? undefined;
  if (text !== undefined && Number.isFinite(Number(text))) return Number(text);
  const after = error.headers?.get("retry-after");
  if (after === null || after === undefined) return undefined;
  const seconds = Number(after);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(after) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
