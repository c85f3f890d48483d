/**
 * Kahneman-Tversky Optimization (Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306): answers judged one by one, desirable
 * or not, instead of pairs. An answer is worth what the model adds to its probability beyond what it adds on average.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

export interface KtoSettings {
  /** Above 0; 0.1 is usual. Larger stays closer to the reference. */
  beta: number;
  /** Weight of desirable answers' losses; the paper keeps `weight * count` of both kinds within 1 : 1 and 4 : 3. */
  desirableWeight: number;
  undesirableWeight: number;
}

export interface KtoLoss {
  /** [rows] */
  losses: Tensor;
  /** beta * log(policy / reference), [rows], detached */
  rewards: Tensor;
  /** [rows] bool: desirable above the baseline, undesirable below it; detached */
  isRight: Tensor;
}

/**
 * Per row, with r = log(policy / reference) of its answer and z the distance of the policy from the reference:
 *
 *     desirable      desirableWeight   * (1 - sigmoid(beta (r - z)))
 *     undesirable    undesirableWeight * (1 - sigmoid(beta (z - r)))
 *
 * When policy and reference are the same, r = z = 0 and every loss is half its weight.
 * @param policy log-probabilities of the answers, summed over their tokens, [rows] fp32, in nats
 * @param reference the same of the frozen reference; gradients do not flow into it
 * @param desirable the judgements
 * @param kl z, at least 0: `ktoBaseline`
 * @see checked against TRL in tests/parity/kto.test.ts
 */
export function ktoLoss(
  policy: Tensor,
  reference: Tensor,
  desirable: readonly boolean[],
  kl: number,
  { beta, desirableWeight, undesirableWeight }: KtoSettings,
): KtoLoss {
  const { dtype, device } = policy;
  const column = (good: number, bad: number): Tensor =>
    torch.tensor(
      desirable.map((is) => (is ? good : bad)),
      { dtype, device },
    );
  const ratios = policy.sub(reference.detach());
  const signs = column(1, -1);
  const lead = ratios.sub(kl).mul(signs).mul(beta);
  const losses = lead.neg().sigmoid().mul(column(desirableWeight, undesirableWeight));
  return { losses, rewards: ratios.detach().mul(beta), isRight: lead.detach().gt(0) };
}
