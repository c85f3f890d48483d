/** Peak memory of a run on its fullest rank, part by part, from shapes and from what was measured. */
import type { ModelConfig } from "../model/model-config.js";
import { bucketsOf, flatBytes, ownersOf } from "../parallel/buckets.js";
import { UNDER_WAY } from "../parallel/gradient-sum.js";
import type { Shard } from "../train/optim/distributed-adamw.js";
import type { Trained } from "./exchange.js";
import { type BackwardPoint, backwardPoints, backwardPointsInParts } from "./held-gradients.js";
import { at, type MeasuredPass, type MeasuredUpdate } from "./measure.js";
import type { PlannedParameter } from "./parameters.js";
import { countAdapters, countParameters } from "./shapes.js";

export interface PlannedRun extends Trained {
  config: ModelConfig;
  precision: "fp32" | "bf16" | "bf16-mixed";
  lora: { rank: number; targetModules: readonly string[] } | null;
  quantize: { doubleQuant: boolean } | null;
  optimizerInBackward: boolean;
  shard: Shard;
  ranks: number;
  /** Passes of a rank before an update, on average. */
  rankBatches: number;
  /** Tokens of the fullest micro-batch. */
  fullestBatch: number;
}

export interface MemoryParts {
  /** With parameters in parts: its own, those that stay everywhere, and two blocks. */
  weights: number;
  /** With gradients in parts: its own, and what waits or travels in a backward pass. */
  gradients: number;
  /** Moments and fp32 masters. */
  optimizer: number;
  /** What a pass holds at its peak, beyond weights and gradients. */
  activations: number;
  /** What the update needs for a moment. */
  update: number;
  /** The most of it that is there at one time. */
  peak: number;
}

/** Bits of a weight in NF4 with its statistics: 4 and one fp32 for each 64, or one byte and a little. */
const nf4Bytes = (doubleQuant: boolean): number =>
  (doubleQuant ? 4 + 8 / 64 + 32 / (64 * 256) : 4 + 32 / 64) / 8;

export function planMemory(run: PlannedRun, pass: MeasuredPass, step: MeasuredUpdate): MemoryParts {
  const share = shareOfFullest(run);
  const size = run.precision === "fp32" ? 4 : 2;
  const weights = weightBytes(run, size);
  const optimizer = share.own * step.stateBytes;
  const counts = countParameters(run.config);
  // A projection in NF4 is unpacked while it is used.
  const unpacked = run.quantize === null ? 0 : counts.largestProjection * size;
  const ofLayers = (layers: number): number => at(pass.bytes, layers, run.fullestBatch) + unpacked;
  const activations = ofLayers(run.config.numHiddenLayers);
  const falling = activations - ofLayers(1);
  const points = backwardPass(run, share);
  const gradients = Math.max(...points.map(({ held }) => held));
  // Gradients come as what the layers computed goes.
  const inPass = Math.max(...points.map(({ held, done }) => held + activations - done * falling));
  const update = share.own * step.extraBytes;
  const kept = run.shard === "none" ? share.trained : share.own;
  const inUpdate = run.optimizerInBackward ? 0 : Math.max(kept * size + update, messageBytes(run, share));
  return {
    weights,
    gradients,
    optimizer,
    activations,
    update,
    peak: weights + optimizer + Math.max(inPass, inUpdate),
  };
}

export interface Share {
  /** Trained weights in all, and those of the rank that has the most. */
  trained: number;
  own: number;
  rank: number;
  owners: ReadonlyMap<PlannedParameter, number>;
}

/** What is trained, and the part of the rank that has the most. */
export function shareOfFullest(run: Trained & { shard: Shard; ranks: number }): Share {
  const { parameters, weights, isLora, shard, ranks } = run;
  const dealt = shard === "parameters" && !isLora ? weights.all : parameters;
  const trained = parameters.reduce((sum, { numel }) => sum + numel, 0);
  if (shard === "none" || ranks === 1) return { trained, own: trained, rank: 0, owners: new Map() };
  return { trained, ...fullest(dealt, ranks) };
}

function fullest(dealt: readonly PlannedParameter[], ranks: number): Omit<Share, "trained"> {
  const owners = ownersOf(dealt, ranks);
  const owned = new Float64Array(ranks);
  for (const [{ numel }, owner] of owners) owned[owner]! += numel;
  const own = owned.reduce((most, one) => Math.max(most, one), 0);
  return { own, rank: owned.indexOf(own), owners };
}

/** Weights in parts: a rank's own, those that every rank has, and the rest of two blocks. */
function weightBytes(run: PlannedRun, size: number): number {
  const { config, lora, quantize, weights, ranks } = run;
  const counts = countParameters(config);
  const adapters = lora === null ? 0 : countAdapters(config, lora) * size;
  if (isInParts(run)) {
    const { rank, owners } = fullest(weights.all, ranks);
    const own = weights.blocks.flat().filter((weight) => owners.get(weight) === rank);
    const visiting = Math.min(2, weights.blocks.length) * bytesOf(weights.blocks[0] ?? []);
    return bytesOf(own) + bytesOf(weights.whole) + visiting * (1 - 1 / ranks) + adapters;
  }
  const base =
    quantize === null
      ? counts.total * size
      : (counts.total - counts.projections) * size + counts.projections * nf4Bytes(quantize.doubleQuant);
  return base + adapters;
}

const isInParts = ({ shard, ranks }: PlannedRun): boolean => shard === "parameters" && ranks > 1;

const bytesOf = (some: readonly PlannedParameter[]): number =>
  some.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** What gradients, and messages made of them, take in the last of a step's backward passes. */
function backwardPass(run: PlannedRun, share: Share): BackwardPoint[] {
  const { parameters, weights, isLora, shard, ranks, rankBatches, optimizerInBackward } = run;
  const counts = countParameters(run.config);
  // Used and freed as they come; the head's is the largest.
  const head = (counts.total - counts.projections) * (run.precision === "fp32" ? 2 : 1);
  if (optimizerInBackward) return [{ held: isLora ? 0 : head, done: 0 }];
  const earlier = Math.max(0, Math.round(rankBatches) - 1);
  if (!isInParts(run)) return backwardPoints(parameters, shard, ranks > 1 ? share : undefined, earlier);
  // Adapters' gradients wait for the step's end where the weights below them are in parts.
  if (isLora) return [{ held: bytesOf(parameters), done: 0 }];
  return backwardPointsInParts(weights, share.own / share.trained, earlier);
}

/** Updated parameters under way to the other ranks; one that is a bucket of its own travels in its own memory. */
function messageBytes(run: PlannedRun, { owners }: Share): number {
  if (run.shard === "none" || run.ranks === 1) return 0;
  const sent = isInParts(run) && !run.isLora ? run.weights.whole : run.parameters;
  const copies = bucketsOf(sent, owners)
    .filter(({ members }) => members.length > 1)
    .map(flatBytes);
  return (UNDER_WAY + 1) * Math.max(0, ...copies);
}
