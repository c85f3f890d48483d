/** How a model stands towards judged answers between two steps, without training on them. */

import type { JudgedRow } from "../data/judged-rows.js";
import type { MicroBatchPlan } from "../data/micro-batches.js";
import type { LanguageModel } from "../model/language-model.js";
import type { World } from "../parallel/world.js";
import { nextTurn } from "../run/interrupt.js";
import { judgedBatches, ktoBaseline, measureKto } from "./accumulate-kto.js";
import { JudgedMeter } from "./judged-meter.js";
import type { KtoSettings } from "./losses/kto.js";
import type { Reference } from "./reference-logps.js";

/**
 * @param reference must know these rows
 * @param world whose ranks measure a part each; all get the same answer
 * @returns the fields of an `eval-end` event: the loss, and the metrics of a training step over all these rows
 */
export async function evaluateJudged(
  model: LanguageModel,
  watched: readonly JudgedRow[],
  reference: Reference,
  settings: KtoSettings & MicroBatchPlan,
  world?: World,
): Promise<{ loss: number; metrics: Record<string, number> }> {
  const mine = world?.share(watched, ({ chosen }) => chosen.inputIds.length) ?? watched;
  const batches = judgedBatches(mine, settings);
  const baseline = await ktoBaseline(model, batches, reference, watched.length, world);
  using meter = new JudgedMeter(model.device, world);
  for (const batch of batches) {
    measureKto(model, batch, baseline, settings, meter);
    await nextTurn(); // lets Ctrl+C through
  }
  const { loss, metrics } = meter.take();
  return { loss, metrics: { ...metrics, kl: baseline.kl } };
}
