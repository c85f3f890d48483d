/**
 * The preference training of Tulu 2 (Ivison et al. 2023, https://arxiv.org/abs/2311.10702, appendix B) and Tulu 3 (Lambert et al.
 * 2024, https://arxiv.org/abs/2411.15124, table 20 and its published commands), and small ones to start from.
 */
import type { Preset } from "camelid";
import type { settings } from "../dpo.js";
import { noQuestions, onCpu, smallAdapters, tuluRun } from "./shared.js";

type DpoPreset = Preset<typeof settings>;

/** Llama 2 7B, 13B and 70B on UltraFeedback: 32 pairs a step, all sizes alike. Betas and clipping as in its SFT. */
export function tulu2Dpo(): DpoPreset {
  return {
    ...tuluRun(),
    ...noQuestions(),
    answerPrompts: 16,
    beta: 0.1,
    lossType: "dpo",
    targetMargin: 1,
    labelSmoothing: 0,
    reference: "stored",
    sharePrompts: true,
    maxSeqLen: 8192,
    gradAccumSteps: 32,
    epochs: 3,
    learningRate: 5e-7,
    warmupRatio: 0.1,
  };
}

/** Tulu 2 13B again (Ivison et al. 2024, https://arxiv.org/abs/2406.09279, Tulu 2.5): shorter rows, the rest alike. */
export function tulu25Dpo(): DpoPreset {
  return { ...tulu2Dpo(), maxSeqLen: 4096 };
}

/** Llama 3.1 8B: log-probabilities per token, 128 pairs a step, one epoch, no clipping. */
export function tulu3Dpo8b(): DpoPreset {
  return {
    ...tulu2Dpo(),
    lossType: "dpo-norm",
    beta: 5,
    gradAccumSteps: 128,
    maxSeqLen: 2048,
    epochs: 1,
    betas: [0.9, 0.999],
    maxGradNorm: null,
  };
}

export function tulu3Dpo70b(): DpoPreset {
  return { ...tulu3Dpo8b(), learningRate: 2e-7 };
}

export function tulu3Dpo405b(): DpoPreset {
  return { ...tulu3Dpo70b(), gradAccumSteps: 256 };
}

/** Adapters on every projection, for one GPU. */
export function dpoLora(): DpoPreset {
  return { ...tulu2Dpo(), lora: smallAdapters(), maxSeqLen: 2048, epochs: 1, learningRate: 1e-5 };
}

/** A few million parameters on a CPU. */
export function tiny(): DpoPreset {
  return { ...tulu2Dpo(), ...onCpu(), microBatchSize: 4, epochs: 1, learningRate: 5e-5 };
}

export const dpoPresets = {
  "tulu2-dpo-7b": tulu2Dpo,
  "tulu2-dpo-13b": tulu2Dpo,
  "tulu2-dpo-70b": tulu2Dpo,
  "tulu2.5-dpo-13b": tulu25Dpo,
  "tulu3-dpo-8b": tulu3Dpo8b,
  "tulu3-dpo-70b": tulu3Dpo70b,
  "tulu3-dpo-405b": tulu3Dpo405b,
  lora: dpoLora,
  tiny,
};
