import { type TokenRow, trainedTokens } from "../data/collate.js";
import { type MicroBatchPlan, microBatches } from "../data/micro-batches.js";
import type { World } from "../parallel/world.js";
import { type LossReduction, lossScales } from "./accumulate.js";

/**
 * A step's rows as micro-batches, and what the loss of each is multiplied by. Of several ranks each gets its part: with
 * `token-mean` of the rows, since how they are packed changes nothing; with `microbatch-mean` of the micro-batches, whose split
 * is part of that loss.
 */
export function stepBatches<Row extends TokenRow>(
  rows: readonly Row[],
  settings: MicroBatchPlan & { lossReduction: LossReduction },
  world: World,
): { batches: Row[][]; scales: number[] } {
  const tokens = (some: readonly Row[]): number => some.reduce((sum, row) => sum + row.inputIds.length, 0);
  if (settings.lossReduction === "token-mean") {
    const batches = batched(
      world.share(rows, (row) => row.inputIds.length),
      settings,
    );
    const scale = 1 / rows.reduce((sum, row) => sum + trainedTokens(row), 0);
    return { batches, scales: batches.map(() => scale) };
  }
  const all = batched(rows, settings);
  const scales = lossScales(all, settings.lossReduction);
  const mine = world.share([...all.entries()], ([, batch]) => tokens(batch));
  return { batches: mine.map(([, batch]) => batch), scales: mine.map(([place]) => scales[place]!) };
}

function batched<Row extends TokenRow>(rows: readonly Row[], plan: MicroBatchPlan): Row[][] {
  const lengths = rows.map((row) => row.inputIds.length);
  return microBatches(lengths, plan).map((batch) => batch.map((place) => rows[place]!));
}
