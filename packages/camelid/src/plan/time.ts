/** Time of a run: measured passes here, or arithmetic over a share of another device's peak; and what ranks exchange. */
import type { ModelConfig } from "../model/model-config.js";
import type { Hardware } from "./hardware.js";
import { at, type MeasuredPass, type MeasuredUpdate } from "./measure.js";
import { countParameters } from "./shapes.js";

export interface TimedRun {
  config: ModelConfig;
  isLora: boolean;
  activationCheckpointing: boolean;
  trainedParameters: number;
  /** Tokens of one optimizer step, all ranks together, and its micro-batches. */
  stepTokens: number;
  stepBatches: number;
  devices: number;
  gradientBytes: number;
}

export interface StepTime {
  /** Seconds. */
  compute: number;
  update: number;
  exchange: number;
  total: number;
}

export function planTime(
  run: TimedRun,
  hardware: Hardware,
  pass: MeasuredPass,
  step: MeasuredUpdate,
  share: number,
): StepTime {
  const { devices, stepTokens } = run;
  const compute =
    hardware.flops === undefined
      ? measuredSeconds(run, pass)
      : (passFlops(run) * stepTokens) / (hardware.flops * share * devices);
  const update =
    hardware.flops === undefined
      ? (step.msPerMillion * run.trainedParameters) / 1e9
      : updateSeconds(run, hardware);
  const exchange = exchangeSeconds(run, hardware);
  return { compute, update, exchange, total: compute + update + exchange };
}

function measuredSeconds(
  { config, stepTokens, stepBatches, devices }: TimedRun,
  { ms }: MeasuredPass,
): number {
  const batches = Math.ceil(stepBatches / devices);
  return (batches * at(ms, config.numHiddenLayers, stepTokens / stepBatches)) / 1000;
}

/**
 * Floating-point operations for one token: 2 a parameter forward, 2 for the gradient of the activations, 2 for that of the
 * weights (not of frozen ones), and another forward where activations are computed again. Attention's own are left out.
 */
function passFlops({ config, isLora, activationCheckpointing }: TimedRun): number {
  const { total } = countParameters(config);
  const embedding = config.vocabSize * config.hiddenSize;
  const factor = (isLora ? 4 : 6) + (activationCheckpointing ? 2 : 0);
  return factor * (total - (config.tieWordEmbeddings ? 0 : embedding));
}

/** An update reads and writes everything once: its time is that of memory, about 16 bytes of traffic a byte of state. */
function updateSeconds({ trainedParameters }: TimedRun, { flops = 0 }: Hardware): number {
  // Memory bandwidth of these devices is about 1 / 300 of their bf16 peak, in bytes against operations.
  return (trainedParameters * 28) / (flops / 300);
}

/** Ring all-reduce: each rank sends and receives 2 (n - 1) / n of the gradients. It does not overlap with the passes yet. */
function exchangeSeconds({ devices, gradientBytes }: TimedRun, hardware: Hardware): number {
  if (devices === 1) return 0;
  const slowest = devices > hardware.devicesPerNode ? hardware.networkBytes : hardware.linkBytes;
  return (2 * gradientBytes * (devices - 1)) / devices / Math.min(slowest, hardware.linkBytes);
}
