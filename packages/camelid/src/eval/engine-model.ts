/** A model of ours as the one under evaluation: the command line, a recipe and a test make it the same way. */
import type { Engine } from "../generate/requests.js";
import { engineBackend } from "./backends/engine.js";
import { promptRenderer, tokenTools } from "./backends/render.js";
import type { EvaluatedModel } from "./evaluate.js";
import type { Profile } from "./task.js";

export interface EngineModelOptions {
  engine: Engine;
  /** For people: the model folder, or `run at step 200`. */
  name: string;
  /** What answers are kept under: a hash of the weights, or run and step while they are only in memory. */
  identity: string;
  profile?: Profile;
  /** Whether prompts go through the chat template; where left out, when the model's folder has one. */
  chat?: boolean;
}

export function engineModel({
  engine,
  name,
  identity,
  profile = "standard",
  chat,
}: EngineModelOptions): EvaluatedModel {
  const { tokenizer, model } = engine;
  const renderer = promptRenderer(tokenizer, profile);
  return {
    backend: engineBackend({ engine, name, identity, profile }),
    tokens: tokenTools(tokenizer, renderer, model.config.maxPositionEmbeddings),
    chat: chat ?? tokenizer.chatTemplate !== undefined,
  };
}
