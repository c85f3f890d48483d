/** Peak memory of a run, part by part, from shapes and from what was measured. */
import type { ModelConfig } from "../model/model-config.js";
import { at, type MeasuredPass, type MeasuredUpdate } from "./measure.js";
import { countAdapters, countParameters } from "./shapes.js";

export interface PlannedRun {
  config: ModelConfig;
  precision: "fp32" | "bf16" | "bf16-mixed";
  lora: { rank: number; targetModules: readonly string[] } | null;
  quantize: { doubleQuant: boolean } | null;
  optimizerInBackward: boolean;
  /** Passes before an update, on average. */
  batchesPerStep: number;
  /** Tokens of the fullest micro-batch. */
  batchTokens: number;
}

export interface MemoryParts {
  weights: number;
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
  const { config, precision, lora, quantize } = run;
  const counts = countParameters(config);
  const size = precision === "fp32" ? 4 : 2;
  const adapters = lora === null ? 0 : countAdapters(config, lora);
  const base =
    quantize === null
      ? counts.total * size
      : (counts.total - counts.projections) * size + counts.projections * nf4Bytes(quantize.doubleQuant);
  const trained = lora === null ? counts.total : adapters;
  const weights = base + adapters * size;
  const gradients = trained * size;
  const optimizer = trained * step.stateBytes;
  // A projection in NF4 is unpacked while it is used.
  const unpacked = quantize === null ? 0 : counts.largestProjection * size;
  const layers = config.numHiddenLayers;
  const activations = at(pass.bytes, layers, run.batchTokens) + unpacked;
  const update = trained * step.extraBytes;
  const inPass = passPeak(run, gradients, activations, at(pass.bytes, 1, run.batchTokens), counts, size);
  const inUpdate = run.optimizerInBackward ? 0 : gradients + update;
  return {
    weights,
    gradients: run.optimizerInBackward ? 0 : gradients,
    optimizer,
    activations,
    update,
    peak: weights + optimizer + Math.max(inPass, inUpdate),
  };
}

/**
 * With accumulation all gradients stand by while the next pass runs. In a single pass they appear as activations go: the peak is at
 * one end, all activations and the head's gradient, or all gradients and one layer's activations.
 */
function passPeak(
  run: PlannedRun,
  gradients: number,
  activations: number,
  ofOneLayer: number,
  counts: { total: number; projections: number },
  size: number,
): number {
  const headGradient = run.lora === null ? ((counts.total - counts.projections) / 2) * size : 0;
  if (run.optimizerInBackward) return activations + headGradient;
  if (run.batchesPerStep > 1) return gradients + activations;
  return Math.max(activations + headGradient, gradients + ofOneLayer);
}
