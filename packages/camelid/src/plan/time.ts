/** Time of a step: passes of the busiest rank, measured here or by arithmetic over a device's rate; its update; what ranks exchange. */
import type { ModelConfig } from "../model/model-config.js";
import type { StepShape } from "./batches.js";
import { exchangeTime, type StepMessages } from "./exchange.js";
import type { Hardware } from "./hardware.js";
import { at, type MeasuredPass, type MeasuredUpdate } from "./measure.js";
import { countParameters } from "./shapes.js";
import type { Topology } from "./topology.js";

/** What decides how much arithmetic a token takes. */
export interface Method {
  isLora: boolean;
  activationCheckpointing: boolean;
  /** DPO whose reference is the model without its adapters: a forward pass more in each step. */
  referencePass: boolean;
}

export interface TimedRun extends Method {
  config: ModelConfig;
  /** Parameters that the rank with the most updates. */
  updatedParameters: number;
  shape: StepShape;
  messages: StepMessages;
}

export interface StepTime {
  /** Seconds. */
  compute: number;
  update: number;
  /** That the links are busy, and of these, the seconds in which nothing is computed. */
  exchange: number;
  exposed: number;
  total: number;
  /** Share of the devices' time in which they do what one device without an exchange would have to do too. */
  efficiency: number;
}

export function planTime(
  run: TimedRun,
  hardware: Hardware,
  topology: Topology,
  pass: MeasuredPass,
  step: MeasuredUpdate,
  /** Floating-point operations a second that passes reach; of another device than this one. */
  rate: number,
): StepTime {
  const { shape, messages } = run;
  const isHere = hardware.flops === undefined;
  const seconds = (tokens: number, batches: number): number =>
    isHere
      ? measuredSeconds(run, pass, tokens, batches)
      : (tokenFlops(run.config, run, shape.context) * tokens) / rate;
  const compute = seconds(shape.rankTokens, shape.rankBatches);
  const update = isHere
    ? (step.msPerMillion * run.updatedParameters) / 1e9
    : updateSeconds(run.updatedParameters, step.stateBytes, hardware);
  const { busy, exposed } = exchangeTime(messages, topology, {
    seconds: compute / messages.passes,
    backwardShare: backwardShare(run),
  });
  const total = compute + update + exposed;
  const needed = seconds(shape.stepTokens, shape.stepTokens / (shape.rankTokens / shape.rankBatches));
  const efficiency = needed / topology.devices / total;
  return { compute, update, exchange: busy, exposed, total, efficiency };
}

function measuredSeconds(run: TimedRun, { ms }: MeasuredPass, tokens: number, batches: number): number {
  return (batches * at(ms, run.config.numHiddenLayers, tokens / batches)) / 1000;
}

/** In units of one forward pass: forward; gradients of activations, of trained weights, and once more forward where it is computed again. */
function passUnits(method: Method): { forward: number; backward: number } {
  return {
    forward: 1 + (method.referencePass ? 1 : 0),
    backward: (method.isLora ? 1 : 2) + (method.activationCheckpointing ? 1 : 0),
  };
}

function backwardShare(method: Method): number {
  const { forward, backward } = passUnits(method);
  return backward / (forward + backward);
}

/**
 * Floating-point operations for one token: 2 for each weight of a product in each unit of a pass, 4 for each channel of attention and
 * token attended to.
 * @param context tokens that a token attends to, on average
 */
export function tokenFlops(config: ModelConfig, method: Method, context: number): number {
  const { total } = countParameters(config);
  const weights = total - (config.tieWordEmbeddings ? 0 : config.vocabSize * config.hiddenSize);
  const channels = config.numHiddenLayers * config.numAttentionHeads * config.headDim;
  const { forward, backward } = passUnits(method);
  // Attention has no frozen weights: its backward pass is always twice the forward one.
  const attention = forward + backward + (method.isLora ? 1 : 0);
  return 2 * weights * (forward + backward) + 4 * channels * context * attention;
}

/** An update's time is that of memory: states are read and written, gradient and weight in bf16 too. */
export function updateSeconds(parameters: number, stateBytes: number, { memoryBandwidth }: Hardware): number {
  return memoryBandwidth === undefined ? 0 : (parameters * (2 * stateBytes + 4)) / memoryBandwidth;
}
