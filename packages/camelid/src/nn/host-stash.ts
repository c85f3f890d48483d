import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/**
 * Tensors of one forward pass that wait in host memory for its backward pass (Rhu et al. 2016, https://arxiv.org/abs/1602.08124). They
 * are asked for in the reverse of their order: when one is taken, the one before it starts its way back, beside what is
 * computed meanwhile.
 */
export class HostStash {
  #last: torch.HostCopy | undefined;

  /** @returns gives the tensor back, on its device and without a gradient's record; once */
  put(x: Tensor): () => Tensor {
    const copy = torch.moveToHost(x);
    const before = this.#last;
    this.#last = copy;
    return () => {
      const back = copy.takeBack();
      before?.prefetch();
      return back;
    };
  }
}
