import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { HostStash } from "./host-stash.js";

/**
 * Activation checkpointing (Chen et al. 2016, https://arxiv.org/abs/1604.06174): of everything that `body` computes only its
 * input and output are kept; the backward pass computes the rest again. One more forward pass buys the memory of all
 * intermediate activations but one block's. Same loss and same gradients, to the last bit: the same operations run in the
 * same order, with the same random numbers.
 * @param body must not depend on anything that changes between the two passes
 * @param stash keeps the input in host memory until then; x is disposed of
 */
export function recompute(body: (x: Tensor) => Tensor, x: Tensor, stash?: HostStash): Tensor {
  if (!torch.isGradEnabled()) return body(x);
  const { device, requiresGrad } = x;
  // Lives as long as the surrounding scope: the micro-batch, and so its backward pass.
  const random = torch.getRandomState(device);
  const kept = stash?.put(x) ?? (() => x.detach());
  const output = torch.customFunction({
    inputs: [x],
    always: true, // the input of the first block may need no gradient, but the block's weights do
    forward: () => torch.tensorScope(() => body(x)),
    backward: (gradOutput) => {
      const input = kept();
      input.requiresGrad = requiresGrad;
      const now = torch.getRandomState(device);
      torch.setRandomState(random, device);
      const output = torch.enableGrad(() => body(input));
      torch.setRandomState(now, device);
      if (output.requiresGrad) torch.backward([output], [gradOutput]); // a block may be frozen as a whole
      return [input.grad];
    },
  });
  if (stash !== undefined) x.dispose();
  return output;
}
