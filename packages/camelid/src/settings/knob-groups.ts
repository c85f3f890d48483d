/**
 * The knobs that recipes have in common, in the groups in which a recipe takes them: `...batchKnobs`. A recipe that means another
 * default by one of them says so after the group (`learningRate: knobs.learningRate.default(5e-7)`); the order of help stays.
 */
import { z } from "zod";
import { knob } from "./knob.js";
import { evalTaskKnobs, knobs, loraKnobs, quantizeKnobs } from "./knobs.js";

/** Where model and rows come from, and where the run goes. */
export const placeKnobs = {
  model: knobs.model,
  data: knobs.data,
  out: knobs.out,
  onBad: knobs.onBad,
  preflight: knobs.preflight,
};

/** `placeKnobs` of a recipe that trains on preference pairs. */
export const pairPlaceKnobs = {
  ...placeKnobs,
  data: knob(z.string().min(1), {
    help: "Preference pairs, JSON lines or one array: chosen and rejected as message lists, answers to a prompt, or transcripts.",
    group: "Model and data",
    placeholder: "file",
  }),
};

/** What is trained: every weight, or adapters on a frozen base, which may be in 4 bits. */
export const adapterKnobs = {
  lora: loraKnobs.nullable().default(null),
  quantize: quantizeKnobs.nullable().default(null),
};

/** How rows become steps. */
export const batchKnobs = {
  maxSeqLen: knobs.maxSeqLen,
  microBatchSize: knobs.microBatchSize,
  gradAccumSteps: knobs.gradAccumSteps,
  packing: knobs.packing,
  epochs: knobs.epochs,
  maxSteps: knobs.maxSteps,
  tokenVariant: knobs.tokenVariant,
  specialTokensInContent: knobs.specialTokensInContent,
};

/** How gradients become updates. */
export const optimizerKnobs = {
  learningRate: knobs.learningRate,
  endLearningRate: knobs.endLearningRate,
  schedule: knobs.schedule,
  warmupRatio: knobs.warmupRatio,
  betas: knobs.betas,
  eps: knobs.eps,
  weightDecay: knobs.weightDecay,
  maxGradNorm: knobs.maxGradNorm,
  optimizer: knobs.optimizer,
  optimizerInBackward: knobs.optimizerInBackward,
  shard: knobs.shard,
};

/** What it is computed on. */
export const machineKnobs = {
  precision: knobs.precision,
  device: knobs.device,
  threads: knobs.threads,
  activationCheckpointing: knobs.activationCheckpointing,
  activationOffload: knobs.activationOffload,
  profile: knobs.profile,
  seed: knobs.seed,
};

/** Rows that are looked at and not trained. */
export const heldOutKnobs = {
  evalData: knobs.evalData,
  heldOutRows: knobs.heldOutRows,
  evalEverySteps: knobs.evalEverySteps,
};

/** What the model says while it is trained: to a few prompts, and on benchmarks. */
export const answerKnobs = {
  samplePrompts: knobs.samplePrompts,
  sampleEverySteps: knobs.sampleEverySteps,
  ...evalTaskKnobs,
  maxNewTokens: knobs.maxNewTokens.default(128),
};

const { samplePrompts: _, ...withoutSamplePrompts } = answerKnobs;

/** `answerKnobs` of a recipe whose rows have prompts of their own to be answered. */
export const ownPromptKnobs = {
  samplePrompts: answerKnobs.samplePrompts,
  answerPrompts: knobs.answerPrompts,
  ...withoutSamplePrompts,
};

export const savingKnobs = {
  saveEverySteps: knobs.saveEverySteps,
  keepCheckpoints: knobs.keepCheckpoints,
};

/** Of commands that write one file of lines instead of a run. */
export const linesFile = knob(z.string().min(1), {
  help: "JSONL file to write.",
  group: "Model and data",
  placeholder: "file",
});
