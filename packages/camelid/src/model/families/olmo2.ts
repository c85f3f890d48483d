import { z } from "zod";
import { attentionBias, defineFamily, PLAIN } from "../family.js";

/**
 * OLMo 2 (OLMo team 2024, https://arxiv.org/abs/2501.00656): the outputs of attention and MLP are normalised, not their inputs;
 * queries and keys are normalised over the whole projection, before it is cut into heads.
 */
export const olmo2 = defineFamily({
  modelType: "olmo2",
  architecture: "Olmo2ForCausalLM",
  fields: { ...attentionBias, rms_norm_eps: z.number().positive().default(1e-5) },
  traits: ({ attention_bias }) => ({
    ...PLAIN,
    biases: attention_bias ? "attention" : "none",
    queryKeyNorm: "projection",
    blockNorm: "output",
  }),
  fieldsOf: ({ biases }) => ({ attention_bias: biases === "attention" }),
});
