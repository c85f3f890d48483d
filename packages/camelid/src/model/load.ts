/** Model folders: weights from disk into a model, random weights for a new one, and back to disk. */
import { existsSync } from "node:fs";
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { ModelError } from "../errors.js";
import { modelFolder } from "../run/hub-names.js";
import { type ModelWeights, openWeights } from "../weights/weight-index.js";
import { readConfig } from "./config.js";
import { Decoder } from "./decoder.js";
import type { LanguageModel } from "./language-model.js";
import { weightShapes } from "./layer-layout.js";
import type { ModelConfig } from "./model-config.js";

export interface LoadOptions {
  device?: Device;
  /** Converts the weights; the checkpoint's own dtype when left out. */
  dtype?: DType;
  /**
   * Weights that training will change get memory of their own and record gradients. Otherwise they may stay mapped from the
   * file, which loads at once and shares memory between processes.
   */
  trainable?: boolean;
}

/**
 * Loads a model folder in the Hugging Face layout: safetensors or PyTorch files, one or sharded.
 * @param name a folder, or the hub's name of a model that has been fetched (`fetchModel`)
 * @throws {ModelError} when the folder, its config or its weights are not what they should be
 */
export function loadModel(name: string, options: LoadOptions = {}): LanguageModel {
  const folder = modelFolder(name);
  if (!existsSync(folder)) {
    throw new ModelError("ERR_MODEL_FOLDER", "the model folder does not exist.", {
      where: folder,
      fix: "check the path; a model is a folder with config.json and weights, or org/name on the hub.",
    });
  }
  const { config } = readConfig(folder);
  const weights = openWeights(folder);
  const shapes = weightShapes(config);
  checkWeights(weights, shapes, config);
  const loaded = new Map<string, Tensor>();
  try {
    for (const file of weights.files) {
      for (const [name, tensor] of readFile(weights, file, shapes)) loaded.set(name, place(tensor, options));
    }
    return new Decoder(config, loaded);
  } catch (error) {
    for (const tensor of loaded.values()) tensor.dispose();
    throw error;
  }
}

/**
 * The weights of a model folder one after the other, in the precision of its files.
 * @returns names and tensors; each tensor belongs to the caller
 */
export function* readModelWeights(name: string): Generator<readonly [string, Tensor]> {
  const folder = modelFolder(name);
  const weights = openWeights(folder);
  const shapes = weightShapes(readConfig(folder).config);
  for (const file of weights.files) yield* readFile(weights, file, shapes);
}

/** Old checkpoints store rotary frequencies, and tied ones a copy of the embedding: neither is read. */
function isIgnored(name: string, config: ModelConfig): boolean {
  return name.endsWith(".rotary_emb.inv_freq") || (config.tieWordEmbeddings && name === "lm_head.weight");
}

function checkWeights(
  weights: ModelWeights,
  shapes: ReadonlyMap<string, readonly number[]>,
  config: ModelConfig,
): void {
  const missing = [...shapes.keys()].filter((name) => !weights.entries.has(name));
  const unexpected = [...weights.entries.keys()].filter(
    (name) => !shapes.has(name) && !isIgnored(name, config),
  );
  if (missing.length > 0 || unexpected.length > 0) {
    const parts = [
      missing.length === 0 ? [] : [`${missing.length} missing (${excerpt(missing)})`],
      unexpected.length === 0 ? [] : [`${unexpected.length} not known (${excerpt(unexpected)})`],
    ].flat();
    throw new ModelError("ERR_WEIGHTS_NAMES", `the weights do not fit config.json: ${parts.join(", ")}.`, {
      where: weights.folder,
      fix: "check that config.json belongs to these weights; an adapter or a quantised model has to be merged first.",
    });
  }
  for (const [name, shape] of shapes) {
    const entry = weights.entries.get(name)!;
    if (entry.shape.join() !== shape.join()) {
      throw new ModelError("ERR_WEIGHTS_SHAPE", `shape [${entry.shape}] where config.json says [${shape}].`, {
        where: `${entry.file}, tensor "${name}"`,
        fix: "check that config.json belongs to these weights.",
      });
    }
    if (!torch.isFloatingPoint(entry.dtype)) {
      throw new ModelError("ERR_WEIGHTS_DTYPE", `dtype ${entry.dtype}; weights must be floating point.`, {
        where: `${entry.file}, tensor "${name}"`,
        fix: "use an unquantised checkpoint.",
      });
    }
  }
}

function excerpt(names: readonly string[]): string {
  return names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")}, ...`;
}

function* readFile(
  weights: ModelWeights,
  file: string,
  shapes: ReadonlyMap<string, unknown>,
): Generator<readonly [string, Tensor]> {
  const wanted = [...weights.entries.values()].filter(
    (entry) => entry.file === file && shapes.has(entry.name),
  );
  if (weights.format === "safetensors") {
    yield* torch.readSafetensors(file, { names: wanted.map((entry) => entry.name) }).tensors;
    return;
  }
  for (const entry of wanted) yield [entry.name, torch.fromBytes(entry.read(), entry.shape, entry.dtype)];
}

function place(read: Tensor, { device = "cpu", dtype = read.dtype, trainable = false }: LoadOptions): Tensor {
  const moved = read.dtype !== dtype || read.device !== device;
  const placed = moved ? read.to({ dtype, device }) : trainable ? read.clone() : read;
  if (placed !== read) read.dispose();
  placed.requiresGrad = trainable;
  return placed;
}

/**
 * A new model with random weights: normal with the config's `initializer_range`, norms at one, biases at zero. The values depend on
 * `torch.manualSeed` and on the config only.
 */
export function initModel(config: ModelConfig, options: LoadOptions = {}): LanguageModel {
  const { device = "cpu", dtype = config.dtype, trainable = false } = options;
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of weightShapes(config)) {
    const values = name.endsWith(".bias")
      ? torch.zeros(shape)
      : shape.length === 1
        ? torch.ones(shape)
        : torch.empty(shape).normal_(0, config.initializerRange);
    weights.set(name, place(values, { device, dtype, trainable }));
  }
  return new Decoder(config, weights);
}
