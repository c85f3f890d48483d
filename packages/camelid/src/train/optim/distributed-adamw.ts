/**
 * AdamW on several processes. Gradients are summed over all of them; then each updates every parameter, or only those it owns
 * and gives them to the others: optimizer states, and gradients with them, are then in the group once instead of once on every
 * rank (ZeRO stages 1 and 2, Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054). Ownership is by whole parameters.
 */
import type { ProcessGroup, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { bitsOf } from "../../parallel/bits.js";
import { type Bucket, bucketsOf, cutBucket, flatBucket, ownersOf } from "../../parallel/buckets.js";
import { GradientSum } from "../../parallel/gradient-sum.js";
import type { World } from "../../parallel/world.js";
import { type Adamw, type AdamwSettings, adamw } from "./adamw.js";
import { gatherLayout, saveParts } from "./sharded-state.js";

/** What is split among the ranks. */
export type Shard = "none" | "optimizer" | "gradients";

export interface DistributedSettings extends AdamwSettings {
  shard?: Shard;
  /** Gradients travel in messages of about so many bytes (25 MB). */
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
    return summing(optimizer, sums, world, trained);
  }
  const owners = ownersOf(tensors, world.size);
  const sums = new GradientSum(group, tensors, { ...message, owners, eachPass: shard === "gradients" });
  const own = new Map([...trained].filter(([, parameter]) => owners.get(parameter) === world.rank));
  const optimizer = adamw(own, { ...settings, sumSquares: world.sum });
  const buckets = bucketsOf(tensors, owners, bucketBytes);
  const parts = gatherLayout(optimizer.state(), world);
  const layout = new Map(parts.map((part) => [part.name, part]));
  return {
    ...summing(optimizer, sums, world, trained, () => shareUpdates(group, buckets)),
    layout: () => layout,
    saveState: (write) => saveParts(group, parts, optimizer.state(), write),
  };
}

/** @param publish gives updated parameters to the ranks that did not update them; left out, every rank updates all */
function summing(
  optimizer: Adamw,
  sums: GradientSum,
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
      sums.begin(passes);
      optimizer.begin(learningRate);
    },
    update(learningRate, maxGradNorm) {
      torch.span("sum over ranks", () => sums.end());
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
      sums[Symbol.dispose]();
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
