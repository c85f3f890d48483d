import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { Linear } from "./linear.js";
import { nf4Tensors } from "./nf4-tensors.js";
import type { Nf4Weight } from "./nf4-weight.js";

/**
 * A frozen projection whose weight is kept in NF4: y = x W^T + b, W restored in x's dtype for each product and freed after it,
 * in the backward pass once more. Nothing of full precision lives between the two.
 */
export class Nf4Linear implements Linear {
  readonly name: string;
  readonly weight: Nf4Weight;
  /** [out], frozen as well. */
  readonly bias: Tensor | undefined;
  readonly #tensors: readonly (readonly [string, Tensor])[];

  /** @param weight owned by the projection from now on, as is `bias` */
  constructor(name: string, weight: Nf4Weight, bias?: Tensor) {
    this.name = name;
    this.weight = weight;
    this.bias = bias;
    this.#tensors = nf4Tensors(`${name}.weight`, weight);
  }

  get inFeatures(): number {
    return this.weight.shape[1];
  }

  get outFeatures(): number {
    return this.weight.shape[0];
  }

  forward(x: Tensor): Tensor {
    const { weight, bias } = this;
    return torch.customFunction({
      inputs: [x],
      forward: () => weight.linear(x, bias),
      backward: (gradOutput) => [gradOutput.matmul(weight.dequantize(gradOutput.dtype))],
    });
  }

  /** The tensors of bitsandbytes' serialised form. */
  namedParameters(): Iterable<readonly [string, Tensor]> {
    return this.bias === undefined ? this.#tensors : [...this.#tensors, [`${this.name}.bias`, this.bias]];
  }

  [Symbol.dispose](): void {
    for (const [, tensor] of this.#tensors) tensor.dispose();
    this.weight[Symbol.dispose]();
    this.bias?.dispose();
  }
}
