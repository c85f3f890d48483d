/**
 * KTO as its authors run it (Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306, and the configuration files of their code,
 * ContextualAI/HALOs), and small ones to start from. tests/recipes/judge-presets.test.ts holds every value against a table of its own.
 */
import type { Preset } from "camelid";
import type { settings } from "../kto.js";
import { noQuestions, onCpu, smallAdapters, tuluRun } from "./shared.js";

type KtoPreset = Preset<typeof settings>;

/**
 * Llama 3 8B on UltraFeedback's answers: 32 a step, one epoch, PyTorch's AdamW as it comes (decay 0.01), the rate constant after 150
 * steps of warm-up. These are given as a share here: 0.04 of the steps over both answers of its 61,135 pairs. The rate is ten times
 * DPO's: at first an answer pulls with a quarter of beta, a pair with half of it.
 */
export function kto(): KtoPreset {
  return {
    ...tuluRun(),
    ...noQuestions(),
    answerPrompts: 16,
    beta: 0.1,
    desirableWeight: 1,
    undesirableWeight: 1,
    reference: "stored",
    maxSeqLen: 1024,
    gradAccumSteps: 32,
    epochs: 1,
    learningRate: 5e-6,
    schedule: "constant",
    warmupRatio: 0.04,
    betas: [0.9, 0.999],
    weightDecay: 0.01,
    maxGradNorm: 5,
    seed: 1,
  };
}

/** Adapters on every projection, for one GPU. */
export function ktoLora(): KtoPreset {
  return { ...kto(), lora: smallAdapters(), maxSeqLen: 2048, learningRate: 5e-5 };
}

/** A few million parameters on a CPU. */
export function tiny(): KtoPreset {
  return { ...kto(), ...onCpu(), microBatchSize: 8, learningRate: 2e-4 };
}

export const ktoPresets = { kto, lora: ktoLora, tiny };
