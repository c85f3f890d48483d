/**
 * What the ranks of a step send each other, message by message, as `train/optim/distributed-adamw.ts` does it: gradients in buckets of
 * 25 MB or one parameter, summed everywhere or on their owner; updated parameters from their owners; weights of blocks where these
 * are in parts.
 */
import { type Bucket, bucketsOf, flatBytes, ownersOf } from "../parallel/buckets.js";
import { bytesOnLinks, type Message, messageSeconds } from "./collectives.js";
import { blocksOf, type PlannedParameter } from "./parameters.js";
import type { Topology } from "./topology.js";

/** What ranks keep a part of each: nothing, the optimizer's state, gradients too, weights too (ZeRO stages 1, 2, 3). */
export type Shard = "none" | "optimizer" | "gradients" | "parameters";
export const SHARDS: readonly Shard[] = ["none", "optimizer", "gradients", "parameters"];

export interface SumMessage extends Message {
  /** Share of a backward pass after which it is complete. */
  readyAt: number;
}

export interface StepMessages {
  /** One round of gradients, in the order in which they are sent. */
  sums: SumMessage[];
  /** Once a step, or after each pass. */
  rounds: number;
  /** After the update. */
  updates: Message[];
  /** Weights of blocks in parts, once forward and once more backward, in each pass. */
  fetches: Message[];
  /** Passes of the rank that has most: the others take part in as many. */
  passes: number;
}

/** @param passes of the rank with the most */
export function stepMessages(
  parameters: readonly PlannedParameter[],
  shard: Shard,
  ranks: number,
  passes: number,
): StepMessages {
  if (ranks === 1) return { sums: [], rounds: 0, updates: [], fetches: [], passes };
  const owners = shard === "none" ? undefined : ownersOf(parameters, ranks);
  const sums = sumMessages(parameters, owners);
  if (owners === undefined) return { sums, rounds: 1, updates: [], fetches: [], passes };
  const broadcasts = (some: readonly PlannedParameter[]): Message[] =>
    bucketsOf(some, owners).map((bucket) => ({ kind: "broadcast", bytes: flatBytes(bucket) }));
  if (shard !== "parameters") {
    const rounds = shard === "gradients" ? passes : 1;
    return { sums, rounds, updates: broadcasts(parameters), fetches: [], passes };
  }
  const { blocks, resident } = blocksOf(parameters);
  return { sums, rounds: passes, updates: broadcasts(resident), fetches: blocks.flatMap(broadcasts), passes };
}

/** The buckets of `GradientSum`, and when each is complete: gradients come from the last parameter to the first. */
function sumMessages(
  parameters: readonly PlannedParameter[],
  owners: ReadonlyMap<PlannedParameter, number> | undefined,
): SumMessage[] {
  const backwards = [...parameters].reverse();
  const total = sum(backwards.map(({ sizeBytes }) => sizeBytes));
  const readyAt = new Map<PlannedParameter, number>();
  let done = 0;
  for (const parameter of backwards) {
    done += parameter.sizeBytes;
    readyAt.set(parameter, done / total);
  }
  const last = ({ members }: Bucket<PlannedParameter>): number =>
    Math.max(...members.map((one) => readyAt.get(one)!));
  return bucketsOf(backwards, owners).map((bucket) => ({
    kind: owners === undefined ? "allReduce" : "reduce",
    bytes: flatBytes(bucket),
    readyAt: last(bucket),
  }));
}

export interface ExchangeTime {
  /** Seconds that links are busy in a step. */
  busy: number;
  /** Of these, seconds in which nothing is computed. */
  exposed: number;
}

/**
 * Messages go one after the other, each when it is complete: a bucket while earlier layers are still differentiated, the next block's
 * weights while this one computes.
 * @param pass seconds of one forward and backward pass, and the backward pass's share of them
 */
export function exchangeTime(
  messages: StepMessages,
  topology: Topology,
  pass: { seconds: number; backwardShare: number },
): ExchangeTime {
  const seconds = (some: readonly Message[]): number =>
    sum(some.map((message) => messageSeconds(message, topology)));
  const { sums, rounds, updates, fetches, passes } = messages;
  const afterUpdate = seconds(updates);
  const busy = rounds * seconds(sums) + 2 * passes * seconds(fetches) + afterUpdate;
  if (!topology.overlaps) return { busy, exposed: busy };
  const backward = pass.seconds * pass.backwardShare;
  if (fetches.length > 0) {
    // Of each pass the links carry what the devices compute with, and the slower of both sets the pace.
    const first = messageSeconds(fetches[0]!, topology);
    const forwardWait = Math.max(0, seconds(fetches) - (pass.seconds - backward));
    const backwardWait = Math.max(0, seconds(fetches) + seconds(sums) - backward);
    return { busy, exposed: passes * (first + forwardWait + backwardWait) + afterUpdate };
  }
  let [now, linkFree] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const began = now + pass.seconds - backward;
    for (const message of sums) {
      const ready = began + message.readyAt * backward;
      linkFree = Math.max(linkFree, ready) + messageSeconds(message, topology);
    }
    now += pass.seconds;
  }
  return { busy, exposed: Math.max(0, linkFree - now) + afterUpdate };
}

/** Bytes that all ranks together send in a step. */
export function stepBytes(messages: StepMessages, { devices, backend }: Topology): number {
  const bytes = (some: readonly Message[]): number =>
    sum(some.map((message) => bytesOnLinks(message, devices, backend)));
  const { sums, rounds, updates, fetches, passes } = messages;
  return rounds * bytes(sums) + 2 * passes * bytes(fetches) + bytes(updates);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
