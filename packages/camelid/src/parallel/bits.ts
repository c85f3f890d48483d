import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/** libtorch's numbers of the integers that are as wide. */
const INTEGERS: Partial<Record<DType, number>> = { float64: 4, float32: 3, bfloat16: 2, float16: 2 };

/**
 * A number for the bits of a tensor, to be compared with another rank's: the sum of its elements read as integers. It costs one
 * pass over the memory, on any device, and does not depend on how many threads add.
 */
export function bitsOf(tensor: Tensor): string {
  using _ = torch.tensorScope();
  const integer = INTEGERS[tensor.dtype];
  const flat = tensor.detach().contiguous();
  const bits =
    integer === undefined ? flat : (torch.callOperator("aten::view.dtype", flat, integer) as Tensor);
  return String(bits.sum().toTypedArray()[0]);
}
