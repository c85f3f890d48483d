import { z } from "zod";
import {
  attentionBias,
  defineFamily,
  PLAIN,
  readSwitchedWindow,
  switchedWindow,
  switchedWindowOf,
} from "../family.js";

/**
 * Qwen 3, dense (Yang et al. 2025, https://arxiv.org/abs/2505.09388): no bias; the query and key of each head are normalised
 * before they are rotated, with one weight for all heads; heads of 128 whatever the hidden size.
 */
export const qwen3 = defineFamily({
  modelType: "qwen3",
  architecture: "Qwen3ForCausalLM",
  fields: { ...switchedWindow, ...attentionBias, head_dim: z.int().positive().default(128) },
  traits: (file) => ({
    ...PLAIN,
    biases: file.attention_bias ? "attention" : "none",
    queryKeyNorm: "head",
    slidingWindow: readSwitchedWindow(file),
  }),
  fieldsOf: (config) => ({ ...switchedWindowOf(config), attention_bias: config.biases === "attention" }),
});
