import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/**
 * 2-norm of all gradients together, and gradients scaled so that it is at most `maxNorm`: by min(1, maxNorm / (norm + 1e-6)),
 * as `torch.nn.utils.clip_grad_norm_` does. Stays on the device.
 * @param maxNorm null measures only
 * @returns the norm before clipping: scalar fp32
 */
export function clipGradNorm(gradients: readonly Tensor[], maxNorm: number | null): Tensor {
  return torch.tensorScope(() => {
    const norms = torch.foreachNorm(gradients, 2, "float32");
    const norm = torch.stack(norms).norm();
    if (maxNorm !== null) {
      const factor = norm.add(1e-6).reciprocal().mul(maxNorm).clamp(null, 1);
      torch.foreachMul_(gradients, factor);
    }
    return norm;
  });
}
