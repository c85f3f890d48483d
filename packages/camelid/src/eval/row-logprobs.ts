/** Log-probability of every token of given rows: what a model makes of a text, number by number. */
import * as torch from "@camelid/torch";
import { IGNORE_INDEX } from "../data/render.js";
import type { LanguageModel } from "../model/language-model.js";
import { tokenLogps } from "../nn/log-probs.js";
import { packRows } from "../nn/packed-rows.js";

export interface RowLogprobs {
  /** n - 1 numbers, in nats: entry t is log p of token t + 1 given the tokens before it. */
  tokenLogps: Float32Array;
  /** Mean of -log p over the trained tokens; NaN when there are none. */
  loss: number;
}

/** Rows go through the model together but never see each other. */
export function rowLogprobs(
  model: LanguageModel,
  rows: readonly { inputIds: ArrayLike<number>; labels: ArrayLike<number> }[],
): RowLogprobs[] {
  return torch.noGrad(() => {
    using _ = torch.tensorScope();
    const packed = packRows(
      rows.map((row) => row.inputIds),
      model.device,
    );
    const hidden = model.hiddenStates(packed);
    // The token after each one; a row's last token predicts nothing, any label will do there.
    const next = rows.flatMap(({ inputIds }) => Array.from(inputIds, (_, i) => BigInt(inputIds[i + 1] ?? 0)));
    const labels = torch.tensor(BigInt64Array.from(next), { device: model.device });
    const all = tokenLogps(hidden, model.headWeight, labels).toTypedArray() as Float32Array;
    let offset = 0;
    return rows.map(({ inputIds, labels }) => {
      const logps = all.slice(offset, offset + inputIds.length - 1);
      offset += inputIds.length;
      return { tokenLogps: logps, loss: meanLoss(logps, labels) };
    });
  });
}

function meanLoss(logps: Float32Array, labels: ArrayLike<number>): number {
  let sum = 0;
  let count = 0;
  logps.forEach((logp, t) => {
    if (labels[t + 1] === IGNORE_INDEX) return;
    sum -= logp;
    count++;
  });
  return sum / count;
}
