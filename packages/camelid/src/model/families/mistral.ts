import { z } from "zod";
import { defineFamily, PLAIN } from "../family.js";

/**
 * Mistral 7B and its successors with the same blocks (Jiang et al. 2023, https://arxiv.org/abs/2310.06825): Llama whose tokens
 * see only the last `sliding_window` tokens in every layer; later releases have no window.
 */
export const mistral = defineFamily({
  modelType: "mistral",
  architecture: "MistralForCausalLM",
  fields: {
    sliding_window: z.int().positive().nullish(),
    num_key_value_heads: z.int().positive().default(8),
  },
  traits: ({ sliding_window: size }) => ({
    ...PLAIN,
    slidingWindow: size ? { size, firstLayer: 0 } : undefined,
  }),
  fieldsOf: ({ slidingWindow }) => ({ sliding_window: slidingWindow?.size ?? null }),
});
