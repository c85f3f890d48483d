import { defineFamily, PLAIN, readSwitchedWindow, switchedWindow, switchedWindowOf } from "../family.js";

/**
 * Qwen 2 and 2.5 (Yang et al. 2024, https://arxiv.org/abs/2407.10671, https://arxiv.org/abs/2412.15115): Llama with a bias on
 * queries, keys and values; a sliding window is defined, and switched off in the released models.
 */
export const qwen2 = defineFamily({
  modelType: "qwen2",
  architecture: "Qwen2ForCausalLM",
  fields: switchedWindow,
  traits: (file) => ({ ...PLAIN, biases: "qkv", slidingWindow: readSwitchedWindow(file) }),
  fieldsOf: switchedWindowOf,
});
