/** One forward and backward pass: gradients add up in `.grad`, losses in the meter. */
import * as torch from "@camelid/torch";
import { withDropout } from "../adapters/lora.js";
import { collateTargets, type TokenRow, trainedTokens } from "../data/collate.js";
import type { LanguageModel } from "../model/language-model.js";
import { packRows } from "../nn/packed-rows.js";
import type { LossMeter } from "./loss-meter.js";
import { sftLoss } from "./losses/sft.js";

export type LossReduction = "token-mean" | "microbatch-mean";

/**
 * What each micro-batch's summed loss is multiplied by.
 * - `token-mean`: one over the trained tokens of the whole step; the split into micro-batches has no influence.
 * - `microbatch-mean`: the mean over micro-batches of each one's own mean, as the original code; short answers weigh more.
 */
export function lossScales(batches: readonly (readonly TokenRow[])[], reduction: LossReduction): number[] {
  const counts = batches.map((rows) => rows.reduce((sum, row) => sum + trainedTokens(row), 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => 1 / (reduction === "token-mean" ? total : count * batches.length));
}

/**
 * Adds the gradients of one micro-batch's SFT loss. Everything else that it makes is freed.
 * @param dropout false for a pass that must give the same numbers each time
 */
export function accumulateSft(
  model: LanguageModel,
  rows: readonly TokenRow[],
  scale: number,
  meter: LossMeter,
  { dropout = true } = {},
): void {
  using _ = torch.tensorScope();
  const inputIds = rows.map((row) => row.inputIds);
  const { packed, targets } = torch.span("pack", () => ({
    packed: packRows(inputIds, model.device),
    targets: collateTargets(rows, model.device, (row) => meter.sourceNumber(row.dataset)),
  }));
  const pass = (): void => {
    const { loss, logps } = sftLoss(model, packed, targets, scale);
    torch.span("backward", () => loss.backward());
    torch.span("log", () => meter.add(logps, targets));
  };
  if (dropout) withDropout(model, pass);
  else pass();
}
