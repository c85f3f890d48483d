import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/**
 * x / sqrt(mean(x^2) + eps) * weight over the last dimension. Statistics are fp32; the normalised value is rounded to the
 * activation dtype before the weight multiplies it, as the reference implementations of Llama do.
 * @param x [..., hidden]
 * @param weight [hidden]
 * @see Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  return torch.fusedRmsNorm(x, weight, eps);
}
