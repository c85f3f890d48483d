/**
 * The pairwise loss of reward models (Bradley and Terry 1952; Christiano et al. 2017, https://arxiv.org/abs/1706.03741): the chance
 * that the chosen answer wins is the sigmoid of the difference of two scores.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

export interface RewardSettings {
  /**
   * Weight of the squared sum of both scores, which holds their mean near 0 (Eisenstein et al. 2023,
   * https://arxiv.org/abs/2312.09244; 0.01 there): the loss itself says nothing of it.
   */
  centerRewards: number | null;
}

/** [pairs] fp32 each. */
export interface PairScores {
  chosen: Tensor;
  rejected: Tensor;
}

/**
 * Per pair: -log sigmoid(chosen - rejected) + centerRewards * (chosen + rejected)^2. Equal scores cost ln 2.
 * @returns [pairs]
 * @see checked against TRL in tests/parity/reward.test.ts
 */
export function rewardLoss({ chosen, rejected }: PairScores, { centerRewards }: RewardSettings): Tensor {
  const losses = torch.logSigmoid(chosen.sub(rejected)).neg();
  if (centerRewards === null) return losses;
  const sum = chosen.add(rejected);
  return losses.add(sum.mul(sum), { alpha: centerRewards });
}
