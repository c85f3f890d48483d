/**
 * Requests answered by any OpenAI-compatible server: vLLM, SGLang, llama.cpp, hosted models.
 *
 * - `chat`: messages go to /chat/completions, the server applies its own template. It cannot score texts.
 * - `completions`: prompts are rendered and tokenised here, by the renderer of training, and go to /completions as token
 *   ids: what our own engine would see. Texts are scored by their echoed log-probabilities (vLLM, SGLang).
 */
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { Asked, Backend, Outcome } from "../backend.js";
import type { GenerateRequest, Profile } from "../task.js";
import { EndpointClient, type EndpointLimits } from "./endpoint-client.js";
import { promptRenderer } from "./render.js";
import { prepareScores, prepareText, scoreAnswer, textAnswer } from "./scoring.js";

export interface EndpointOptions extends Partial<EndpointLimits> {
  /** Base URL, with `/v1` where the server has it. */
  endpoint: string;
  /** Model name at the server. */
  model: string;
  apiKey?: string;
  api?: "chat" | "completions";
  /** Needed for `completions`. */
  tokenizer?: Tokenizer;
  /** Tokens of the model's context; 4,096 unless told. Only `completions` looks at it. */
  contextLength?: number;
  /** What happens to the beginning of an answer in `chat`: vLLM and SGLang can continue a message, others cannot. */
  prefix?: "drop" | "continue";
  profile?: Profile;
  /** Dollars per million tokens in and out, for the cost counter. */
  price?: readonly [input: number, output: number];
}

const CONTEXT = 4096;

export function endpointBackend(options: EndpointOptions): Backend {
  const { endpoint, model, api = "chat", tokenizer, profile = "standard", prefix = "drop" } = options;
  const client = new EndpointClient(options);
  const renderer = tokenizer && promptRenderer(tokenizer, profile);
  const context = options.contextLength ?? CONTEXT;
  if (api === "completions" && renderer === undefined) {
    throw new TypeError("the completions API needs a tokenizer");
  }

  async function generate({ request, seed }: Asked<GenerateRequest>, signal: AbortSignal): Promise<Outcome> {
    if (api === "chat") {
      if ("text" in request.prompt) {
        return refuse("unsupported", "a chat endpoint takes no plain text; use --endpoint-api completions");
      }
      return client.chat(request, request.prompt, seed, prefix, signal);
    }
    const [ids] = await renderer!.ids([request]);
    if (ids!.length >= context) {
      return refuse("prompt-too-long", `${ids!.length} tokens, the context holds ${context}`);
    }
    return client.complete(
      request,
      ids!,
      Math.min(request.maxNewTokens, context - ids!.length),
      seed,
      signal,
    );
  }

  /** One call per continuation: the log-probabilities of prompt and continuation come back together. */
  async function score({ request }: Asked, signal: AbortSignal): Promise<Outcome> {
    if (api === "chat" || (request.kind !== "score" && request.kind !== "text")) {
      return refuse("unsupported", `this endpoint does not answer "${request.kind}" requests`);
    }
    const part =
      request.kind === "score"
        ? (await prepareScores([request], tokenizer!, renderer!))[0]!
        : await prepareText(request, renderer!, context);
    if (part.kind !== "score" && part.kind !== "text") throw new TypeError(part.kind);
    const results = [];
    for (const { promptIds, continuations } of part.requests) {
      const scores = [];
      for (const continuation of continuations) {
        if (promptIds.length + continuation.length > context) {
          return refuse(
            "prompt-too-long",
            `${promptIds.length + continuation.length} tokens, ${context} fit`,
          );
        }
        const found = await client.score(promptIds, continuation, signal);
        if ("refused" in found) return found;
        scores.push(found);
      }
      results.push(scores);
    }
    return { answer: part.kind === "score" ? scoreAnswer(part, results) : textAnswer(results) };
  }

  return {
    name: `${model} at ${endpoint}`,
    identity: JSON.stringify([endpoint, model, api, tokenizer?.fingerprint ?? "", prefix, profile]),
    canScore: api === "completions",
    ...(renderer === undefined ? {} : { show: renderer.text }),
    async ask(batch, onOutcome, signal) {
      await client.forEach(batch.length, signal, async (index, own) => {
        const asked = batch[index]!;
        const outcome =
          asked.request.kind === "generate"
            ? await generate(asked as Asked<GenerateRequest>, own)
            : await score(asked, own);
        if (!signal.aborted) onOutcome(index, outcome);
      });
    },
    stats: () => client.stats(),
    async [Symbol.asyncDispose]() {},
  };
}

const refuse = (reason: "unsupported" | "prompt-too-long", message: string): Outcome => ({
  refused: { reason, message },
});
