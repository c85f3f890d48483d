/** How a reward model judges pairs that it is not trained on, between two steps. */
import type { MicroBatchPlan } from "../data/micro-batches.js";
import type { PairRow } from "../data/pair-rows.js";
import type { WatchedPairs } from "../data/watched-pairs.js";
import { DataError } from "../errors.js";
import type { RewardModel } from "../model/reward-model.js";
import type { World } from "../parallel/world.js";
import type { RewardSettings } from "./losses/reward.js";
import type { PairPassSettings } from "./pair-logps.js";
import { scorePairs } from "./pair-scores.js";

/**
 * @returns the fields of an `eval-end` event: the loss, and `pairs`, `accuracy`, `margin`, `mean_reward`, `rewards/chosen`,
 *   `rewards/rejected`
 */
export async function evaluateReward(
  model: RewardModel,
  pairs: readonly PairRow[],
  settings: RewardSettings & PairPassSettings & MicroBatchPlan,
  world?: World,
): Promise<{ loss: number; metrics: Record<string, number> }> {
  const scores = await scorePairs(model, pairs, settings, world);
  const mean = (value: (one: (typeof scores)[number]) => number): number =>
    scores.reduce((sum, one) => sum + value(one), 0) / scores.length;
  const [chosen, rejected] = [mean((one) => one.chosen), mean((one) => one.rejected)];
  const centre = settings.centerRewards ?? 0;
  return {
    loss: mean((one) => softplus(one.rejected - one.chosen) + centre * (one.chosen + one.rejected) ** 2),
    metrics: {
      pairs: scores.length,
      accuracy: mean((one) => (one.chosen > one.rejected ? 1 : 0)),
      margin: chosen - rejected,
      mean_reward: (chosen + rejected) / 2,
      "rewards/chosen": chosen,
      "rewards/rejected": rejected,
    },
  };
}

/** log(1 + exp(x)), also where exp(x) is beyond all numbers. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/**
 * The pairs that a run looks at.
 * @throws {DataError} `ERR_DATA_COLUMNS` when evalData holds conversations, which say nothing of a reward model
 */
export function pairsToWatch({ watched, conversations }: WatchedPairs, evalData: string | null): PairRow[] {
  if (conversations.length === 0) return watched.map(({ pair }) => pair);
  throw new DataError("ERR_DATA_COLUMNS", "the rows are conversations, not pairs.", {
    where: `evalData ${evalData}`,
    fix: "give pairs that are not trained, or heldOutRows.",
  });
}
