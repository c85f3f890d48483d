import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/**
 * 2-norm of all gradients together. Stays on the device.
 * @param sumSquares adds in place what other processes have of the squared norm (scalar), each of other gradients
 * @returns scalar fp32
 */
export function gradientNorm(gradients: readonly Tensor[], sumSquares?: (squares: Tensor) => void): Tensor {
  return torch.tensorScope(() => {
    const norm = normOf(gradients);
    if (sumSquares === undefined) return norm;
    const squares = norm.pow(2);
    sumSquares(squares);
    return squares.sqrt();
  });
}

/**
 * What gradients are multiplied by so that their norm is at most `maxNorm`: min(1, maxNorm / (norm + 1e-6)), as
 * `torch.nn.utils.clip_grad_norm_` does.
 * @returns scalar fp32
 */
export function clipFactor(norm: Tensor, maxNorm: number): Tensor {
  return torch.tensorScope(() => norm.add(1e-6).reciprocal().mul(maxNorm).clamp(null, 1));
}

function normOf(gradients: readonly Tensor[]): Tensor {
  const isOnCpu = gradients.every(({ device }) => device === "cpu");
  return isOnCpu
    ? torch.gradientNorm(gradients)
    : torch.stack(torch.foreachNorm(gradients, 2, "float32")).norm();
}
