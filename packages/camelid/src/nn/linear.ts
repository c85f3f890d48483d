import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/**
 * One projection of a model. Adapters and quantised weights are other implementations, put in its place by name
 * (`model.replaceLinear`).
 */
export interface Linear extends Disposable {
  /** The checkpoint's own name without `.weight`, such as `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** [..., in] -> [..., out] */
  forward(x: Tensor): Tensor;
  /** What `forwardAll` calls where projections of one input have work in common. */
  forwardTogether?(linears: readonly Linear[], x: Tensor): Tensor[];
  /** Everything that a checkpoint stores, by full name. */
  namedParameters(): Iterable<readonly [string, Tensor]>;
}

/** What several projections make of one input, in their order. */
export function forwardAll(linears: readonly Linear[], x: Tensor): Tensor[] {
  const joint = linears.find(({ forwardTogether }) => forwardTogether !== undefined);
  return joint?.forwardTogether?.(linears, x) ?? linears.map((linear) => linear.forward(x));
}

/**
 * y = x W^T + b
 * @param weight [out, in], owned by the projection from now on
 * @param bias   [out], owned as well
 */
export function denseLinear(name: string, weight: Tensor, bias?: Tensor): Linear {
  const [outFeatures, inFeatures] = weight.shape as [number, number];
  return {
    name,
    inFeatures,
    outFeatures,
    forward: (x) => torch.linear(x, weight, bias),
    namedParameters: () => [
      [`${name}.weight`, weight],
      ...(bias === undefined ? [] : [[`${name}.bias`, bias] as const]),
    ],
    [Symbol.dispose]: () => {
      weight.dispose();
      bias?.dispose();
    },
  };
}
