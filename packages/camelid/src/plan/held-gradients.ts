/** What a rank holds of gradients while a backward pass makes them and messages take them away. */
import { EMBEDDING, FINAL_NORM, HEAD } from "../model/layer-layout.js";
import { type Bucket, bucketsOf, flatBytes } from "../parallel/buckets.js";
import { UNDER_WAY } from "../parallel/gradient-sum.js";
import type { Shard } from "../train/optim/distributed-adamw.js";
import type { PlannedParameter, WeightBlocks } from "./parameters.js";

export interface BackwardPoint {
  /** Bytes of gradients, and of messages made of them. */
  held: number;
  /** Share of the layers that the pass has left: what they computed is gone. */
  done: number;
}

/**
 * The points of the last backward pass of a step: each parameter from the last to the first, when its gradient has come.
 * @param sending the rank whose memory it is, and who owns what; undefined on one device, where nothing is sent
 * @param earlier backward passes of the step before it
 */
export function backwardPoints(
  parameters: readonly PlannedParameter[],
  shard: Shard,
  sending: { rank: number; owners: ReadonlyMap<PlannedParameter, number> } | undefined,
  earlier: number,
): BackwardPoint[] {
  const backwards = [...parameters].reverse();
  // Gradients that are not sent after each pass are added to where they lie.
  const addsUp = earlier > 0 && !(sending !== undefined && shard === "gradients");
  const messages = sending && new Messages(backwards, shard, sending, earlier);
  // The gradient of an embedding that is the head as well comes twice, first from the head.
  const tied = backwards.find(({ name }) => name === HEAD)
    ? undefined
    : backwards.find(({ name }) => name === EMBEDDING);
  let held = addsUp ? bytesOf(backwards) : (messages?.left() ?? 0) + (tied?.sizeBytes ?? 0);
  const doneAt = layersDone(parameters);
  const points = [{ held, done: 0 }];
  for (const parameter of backwards) {
    const done = doneAt(parameter);
    if (!addsUp && parameter !== tied) held += parameter.sizeBytes;
    points.push({ held, done });
    for (const change of messages?.after(parameter) ?? []) {
      held += change;
      points.push({ held, done });
    }
  }
  return points;
}

/**
 * With weights in parts: a rank's own stay, those of weights that every rank has wait for the step's end, and of two blocks they are
 * made or travel.
 * @param own share of all weights that is the rank's
 * @param earlier backward passes of the step before it
 */
export function backwardPointsInParts(
  { blocks, whole }: WeightBlocks,
  own: number,
  earlier: number,
): BackwardPoint[] {
  const twoBlocks = Math.min(2, blocks.length) * bytesOf(blocks[0] ?? []);
  const all = bytesOf(whole) + own * bytesOf(blocks.flat()) + twoBlocks;
  const head = whole.find(({ name }) => name === HEAD) ?? whole.find(({ name }) => name === EMBEDDING);
  const first = earlier > 0 ? all : (head?.sizeBytes ?? 0) + twoBlocks;
  return [
    { held: first, done: 0 },
    { held: all, done: 1 },
  ];
}

/** @returns for a parameter the share of the layers above its own; norms come in between, and are too small to matter */
function layersDone(parameters: readonly PlannedParameter[]): (parameter: PlannedParameter) => number {
  const layerOf = ({ name }: PlannedParameter): number | undefined => {
    const [, layer] = /\.layers\.(\d+)\..*_proj\./.exec(name) ?? [];
    return layer === undefined ? undefined : Number(layer);
  };
  const layers = 1 + parameters.reduce((most, parameter) => Math.max(most, layerOf(parameter) ?? 0), 0);
  return (parameter) => {
    const layer = layerOf(parameter);
    if (layer !== undefined) return (layers - 1 - layer) / layers;
    return parameter.name === HEAD || parameter.name === FINAL_NORM ? 0 : (layers - 1) / layers;
  };
}

/** The buckets of `GradientSum` on their way. */
class Messages {
  readonly #buckets: Bucket<PlannedParameter>[];
  readonly #rank: number;
  readonly #come = new Set<PlannedParameter>();
  /** Sent and not known to have arrived, oldest first; at the start those of the pass before. */
  readonly #sent: { bucket: Bucket<PlannedParameter>; pass: number }[];
  readonly #pass: number;
  #next = 0;

  constructor(
    backwards: readonly PlannedParameter[],
    shard: Shard,
    { rank, owners }: { rank: number; owners: ReadonlyMap<PlannedParameter, number> },
    earlier: number,
  ) {
    this.#buckets = bucketsOf(backwards, shard === "none" ? undefined : owners);
    this.#rank = rank;
    this.#pass = shard === "gradients" ? earlier : 0;
    const before = this.#pass === 0 ? [] : this.#buckets.slice(-UNDER_WAY);
    this.#sent = before.map((bucket) => ({ bucket, pass: this.#pass - 1 }));
  }

  /** Bytes of this rank's sums when the pass begins, and of what is still under way. */
  left(): number {
    if (this.#pass === 0) return 0;
    const own = this.#buckets.filter(({ owner }) => owner === this.#rank);
    const travelling = this.#sent.filter((one) => !this.#stays(one)).map(({ bucket }) => bucket);
    return [...own, ...travelling].reduce((sum, bucket) => sum + flatBytes(bucket), 0);
  }

  /** Changes of the bytes held, one after the other. */
  *after(parameter: PlannedParameter): Generator<number> {
    this.#come.add(parameter);
    for (;;) {
      const bucket = this.#buckets[this.#next];
      if (bucket === undefined || !bucket.members.every((one) => this.#come.has(one))) return;
      this.#next++;
      // Laid end to end in new memory, unless it is one alone; then the gradient itself goes.
      if (bucket.members.length > 1) {
        yield flatBytes(bucket);
        yield -bytesOf(bucket.members);
      }
      if (bucket.owner === undefined) continue;
      this.#sent.push({ bucket, pass: this.#pass });
      if (this.#sent.length <= UNDER_WAY) continue;
      const arrived = this.#sent.shift()!;
      if (!this.#stays(arrived)) yield -flatBytes(arrived.bucket);
    }
  }

  /** The first sum of a rank's own becomes what later ones are added to. */
  #stays({ bucket, pass }: { bucket: Bucket<PlannedParameter>; pass: number }): boolean {
    return pass === 0 && bucket.owner === this.#rank;
  }
}

const bytesOf = (some: readonly PlannedParameter[]): number =>
  some.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
