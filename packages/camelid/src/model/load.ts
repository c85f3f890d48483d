/** Model folders: weights from disk into a model, random weights for a new one, and back to disk. */
import { existsSync } from "node:fs";
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { ModelError } from "../errors.js";
import { Nf4Linear } from "../nn/nf4-linear.js";
import type { Nf4Settings } from "../nn/nf4-weight.js";
import type { World } from "../parallel/world.js";
import { modelFolder } from "../run/hub-names.js";
import { type ModelWeights, openWeights } from "../weights/weight-index.js";
import { readConfig } from "./config.js";
import { dealWeights } from "./deal-weights.js";
import { Decoder } from "./decoder.js";
import type { LanguageModel } from "./language-model.js";
import { SCORE_HEAD, weightShapes } from "./layer-layout.js";
import type { ModelConfig } from "./model-config.js";
import { Nf4Projections, projectionShapes, storedNf4Tensors } from "./nf4-projections.js";

export interface LoadOptions {
  device?: Device;
  /** Converts the weights; the checkpoint's own dtype when left out. */
  dtype?: DType;
  /**
   * Weights that training will change get memory of their own and record gradients. Otherwise they may stay mapped from the
   * file, which loads at once and shares memory between processes.
   */
  trainable?: boolean;
  /**
   * Keeps the projections in NF4. Each is quantised as soon as it is read, so that they are never all in memory in full
   * precision. A folder that stores them so needs no such option.
   */
  quantize?: Nf4Settings | null;
  /** Leaves the language-model head in the file, for a model that gets a head of another kind (`reward-model.ts`). */
  withoutHead?: boolean;
  /**
   * Ranks among which the blocks' weights are dealt out (ZeRO stage 3): each reads its part alone, and gets the others' while a
   * block computes. Embedding, head, norms and biases are on every rank. One process alone reads everything.
   */
  shardOver?: World | undefined;
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
      fix: "check the path; a model is a folder with config.json and weights, or org/name on the hub (org/name@main where a folder of that org's name is here).",
    });
  }
  const { config: stated } = readConfig(folder);
  // A tied head is no weight of its own: such a model has none to read, to keep or to train.
  const config = options.withoutHead ? { ...stated, tieWordEmbeddings: true } : stated;
  const weights = openWeights(folder);
  const shapes = weightShapes(config);
  const projections = projectionShapes(config);
  const stored = storedNf4Tensors(weights, projections);
  const otherHeads = options.withoutHead ? [SCORE_HEAD] : [];
  checkWeights(
    weights,
    shapes,
    config,
    new Map([...stored, ...otherHeads.map((name) => [name, name] as const)]),
  );
  const nf4 = new Nf4Projections(weights, projections, stored, options);
  const names = [...new Set([...shapes.keys(), ...stored.keys()])];
  const dense = names.filter((name) => !nf4.wants(name));
  const deal = dealWeights(config, weights, (name) => nf4.wants(name), options);
  const isElsewhere = (name: string): boolean => deal?.isElsewhere(name) ?? false;
  const loaded = new Map<string, Tensor>();
  try {
    const here = dense.filter((name) => !isElsewhere(name));
    for (const [name, tensor] of readTensors(weights, here)) loaded.set(name, place(tensor, options));
    for (const name of dense) if (isElsewhere(name)) loaded.set(name, deal!.hollow(name));
    const packed = names.filter((name) => nf4.wants(name) && !isElsewhere(stored.get(name) ?? name));
    for (const [name, tensor] of readOneByOne(weights, packed)) nf4.take(name, tensor);
    nf4.finish((matrix) => !isElsewhere(matrix));
    deal?.addHollowNf4(nf4.weights);
    const linears = new Map(
      [...nf4.weights].map(([name, weight]) => {
        const linear = name.slice(0, -".weight".length);
        return [linear, new Nf4Linear(linear, weight, loaded.get(`${linear}.bias`))];
      }),
    );
    return new Decoder(config, loaded, linears, deal?.blocks(loaded, nf4.weights));
  } catch (error) {
    for (const tensor of loaded.values()) tensor.dispose();
    nf4[Symbol.dispose]();
    throw error;
  }
}

/**
 * The weights of a model folder one after the other, in the precision of its files; of 4-bit weights codes and statistics.
 * @returns names and tensors; each tensor belongs to the caller
 */
export function* readModelWeights(folder: string): Generator<readonly [string, Tensor]> {
  const weights = openWeights(folder);
  const { config } = readConfig(folder);
  const stored = storedNf4Tensors(weights, projectionShapes(config));
  const names = new Set([...weightShapes(config).keys(), ...stored.keys(), SCORE_HEAD]);
  const present = [...names].filter((name) => weights.entries.has(name));
  yield* readOneByOne(weights, present);
}

/** Old checkpoints store rotary frequencies, and tied ones a copy of the embedding: neither is read. */
function isIgnored(name: string, config: ModelConfig): boolean {
  return name.endsWith(".rotary_emb.inv_freq") || (config.tieWordEmbeddings && name === "lm_head.weight");
}

function checkWeights(
  weights: ModelWeights,
  shapes: ReadonlyMap<string, readonly number[]>,
  config: ModelConfig,
  stored: ReadonlyMap<string, string>,
): void {
  const missing = [...shapes.keys()].filter((name) => !weights.entries.has(name));
  const unexpected = [...weights.entries.keys()].filter(
    (name) => !shapes.has(name) && !stored.has(name) && !isIgnored(name, config),
  );
  if (missing.length > 0 || unexpected.length > 0) {
    const parts = [
      missing.length === 0 ? [] : [`${missing.length} missing (${excerpt(missing)})`],
      unexpected.length === 0 ? [] : [`${unexpected.length} not known (${excerpt(unexpected)})`],
    ].flat();
    throw new ModelError("ERR_WEIGHTS_NAMES", `the weights do not fit config.json: ${parts.join(", ")}.`, {
      where: weights.folder,
      fix: unexpected.includes(SCORE_HEAD)
        ? "this is a reward model, which says no words: judge texts with it, `camelid score --model`."
        : "check that config.json belongs to these weights; an adapter has to be merged first.",
    });
  }
  for (const [name, shape] of shapes) {
    const entry = weights.entries.get(name)!;
    if (stored.has(name)) continue; // codes: checked with their statistics
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

/** File by file; the tensors of a safetensors file share one mapping of it. */
function* readTensors(weights: ModelWeights, names: readonly string[]): Generator<readonly [string, Tensor]> {
  if (weights.format === "pytorch") return yield* readOneByOne(weights, names);
  for (const file of weights.files) {
    const wanted = names.filter((name) => weights.entries.get(name)!.file === file);
    if (wanted.length > 0) yield* torch.readSafetensors(file, { names: wanted }).tensors;
  }
}

/** Each tensor in memory, or in a mapping, of its own: once it is disposed, nothing of it stays resident. */
function* readOneByOne(
  weights: ModelWeights,
  names: readonly string[],
): Generator<readonly [string, Tensor]> {
  for (const file of weights.files) {
    for (const name of names) {
      const entry = weights.entries.get(name)!;
      if (entry.file !== file) continue;
      if (weights.format === "safetensors") yield* torch.readSafetensors(file, { names: [name] }).tensors;
      else yield [name, torch.fromBytes(entry.read(), entry.shape, entry.dtype)];
    }
  }
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
