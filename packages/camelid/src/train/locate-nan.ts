/** Where the first NaN or infinity of a step comes from. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { adaptersOf } from "../adapters/lora.js";
import type { LanguageModel } from "../model/language-model.js";
import type { Linear } from "../nn/linear.js";

/**
 * Does a step's passes again and looks at what every projection takes and gives: the first that is not finite, in the order of
 * the forward pass, is where to look. If all are finite, the gradient of the weight nearest to the loss is.
 * @param pass forward and backward of the step's micro-batches, with the weights as they were
 * @returns words for an error, such as `the output of model.layers.3.mlp.up_proj (weight: 1 of 4096 values)`; undefined when
 *   nothing is found, because the numbers do not repeat themselves
 */
export function locateNaN(model: LanguageModel, pass: () => void): string | undefined {
  const weights = model.namedParameters();
  const finding = watchForward(model, weights, pass);
  if (finding !== undefined) return finding;
  const adapters = adaptersOf(model).flatMap((adapter) => [...adapter.namedParameters()]);
  const named = [...weights, ...adapters].reverse().map(([name, { grad }]) => ({ name, grad }));
  const broken = named.find(({ grad }) => grad !== undefined && notFinite(grad) > 0);
  return broken && `the gradient of ${broken.name} (${countText(broken.grad!)}), with every output finite`;
}

function watchForward(
  model: LanguageModel,
  weights: ReadonlyMap<string, Tensor>,
  pass: () => void,
): string | undefined {
  let first: string | undefined;
  let last = "the embedding";
  const look = (x: Tensor, words: () => string): void => {
    if (first === undefined && notFinite(x) > 0) first = words();
  };
  const withWeight = (name: string, words: string): string => {
    const weight = weights.get(`${name}.weight`);
    return weight !== undefined && notFinite(weight) > 0 ? `${words} (weight: ${countText(weight)})` : words;
  };
  const originals = [...model.linears()];
  const forward = (original: Linear, x: Tensor): Tensor => {
    look(x, () => `what goes into ${original.name}, after ${last}`);
    const y = original.forward(x);
    look(y, () => withWeight(original.name, `the output of ${original.name}`));
    last = original.name;
    return y;
  };
  // What it was in all else, so that a pass still finds its adapters, switches them off, and lets them drop.
  const watched = (original: Linear): Linear =>
    Object.create(original, {
      forward: { value: (x: Tensor) => forward(original, x) },
      forwardTogether: { value: undefined },
      namedParameters: { value: () => original.namedParameters() },
    });
  try {
    for (const { name } of originals) model.replaceLinear(name, watched);
    pass();
  } finally {
    for (const original of originals) model.replaceLinear(original.name, () => original);
  }
  if (first !== undefined) return first;
  // Behind the last projection come the final norm and the head, which are no projections of the model.
  const behind = [...weights].filter(
    ([name]) => !originals.some((linear) => name.startsWith(`${linear.name}.`)),
  );
  const broken = behind.find(([, weight]) => notFinite(weight) > 0);
  return broken && `${broken[0]} (${countText(broken[1])})`;
}

const notFinite = (x: Tensor): number => {
  using _ = torch.tensorScope();
  return torch.noGrad(() => x.detach().isfinite().logicalNot().sum().item());
};
const countText = (x: Tensor): string => `${notFinite(x)} of ${x.numel} values not finite`;
