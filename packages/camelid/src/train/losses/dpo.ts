/**
 * Direct Preference Optimization (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290): the trained model shall prefer the
 * chosen answer over the rejected one by more than the reference does.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

export interface DpoSettings {
  /** Above 0; 0.1 is usual for sums, 5 for per-token means. Larger stays closer to the reference. */
  beta: number;
  /**
   * - `dpo`: log-probabilities summed over the answer's tokens, as the paper has it.
   * - `dpo-norm`: their mean per token (Lambert et al. 2024, Tulu 3, https://arxiv.org/abs/2411.15124), which does not reward length.
   */
  lossType: "dpo" | "dpo-norm";
  /** In [0, 0.5): how often the preference is taken to be the wrong way round (Mitchell 2023, conservative DPO). */
  labelSmoothing: number;
}

/** What a model gives the answers of some pairs: log-probabilities summed over tokens, [pairs] fp32, in nats. */
export interface PairLogps {
  chosen: Tensor;
  rejected: Tensor;
}

/** Trained tokens of each answer, [pairs]; only `dpo-norm` looks at them. */
export interface PairLengths {
  chosen: Tensor;
  rejected: Tensor;
}

export interface DpoLoss {
  /** [pairs] */
  losses: Tensor;
  /** beta * log(policy / reference), of the means per token with `dpo-norm`; [pairs], detached */
  chosenRewards: Tensor;
  rejectedRewards: Tensor;
}

/**
 * Per pair, with the margin m = chosen reward - rejected reward:
 *
 *     -(1 - smoothing) log sigmoid(m) - smoothing log sigmoid(-m)
 *
 * When policy and reference are the same, m = 0 and every loss is ln 2.
 * @param reference the same of the frozen reference; gradients do not flow into it
 * @see checked against TRL in tests/parity/dpo.test.ts
 */
export function dpoLoss(
  policy: PairLogps,
  reference: PairLogps,
  lengths: PairLengths,
  { beta, lossType, labelSmoothing }: DpoSettings,
): DpoLoss {
  const reward = (side: "chosen" | "rejected"): Tensor => {
    const logRatio = policy[side].sub(reference[side].detach());
    return (lossType === "dpo-norm" ? logRatio.div(lengths[side]) : logRatio).mul(beta);
  };
  const [chosenRewards, rejectedRewards] = [reward("chosen"), reward("rejected")];
  const margins = chosenRewards.sub(rejectedRewards);
  let losses = torch.logSigmoid(margins).mul(labelSmoothing - 1);
  if (labelSmoothing > 0) losses = losses.sub(torch.logSigmoid(margins.neg()), { alpha: labelSmoothing });
  return { losses, chosenRewards: chosenRewards.detach(), rejectedRewards: rejectedRewards.detach() };
}
