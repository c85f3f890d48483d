/**
 * Gradients of all ranks become their sum, in buckets: few large messages. A bucket goes on its way inside the backward pass that
 * completes it, while earlier layers are still computed. The sum goes to every rank, or to the one rank that owns the bucket.
 */
import type { Collective, ProcessGroup, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { TrainingError } from "../errors.js";
import { type Bucket, bucketsOf, cutBucket, flatBucket } from "./buckets.js";

export interface GradientSumOptions {
  /** The rank that gets each parameter's sum; left out, all do. */
  owners?: ReadonlyMap<Tensor, number>;
  /** Sum after each backward pass, and not once after the last: a gradient is then whole only on its owner. */
  eachPass?: boolean;
  /** Send nothing before `end`: where other messages go between the ranks during the passes. */
  atEnd?: boolean;
  /** Of one message. */
  bucketBytes?: number;
}

/** So many messages whose memory is still needed, where memory is what ranks save. */
export const UNDER_WAY = 4;

export class GradientSum implements Disposable {
  readonly #group: ProcessGroup;
  readonly #parameters: readonly Tensor[];
  readonly #buckets: readonly Bucket[];
  readonly #eachPass: boolean;
  readonly #atEnd: boolean;
  /** Backward passes that a parameter's gradient came out of in this step. */
  readonly #seen = new Map<Tensor, number>();
  readonly #sums = new Map<Bucket, Tensor>();
  #sent: { bucket: Bucket; flat: Tensor; sum: Collective }[] = [];
  /** Passes of this rank; undefined between two steps. */
  #passes: number | undefined;
  /** How often each bucket is summed in this step: on all ranks the same. */
  #rounds = 1;
  /** Which bucket of which round goes next: on all ranks in the same order. */
  #next = 0;

  /** @param parameters the same on every rank, in the same order */
  constructor(
    group: ProcessGroup,
    parameters: readonly Tensor[],
    { owners, eachPass = false, atEnd = false, bucketBytes }: GradientSumOptions = {},
  ) {
    this.#group = group;
    this.#parameters = parameters;
    this.#eachPass = eachPass;
    this.#atEnd = atEnd;
    // The last layers' gradients are there first.
    this.#buckets = bucketsOf([...parameters].reverse(), owners, bucketBytes);
    for (const parameter of parameters) torch.onGradient(parameter, () => this.#onGradient(parameter));
  }

  /** @param passes how many backward passes this rank does before `end`; ranks may differ */
  begin(passes: number): void {
    this.#passes = passes;
    this.#rounds = this.#eachPass ? largest(this.#group, passes) : 1;
    this.#next = 0;
    this.#seen.clear();
  }

  /** Leaves in `.grad` the sum over all ranks and passes: on every rank, or on the owner and nothing elsewhere. */
  end(): void {
    // A rank with fewer rows, and a parameter that they did not touch, add zeros.
    while (this.#next < this.#rounds * this.#buckets.length) this.#send();
    while (this.#sent.length > 0) this.#receive();
    this.#passes = undefined;
    using _ = torch.tensorScope();
    for (const [bucket, flat] of this.#sums) {
      for (const [parameter, sum] of cutBucket(bucket, flat)) parameter.grad = sum;
      flat.dispose();
    }
    this.#sums.clear();
  }

  #onGradient(parameter: Tensor): void {
    if (this.#passes === undefined) return; // somebody looks at gradients between two steps
    const seen = (this.#seen.get(parameter) ?? 0) + 1;
    if (seen > this.#passes) throw tooManyPasses(this.#passes);
    this.#seen.set(parameter, seen);
    if (this.#atEnd) return;
    while (this.#next < this.#rounds * this.#buckets.length && this.#isComplete()) this.#send();
  }

  #isComplete(): boolean {
    const round = Math.floor(this.#next / this.#buckets.length);
    const needed = this.#eachPass ? round + 1 : this.#passes!;
    const bucket = this.#buckets[this.#next % this.#buckets.length]!;
    return bucket.members.every((parameter) => (this.#seen.get(parameter) ?? 0) >= needed);
  }

  #send(): void {
    const bucket = this.#buckets[this.#next++ % this.#buckets.length]!;
    const flat = flatBucket(bucket, ({ grad }) => grad);
    for (const parameter of bucket.members) parameter.grad = undefined;
    const { owner } = bucket;
    const sum = owner === undefined ? this.#group.allReduce(flat) : this.#group.reduce(flat, owner);
    this.#sent.push({ bucket, flat, sum });
    if (owner !== undefined && this.#sent.length > UNDER_WAY) this.#receive();
  }

  /** Waits for the oldest message. */
  #receive(): void {
    const { bucket, flat, sum } = this.#sent.shift()!;
    sum.wait();
    const before = this.#sums.get(bucket);
    const isMine = bucket.owner === undefined || bucket.owner === this.#group.rank;
    if (isMine && before === undefined) this.#sums.set(bucket, flat);
    else {
      if (isMine) torch.noGrad(() => before!.add_(flat));
      flat.dispose();
    }
  }

  [Symbol.dispose](): void {
    for (const parameter of this.#parameters)
      if (!parameter.isDisposed) torch.onGradient(parameter, undefined);
    for (const { flat } of this.#sent) flat.dispose();
    for (const flat of this.#sums.values()) flat.dispose();
  }
}

function largest(group: ProcessGroup, number: number): number {
  using _ = torch.tensorScope();
  const tensor = torch.full([1], number, { dtype: "float64" });
  group.allReduce(tensor, "max").wait();
  return tensor.item();
}

function tooManyPasses(passes: number): TrainingError {
  return new TrainingError("ERR_PASSES", "a backward pass came after gradients were sent to other ranks.", {
    where: `a step begun with ${passes} ${passes === 1 ? "pass" : "passes"}`,
    fix: "tell optimizer.begin(learningRate, passes) how many backward passes this rank does in the step.",
  });
}
