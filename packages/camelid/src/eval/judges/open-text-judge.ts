/**
 * Judges that continue a text by one word, ` yes` or ` no`: models fine-tuned for it. A model folder of ours, or an endpoint
 * with /completions (vLLM, SGLang, llama.cpp); prompts made of messages go to /chat/completions.
 */
import type { Backend } from "../backend.js";
import { EndpointClient } from "../backends/endpoint-client.js";
import type { GenerateRequest, RoleSettings } from "../task.js";
import { openJudge } from "./open-judge.js";

/** @throws as `openJudge` */
export async function openTextJudge(settings: RoleSettings): Promise<Backend> {
  const judge = await openJudge(settings);
  const { endpoint, model, concurrency, apiKeyEnv, price } = settings;
  if (settings.dryRun || endpoint === undefined || model === undefined) return judge;
  const apiKey = process.env[apiKeyEnv ?? "OPENAI_API_KEY"];
  const client = new EndpointClient({
    endpoint,
    model,
    concurrency,
    timeoutMs: 120_000,
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(price === undefined ? {} : { price }),
  });
  return {
    ...judge,
    async ask(batch, onOutcome, signal) {
      await client.forEach(batch.length, signal, async (index, own) => {
        const { request, seed } = batch[index]!;
        if (request.kind !== "generate") {
          const message = "this judge continues texts only";
          return onOutcome(index, { refused: { reason: "unsupported", message } });
        }
        const outcome = await ask(client, request, seed, own);
        if (!signal.aborted) onOutcome(index, outcome);
      });
    },
    stats: () => client.stats(),
  };
}

function ask(client: EndpointClient, request: GenerateRequest, seed: number, signal: AbortSignal) {
  const { prompt, maxNewTokens } = request;
  if ("text" in prompt) return client.complete(request, prompt.text, maxNewTokens, seed, signal);
  return client.chat(request, prompt, seed, "drop", signal);
}
