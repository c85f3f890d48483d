import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/**
 * 2-norm of all gradients together, and gradients scaled so that it is at most `maxNorm`: by min(1, maxNorm / (norm + 1e-6)),
 * as `torch.nn.utils.clip_grad_norm_` does. Stays on the device.
 * @param maxNorm null measures only
 * @param sumSquares adds in place what other processes have of the squared norm (scalar), each of other gradients
 * @returns the norm before clipping: scalar fp32
 */
export function clipGradNorm(
  gradients: readonly Tensor[],
  maxNorm: number | null,
  sumSquares?: (squares: Tensor) => void,
): Tensor {
  return torch.tensorScope(() => {
    const norm = sumSquares === undefined ? normOf(gradients) : normWith(gradients, sumSquares);
    if (maxNorm !== null) {
      const factor = norm.add(1e-6).reciprocal().mul(maxNorm).clamp(null, 1);
      if (gradients.length > 0) torch.foreachMul_(gradients, factor);
    }
    return norm;
  });
}

function normOf(gradients: readonly Tensor[]): Tensor {
  return torch.stack(torch.foreachNorm(gradients, 2, "float32")).norm();
}

function normWith(gradients: readonly Tensor[], sumSquares: (squares: Tensor) => void): Tensor {
  const squares = gradients.length === 0 ? torch.zeros([]) : normOf(gradients).pow(2);
  sumSquares(squares);
  return squares.sqrt();
}
