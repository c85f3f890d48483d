/**
 * What the ranks of a step send each other, message by message, as the trainer does it: gradients in buckets or one by
 * one, summed everywhere or on their owner (`parallel/gradient-sum.ts`); updated parameters from their owners
 * (`train/optim/distributed-adamw.ts`); weights of blocks and their gradients where these are in parts (`parallel/sharded-blocks.ts`).
 */
import { type Bucket, bucketsOf, flatBytes, ownersOf } from "../parallel/buckets.js";
import type { Shard } from "../train/optim/distributed-adamw.js";
import { bytesOnLinks, type Message, messageSeconds } from "./collectives.js";
import type { PlannedParameter, WeightBlocks } from "./parameters.js";
import type { Topology } from "./topology.js";

/** In the order of what they save. */
export const SHARDS: readonly Shard[] = ["none", "optimizer", "gradients", "parameters"];

export interface SumMessage extends Message {
  /** Share of a backward pass after which it is complete. */
  readyAt: number;
}

export interface StepMessages {
  /** One round of gradients, in the order in which they are sent; once a step, or in each pass. */
  sums: readonly SumMessage[];
  rounds: number;
  /** Gradients that are sent when all passes are done. */
  late: readonly Message[];
  /** After the update. */
  updates: readonly Message[];
  /** Weights of one block, and how often a block is gathered in a step. */
  fetch: readonly Message[];
  fetches: number;
  /** Words of a few bytes that all ranks wait for. */
  small: number;
  /** Passes of the rank that has most: the others take part in as many. */
  passes: number;
}

export interface Trained {
  /** In the model's order. */
  parameters: readonly PlannedParameter[];
  weights: WeightBlocks;
  isLora: boolean;
}

/** @param passes of the rank with the most */
export function stepMessages(trained: Trained, shard: Shard, ranks: number, passes: number): StepMessages {
  const nothing = { sums: [], rounds: 0, late: [], updates: [], fetch: [], fetches: 0, small: 0, passes };
  if (ranks === 1) return nothing;
  const { parameters } = trained;
  if (shard === "none") return { ...nothing, sums: bucketSums(parameters, undefined), rounds: 1 };
  if (shard === "parameters") return { ...nothing, ...messagesOfParts(trained, ranks, passes) };
  const owners = ownersOf(parameters, ranks);
  return {
    ...nothing,
    sums: bucketSums(parameters, owners),
    rounds: shard === "gradients" ? passes : 1,
    updates: messagesOf("broadcast", bucketsOf(parameters, owners)),
    // The norm; and how many passes there are.
    small: shard === "gradients" ? 2 : 1,
  };
}

/** Projections travel one by one; the rest in buckets, when all passes are done. */
function messagesOfParts(
  { parameters, weights, isLora }: Trained,
  ranks: number,
  passes: number,
): Partial<StepMessages> {
  const { blocks, whole, all } = weights;
  const copied = isLora ? parameters : whole;
  const owners = ownersOf(isLora ? parameters : all, ranks);
  const block = blocks[0] ?? [];
  const total = blocks.length;
  const gradients = blocks.flatMap((pieces, i) =>
    pieces.map(({ sizeBytes }) => ({ kind: "reduce" as const, bytes: sizeBytes, readyAt: (i + 1) / total })),
  );
  return {
    sums: isLora ? [] : gradients,
    rounds: passes,
    late: messagesOf("reduce", bucketsOf([...copied].reverse(), owners)),
    updates: messagesOf("broadcast", bucketsOf(copied, owners)),
    fetch: block.map(({ sizeBytes }) => ({ kind: "broadcast", bytes: sizeBytes })),
    // Up and down again; where a walk turns around the block is still there.
    fetches: passes * (2 * total - 2) + 1,
    // Each walk is announced; at the step's end all meet twice, and the norm.
    small: 2 * passes + 3,
  };
}

const messagesOf = (kind: Message["kind"], buckets: readonly Bucket<PlannedParameter>[]): Message[] =>
  buckets.map((bucket) => ({ kind, bytes: flatBytes(bucket) }));

/** The buckets of `GradientSum`, and when each is complete: gradients come from the last parameter to the first. */
function bucketSums(
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
  const { sums, rounds, late, updates, fetch, fetches, small, passes } = messages;
  const seconds = (some: readonly Message[]): number =>
    sum(some.map((message) => messageSeconds(message, topology)));
  const waited = seconds(late) + seconds(updates) + small * messageSeconds(WORD, topology);
  const busy = rounds * seconds(sums) + fetches * seconds(fetch) + waited;
  if (!topology.overlaps) return { busy, exposed: busy };
  const backward = pass.seconds * pass.backwardShare;
  if (fetches === 0) return { busy, exposed: waitForSums(sums, rounds, topology, pass) + waited };
  // Of each pass the slower of links and devices sets the pace, up and down.
  const walk = (fetches / (2 * passes)) * seconds(fetch);
  const up = Math.max(0, walk - (pass.seconds - backward));
  const down = Math.max(0, walk + (rounds / passes) * seconds(sums) - backward);
  return { busy, exposed: seconds(fetch) + passes * (up + down) + waited };
}

/** Seconds from the end of the last backward pass until the last sum is there. */
function waitForSums(
  sums: readonly SumMessage[],
  rounds: number,
  topology: Topology,
  pass: { seconds: number; backwardShare: number },
): number {
  let [now, linkFree] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const began = now + pass.seconds * (1 - pass.backwardShare);
    for (const message of sums) {
      const ready = began + message.readyAt * pass.seconds * pass.backwardShare;
      linkFree = Math.max(linkFree, ready) + messageSeconds(message, topology);
    }
    now += pass.seconds;
  }
  return Math.max(0, linkFree - now);
}

/** Bytes that all ranks together send in a step. */
export function stepBytes(messages: StepMessages, { devices, backend }: Topology): number {
  const bytes = (some: readonly Message[]): number =>
    sum(some.map((message) => bytesOnLinks(message, devices, backend)));
  const { sums, rounds, late, updates, fetch, fetches } = messages;
  return rounds * bytes(sums) + fetches * bytes(fetch) + bytes(late) + bytes(updates);
}

export const countMessages = ({ sums, rounds, late, updates, fetch, fetches, small }: StepMessages): number =>
  rounds * sums.length + fetches * fetch.length + late.length + updates.length + small;

const WORD: Message = { kind: "allReduce", bytes: 8 };

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
