/** Which rank has which weights of a model that several load together, each its part. */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { SettingsError } from "../errors.js";
import { ownersOf } from "../parallel/buckets.js";
import { type Piece, ShardedBlocks } from "../parallel/sharded-blocks.js";
import type { ModelWeights } from "../weights/weight-index.js";
import { layerName, PROJECTION_KEYS, PROJECTIONS } from "./layer-layout.js";
import type { LoadOptions } from "./load.js";
import type { ModelConfig } from "./model-config.js";

export interface Deal {
  /** Whether another rank reads the weight. */
  isElsewhere(name: string): boolean;
  /** In the place of such a weight: the same tensor without memory. */
  hollow(name: string): Tensor;
  /** @param loaded every weight, hollow or not */
  blocks(loaded: ReadonlyMap<string, Tensor>): ShardedBlocks;
}

/**
 * Deals out whole weights, the largest first to the rank with least, on every rank in the same way. The projections are then on
 * their owners; of the rest, which every rank has, the owner is who updates it.
 * @param names the weights that are no 4-bit codes
 * @returns undefined when this process has everything
 * @throws {SettingsError} `ERR_SHARD_QUANTIZED`
 */
export function dealWeights(
  config: ModelConfig,
  { entries, folder }: ModelWeights,
  names: readonly string[],
  { shardOver: world, dtype, device = "cpu", trainable = false }: LoadOptions,
): Deal | undefined {
  if (world?.group === undefined) return undefined;
  const { group, rank, size } = world;
  const layers = Array.from({ length: config.numHiddenLayers }, (_, layer) =>
    PROJECTION_KEYS.map((key) => layerName(layer, `${PROJECTIONS[key]}.weight`)),
  );
  if (layers.flat().some((name) => !names.includes(name))) throw inFourBits(folder);
  const sized = names.map((name) => {
    const { shape, dtype: stored } = entries.get(name)!;
    const numel = shape.reduce((product, length) => product * length, 1);
    const kept: DType = dtype ?? (stored as DType);
    return { name, shape, numel, dtype: kept, sizeBytes: numel * torch.elementSize(kept) };
  });
  const owners = new Map([...ownersOf(sized, size)].map(([{ name }, owner]) => [name, owner]));
  const split = new Set(layers.flat());
  return {
    isElsewhere: (name) => split.has(name) && owners.get(name) !== rank,
    hollow(name) {
      const { shape, dtype: kept } = sized.find((one) => one.name === name)!;
      const tensor = torch.empty(shape, { dtype: kept, device });
      torch.dropStorage(tensor);
      tensor.requiresGrad = trainable;
      return tensor;
    },
    blocks(loaded) {
      const piece = (name: string): Piece => ({ tensor: loaded.get(name)!, owner: owners.get(name)! });
      const whole = names.filter((name) => !split.has(name)).map(piece);
      return new ShardedBlocks(
        world,
        group,
        layers.map((block) => block.map(piece)),
        whole,
      );
    },
  };
}

function inFourBits(folder: string): SettingsError {
  return new SettingsError("ERR_SHARD_QUANTIZED", "4-bit weights are not dealt out to the ranks.", {
    where: `shard parameters, quantize; ${folder}`,
    fix: "use --shard gradients, or leave quantize out.",
  });
}
