/** How the rows of one optimizer step are laid into micro-batches. The result of the step does not depend on it. */

export interface MicroBatchPlan {
  /** Rows per micro-batch without packing; with packing, their token budget is `microBatchSize * maxSeqLen`. */
  microBatchSize: number;
  maxSeqLen: number;
  packing: boolean;
}

/**
 * @param lengths tokens of each row
 * @returns places in `lengths`, grouped; every place once
 */
export function microBatches(lengths: readonly number[], plan: MicroBatchPlan): number[][] {
  const places = lengths.map((_, place) => place);
  if (plan.packing) return packBestFit(lengths, plan.microBatchSize * plan.maxSeqLen);
  const groups: number[][] = [];
  for (let at = 0; at < places.length; at += plan.microBatchSize)
    groups.push(places.slice(at, at + plan.microBatchSize));
  return groups;
}

/**
 * Best-fit decreasing: long rows first, each into the fullest batch that still has room. Batches come out about equally
 * full and as few as the budget allows, within a few percent.
 */
export function packBestFit(lengths: readonly number[], budget: number): number[][] {
  const longestFirst = lengths.map((_, place) => place).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const batches: { room: number; places: number[] }[] = [];
  for (const place of longestFirst) {
    const length = lengths[place]!;
    let best: (typeof batches)[number] | undefined;
    for (const batch of batches) {
      if (batch.room >= length && (best === undefined || batch.room < best.room)) best = batch;
    }
    if (best === undefined) {
      best = { room: Math.max(budget, length), places: [] };
      batches.push(best);
    }
    best.room -= length;
    best.places.push(place);
  }
  return batches.map((batch) => batch.places.sort((a, b) => a - b));
}
