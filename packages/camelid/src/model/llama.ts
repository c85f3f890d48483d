/**
 * Llama (Touvron et al. 2023, https://arxiv.org/abs/2302.13971; Llama 2 and 3 included): a pre-norm decoder with rotary
 * positions, grouped-query attention and a SwiGLU MLP. Checked against transformers in tests/parity/llama.test.ts.
 */
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { cachedAttention, packedAttention } from "../nn/attention.js";
import { denseLinear, type Linear } from "../nn/linear.js";
import type { PackedRows } from "../nn/packed-rows.js";
import { recompute } from "../nn/recompute.js";
import { rmsNorm } from "../nn/rms-norm.js";
import { applyRope, type RopeTables, ropeFrequencies, ropeTables } from "../nn/rope.js";
import type { LlamaConfig } from "./config.js";
import type { KeyValueCache } from "./kv-cache.js";
import type { LanguageModel } from "./language-model.js";

interface Layer {
  inputNorm: Tensor;
  qProj: Linear;
  kProj: Linear;
  vProj: Linear;
  oProj: Linear;
  postAttentionNorm: Tensor;
  gateProj: Linear;
  upProj: Linear;
  downProj: Linear;
}

const EMBEDDING = "model.embed_tokens.weight";
const FINAL_NORM = "model.norm.weight";
const HEAD = "lm_head.weight";

/** Where each part of a layer lies in a checkpoint. */
const layerName = (layer: number, part: string): string => `model.layers.${layer}.${part}`;
const PROJECTIONS = {
  qProj: "self_attn.q_proj",
  kProj: "self_attn.k_proj",
  vProj: "self_attn.v_proj",
  oProj: "self_attn.o_proj",
  gateProj: "mlp.gate_proj",
  upProj: "mlp.up_proj",
  downProj: "mlp.down_proj",
} as const;
const INPUT_NORM = "input_layernorm.weight";
const POST_ATTENTION_NORM = "post_attention_layernorm.weight";
type Projection = keyof typeof PROJECTIONS;
const PROJECTION_KEYS = Object.keys(PROJECTIONS) as Projection[];

/** Names and shapes of all weights, in the order of the forward pass. */
export function llamaShapes(config: LlamaConfig): Map<string, readonly number[]> {
  const { hiddenSize, intermediateSize, vocabSize } = config;
  const queries = config.numAttentionHeads * config.headDim;
  const keys = config.numKeyValueHeads * config.headDim;
  const shapes = new Map<string, readonly number[]>([[EMBEDDING, [vocabSize, hiddenSize]]]);
  for (let i = 0; i < config.numHiddenLayers; i++) {
    shapes.set(layerName(i, INPUT_NORM), [hiddenSize]);
    shapes.set(layerName(i, `${PROJECTIONS.qProj}.weight`), [queries, hiddenSize]);
    shapes.set(layerName(i, `${PROJECTIONS.kProj}.weight`), [keys, hiddenSize]);
    shapes.set(layerName(i, `${PROJECTIONS.vProj}.weight`), [keys, hiddenSize]);
    shapes.set(layerName(i, `${PROJECTIONS.oProj}.weight`), [hiddenSize, queries]);
    shapes.set(layerName(i, POST_ATTENTION_NORM), [hiddenSize]);
    shapes.set(layerName(i, `${PROJECTIONS.gateProj}.weight`), [intermediateSize, hiddenSize]);
    shapes.set(layerName(i, `${PROJECTIONS.upProj}.weight`), [intermediateSize, hiddenSize]);
    shapes.set(layerName(i, `${PROJECTIONS.downProj}.weight`), [hiddenSize, intermediateSize]);
  }
  shapes.set(FINAL_NORM, [hiddenSize]);
  if (!config.tieWordEmbeddings) shapes.set(HEAD, [vocabSize, hiddenSize]);
  return shapes;
}

export class Llama implements LanguageModel {
  readonly config: LlamaConfig;
  readonly headWeight: Tensor;
  activationCheckpointing = false;
  readonly #embedTokens: Tensor;
  readonly #layers: Layer[];
  readonly #norm: Tensor;
  readonly #frequencies: Tensor;

  /** @param weights every tensor of `llamaShapes`, all of one dtype on one device; the model owns them from now on */
  constructor(config: LlamaConfig, weights: ReadonlyMap<string, Tensor>) {
    const weight = (name: string): Tensor => weights.get(name)!.named(name);
    this.config = config;
    this.#embedTokens = weight(EMBEDDING);
    this.#layers = Array.from({ length: config.numHiddenLayers }, (_, i) => {
      const linears = PROJECTION_KEYS.map((key) => {
        const name = layerName(i, PROJECTIONS[key]);
        return [key, denseLinear(name, weight(`${name}.weight`))] as const;
      });
      return {
        ...(Object.fromEntries(linears) as Record<Projection, Linear>),
        inputNorm: weight(layerName(i, INPUT_NORM)),
        postAttentionNorm: weight(layerName(i, POST_ATTENTION_NORM)),
      };
    });
    this.#norm = weight(FINAL_NORM);
    this.headWeight = config.tieWordEmbeddings ? this.#embedTokens : weight(HEAD);
    this.#frequencies = ropeFrequencies(config.headDim, config.ropeTheta, config.ropeScaling, this.device);
  }

  get device(): Device {
    return this.#embedTokens.device;
  }

  get dtype(): DType {
    return this.#embedTokens.dtype;
  }

  hiddenStates(rows: PackedRows, cache?: KeyValueCache): Tensor {
    const rope = ropeTables(rows.positions, this.#frequencies);
    let x = torch.embedding(this.#embedTokens, rows.inputIds); // [tokens, hidden]
    this.#layers.forEach((layer, index) => {
      const block = (input: Tensor): Tensor => {
        const attended = input.add(this.#attention(layer, index, input, rope, rows, cache));
        return attended.add(this.#mlp(layer, attended));
      };
      x = this.activationCheckpointing ? recompute(block, x) : block(x);
    });
    cache?.advance(rows.lengths);
    return rmsNorm(x, this.#norm, this.config.rmsNormEps);
  }

  #attention(
    layer: Layer,
    index: number,
    x: Tensor,
    rope: RopeTables,
    rows: PackedRows,
    cache: KeyValueCache | undefined,
  ): Tensor {
    const { headDim, numAttentionHeads, numKeyValueHeads, rmsNormEps } = this.config;
    const h = rmsNorm(x, layer.inputNorm, rmsNormEps);
    const query = applyRope(layer.qProj.forward(h).view([-1, numAttentionHeads, headDim]), rope);
    const key = applyRope(layer.kProj.forward(h).view([-1, numKeyValueHeads, headDim]), rope);
    const value = layer.vProj.forward(h).view([-1, numKeyValueHeads, headDim]);
    const attended =
      cache === undefined
        ? packedAttention(query, key, value, rows)
        : attendWithCache(cache, index, query, key, value, rows.lengths);
    return layer.oProj.forward(attended.reshape([-1, numAttentionHeads * headDim]));
  }

  #mlp(layer: Layer, x: Tensor): Tensor {
    const h = rmsNorm(x, layer.postAttentionNorm, this.config.rmsNormEps);
    return layer.downProj.forward(torch.fusedSwiglu(layer.gateProj.forward(h), layer.upProj.forward(h)));
  }

  namedParameters(): Map<string, Tensor> {
    const parameters = new Map([[EMBEDDING, this.#embedTokens]]);
    this.#layers.forEach((layer, i) => {
      parameters.set(layerName(i, INPUT_NORM), layer.inputNorm);
      parameters.set(layerName(i, POST_ATTENTION_NORM), layer.postAttentionNorm);
    });
    for (const linear of this.linears()) {
      for (const [name, parameter] of linear.namedParameters()) parameters.set(name, parameter);
    }
    parameters.set(FINAL_NORM, this.#norm);
    if (!this.config.tieWordEmbeddings) parameters.set(HEAD, this.headWeight);
    return parameters;
  }

  *linears(): Generator<Linear> {
    for (const layer of this.#layers) for (const key of PROJECTION_KEYS) yield layer[key];
  }

  replaceLinear(name: string, replace: (original: Linear) => Linear): void {
    for (const layer of this.#layers) {
      for (const key of PROJECTION_KEYS) if (layer[key].name === name) layer[key] = replace(layer[key]);
    }
  }

  [Symbol.dispose](): void {
    for (const linear of this.linears()) linear[Symbol.dispose]();
    for (const parameter of this.namedParameters().values()) parameter.dispose();
    this.#frequencies.dispose();
  }
}

/** Row by row: each sequence attends over its own cached tokens. */
function attendWithCache(
  cache: KeyValueCache,
  layer: number,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  lengths: readonly number[],
): Tensor {
  const [queries, keys, values] = [query, key, value].map((x) => x.split(lengths)) as [
    Tensor[],
    Tensor[],
    Tensor[],
  ];
  const rows = queries.map((q, sequence) => {
    const all = cache.append(layer, sequence, keys[sequence]!, values[sequence]!);
    return cachedAttention(q, all.keys, all.values);
  });
  return rows.length === 1 ? rows[0]! : torch.cat(rows);
}
