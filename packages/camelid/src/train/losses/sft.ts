/** Supervised fine-tuning: negative log-likelihood of the answers' tokens. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { Targets } from "../../data/collate.js";
import type { LanguageModel } from "../../model/language-model.js";
import { scaledNll } from "../../nn/log-probs.js";
import type { PackedRows } from "../../nn/packed-rows.js";

/**
 * Sum of -log p over the micro-batch's trained tokens, times `scale`. With `scale` one over the trained tokens of the whole
 * optimizer step, the losses of its micro-batches add up to the step's token mean, however the rows were split.
 * @returns `loss`: scalar fp32; `logps`: [trained] fp32, detached, in nats
 */
export function sftLoss(
  model: LanguageModel,
  rows: PackedRows,
  targets: Targets,
  scale: number,
): { loss: Tensor; logps: Tensor } {
  const hidden = torch.span("forward", () => model.hiddenStates(rows).indexSelect(0, targets.positions)); // [trained, hidden]
  return torch.span("loss", () => scaledNll(hidden, model.headWeight, targets.labels, scale));
}
