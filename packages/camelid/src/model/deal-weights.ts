/** Which rank has which weights of a model that several load together, each its part. */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { hollowNf4, type Nf4Description, type Nf4Weight, nf4Description } from "../nn/nf4-weight.js";
import { ownersOf } from "../parallel/buckets.js";
import { type Piece, ShardedBlocks } from "../parallel/sharded-blocks.js";
import type { ModelWeights } from "../weights/weight-index.js";
import { layerName, PROJECTION_KEYS, PROJECTIONS, weightShapes } from "./layer-layout.js";
import type { LoadOptions } from "./load.js";
import type { ModelConfig } from "./model-config.js";

export interface Deal {
  /** Whether another rank reads the weight. */
  isElsewhere(name: string): boolean;
  /** In the place of such a weight: the same tensor without memory. */
  hollow(name: string): Tensor;
  /** Adds other ranks' 4-bit weights without memory. All ranks do it together. */
  addHollowNf4(weights: Map<string, Nf4Weight>): void;
  /** @param dense and @param nf4 every weight, hollow or not */
  blocks(dense: ReadonlyMap<string, Tensor>, nf4: ReadonlyMap<string, Nf4Weight>): ShardedBlocks;
}

/** Bytes of a weight in 4 bits with its statistics: enough to deal by. */
const NF4_BYTES = 4.13 / 8;

/**
 * Deals out whole weights, the largest first to the rank with least, on every rank in the same way. The projections are then on
 * their owners; of the rest, which every rank has, the owner is who updates it.
 * @param isNf4 whether a weight is kept in 4 bits
 * @returns undefined when this process has everything
 */
export function dealWeights(
  config: ModelConfig,
  { entries }: ModelWeights,
  isNf4: (name: string) => boolean,
  { shardOver: world, dtype, device = "cpu", trainable = false }: LoadOptions,
): Deal | undefined {
  if (world?.group === undefined) return undefined;
  const { group, rank, size } = world;
  const layers = Array.from({ length: config.numHiddenLayers }, (_, layer) =>
    PROJECTION_KEYS.map((key) => layerName(layer, `${PROJECTIONS[key]}.weight`)),
  );
  const split = new Set(layers.flat());
  const shapes = weightShapes(config);
  const kept = (name: string): DType => dtype ?? (entries.get(name)!.dtype as DType);
  const sized = [...shapes].map(([name, shape]) => {
    const numel = shape.reduce((product, length) => product * length, 1);
    const bytes = isNf4(name) ? NF4_BYTES : torch.elementSize(kept(name));
    return { name, numel, dtype: kept(name), sizeBytes: numel * bytes };
  });
  const owners = new Map([...ownersOf(sized, size)].map(([{ name }, owner]) => [name, owner]));
  const isElsewhere = (name: string): boolean => split.has(name) && owners.get(name) !== rank;
  return {
    isElsewhere,
    hollow(name) {
      const tensor = torch.empty(shapes.get(name)!, { dtype: kept(name), device });
      torch.dropStorage(tensor);
      tensor.requiresGrad = trainable;
      return tensor;
    },
    addHollowNf4(weights) {
      const here = [...weights].map(([name, weight]) => [name, nf4Description(weight)]);
      for (const text of world.exchange(JSON.stringify(here))) {
        for (const [name, description] of JSON.parse(text) as [string, Nf4Description][])
          if (isElsewhere(name)) weights.set(name, hollowNf4(description, device));
      }
    },
    blocks(dense, nf4) {
      const pieces = (name: string): Piece[] => {
        const codes = nf4.get(name);
        const tensors =
          codes === undefined ? [dense.get(name)] : [codes.packed, codes.absmax, codes.nested?.absmax];
        const owner = owners.get(name)!;
        return tensors.flatMap((tensor) => (tensor === undefined ? [] : [{ tensor, owner }]));
      };
      const blocks = layers.map((names) => names.flatMap(pieces));
      const whole = [...shapes.keys()].filter((name) => !split.has(name)).flatMap(pieces);
      return new ShardedBlocks(world, group, blocks, whole);
    },
  };
}
