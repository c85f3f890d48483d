import { z } from "zod";
import type { ModelConfig, Traits } from "./model-config.js";

/** One `model_type`: the fields of its `config.json` that others lack or read differently, and what they mean. */
export interface ModelFamily<Fields extends z.ZodRawShape = z.ZodRawShape> {
  /** `model_type` */
  modelType: string;
  /** Class that transformers loads it with: `architectures`. */
  architecture: string;
  /** Added to, or put in place of, the common fields of `model/config-fields.ts`. */
  fields: Fields;
  traits(file: z.output<z.ZodObject<Fields>>): Traits;
  /** Its own fields for a file, read back by `traits`. */
  fieldsOf(config: ModelConfig): Record<string, unknown>;
}

export function defineFamily<Fields extends z.ZodRawShape>(family: ModelFamily<Fields>): ModelFamily {
  return family as unknown as ModelFamily;
}

/** Traits of Llama 2, from which other families differ in one or two. */
export const PLAIN: Traits = {
  biases: "none",
  queryKeyNorm: "none",
  blockNorm: "input",
  slidingWindow: undefined,
};

/** `attention_bias`: all four projections of the attention, or none. */
export const attentionBias = { attention_bias: z.boolean().default(false) };

/** Qwen's way to say which layers have a window: a switch, a size, and how many layers at the bottom have none. */
export const switchedWindow = {
  use_sliding_window: z.boolean().default(false),
  sliding_window: z.int().positive().nullish(),
  max_window_layers: z.int().nonnegative().default(28),
  layer_types: z.array(z.enum(["full_attention", "sliding_attention"])).nullish(),
};

export function readSwitchedWindow(
  file: z.output<z.ZodObject<typeof switchedWindow>>,
): Traits["slidingWindow"] {
  const firstWindow = file.layer_types?.indexOf("sliding_attention") ?? file.max_window_layers;
  if (!file.use_sliding_window || !file.sliding_window || firstWindow === -1) return undefined;
  return { size: file.sliding_window, firstLayer: firstWindow };
}

export function switchedWindowOf({ slidingWindow, numHiddenLayers }: ModelConfig): Record<string, unknown> {
  return {
    use_sliding_window: slidingWindow !== undefined,
    sliding_window: slidingWindow?.size ?? null,
    max_window_layers: slidingWindow?.firstLayer ?? numHiddenLayers,
  };
}
