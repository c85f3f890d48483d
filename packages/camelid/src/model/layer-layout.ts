/** What a decoder layer consists of, under the names and in the shapes of its checkpoint. */
import type { ModelConfig } from "./model-config.js";

export const EMBEDDING = "model.embed_tokens.weight";
export const FINAL_NORM = "model.norm.weight";
export const HEAD = "lm_head.weight";
/** [1, hidden]: the head of a reward model, in the place of the other. */
export const SCORE_HEAD = "score.weight";

export const PROJECTIONS = {
  qProj: "self_attn.q_proj",
  kProj: "self_attn.k_proj",
  vProj: "self_attn.v_proj",
  oProj: "self_attn.o_proj",
  gateProj: "mlp.gate_proj",
  upProj: "mlp.up_proj",
  downProj: "mlp.down_proj",
} as const;
export type Projection = keyof typeof PROJECTIONS;
export const PROJECTION_KEYS = Object.keys(PROJECTIONS) as Projection[];

/** Norms that a layer may have; which of them, the config's traits say. */
const NORMS = {
  attentionInput: "input_layernorm.weight",
  query: "self_attn.q_norm.weight",
  key: "self_attn.k_norm.weight",
  attentionOutput: "post_attention_layernorm.weight",
  mlpInput: "post_attention_layernorm.weight", // Llama's name for it: it follows the attention
  mlpOutput: "post_feedforward_layernorm.weight",
} as const;
export type Norm = keyof typeof NORMS;

export const layerName = (layer: number, part: string): string => `model.layers.${layer}.${part}`;

/** Norms of a layer: their names in the checkpoint and their lengths. */
export function layerNorms(config: ModelConfig): { norm: Norm; name: string; size: number }[] {
  const { hiddenSize, headDim, numAttentionHeads, numKeyValueHeads, queryKeyNorm, blockNorm } = config;
  const around: Norm[] =
    blockNorm === "input" ? ["attentionInput", "mlpInput"] : ["attentionOutput", "mlpOutput"];
  const norms = around.map((norm) => ({ norm, name: NORMS[norm], size: hiddenSize }));
  if (queryKeyNorm === "none") return norms;
  const [queries, keys] = queryKeyNorm === "head" ? [1, 1] : [numAttentionHeads, numKeyValueHeads];
  return [
    ...norms,
    { norm: "query", name: NORMS.query, size: queries * headDim },
    { norm: "key", name: NORMS.key, size: keys * headDim },
  ];
}

/** Shape [out, in] of each projection, and whether it adds a bias. */
export function layerProjections(
  config: ModelConfig,
): Record<Projection, { shape: readonly [number, number]; bias: boolean }> {
  const { hiddenSize, intermediateSize, biases } = config;
  const queries = config.numAttentionHeads * config.headDim;
  const keys = config.numKeyValueHeads * config.headDim;
  const [qkv, output] = [biases !== "none", biases === "attention"];
  return {
    qProj: { shape: [queries, hiddenSize], bias: qkv },
    kProj: { shape: [keys, hiddenSize], bias: qkv },
    vProj: { shape: [keys, hiddenSize], bias: qkv },
    oProj: { shape: [hiddenSize, queries], bias: output },
    gateProj: { shape: [intermediateSize, hiddenSize], bias: false },
    upProj: { shape: [intermediateSize, hiddenSize], bias: false },
    downProj: { shape: [hiddenSize, intermediateSize], bias: false },
  };
}

/** Every projection of a model, by name: what can have an adapter. */
export function projectionNames({ numHiddenLayers }: Pick<ModelConfig, "numHiddenLayers">): string[] {
  return Array.from({ length: numHiddenLayers }, (_, layer) =>
    PROJECTION_KEYS.map((key) => layerName(layer, PROJECTIONS[key])),
  ).flat();
}

/** Names and shapes of all weights of a checkpoint, layer by layer. */
export function weightShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { hiddenSize, vocabSize } = config;
  const shapes = new Map<string, readonly number[]>([[EMBEDDING, [vocabSize, hiddenSize]]]);
  const projections = layerProjections(config);
  const norms = layerNorms(config);
  for (let i = 0; i < config.numHiddenLayers; i++) {
    for (const { name, size } of norms) shapes.set(layerName(i, name), [size]);
    for (const key of PROJECTION_KEYS) {
      const { shape, bias } = projections[key];
      shapes.set(layerName(i, `${PROJECTIONS[key]}.weight`), shape);
      if (bias) shapes.set(layerName(i, `${PROJECTIONS[key]}.bias`), [shape[0]]);
    }
  }
  shapes.set(FINAL_NORM, [hiddenSize]);
  if (!config.tieWordEmbeddings) shapes.set(HEAD, [vocabSize, hiddenSize]);
  return shapes;
}
