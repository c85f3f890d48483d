/** What a rank holds of gradients while a backward pass makes them and messages take them away. */
import { type Bucket, bucketsOf, flatBytes } from "../parallel/buckets.js";
import { UNDER_WAY } from "../parallel/gradient-sum.js";
import type { Shard } from "../train/optim/distributed-adamw.js";
import type { PlannedParameter, WeightBlocks } from "./parameters.js";

export interface BackwardPoint {
  /** Bytes of gradients, and of messages made of them. */
  held: number;
  /** Share of the parameters whose gradients have come: activations of as many layers are gone. */
  done: number;
}

/**
 * The points of one backward pass, parameter by parameter from the last to the first.
 * @param rank whose memory it is, among `owners`; undefined where gradients are not sent in this pass
 * @param before bytes of gradients from earlier passes of the step
 */
export function heldInBackward(
  parameters: readonly PlannedParameter[],
  shard: Shard,
  sending: { rank: number; owners: ReadonlyMap<PlannedParameter, number> } | undefined,
  before: number,
): BackwardPoint[] {
  const backwards = [...parameters].reverse();
  const total = backwards.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const messages = sending === undefined ? undefined : new Messages(backwards, shard, sending);
  // Sums of earlier passes wait apart; gradients that are not sent yet are added to where they lie.
  const addsUp = before > 0 && (shard === "none" || shard === "optimizer");
  let [held, come] = [before, 0];
  return backwards.map((parameter) => {
    come += parameter.sizeBytes;
    if (!addsUp) held += parameter.sizeBytes;
    let most = held;
    for (const change of messages?.after(parameter) ?? []) {
      held += change;
      most = Math.max(most, held);
    }
    return { held: most, done: come / total };
  });
}

/**
 * With weights in parts: of each block's gradients a rank's own stay, and the rest goes while the block below is computed.
 * @param own share of all projections that is the rank's
 */
export function heldInParts({ blocks, whole }: WeightBlocks, own: number, isFirst: boolean): BackwardPoint[] {
  const bytes = (some: readonly PlannedParameter[]): number =>
    some.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const all = bytes(blocks.flat());
  // Those of every rank's weights wait for the step's end; the head's is there from the start.
  return blocks.map((_, i) => {
    const done = (i + 1) / blocks.length;
    const travelling = (i === 0 ? 1 : 2) * bytes(blocks[0]!);
    return { held: bytes(whole) + (isFirst ? done : 1) * own * all + travelling, done };
  });
}

/** The buckets of `GradientSum` on their way. */
class Messages {
  readonly #buckets: Bucket<PlannedParameter>[];
  readonly #rank: number;
  readonly #come = new Set<PlannedParameter>();
  readonly #sent: Bucket<PlannedParameter>[] = [];
  #next = 0;

  constructor(
    backwards: readonly PlannedParameter[],
    shard: Shard,
    { rank, owners }: { rank: number; owners: ReadonlyMap<PlannedParameter, number> },
  ) {
    this.#buckets = bucketsOf(backwards, shard === "none" ? undefined : owners);
    this.#rank = rank;
  }

  /** Changes of the bytes held, one after the other. */
  *after(parameter: PlannedParameter): Generator<number> {
    this.#come.add(parameter);
    for (;;) {
      const bucket = this.#buckets[this.#next];
      if (bucket === undefined || !bucket.members.every((one) => this.#come.has(one))) return;
      this.#next++;
      // Laid end to end in new memory, unless it is one alone; then the gradients themselves go.
      if (bucket.members.length > 1) {
        yield flatBytes(bucket);
        yield -bytesOf(bucket);
      }
      if (bucket.owner === undefined) continue;
      this.#sent.push(bucket);
      if (this.#sent.length <= UNDER_WAY) continue;
      const arrived = this.#sent.shift()!;
      if (arrived.owner !== this.#rank) yield -flatBytes(arrived);
    }
  }
}

const bytesOf = ({ members }: Bucket<PlannedParameter>): number =>
  members.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
