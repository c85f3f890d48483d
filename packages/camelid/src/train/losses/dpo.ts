/**
 * Direct Preference Optimization (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290) and its relatives: the trained model shall
 * prefer the chosen answer over the rejected one, by more than the reference does where there is one.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

export interface DpoSettings {
  /** Above 0; 0.1 is usual for sums, 5 for per-token means, 2 for SimPO. Larger stays closer to the reference. */
  beta: number;
  /**
   * - `dpo`: log-probabilities summed over the answer's tokens, as the paper has it.
   * - `dpo-norm`: their mean per token (Lambert et al. 2024, Tulu 3, https://arxiv.org/abs/2411.15124), which does not reward length.
   * - `ipo`: means per token, and a squared distance from a margin of 1 / 2 in rewards (Azar et al. 2023,
   *   https://arxiv.org/abs/2310.12036), which does not pull a pair for ever; beta 0.1.
   * - `simpo`: means per token without a reference (Meng et al. 2024, https://arxiv.org/abs/2405.14734); beta 2.
   */
  lossType: LossType;
  /** In [0, 0.5): how often the preference is taken to be the wrong way round (Mitchell 2023, conservative DPO); 0 for `ipo`. */
  labelSmoothing: number;
  /** `simpo` only: the margin in rewards that counts as even; the paper uses about half of beta. */
  targetMargin?: number;
}

export type LossType = "dpo" | "dpo-norm" | "ipo" | "simpo";

/** Whether a loss compares with a reference at all. */
export const usesReference = (lossType: LossType): boolean => lossType !== "simpo";

/** What a model gives the answers of some pairs: log-probabilities summed over tokens, [pairs] fp32, in nats. */
export interface PairLogps {
  chosen: Tensor;
  rejected: Tensor;
}

/** Trained tokens of each answer, [pairs]; `dpo` does not look at them. */
export interface PairLengths {
  chosen: Tensor;
  rejected: Tensor;
}

export interface DpoLoss {
  /** [pairs] */
  losses: Tensor;
  /** beta * log(policy / reference), of means per token with all but `dpo`; [pairs], detached */
  chosenRewards: Tensor;
  rejectedRewards: Tensor;
}

/**
 * Per pair, with the margin m = chosen reward - rejected reward:
 *
 *     dpo, dpo-norm   -(1 - smoothing) log sigmoid(m) - smoothing log sigmoid(-m)
 *     simpo           the same of m - targetMargin, with rewards beta * log policy
 *     ipo             (m / beta - 1 / (2 beta))^2
 *
 * When policy and reference are the same, m = 0 and every loss of DPO is ln 2.
 * @param reference the same of the frozen reference; gradients do not flow into it. `simpo` does not look at it
 * @see checked against TRL in tests/parity/dpo.test.ts
 */
export function dpoLoss(
  policy: PairLogps,
  reference: PairLogps,
  lengths: PairLengths,
  settings: DpoSettings,
): DpoLoss {
  const { beta, lossType } = settings;
  const reward = (side: "chosen" | "rejected"): Tensor => {
    const given = usesReference(lossType) ? policy[side].sub(reference[side].detach()) : policy[side];
    return (lossType === "dpo" ? given : given.div(lengths[side])).mul(beta);
  };
  const [chosenRewards, rejectedRewards] = [reward("chosen"), reward("rejected")];
  const losses = lossOfMargins(chosenRewards.sub(rejectedRewards), settings);
  return { losses, chosenRewards: chosenRewards.detach(), rejectedRewards: rejectedRewards.detach() };
}

function lossOfMargins(
  margins: Tensor,
  { beta, lossType, labelSmoothing, targetMargin = 0 }: DpoSettings,
): Tensor {
  if (lossType === "ipo") {
    const distance = margins.sub(0.5).div(beta);
    return distance.mul(distance);
  }
  const lead = lossType === "simpo" ? margins.sub(targetMargin) : margins;
  const losses = torch.logSigmoid(lead).mul(labelSmoothing - 1);
  if (labelSmoothing === 0) return losses;
  return losses.sub(torch.logSigmoid(lead.neg()), { alpha: labelSmoothing });
}
