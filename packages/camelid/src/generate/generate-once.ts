import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { createEngine } from "./engine.js";
import type { EngineSettings, GenerateOptions, Generation, GenerationRequest } from "./requests.js";

/** Answers with an engine that lives for this call only: right where the weights change before the next one. */
export async function generateOnce(
  model: LanguageModel,
  tokenizer: Tokenizer,
  requests: readonly GenerationRequest[],
  { settings = {}, ...options }: GenerateOptions & { settings?: EngineSettings } = {},
): Promise<Generation[][]> {
  const engine = createEngine(model, tokenizer, settings);
  try {
    return await engine.generate(requests, options);
  } finally {
    await engine[Symbol.asyncDispose]();
  }
}
