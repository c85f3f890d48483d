import type { DType } from "@camelid/torch";
import type { RopeScaling } from "../nn/rope.js";

/**
 * What a decoder computes, whatever its family calls it: sizes, and the traits in which families differ. `model/config.ts` reads
 * it from `config.json` and writes it back.
 */
export interface ModelConfig extends Traits {
  /** The family's name in `config.json`, one of `model/families.ts`. */
  modelType: string;
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  numKeyValueHeads: number;
  headDim: number;
  maxPositionEmbeddings: number;
  rmsNormEps: number;
  ropeTheta: number;
  ropeScaling: RopeScaling;
  tieWordEmbeddings: boolean;
  /** Standard deviation of random initial weights. */
  initializerRange: number;
  bosTokenId: number | undefined;
  /** Every id that ends a text. */
  eosTokenIds: readonly number[];
  /** The dtype the checkpoint was saved in. */
  dtype: DType;
}

/** In what families of decoders differ. */
export interface Traits {
  /** Projections that add a bias: none, those to queries, keys and values, or all four of the attention. */
  biases: "none" | "qkv" | "attention";
  /** RMS norm of queries and keys before they are rotated: of each head's vector, or of the whole projection. */
  queryKeyNorm: "none" | "head" | "projection";
  /** Whether attention and MLP get a normalised input, or their output is normalised before it is added. */
  blockNorm: "input" | "output";
  /** Layers from `firstLayer` on see the last `size` tokens only, the token itself included. */
  slidingWindow: { size: number; firstLayer: number } | undefined;
}

/** How far back a layer sees, in tokens; undefined when it sees everything. */
export function attentionWindow({ slidingWindow }: ModelConfig, layer: number): number | undefined {
  return slidingWindow !== undefined && layer >= slidingWindow.firstLayer ? slidingWindow.size : undefined;
}
