import { type TokenRow, totalTokens, trainedTokens } from "../data/collate.js";
import { type MicroBatchPlan, microBatches } from "../data/micro-batches.js";
import type { World } from "../parallel/world.js";
import { type LossReduction, lossScales } from "./accumulate.js";

/** Rows that go through the model together, and what their summed loss is multiplied by. */
export interface ScaledBatch<Row> {
  rows: Row[];
  scale: number;
}

/**
 * A step's rows as micro-batches. Of several ranks each gets its part: with `token-mean` of the rows, since how they are packed
 * changes nothing; with `microbatch-mean` of the micro-batches, whose split is part of that loss.
 */
export function stepBatches<Row extends TokenRow>(
  rows: readonly Row[],
  settings: MicroBatchPlan & { lossReduction: LossReduction },
  world: World,
): ScaledBatch<Row>[] {
  if (settings.lossReduction === "token-mean") {
    const mine = world.share(rows, (row) => row.inputIds.length);
    const scale = 1 / rows.reduce((sum, row) => sum + trainedTokens(row), 0);
    return batched(mine, settings).map((batch) => ({ rows: batch, scale }));
  }
  const all = batched(rows, settings);
  const scales = lossScales(all, settings.lossReduction);
  const scaled = all.map((batch, i) => ({ rows: batch, scale: scales[i]! }));
  return world.share(scaled, (batch) => totalTokens(batch.rows));
}

function batched<Row extends TokenRow>(rows: readonly Row[], plan: MicroBatchPlan): Row[][] {
  const lengths = rows.map((row) => row.inputIds.length);
  return microBatches(lengths, plan).map((batch) => batch.map((place) => rows[place]!));
}
