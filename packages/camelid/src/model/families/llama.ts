import { attentionBias, defineFamily, PLAIN } from "../family.js";

/**
 * Llama 1 to 3.3 and CodeLlama (Touvron et al. 2023, https://arxiv.org/abs/2302.13971, https://arxiv.org/abs/2307.09288; Grattafiori
 * et al. 2024, https://arxiv.org/abs/2407.21783): pre-norm blocks, rotary positions, grouped-query attention, SwiGLU.
 */
export const llama = defineFamily({
  modelType: "llama",
  architecture: "LlamaForCausalLM",
  fields: attentionBias,
  traits: ({ attention_bias }) => ({ ...PLAIN, biases: attention_bias ? "attention" : "none" }),
  fieldsOf: ({ biases }) => ({ attention_bias: biases === "attention", mlp_bias: false }),
});
