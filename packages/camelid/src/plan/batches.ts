/** How a run's steps fall into micro-batches: from the lengths of its rows exactly, or from their mean as they must at worst. */
import { microBatches } from "../data/micro-batches.js";
import { rowsOfStep } from "../data/sampler.js";

export interface StepShape {
  /** Optimizer steps of the run. */
  steps: number;
  /** Tokens of a step, and micro-batches, on average. */
  stepTokens: number;
  stepBatches: number;
  /** Tokens of the fullest micro-batch of all. */
  fullestBatch: number;
}

export interface SplitSettings {
  microBatchSize: number;
  gradAccumSteps: number;
  maxSeqLen: number;
  packing: boolean;
  epochs: number;
  maxSteps: number | null;
  seed: number;
}

/** Steps that are laid out to find the fullest; longer runs are sampled. */
const LAID_OUT = 5000;

/** @param lengths tokens of each row, or pair */
export function shapeOfRows(lengths: readonly number[], settings: SplitSettings): StepShape {
  const rowsPerStep = settings.microBatchSize * settings.gradAccumSteps;
  const steps = countSteps(lengths.length, settings);
  const stride = Math.max(1, Math.ceil(steps / LAID_OUT));
  let [laidOut, tokens, batches, fullestBatch] = [0, 0, 0, 0];
  for (let step = 1; step <= steps; step += stride) {
    const places = rowsOfStep(step, { seed: settings.seed, numRows: lengths.length, rowsPerStep });
    const ofStep = places.map((place) => lengths[place]!);
    for (const batch of microBatches(ofStep, settings)) {
      const size = batch.reduce((sum, place) => sum + ofStep[place]!, 0);
      tokens += size;
      batches++;
      fullestBatch = Math.max(fullestBatch, size);
    }
    laidOut++;
  }
  return { steps, stepTokens: tokens / laidOut, stepBatches: batches / laidOut, fullestBatch };
}

/** Without the rows: a micro-batch may be as full as its budget allows. */
export function shapeOfMeans(examples: number, meanTokens: number, settings: SplitSettings): StepShape {
  const rows = settings.microBatchSize * settings.gradAccumSteps;
  const stepTokens = rows * Math.min(meanTokens, settings.maxSeqLen);
  const fullestBatch = settings.microBatchSize * settings.maxSeqLen;
  const stepBatches = settings.packing
    ? Math.max(1, Math.ceil(stepTokens / fullestBatch))
    : settings.gradAccumSteps;
  return { steps: countSteps(examples, settings), stepTokens, stepBatches, fullestBatch };
}

function countSteps(
  rows: number,
  { epochs, maxSteps, microBatchSize, gradAccumSteps }: SplitSettings,
): number {
  return maxSteps ?? Math.max(1, Math.floor((rows * epochs) / (microBatchSize * gradAccumSteps)));
}
