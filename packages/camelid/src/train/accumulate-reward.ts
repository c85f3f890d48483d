/** One forward and backward pass of a reward model over preference pairs: gradients add up in `.grad`, metrics in the meter. */
import * as torch from "@camelid/torch";
import { withDropout } from "../adapters/lora.js";
import type { PairRow } from "../data/pair-rows.js";
import type { RewardModel } from "../model/reward-model.js";
import { type RewardSettings, rewardLoss } from "./losses/reward.js";
import type { PairPassSettings } from "./pair-logps.js";
import { pairScores } from "./pair-scores.js";
import type { ScoreMeter } from "./score-meter.js";

/**
 * Adds the gradients of one micro-batch's pairwise loss. Everything else that it makes is freed.
 * @param scale one over the pairs of the whole optimizer step: a mean over the step, however it is split
 */
export function accumulateReward(
  model: RewardModel,
  pairs: readonly PairRow[],
  scale: number,
  settings: RewardSettings & PairPassSettings,
  meter: ScoreMeter,
): void {
  using _ = torch.tensorScope();
  withDropout(model.decoder, () => {
    const scores = torch.span("forward", () => pairScores(model, pairs, settings));
    const losses = torch.span("loss", () => rewardLoss(scores, settings));
    torch.span("backward", () => losses.sum().mul(scale).backward());
    torch.span("log", () => meter.add(scores, losses));
  });
}
