import type { Tensor } from "@camelid/torch";

/**
 * x / sqrt(mean(x^2) + eps) * weight over the last dimension. Statistics are fp32; the normalised value is rounded to the
 * activation dtype before the weight multiplies it, as the reference implementations of Llama do.
 * @param x [..., hidden]
 * @param weight [hidden]
 * @see Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  const wide = x.to({ dtype: "float32" });
  const scale = wide.pow(2).mean([-1], true).add(eps).rsqrt();
  return wide.mul(scale).to({ dtype: x.dtype }).mul(weight);
}
