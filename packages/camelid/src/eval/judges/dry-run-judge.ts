/** A judge that is not asked: its prompts are written down, and what asking would cost is estimated. */
import type { Backend } from "../backend.js";
import { endpointBackend } from "../backends/endpoint.js";
import type { Prompt, RoleSettings, TaskRequest } from "../task.js";
import { listPrice } from "./prices.js";

/** English text has some four characters a token with the tokenizers of current judges. */
const CHARACTERS_PER_TOKEN = 4;
/** Tokens that the wire format adds to each message. */
const TOKENS_PER_MESSAGE = 4;

export function dryRunJudge({ endpoint, model = "", role, price }: RoleSettings): Backend {
  const prices = price ?? listPrice(model);
  const counts = { requests: 0, estimated_prompt_tokens: 0, most_completion_tokens: 0 };
  return {
    name: `${model || role}${endpoint === undefined ? "" : ` at ${endpoint}`} (not asked)`,
    // Verdicts that are known already need not be paid for: they are found under the judge's own identity.
    identity: endpoint === undefined ? `dry-run ${model}` : endpointBackend({ endpoint, model }).identity,
    canScore: true,
    async ask(batch, onOutcome, signal) {
      for (const [index, { request }] of batch.entries()) {
        if (signal.aborted) return;
        counts.requests++;
        counts.estimated_prompt_tokens += estimatedTokens(request);
        if (request.kind === "generate") counts.most_completion_tokens += request.maxNewTokens;
        onOutcome(index, { refused: { reason: "dry-run", message: `${role} was not asked` } });
      }
    },
    stats() {
      if (prices === undefined) return { ...counts };
      const { estimated_prompt_tokens: input, most_completion_tokens: output } = counts;
      return { ...counts, most_cost_usd: (input * prices[0] + output * prices[1]) / 1e6 };
    },
    async [Symbol.asyncDispose]() {},
  };
}

function estimatedTokens(request: TaskRequest): number {
  if (request.kind === "text" || request.kind === "classify") return characters(request.text);
  return promptTokens(request.prompt);
}

function promptTokens(prompt: Prompt): number {
  if ("text" in prompt) return characters(prompt.text);
  return prompt.messages.reduce((sum, { content }) => sum + TOKENS_PER_MESSAGE + characters(content), 0);
}

const characters = (text: string) => Math.ceil(text.length / CHARACTERS_PER_TOKEN);
