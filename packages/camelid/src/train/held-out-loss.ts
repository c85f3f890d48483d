import * as torch from "@camelid/torch";
import { collateTargets, type TokenRow } from "../data/collate.js";
import { type MicroBatchPlan, microBatches } from "../data/micro-batches.js";
import type { LanguageModel } from "../model/language-model.js";
import { packRows } from "../nn/packed-rows.js";
import type { World } from "../parallel/world.js";
import { nextTurn } from "../run/interrupt.js";
import { LossMeter } from "./loss-meter.js";
import { sftLoss } from "./losses/sft.js";

/**
 * The loss of rows that are not trained, the same mean over trained tokens as in training.
 * @returns the fields of an `eval-end` event: `loss`, and `metrics` by source where there are several
 */
export async function heldOutLoss(
  model: LanguageModel,
  rows: readonly TokenRow[],
  plan: MicroBatchPlan,
  world?: World,
): Promise<{ loss: number; metrics?: Record<string, number> }> {
  const names = [...new Set(rows.map((row) => row.dataset))].sort();
  using meter = new LossMeter(names, model.device, world);
  const mine = world?.share(rows, (row) => row.inputIds.length) ?? rows;
  const lengths = mine.map((row) => row.inputIds.length);
  for (const batch of microBatches(lengths, plan)) {
    const members = batch.map((place) => mine[place]!);
    torch.noGrad(() => {
      using _ = torch.tensorScope();
      const packed = packRows(
        members.map((row) => row.inputIds),
        model.device,
      );
      const targets = collateTargets(members, model.device, (row) => meter.sourceNumber(row.dataset));
      meter.add(sftLoss(model, packed, targets, 1).logps, targets);
    });
    await nextTurn();
  }
  const { loss, sources } = meter.take();
  if (names.length < 2) return { loss };
  return {
    loss,
    metrics: Object.fromEntries(
      Object.entries(sources).map(([name, source]) => [`loss/${name}`, source.loss]),
    ),
  };
}
