/**
 * Which projections of a model come in NF4: all of them when that is asked for, each quantised as soon as it is read; or those
 * that a folder stores in 4 bits. Embedding, head and norms stay as they are.
 */
import type { Device, Tensor } from "@camelid/torch";
import { SettingsError } from "../errors.js";
import { nf4FromTensors, nf4MatrixOf, nf4TensorNames } from "../nn/nf4-tensors.js";
import { moveNf4, type Nf4Settings, type Nf4Weight, quantizeNf4 } from "../nn/nf4-weight.js";
import type { ModelWeights } from "../weights/weight-index.js";
import { layerName, layerProjections, PROJECTION_KEYS, PROJECTIONS } from "./layer-layout.js";
import type { ModelConfig } from "./model-config.js";

/** Shape of every projection's weight, by name. */
export type ProjectionShapes = ReadonlyMap<string, readonly [number, number]>;

export function projectionShapes(config: ModelConfig): ProjectionShapes {
  const projections = layerProjections(config);
  const shapes = new Map<string, readonly [number, number]>();
  for (let layer = 0; layer < config.numHiddenLayers; layer++) {
    for (const key of PROJECTION_KEYS)
      shapes.set(layerName(layer, `${PROJECTIONS[key]}.weight`), projections[key].shape);
  }
  return shapes;
}

/** Codes and statistics of projections that the folder stores in NF4: tensor name -> the weight it belongs to. */
export function storedNf4Tensors(weights: ModelWeights, shapes: ProjectionShapes): Map<string, string> {
  const owners = new Map<string, string>();
  for (const [name, { dtype }] of weights.entries) {
    const matrix = nf4MatrixOf(name) ?? (dtype === "uint8" ? name : undefined);
    if (matrix !== undefined && shapes.has(matrix)) owners.set(name, matrix);
  }
  return owners;
}

/** Collects NF4 weights while the tensors of a model folder go by. */
export class Nf4Projections implements Disposable {
  readonly weights = new Map<string, Nf4Weight>();
  readonly #folder: string;
  readonly #shapes: ProjectionShapes;
  readonly #stored: ReadonlyMap<string, string>;
  readonly #quantize: Nf4Settings | null;
  readonly #device: Device;
  readonly #parts = new Map<string, Tensor>();

  /**
   * @throws {SettingsError} `ERR_QUANTIZE_TRAINABLE`: 4-bit weights stay as they are, only adapters on them learn;
   *   `ERR_QUANTIZE_TWICE` when the folder is in 4 bits already
   */
  constructor(
    { folder }: ModelWeights,
    shapes: ProjectionShapes,
    stored: ReadonlyMap<string, string>,
    options: { quantize?: Nf4Settings | null; device?: Device; trainable?: boolean },
  ) {
    const { quantize = null, device = "cpu", trainable = false } = options;
    if (quantize !== null && stored.size > 0) {
      throw new SettingsError("ERR_QUANTIZE_TWICE", "the model is stored in 4 bits already.", {
        where: `quantize; ${folder}`,
        fix: "leave quantize out, or name the folder of the original weights.",
      });
    }
    if (trainable && (quantize !== null || stored.size > 0)) {
      throw new SettingsError("ERR_QUANTIZE_TRAINABLE", "4-bit weights cannot be trained themselves.", {
        where: stored.size > 0 ? `${folder} is stored in 4 bits` : "quantize",
        fix: "train adapters on them: add `--lora-rank 64`.",
      });
    }
    this.#folder = folder;
    this.#shapes = shapes;
    this.#stored = stored;
    this.#quantize = quantize;
    this.#device = device;
  }

  /** Whether a tensor is read one at a time, and given to `take`. */
  wants(name: string): boolean {
    return this.#stored.has(name) || (this.#quantize !== null && this.#shapes.has(name));
  }

  /** @param tensor on the CPU; belongs to this object from now on */
  take(name: string, tensor: Tensor): void {
    if (this.#stored.has(name)) {
      this.#parts.set(name, tensor);
      return;
    }
    try {
      this.weights.set(name, moveNf4(quantizeNf4(tensor, this.#quantize!, name), this.#device));
    } finally {
      tensor.dispose();
    }
  }

  /**
   * After the last tensor.
   * @param isHere false for a matrix whose tensors were not read
   * @throws {ModelError} `ERR_NF4_TENSORS` naming a tensor that a stored matrix lacks
   */
  finish(isHere: (matrix: string) => boolean): void {
    for (const matrix of new Set(this.#stored.values())) {
      if (!isHere(matrix)) continue;
      const weight = nf4FromTensors(matrix, this.#shapes.get(matrix)!, this.#parts, this.#folder);
      for (const name of nf4TensorNames(matrix)) {
        const part = this.#parts.get(name);
        this.#parts.delete(name);
        if (part !== weight.packed && part !== weight.absmax && part !== weight.nested?.absmax)
          part?.dispose();
      }
      this.weights.set(matrix, moveNf4(weight, this.#device));
    }
  }

  /** For a load that failed; otherwise the model owns the weights. */
  [Symbol.dispose](): void {
    for (const weight of this.weights.values()) weight[Symbol.dispose]();
    for (const part of this.#parts.values()) part.dispose();
  }
}

/**
 * What `config.json` says of a model whose parameters are these, in transformers' words; undefined without 4-bit weights.
 * @param computeDtype what the weights are restored in
 */
export function quantizationConfig(
  parameters: ReadonlyMap<string, unknown>,
  computeDtype: string,
): Record<string, unknown> | undefined {
  const names = [...parameters.keys()];
  if (!names.some((name) => nf4MatrixOf(name) !== undefined)) return undefined;
  return {
    quant_method: "bitsandbytes",
    load_in_4bit: true,
    load_in_8bit: false,
    bnb_4bit_quant_type: "nf4",
    bnb_4bit_use_double_quant: names.some((name) => name.endsWith(".nested_absmax")),
    bnb_4bit_compute_dtype: computeDtype,
    bnb_4bit_quant_storage: "uint8",
    llm_int8_skip_modules: ["lm_head"],
  };
}
