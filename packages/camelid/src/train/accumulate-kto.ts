/** The passes of a KTO step: first what its losses are measured from, then forward and backward. */
import * as torch from "@camelid/torch";
import { withDropout } from "../adapters/lora.js";
import type { JudgedRow } from "../data/judged-rows.js";
import { type MicroBatchPlan, microBatches } from "../data/micro-batches.js";
import type { LanguageModel } from "../model/language-model.js";
import type { World } from "../parallel/world.js";
import { nextTurn } from "../run/interrupt.js";
import type { JudgedMeter } from "./judged-meter.js";
import { type KtoSettings, ktoLoss } from "./losses/kto.js";
import { answerLogps } from "./pair-logps.js";
import type { Reference } from "./reference-logps.js";

/** What the losses of a step are measured from. */
export interface KtoBaseline {
  /** The policy's distance from the reference, at least 0, in nats; a constant for the gradient. */
  readonly kl: number;
  /** The reference's log-probabilities of the rows' own answers. */
  readonly expected: ReadonlyMap<JudgedRow, number>;
}

/** Micro-batches by the tokens of the rows' own answers and prompts. */
export function judgedBatches(rows: readonly JudgedRow[], plan: MicroBatchPlan): JudgedRow[][] {
  const lengths = rows.map(({ chosen }) => chosen.inputIds.length);
  return microBatches(lengths, plan).map((batch) => batch.map((place) => rows[place]!));
}

/**
 * Mean of log(policy / reference) over the rows' mismatched answers, but not below 0. It has to be known for the whole step
 * before the first backward pass, so that the split into micro-batches changes nothing. Without dropout: it says something of
 * the policy, and trains nothing.
 * @param batches those of this rank
 * @param count rows of the step on all ranks
 */
export async function ktoBaseline(
  model: LanguageModel,
  batches: readonly JudgedRow[][],
  reference: Reference,
  count: number,
  world?: World,
): Promise<KtoBaseline> {
  const parts: torch.Tensor[] = []; // [rows] each: log(policy / reference) of the mismatched answer, log reference of the own
  try {
    for (const batch of batches) {
      const [ratios, own] = torch.noGrad(() =>
        torch.tensorScope(() => {
          const before = reference.logps(batch);
          const others = batch.map(({ rejected }) => rejected);
          return [answerLogps(model, others).sub(before.rejected), before.chosen.clone()];
        }),
      ) as [torch.Tensor, torch.Tensor];
      parts.push(ratios, own);
      await nextTurn(); // lets Ctrl+C through
    }
    const numbers = readTogether(parts);
    const expected = new Map<JudgedRow, number>();
    let here = 0;
    batches.forEach((batch, b) => {
      here = numbers[2 * b]!.reduce((sum, ratio) => sum + ratio, here);
      batch.forEach((row, i) => {
        expected.set(row, numbers[2 * b + 1]![i]!);
      });
    });
    const [sum] = world?.sumNumbers([here]) ?? [here];
    return { kl: Math.max(sum! / count, 0), expected };
  } finally {
    for (const part of parts) part.dispose();
  }
}

/** The host waits for the device once, when all passes are on their way. */
function readTogether(parts: readonly torch.Tensor[]): number[][] {
  if (parts.length === 0) return [];
  using _ = torch.tensorScope();
  const all = torch.cat(parts).toArray();
  let end = 0;
  return parts.map(({ numel }) => {
    end += numel;
    return all.slice(end - numel, end);
  });
}

/**
 * Adds the gradients of one micro-batch's KTO loss. Everything else that it makes is freed.
 * @param scale one over the rows of the whole optimizer step: a mean over the step, however it is split
 */
export function accumulateKto(
  model: LanguageModel,
  rows: readonly JudgedRow[],
  { kl, expected }: KtoBaseline,
  scale: number,
  settings: KtoSettings,
  meter: JudgedMeter,
): void {
  using _ = torch.tensorScope();
  withDropout(model, () => {
    const own = rows.map(({ chosen }) => chosen);
    const policy = torch.span("forward", () => answerLogps(model, own));
    const loss = torch.span("loss", () => lossOf(policy, rows, { kl, expected }, settings));
    torch.span("backward", () => loss.losses.sum().mul(scale).backward());
    torch.span("log", () => meter.add(rows, policy, loss));
  });
}

/** The same numbers without a gradient: rows that are looked at, not trained. */
export function measureKto(
  model: LanguageModel,
  rows: readonly JudgedRow[],
  baseline: KtoBaseline,
  settings: KtoSettings,
  meter: JudgedMeter,
): void {
  using _ = torch.tensorScope();
  torch.noGrad(() => {
    const own = rows.map(({ chosen }) => chosen);
    const policy = answerLogps(model, own);
    meter.add(rows, policy, lossOf(policy, rows, baseline, settings));
  });
}

function lossOf(
  policy: torch.Tensor,
  rows: readonly JudgedRow[],
  { kl, expected }: KtoBaseline,
  settings: KtoSettings,
) {
  const before = torch.tensor(
    Float32Array.from(rows, (row) => expected.get(row)!),
    { device: policy.device },
  );
  const desirable = rows.map((row) => row.desirable);
  return ktoLoss(policy, before, desirable, kl, settings);
}
