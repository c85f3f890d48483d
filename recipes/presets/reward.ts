/**
 * The reward models of Tulu 2.5 (Ivison et al. 2024, https://arxiv.org/abs/2406.09279) and Tulu 3 (Lambert et al. 2024,
 * https://arxiv.org/abs/2411.15124, and its published command), and small ones to start from. Both left out pairs with a text longer
 * than the limit. tests/recipes/judge-presets.test.ts holds every value against a table of its own.
 */
import type { Preset } from "camelid";
import type { settings } from "../reward.js";
import { onCpu, smallAdapters, tuluRun } from "./shared.js";

type RewardPreset = Preset<typeof settings>;

/** Tulu 2 13B: 512 pairs a step; the rate falls to a tenth. */
export function tulu25Reward(): RewardPreset {
  return {
    ...tuluRun(),
    onBad: "skip",
    centerRewards: null,
    sharePrompts: true,
    maxSeqLen: 4096,
    gradAccumSteps: 512,
    epochs: 1,
    learningRate: 1e-5,
    endLearningRate: 1e-6,
    warmupRatio: 0.03,
  };
}

/**
 * Llama 3.1 8B, which the value model of its reinforcement learning began from: 256 pairs a step, no warm-up, no clipping; epsilon and
 * decay are the defaults of its code (PyTorch's AdamW, which decays norms as well; here matrices only).
 */
export function tulu3Reward8b(): RewardPreset {
  return {
    ...tulu25Reward(),
    maxSeqLen: 2048,
    gradAccumSteps: 256,
    learningRate: 3e-6,
    endLearningRate: 0,
    warmupRatio: 0,
    betas: [0.9, 0.999],
    eps: 1e-5,
    weightDecay: 0.01,
    maxGradNorm: null,
    seed: 1,
  };
}

/** Adapters on every projection, for one GPU; the head is trained whole. */
export function rewardLora(): RewardPreset {
  return {
    ...tulu25Reward(),
    lora: smallAdapters(),
    maxSeqLen: 2048,
    gradAccumSteps: 64,
    learningRate: 1e-4,
    endLearningRate: 0,
  };
}

/** A few million parameters on a CPU. */
export function tiny(): RewardPreset {
  return { ...tulu25Reward(), ...onCpu(), microBatchSize: 4, learningRate: 5e-4, endLearningRate: 0 };
}

export const rewardPresets = {
  "tulu2.5-reward-13b": tulu25Reward,
  "tulu3-reward-8b": tulu3Reward8b,
  lora: rewardLora,
  tiny,
};
