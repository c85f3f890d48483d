/**
 * Adapters folded into the weights they correct: W + scaling * B A. The model is then an ordinary one. A base in 4 bits is
 * restored first: the adapter was trained against those values, and not against the weights that they were made from.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { ModelError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { denseLinear, type Linear } from "../nn/linear.js";
import { Nf4Linear } from "../nn/nf4-linear.js";
import { packRows } from "../nn/packed-rows.js";
import { adaptersOf, type LoraAdapter, LoraLinear } from "./lora.js";

/** How far logits may move by the merge, by dtype, in units of the largest logit: rounding of the weights, nothing else. */
export const MERGE_TOLERANCE: Readonly<Record<string, number>> = {
  float64: 1e-9,
  float32: 1e-4,
  float16: 0.02,
  bfloat16: 0.1,
};

/**
 * Merges one adapter, or all that are on the model, and compares the logits of sample rows before and after.
 * @param rows token ids to compare on
 * @returns the largest change of a logit
 * @throws {ModelError} `ERR_MERGE_CHECK` when logits moved by more than rounding explains
 */
export function mergeAdapters(
  model: LanguageModel,
  rows: readonly ArrayLike<number>[],
  adapters: readonly LoraAdapter[] = adaptersOf(model),
): number {
  using before = torch.tensorScope(() => logits(model, rows));
  dequantizeModel(model); // outside a scope of ours: the model owns what it gets
  using _ = torch.tensorScope();
  for (const adapter of adapters) mergeOne(model, adapter);
  const change = logits(model, rows).sub(before).abs().amax().item();
  const largest = before.abs().amax().item();
  const allowed = MERGE_TOLERANCE[model.dtype]! * Math.max(1, largest);
  if (!(change <= allowed)) {
    throw new ModelError("ERR_MERGE_CHECK", `merging moved a logit by ${change}, more than ${allowed}.`, {
      where: `${adapters.length} adapters, weights in ${model.dtype}, largest logit ${largest}`,
      fix: "merge in fp32: in lower precision these corrections are lost to rounding.",
    });
  }
  return change;
}

/**
 * Every 4-bit projection becomes a dense one of the model's dtype that holds the restored weights, adapters on it or not.
 * @returns how many there were
 */
export function dequantizeModel(model: LanguageModel): number {
  let count = 0;
  const restored = (linear: Linear): Linear => {
    if (linear instanceof LoraLinear) {
      const base = restored(linear.base);
      return base === linear.base ? linear : new LoraLinear(base, linear.adapters);
    }
    if (!(linear instanceof Nf4Linear)) return linear;
    count++;
    const dense = denseLinear(linear.name, linear.weight.dequantize(model.dtype), linear.bias?.clone());
    linear[Symbol.dispose]();
    return dense;
  };
  for (const { name } of [...model.linears()]) model.replaceLinear(name, restored);
  return count;
}

/** The product is computed in fp32 whatever the weight's dtype, and rounded once. */
function mergeOne(model: LanguageModel, adapter: LoraAdapter): void {
  for (const linear of [...model.linears()]) {
    if (!(linear instanceof LoraLinear) || !linear.adapters.includes(adapter)) continue;
    const pair = adapter.pairs.get(linear.name)!;
    torch.noGrad(() => {
      using _ = torch.tensorScope();
      const [a, b] = [pair.a, pair.b].map((matrix) => matrix.to({ dtype: "float32" })) as [Tensor, Tensor];
      const weight = new Map(linear.base.namedParameters()).get(`${linear.name}.weight`)!;
      weight.copy_(weight.to({ dtype: "float32" }).add(b.matmul(a), { alpha: adapter.scaling }));
    });
    const others = linear.adapters.filter((other) => other !== adapter);
    model.replaceLinear(linear.name, () =>
      others.length === 0 ? linear.base : new LoraLinear(linear.base, others),
    );
    pair.a.dispose();
    pair.b.dispose();
  }
}

/** [tokens, vocab] fp32 */
function logits(model: LanguageModel, rows: readonly ArrayLike<number>[]): Tensor {
  return torch.noGrad(() =>
    torch.linear(model.hiddenStates(packRows(rows, model.device)), model.headWeight).to({ dtype: "float32" }),
  );
}
