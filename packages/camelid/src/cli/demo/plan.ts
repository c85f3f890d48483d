/**
 * The numbers of the demo: sized so that two cores need a few minutes and the result is clear. They were found in trials of the
 * same model in plain PyTorch. What mattered, in order: weights initialised at 0.06 rather than 0.02, small batches
 * in both stages, a token for every word, and a gentle rate for SFT.
 */
import { PLAIN } from "../../model/family.js";
import type { ModelConfig } from "../../model/model-config.js";

/** A million parameters: enough to know the small world by heart. */
export function demoModel(vocabSize: number): ModelConfig {
  return {
    ...PLAIN,
    modelType: "llama",
    vocabSize,
    hiddenSize: 128,
    intermediateSize: 384,
    numHiddenLayers: 4,
    numAttentionHeads: 4,
    numKeyValueHeads: 4,
    headDim: 32,
    maxPositionEmbeddings: 512,
    rmsNormEps: 1e-5,
    ropeTheta: 10_000,
    ropeScaling: { type: "default" },
    tieWordEmbeddings: true,
    initializerRange: 0.06,
    bosTokenId: 0,
    eosTokenIds: [1],
    dtype: "float32",
  };
}

/** An upper limit: pieces of the valley's texts run out near 1,380. */
export const DEMO_VOCABULARY = 2048;

export const CORPUS_DOCUMENTS = 20_000;

export const INSTRUCTION_ROWS = 5_000;

/**
 * Prose of the valley, once through: the base learns its language and its facts. Small batches and wide initial weights (0.06)
 * halved the text that it needs.
 */
export const BASE_SETTINGS = {
  epochs: 1,
  microBatchSize: 16,
  gradAccumSteps: 1,
  maxSeqLen: 256,
  learningRate: 3e-3,
  warmupRatio: 0.05,
  betas: [0.9, 0.98] as [number, number],
  weightDecay: 0.05,
};

/** Questions and answers, twice through. Twice the rate would learn the rows by heart over the facts of the prose. */
export const SFT_SETTINGS = {
  ...BASE_SETTINGS,
  epochs: 2,
  microBatchSize: 26,
  learningRate: 8e-4,
};

/**
 * Pairs, once through. Beta is ten times the usual one: a closing phrase makes a margin of a few nats, and the loss is to stop
 * pulling once it is there.
 */
export const DPO_SETTINGS = {
  epochs: 1,
  microBatchSize: 16,
  gradAccumSteps: 1,
  maxSeqLen: 256,
  beta: 1,
  learningRate: 3e-5,
  warmupRatio: 0.1,
  betas: [0.9, 0.98] as [number, number],
  answerPrompts: null, // the demo asks questions of its own
};

/** Longest answer that anybody in the valley gives. */
export const MAX_ANSWER_TOKENS = 48;
