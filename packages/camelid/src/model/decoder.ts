/**
 * The decoder that Llama made common and that its relatives vary: rotary positions, grouped-query attention, a SwiGLU MLP, RMS
 * norms. What varies is in the config's traits, which `families/` read from `config.json`. Every family is checked against
 * transformers in tests/parity.
 */
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { packedAttention } from "../nn/attention.js";
import { HostStash } from "../nn/host-stash.js";
import { denseLinear, forwardAll, type Linear } from "../nn/linear.js";
import type { PackedRows } from "../nn/packed-rows.js";
import { recompute } from "../nn/recompute.js";
import { rmsNorm } from "../nn/rms-norm.js";
import { applyRope, type RopeTables, ropeFrequencies, ropeTables } from "../nn/rope.js";
import type { ShardedBlocks } from "../parallel/sharded-blocks.js";
import type { KeyValueCache } from "./kv-cache.js";
import type { LanguageModel } from "./language-model.js";
import {
  EMBEDDING,
  FINAL_NORM,
  HEAD,
  layerName,
  layerNorms,
  layerProjections,
  type Norm,
  PROJECTION_KEYS,
  PROJECTIONS,
  type Projection,
} from "./layer-layout.js";
import { attentionWindow, type ModelConfig } from "./model-config.js";

interface Layer {
  index: number;
  linears: Record<Projection, Linear>;
  /** Those that the family has. */
  norms: Partial<Record<Norm, Tensor>>;
}

export class Decoder implements LanguageModel {
  readonly config: ModelConfig;
  readonly headWeight: Tensor;
  activationCheckpointing = false;
  activationOffload = false;
  readonly #embedTokens: Tensor;
  readonly #layers: Layer[];
  readonly #norm: Tensor;
  readonly #shards: ShardedBlocks | undefined;
  readonly #frequencies: Tensor;

  /**
   * @param weights every tensor of `weightShapes`, all of one dtype on one device; the model owns them from now on
   * @param linears projections that are there already, by name: their weights need not be among `weights`
   * @param shards the layers' weights where they lie on several ranks; owned as well
   */
  constructor(
    config: ModelConfig,
    weights: ReadonlyMap<string, Tensor>,
    linears: ReadonlyMap<string, Linear> = new Map(),
    shards?: ShardedBlocks,
  ) {
    const weight = (name: string): Tensor => weights.get(name)!.named(name);
    this.config = config;
    this.#shards = shards;
    this.#embedTokens = weight(EMBEDDING);
    this.#layers = Array.from({ length: config.numHiddenLayers }, (_, i) =>
      newLayer(config, i, weight, linears),
    );
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
    const stash = this.activationOffload ? new HostStash() : undefined;
    for (const layer of this.#layers) {
      const { attentionInput, attentionOutput, mlpInput, mlpOutput } = layer.norms;
      const block = (input: Tensor): Tensor => {
        const attention = this.#attention(layer, this.#normed(input, attentionInput), rope, rows, cache);
        const attended = input.add(this.#normed(attention, attentionOutput));
        const mlp = this.#mlp(layer, this.#normed(attended, mlpInput));
        return attended.add(this.#normed(mlp, mlpOutput));
      };
      x = this.#shards?.enter(layer.index, x) ?? x;
      x = this.activationCheckpointing ? recompute(block, x, stash) : torch.tensorScope(() => block(x));
      x = this.#shards?.leave(layer.index, x) ?? x;
    }
    return this.#normed(x, this.#norm);
  }

  /** A norm that the family does not have leaves x as it is. */
  #normed(x: Tensor, weight: Tensor | undefined): Tensor {
    return weight === undefined ? x : rmsNorm(x, weight, this.config.rmsNormEps);
  }

  /** @param x [tokens, hidden] */
  #attention(
    { index, linears, norms }: Layer,
    x: Tensor,
    rope: RopeTables,
    rows: PackedRows,
    cache: KeyValueCache | undefined,
  ): Tensor {
    const { numAttentionHeads, numKeyValueHeads } = this.config;
    const [q, k, v] = forwardAll([linears.qProj, linears.kProj, linears.vProj], x);
    const query = this.#heads(q!, numAttentionHeads, norms.query);
    const key = this.#heads(k!, numKeyValueHeads, norms.key);
    const value = this.#heads(v!, numKeyValueHeads, undefined);
    const window = attentionWindow(this.config, index);
    const attended =
      cache === undefined
        ? packedAttention(query, key, value, rows, window, rope)
        : cache.attend(index, applyRope(query, rope), applyRope(key, rope), value, window);
    return linears.oProj.forward(attended.reshape([-1, numAttentionHeads * this.config.headDim]));
  }

  /** [tokens, heads * headDim] -> [tokens, heads, headDim], normalised before or after the cut where the family does. */
  #heads(projected: Tensor, heads: number, norm: Tensor | undefined): Tensor {
    const { headDim, queryKeyNorm } = this.config;
    const whole = queryKeyNorm === "projection" ? this.#normed(projected, norm) : projected;
    const cut = whole.view([-1, heads, headDim]);
    return queryKeyNorm === "head" ? this.#normed(cut, norm) : cut;
  }

  #mlp({ linears }: Layer, x: Tensor): Tensor {
    const [gate, up] = forwardAll([linears.gateProj, linears.upProj], x);
    return linears.downProj.forward(torch.fusedSwiglu(gate!, up!));
  }

  namedParameters(): Map<string, Tensor> {
    const parameters = new Map([[EMBEDDING, this.#embedTokens]]);
    for (const { index, norms } of this.#layers) {
      for (const { norm, name } of layerNorms(this.config))
        parameters.set(layerName(index, name), norms[norm]!);
    }
    for (const linear of this.linears()) {
      for (const [name, parameter] of linear.namedParameters()) parameters.set(name, parameter);
    }
    parameters.set(FINAL_NORM, this.#norm);
    if (!this.config.tieWordEmbeddings) parameters.set(HEAD, this.headWeight);
    return parameters;
  }

  *linears(): Generator<Linear> {
    for (const { linears } of this.#layers) for (const key of PROJECTION_KEYS) yield linears[key];
  }

  replaceLinear(name: string, replace: (original: Linear) => Linear): void {
    for (const { linears } of this.#layers) {
      for (const key of PROJECTION_KEYS) if (linears[key].name === name) linears[key] = replace(linears[key]);
    }
  }

  [Symbol.dispose](): void {
    this.#shards?.[Symbol.dispose]();
    for (const linear of this.linears()) linear[Symbol.dispose]();
    for (const parameter of this.namedParameters().values()) parameter.dispose();
    this.#frequencies.dispose();
  }
}

function newLayer(
  config: ModelConfig,
  index: number,
  weight: (name: string) => Tensor,
  given: ReadonlyMap<string, Linear>,
): Layer {
  const projections = layerProjections(config);
  const linears = PROJECTION_KEYS.map((key) => {
    const name = layerName(index, PROJECTIONS[key]);
    const dense = (): Linear => {
      const bias = projections[key].bias ? weight(`${name}.bias`) : undefined;
      return denseLinear(name, weight(`${name}.weight`), bias);
    };
    return [key, given.get(name) ?? dense()] as const;
  });
  const norms = layerNorms(config).map(({ norm, name }) => [norm, weight(layerName(index, name))] as const);
  return {
    index,
    linears: Object.fromEntries(linears) as Record<Projection, Linear>,
    norms: Object.fromEntries(norms),
  };
}
