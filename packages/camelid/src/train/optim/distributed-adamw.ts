/**
 * AdamW on several processes. Gradients are summed over all of them; then each updates every parameter, or only those it owns
 * and gives them to the others: optimizer states, gradients and parameters are then in the group once instead of once on every
 * rank (ZeRO stages 1 to 3, Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054). Ownership is by whole parameters.
 */
import type { ProcessGroup, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { InternalError } from "../../errors.js";
import { bitsOf } from "../../parallel/bits.js";
import { BlockGradients } from "../../parallel/block-gradients.js";
import { type Bucket, bucketsOf, cutBucket, flatBucket, ownersOf } from "../../parallel/buckets.js";
import { GradientSum } from "../../parallel/gradient-sum.js";
import { shardedBlocksOf } from "../../parallel/sharded-blocks.js";
import type { World } from "../../parallel/world.js";
import { type Adamw, type AdamwSettings, adamw } from "./adamw.js";
import { gatherLayout, saveParts } from "./sharded-state.js";

/** What is split among the ranks. */
export type Shard = "none" | "optimizer" | "gradients" | "parameters";

export interface DistributedSettings extends AdamwSettings {
  shard?: Shard;
  /** Gradients travel in messages of about so many bytes (25 MB, of a small model less). */
  bucketBytes?: number;
}

/**
 * The same numbers as `adamw` on one process, but for the order of sums. Between `begin` and `update` every rank does the backward
 * passes of its part of the step; `update` is done on all ranks together. In a world of one it is `adamw`.
 * @param parameters the same on every rank, in the same order
 */
export function distributedAdamw(
  parameters: ReadonlyMap<string, Tensor>,
  settings: DistributedSettings,
  world: World,
): Adamw {
  const { group } = world;
  if (group === undefined) return adamw(parameters, settings);
  const { shard = "none", bucketBytes } = settings;
  const message = bucketBytes === undefined ? {} : { bucketBytes };
  const trained = new Map([...parameters].filter(([, { requiresGrad }]) => requiresGrad));
  const tensors = [...trained.values()];
  if (shard === "none") {
    const sums = new GradientSum(group, tensors, message);
    const optimizer = adamw(trained, settings);
    return summing(optimizer, [sums], world, trained);
  }
  // Adapters are on every rank, whatever they are put on.
  const blocks = tensors.map(shardedBlocksOf).find((one) => one !== undefined);
  if (blocks !== undefined && shard !== "parameters") throw loadedInParts(shard);
  const undealt = tensors.filter((tensor) => blocks?.owners.has(tensor) !== true);
  const owners = new Map([...(blocks?.owners ?? []), ...ownersOf(undealt, world.size)]);
  const copied = new Map([...trained].filter(([, parameter]) => shardedBlocksOf(parameter) === undefined));
  const everywhere = [...copied.values()];
  const sums: Sum[] = [
    new GradientSum(group, everywhere, {
      ...message,
      owners,
      eachPass: shard === "gradients",
      atEnd: shard === "parameters",
    }),
  ];
  if (blocks !== undefined) sums.unshift(new BlockGradients(group, blocks));
  const own = new Map([...trained].filter(([, parameter]) => owners.get(parameter) === world.rank));
  const optimizer = adamw(own, { ...settings, sumSquares: (squares) => sumThere(world, tensors, squares) });
  const buckets = bucketsOf(everywhere, owners, bucketBytes);
  const parts = gatherLayout(optimizer.state(), world);
  const layout = new Map(parts.map((part) => [part.name, part]));
  return {
    ...summing(optimizer, sums, world, copied, () => shareUpdates(group, buckets)),
    layout: () => layout,
    saveState(write) {
      world.meet();
      saveParts(group, parts, optimizer.state(), write);
    },
  };
}

/** A rank that owns nothing has its zero on the CPU; it travels as those of the others do. */
function sumThere(world: World, parameters: readonly Tensor[], squares: Tensor): void {
  const device = parameters[0]?.device ?? squares.device;
  using _ = torch.tensorScope();
  const there = squares.to({ device }); // the same tensor where it is there already
  world.sum(there);
  squares.copy_(there);
}

/** Gradients of a step: from its first pass until they are summed. */
interface Sum extends Disposable {
  begin(passes: number): void;
  end(): void;
}

/**
 * @param parameters those that every rank has: the same bits on all
 * @param publish gives updated parameters to the ranks that did not update them; left out, every rank updates all
 */
function summing(
  optimizer: Adamw,
  sums: readonly Sum[],
  world: World,
  parameters: ReadonlyMap<string, Tensor>,
  publish?: () => void,
): Adamw {
  let isFirst = true;
  /** Once in a run: what lets ranks drift apart does it in the first step. */
  const compare = (say: (name: string) => string, pick: (parameter: Tensor) => Tensor | undefined): void => {
    if (!isFirst) return;
    using _ = torch.tensorScope();
    const all = [...parameters].map(([name, parameter]) => [say(name), pick(parameter)] as const);
    world.checkSame(() =>
      Object.fromEntries(all.map(([name, tensor]) => [name, tensor === undefined ? "" : bitsOf(tensor)])),
    );
  };
  return {
    ...optimizer,
    get step() {
      return optimizer.step;
    },
    begin(learningRate, passes = 1) {
      for (const sum of sums) sum.begin(passes);
      optimizer.begin(learningRate);
    },
    update(learningRate, maxGradNorm) {
      world.meet();
      torch.span("sum over ranks", () => {
        for (const sum of sums) sum.end();
      });
      if (publish === undefined)
        compare(
          (name) => `the summed gradient of ${name}`,
          ({ grad }) => grad,
        );
      const norm = optimizer.update(learningRate, maxGradNorm);
      torch.span("sum over ranks", () => publish?.());
      compare(
        (name) => `${name} after its first update`,
        (parameter) => parameter,
      );
      isFirst = false;
      return norm;
    },
    [Symbol.dispose]() {
      for (const sum of sums) sum[Symbol.dispose]();
      optimizer[Symbol.dispose]();
    },
  };
}

/** Each bucket of updated parameters goes from its owner to all others. */
function shareUpdates(group: ProcessGroup, buckets: readonly Bucket[]): void {
  const sent: { bucket: Bucket; flat: Tensor; wait: () => void }[] = [];
  const receive = (): void => {
    const { bucket, flat, wait } = sent.shift()!;
    wait();
    if (bucket.members.length > 1 && bucket.owner !== group.rank) {
      using _ = torch.tensorScope();
      torch.noGrad(() => {
        for (const [parameter, part] of cutBucket(bucket, flat)) parameter.copy_(part);
      });
    }
    flat.dispose();
  };
  for (const bucket of buckets) {
    // A parameter that is a bucket of its own travels in its own memory.
    const flat = flatBucket(bucket, (parameter) => parameter);
    const { wait } = group.broadcast(flat, bucket.owner);
    sent.push({ bucket, flat, wait });
    if (sent.length > UNDER_WAY) receive();
  }
  while (sent.length > 0) receive();
}

/** Messages whose memory is needed at a time. */
const UNDER_WAY = 4;

function loadedInParts(shard: Shard): InternalError {
  return new InternalError(`the model was loaded in parts, and shard is ${shard}.`, {
    fix: "load it with `shardOver` when shard is parameters, and only then.",
  });
}
