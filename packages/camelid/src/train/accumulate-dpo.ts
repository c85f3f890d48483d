/** One forward and backward pass over preference pairs: gradients add up in `.grad`, metrics in the meter. */
import * as torch from "@camelid/torch";
import { withDropout } from "../adapters/lora.js";
import type { PairRow } from "../data/pair-rows.js";
import type { LanguageModel } from "../model/language-model.js";
import { type DpoSettings, dpoLoss } from "./losses/dpo.js";
import { type PairPassSettings, pairLengths, pairLogps } from "./pair-logps.js";
import type { PairMeter } from "./pair-meter.js";
import type { Reference } from "./reference-logps.js";

/**
 * Adds the gradients of one micro-batch's DPO loss. Everything else that it makes is freed.
 * @param scale one over the pairs of the whole optimizer step: a mean over the step, however it is split
 */
export function accumulateDpo(
  model: LanguageModel,
  pairs: readonly PairRow[],
  reference: Reference,
  scale: number,
  settings: DpoSettings & PairPassSettings,
  meter: PairMeter,
): void {
  using _ = torch.tensorScope();
  const expected = reference.logps(pairs);
  withDropout(model, () => {
    const policy = torch.span("forward", () => pairLogps(model, pairs, settings));
    const loss = torch.span("loss", () => dpoLoss(policy, expected, pairLengths(model, pairs), settings));
    torch.span("backward", () => loss.losses.sum().mul(scale).backward());
    torch.span("log", () => meter.add(pairs, policy, loss));
  });
}
