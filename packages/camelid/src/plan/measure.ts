/**
 * Measures what a training step takes: passes through the model's own layers, one and two of them, with few tokens and with twice as
 * many; and an update of a tensor. Memory of a pass is linear in layers and in tokens, so these points say what the whole model takes.
 */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { addLora, type LoraSettings } from "../adapters/lora.js";
import { Decoder } from "../model/decoder.js";
import type { LanguageModel } from "../model/language-model.js";
import { weightShapes } from "../model/layer-layout.js";
import type { ModelConfig } from "../model/model-config.js";
import { accumulateSft } from "../train/accumulate.js";
import { LossMeter } from "../train/loss-meter.js";
import { type AdamwSettings, adamw } from "../train/optim/adamw.js";

export interface PassSettings {
  dtype: DType;
  lora: LoraSettings | null;
  activationCheckpointing: boolean;
  /** Longest row of the measured stretches. */
  rowTokens: number;
  /** Time counts too: longer stretches, the best of three. Memory alone needs neither. */
  timed: boolean;
}

/** value = fixed + perLayer * layers + tokens * (perToken + perLayerToken * layers) */
export interface Bilinear {
  fixed: number;
  perLayer: number;
  perToken: number;
  perLayerToken: number;
}

export interface MeasuredPass {
  /** Bytes beyond weights and gradients at the peak of a pass. */
  bytes: Bilinear;
  /** Milliseconds of forward and backward. */
  ms: Bilinear;
}

export const at = (fit: Bilinear, layers: number, tokens: number): number =>
  fit.fixed + fit.perLayer * layers + tokens * (fit.perToken + fit.perLayerToken * layers);

/** Arithmetic that the longest measured pass may take: a few seconds on a CPU, or less than one. */
const TIMED_FLOPS = 1.5e12;
const UNTIMED_FLOPS = 3e11;

/** Weights of two layers, embedding and head up to which a model is measured as wide as it is, unless its time is wanted. */
const WIDEST = 3e8;

/** Wide models are measured at a smaller width: with sizes and heads cut alike, memory is in proportion to it, or less. */
export function measurePasses(config: ModelConfig, settings: PassSettings): MeasuredPass {
  const factor = settings.timed ? 1 : narrowing(config);
  const { bytes, ms } = measureAt(narrowed(config, factor), settings);
  const wide = { fixed: 0, perLayer: 0, perToken: 0, perLayerToken: 0 };
  for (const key of Object.keys(wide) as (keyof Bilinear)[]) wide[key] = factor * bytes[key];
  return { bytes: wide, ms };
}

/** The least cut that makes two layers small enough, as far as heads can be cut alike. */
function narrowing(config: ModelConfig): number {
  let factor = 1;
  while (
    twoLayers(narrowed(config, factor)) > WIDEST &&
    [config.numAttentionHeads, config.numKeyValueHeads].every((heads) => heads % (2 * factor) === 0)
  )
    factor *= 2;
  return factor;
}

function narrowed(config: ModelConfig, factor: number): ModelConfig {
  const { hiddenSize, intermediateSize, numAttentionHeads, numKeyValueHeads } = config;
  return {
    ...config,
    hiddenSize: hiddenSize / factor,
    intermediateSize: intermediateSize / factor,
    numAttentionHeads: numAttentionHeads / factor,
    numKeyValueHeads: numKeyValueHeads / factor,
  };
}

function twoLayers(config: ModelConfig): number {
  let size = 0;
  for (const shape of weightShapes({ ...config, numHiddenLayers: 2 }).values())
    size += shape.reduce((product, side) => product * side, 1);
  return size;
}

function measureAt(config: ModelConfig, settings: PassSettings): MeasuredPass {
  const tokens = measuredTokens(config, settings.timed);
  const points = [1, 2].flatMap((layers) => {
    using model = constantModel({ ...config, numHiddenLayers: layers }, settings);
    return [tokens, 2 * tokens].map((count) => ({
      layers,
      tokens: count,
      ...measurePass(model, count, settings),
    }));
  });
  const fitted = (value: (point: (typeof points)[number]) => number): Bilinear =>
    fit(points.map((point) => ({ ...point, value: value(point) })));
  return { bytes: fitted(({ bytes }) => bytes), ms: fitted(({ ms }) => ms) };
}

function measuredTokens(config: ModelConfig, timed: boolean): number {
  const affordable = (timed ? TIMED_FLOPS : UNTIMED_FLOPS) / (6 * 2 * twoLayers(config));
  return Math.min(1024, Math.max(64, Math.floor(affordable / 64) * 64));
}

/** The bilinear function through four points: layers 1 and 2, tokens t and 2t. */
export function fit(points: readonly { layers: number; tokens: number; value: number }[]): Bilinear {
  const [a, b, c, d] = points.map(({ value }) => value) as [number, number, number, number];
  const t = points[0]!.tokens;
  // Slopes cannot be negative; where a clock's noise makes them so, they are too small to matter.
  const slope1 = Math.max(0, (b - a) / t);
  const slope2 = Math.max(slope1, (d - c) / t);
  const perLayerToken = slope2 - slope1;
  const perToken = Math.max(0, slope1 - perLayerToken);
  const rest1 = a - t * (perToken + perLayerToken);
  const rest2 = c - t * (perToken + 2 * perLayerToken);
  const perLayer = Math.max(0, rest2 - rest1);
  return { fixed: Math.max(0, rest1 - perLayer), perLayer, perToken, perLayerToken };
}

function measurePass(
  model: LanguageModel,
  tokens: number,
  { rowTokens, timed }: PassSettings,
): { bytes: number; ms: number } {
  using meter = new LossMeter(["plan"], model.device);
  const rows = Array.from({ length: Math.ceil(tokens / rowTokens) }, (_, i) =>
    tokenRow(Math.min(rowTokens, tokens - i * rowTokens)),
  );
  const pass = (): void => accumulateSft(model, rows, 1 / tokens, meter, { dropout: false });
  pass(); // makes the gradients, and whatever is made once
  let bytes = 0;
  let ms = Number.POSITIVE_INFINITY;
  for (let repeat = 0; repeat < (timed ? 3 : 1); repeat++) {
    const { liveBytes } = torch.memoryStats();
    torch.resetPeakMemory();
    const started = performance.now();
    pass();
    ms = Math.min(ms, performance.now() - started);
    bytes = torch.memoryStats().peakBytes - liveBytes;
  }
  return { bytes, ms };
}

function tokenRow(length: number) {
  const ids = new Int32Array(length).fill(1);
  return { id: "plan", dataset: "plan", inputIds: ids, labels: ids };
}

/** A model whose weights are all alike: quickly made, and its passes take what any other's do. */
function constantModel(
  config: ModelConfig,
  { dtype, lora, activationCheckpointing }: PassSettings,
): LanguageModel {
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of weightShapes(config)) {
    const weight = torch.full(shape, shape.length === 1 ? 1 : 0.01, { dtype });
    weight.requiresGrad = lora === null;
    weights.set(name, weight);
  }
  const model = new Decoder(config, weights);
  model.activationCheckpointing = activationCheckpointing;
  if (lora !== null) addLora(model, lora);
  return model;
}

export interface MeasuredUpdate {
  /** Bytes for each trained parameter, kept from step to step: moments, masters. */
  stateBytes: number;
  /** Bytes for each trained parameter while the update runs. */
  extraBytes: number;
  /** Milliseconds for each million trained parameters. */
  msPerMillion: number;
}

/** Measures one AdamW update of four million parameters, in sixteen tensors: what is done tensor by tensor counts for little. */
export function measureUpdate(
  dtype: DType,
  settings: AdamwSettings & { maxGradNorm: number | null },
): MeasuredUpdate {
  const shape = [2 ** 9, 2 ** 9];
  const count = 16 * 2 ** 18;
  using _ = torch.tensorScope();
  const parameters = Array.from({ length: 16 }, (_, i) => {
    const parameter = torch.full(shape, 0.01, { dtype });
    parameter.requiresGrad = true;
    return [`plan ${i}`, parameter] as const;
  });
  const before = torch.memoryStats().liveBytes;
  // Updates inside the backward pass are the same update; here there is no backward pass.
  using optimizer = adamw(new Map(parameters), { ...settings, optimizerInBackward: false });
  const stateBytes = (torch.memoryStats().liveBytes - before) / count;
  let extraBytes = 0;
  let ms = Number.POSITIVE_INFINITY;
  for (let repeat = 0; repeat < 3; repeat++) {
    for (const [, parameter] of parameters) parameter.grad = torch.full(shape, 1e-3, { dtype });
    const { liveBytes } = torch.memoryStats();
    torch.resetPeakMemory();
    const started = performance.now();
    optimizer.update(1e-4, settings.maxGradNorm);
    ms = Math.min(ms, performance.now() - started);
    extraBytes = Math.max(extraBytes, (torch.memoryStats().peakBytes - liveBytes) / count);
  }
  return { stateBytes, extraBytes, msPerMillion: (ms * 1e6) / count };
}
