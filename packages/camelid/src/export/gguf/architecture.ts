/** Which of llama.cpp's architectures a model is, under which names its tensors go, and what the file says of it. */
import type { Tensor } from "@camelid/torch";
import { ModelError } from "../../errors.js";
import type { ModelConfig } from "../../model/model-config.js";
import type { Value } from "./format.js";

interface Architecture {
  /** `general.architecture`, and the prefix of its keys. */
  name: string;
  /**
   * llama.cpp turns neighbouring dimensions (2i, 2i + 1) of these, where Hugging Face's checkpoints turn halves: rows of q and k
   * are reordered.
   */
  rotatesNeighbours: boolean;
  /** What it would otherwise compute differently, without a word. */
  supports: { biases: readonly ModelConfig["biases"][]; llama3Rope: boolean };
}

const llama: Architecture = {
  name: "llama",
  rotatesNeighbours: true,
  supports: { biases: ["none", "attention"], llama3Rope: true },
};

/** By `model_type`. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama,
  mistral: llama,
  qwen2: { name: "qwen2", rotatesNeighbours: false, supports: { biases: ["qkv"], llama3Rope: false } },
  qwen3: { name: "qwen3", rotatesNeighbours: false, supports: { biases: ["none"], llama3Rope: false } },
  olmo2: { name: "olmo2", rotatesNeighbours: false, supports: { biases: ["none"], llama3Rope: false } },
};

/** @throws {ModelError} `ERR_GGUF_ARCHITECTURE` when llama.cpp would compute something else */
export function architectureOf(config: ModelConfig): Architecture {
  const architecture = ARCHITECTURES[config.modelType];
  if (architecture === undefined) {
    throw unsupported(
      `llama.cpp's name for model_type ${config.modelType} is not known; known are ${Object.keys(ARCHITECTURES).join(", ")}.`,
    );
  }
  const { supports } = architecture;
  if (!supports.biases.includes(config.biases))
    throw unsupported(`llama.cpp's ${architecture.name} has no place for these biases (${config.biases}).`);
  if (config.ropeScaling.type === "llama3" && !supports.llama3Rope)
    throw unsupported(`llama.cpp's ${architecture.name} does not scale rotary frequencies by a table.`);
  return architecture;
}

function unsupported(message: string): ModelError {
  return new ModelError("ERR_GGUF_ARCHITECTURE", message, { fix: "export with --to merged instead." });
}

/**
 * Tokens up to which llama.cpp computes what the model computes: none of these architectures has a sliding window there, and
 * within the window there is no difference.
 */
export function contextLength(config: ModelConfig): number {
  return Math.min(config.maxPositionEmbeddings, config.slidingWindow?.size ?? Number.POSITIVE_INFINITY);
}

/** Sizes and constants, under the architecture's keys. */
export function architectureMetadata(config: ModelConfig): [string, Value][] {
  const { name } = architectureOf(config);
  const u32 = (key: string, value: number): [string, Value] => [`${name}.${key}`, { type: "u32", value }];
  const f32 = (key: string, value: number): [string, Value] => [`${name}.${key}`, { type: "f32", value }];
  return [
    u32("vocab_size", config.vocabSize),
    u32("context_length", contextLength(config)),
    u32("embedding_length", config.hiddenSize),
    u32("block_count", config.numHiddenLayers),
    u32("feed_forward_length", config.intermediateSize),
    u32("attention.head_count", config.numAttentionHeads),
    u32("attention.head_count_kv", config.numKeyValueHeads),
    u32("attention.key_length", config.headDim),
    u32("attention.value_length", config.headDim),
    f32("attention.layer_norm_rms_epsilon", config.rmsNormEps),
    u32("rope.dimension_count", config.headDim),
    f32("rope.freq_base", config.ropeTheta),
  ];
}

const TOP: Readonly<Record<string, string>> = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "lm_head.weight": "output.weight",
};
const PARTS: Readonly<Record<string, string>> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  post_feedforward_layernorm: "post_ffw_norm",
};

/** The file's name of a checkpoint's tensor. */
export function ggufName(name: string, { blockNorm }: ModelConfig): string {
  const top = TOP[name];
  if (top !== undefined) return top;
  const [, layer, part, ending] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name)!;
  // Of the same name in checkpoints: what follows the attention is the MLP's norm, or the attention's own.
  const afterAttention = blockNorm === "input" ? "ffn_norm" : "post_attention_norm";
  return `blk.${layer}.${part === "post_attention_layernorm" ? afterAttention : PARTS[part!]}.${ending}`;
}

/**
 * The rows of q and k in the file's order. @param back from the file's order to the checkpoint's
 * @returns a tensor that may share memory with the given one
 */
export function reorderRows(name: string, tensor: Tensor, config: ModelConfig, back = false): Tensor {
  const [, which] = /self_attn\.([qk])_proj\.(?:weight|bias)$/.exec(name) ?? [];
  if (which === undefined || !architectureOf(config).rotatesNeighbours) return tensor;
  const heads = which === "q" ? config.numAttentionHeads : config.numKeyValueHeads;
  const half = config.headDim / 2;
  const halves = back ? [half, 2] : [2, half];
  const rest = tensor.shape.slice(1);
  return tensor
    .reshape([heads, ...halves, ...rest])
    .transpose(1, 2)
    .reshape([...tensor.shape]);
}
