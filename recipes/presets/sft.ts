/**
 * The supervised fine-tuning runs of Tulu 2 (Ivison et al. 2023, https://arxiv.org/abs/2311.10702, appendix B) and Tulu 3 (Lambert
 * et al. 2024, https://arxiv.org/abs/2411.15124, and its published commands), and small ones to start from. tests/recipes/presets.test.ts holds every value
 * against a table of its own.
 */
import type { Preset } from "camelid";
import type { settings } from "../sft.js";
import { everyProjection, noQuestions, onCpu, tuluRun } from "./shared.js";

type SftPreset = Preset<typeof settings>;

/**
 * Llama 2 7B and 13B, CodeLlama 7B, 13B and 34B. 128 rows a step. What CodeLlama has of its own comes with
 * its folder: theta 1,000,000 (the JAX code of that time used 10,000 for every model), a vocabulary of 32,016 for 7B and 13B and of
 * 32,000 for 34B; the infilling markers among the 16 more are not trained on.
 */
export function tulu2(): SftPreset {
  return {
    ...tuluRun(),
    ...noQuestions(),
    lossReduction: "token-mean",
    maxSeqLen: 8192,
    gradAccumSteps: 128,
    epochs: 2,
    learningRate: 2e-5,
    warmupRatio: 0.03,
  };
}

/** Llama 2 70B: half the learning rate. */
export function tulu2At70b(): SftPreset {
  return { ...tulu2(), learningRate: 1e-5 };
}

/**
 * Llama 3.1 8B: 128 rows a step, no clipping. Its commands sum the loss over tokens, so that each weighs the same whatever
 * batch it came in; AdamW does not see the scale, and the mean over the step's tokens is that loss.
 */
export function tulu3Sft8b(): SftPreset {
  return {
    ...tulu2(),
    maxSeqLen: 4096,
    learningRate: 5e-6,
    betas: [0.9, 0.999],
    maxGradNorm: null,
    seed: 123,
  };
}

/** Llama 3.1 70B. */
export function tulu3Sft70b(): SftPreset {
  return { ...tulu3Sft8b(), learningRate: 2e-6, seed: 456 };
}

/**
 * QLoRA at 7B, 13B and 70B: adapters of rank 64 on a base in 4 bits, shorter rows, more epochs. Betas and clipping are those of
 * the PyTorch code that these runs used. It took the mean of each row's mean; `lossReduction: "microbatch-mean"` with
 * `packing: false` does the same. The tokenizers published with these adapters are of the "legacy: false" kind, which puts no space
 * before what follows a special token: `tokenVariant: "C"` gives their ids. The variants differ after the first answer of a
 * conversation; B, which is used here, is what `tokenizer.json` says and what a model is asked in.
 */
export function tulu2Qlora(): SftPreset {
  return {
    ...tulu2(),
    lora: {
      rank: 64,
      alpha: 16,
      dropout: 0.1,
      targetModules: everyProjection,
      rslora: false,
    },
    quantize: { type: "nf4", doubleQuant: true, throughFp16: true },
    maxSeqLen: 4096,
    epochs: 5,
    learningRate: 1e-4,
    betas: [0.9, 0.999],
    maxGradNorm: null,
  };
}

/** A few million parameters on a CPU: short rows, a rate that small models like. */
export function tiny(): SftPreset {
  return { ...tulu2(), ...onCpu(), microBatchSize: 8, learningRate: 1e-3, betas: [0.9, 0.99] };
}

export const sftPresets = {
  "tulu2-qlora-7b": tulu2Qlora,
  "tulu2-qlora-13b": tulu2Qlora,
  "tulu2-qlora-70b": tulu2Qlora,
  "tulu2-7b": tulu2,
  "tulu2-13b": tulu2,
  "tulu2-70b": tulu2At70b,
  "codetulu2-7b": tulu2,
  "codetulu2-13b": tulu2,
  "codetulu2-34b": tulu2,
  "tulu3-8b": tulu3Sft8b,
  "tulu3-70b": tulu3Sft70b,
  tiny,
};
