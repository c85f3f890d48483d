import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import type { PairRow } from "../../packages/camelid/src/data/pair-rows.js";
import type { LanguageModel } from "../../packages/camelid/src/model/language-model.js";
import { dpoLoss, type LossType } from "../../packages/camelid/src/train/losses/dpo.js";
import { pairLengths, pairLogps } from "../../packages/camelid/src/train/pair-logps.js";
import { PairMeter } from "../../packages/camelid/src/train/pair-meter.js";
import "../close.js";
import { readReferenceJson, readReferenceTensors } from "./reference.js";
import { loadTinyLlama } from "./tiny-llama.js";

const stored = readReferenceJson<{
  pairs: { prompt_ids: number[]; chosen_ids: number[]; rejected_ids: number[] }[];
  logps: Record<"chosen" | "rejected" | "reference_chosen" | "reference_rejected", number[]>;
  trl: Record<string, { loss: number; options: { beta: number } } & Record<string, number>>;
}>("losses/fixtures/dpo-model.json");
const gradients = readReferenceTensors("losses/fixtures/dpo-model.safetensors");
const FP32 = { atol: 2e-5, rtol: 1e-4 };

const pairs: PairRow[] = stored.pairs.map(({ prompt_ids, chosen_ids, rejected_ids }, place) => {
  const side = (ids: number[]) => ({
    ...{ id: `${place}`, dataset: "toy" },
    inputIds: Int32Array.from([...prompt_ids, ...ids]),
    labels: Int32Array.from([...prompt_ids.map(() => -100), ...ids]),
  });
  const promptTokens = prompt_ids.length;
  return {
    ...{ id: `${place}`, dataset: "toy", place, promptTokens },
    chosen: side(chosen_ids),
    rejected: side(rejected_ids),
  };
});

beforeAll(() => torch.setNumThreads(1));

/** Loss and metrics of all pairs, given in micro-batches; gradients are left on the policy. */
function step(policy: LanguageModel, name: string, split: readonly number[], sharePrompts: boolean) {
  using reference = loadTinyLlama("losses/fixtures/reference");
  using meter = new PairMeter("cpu");
  let from = 0;
  for (const count of split) {
    using _ = torch.tensorScope();
    const batch = pairs.slice(from, from + count);
    from += count;
    const expected = torch.noGrad(() => pairLogps(reference, batch, { sharePrompts }));
    const given = pairLogps(policy, batch, { sharePrompts });
    const loss = dpoLoss(given, expected, pairLengths(policy, batch), {
      beta: stored.trl[name]!.options.beta,
      lossType: name as LossType,
      labelSmoothing: 0,
    });
    loss.losses
      .sum()
      .mul(1 / pairs.length)
      .backward();
    meter.add(batch, given, loss);
  }
  return meter.take();
}

const ways = [
  ["rows one after the other", [4], false],
  ["prompts shared", [4], true],
  ["prompts shared, in micro-batches", [1, 3], true],
] as const;

describe.each(ways)("pairs with %s", (_way, split, sharePrompts) => {
  test("have the stored log-probabilities", () => {
    using _ = torch.tensorScope();
    using policy = loadTinyLlama("losses/fixtures/policy");
    const { chosen, rejected } = pairLogps(policy, pairs, { sharePrompts });
    expect(chosen).toBeAllClose(stored.logps.chosen, FP32);
    expect(rejected).toBeAllClose(stored.logps.rejected, FP32);
  });

  test.each(["dpo", "dpo-norm"])("give TRL's loss, metrics and gradients of %s", (name) => {
    using _ = torch.tensorScope();
    using policy = loadTinyLlama("losses/fixtures/policy", true);
    const { loss, metrics } = step(policy, name, split, sharePrompts);
    const trl = stored.trl[name]!;
    expect(loss).toBeAllClose(trl.loss, FP32);
    for (const [key, parameter] of policy.namedParameters()) {
      expect(parameter.grad!, key).toBeAllClose(gradients.get(`grad.${name}.${key}`), FP32);
    }
    expect(metrics["logps/chosen"]!).toBeAllClose(trl["logps/chosen"]!, FP32);
    expect(metrics["logps/rejected"]!).toBeAllClose(trl["logps/rejected"]!, FP32);
    if (name !== "dpo") return; // TRL reports sums as rewards even where its loss takes means
    for (const key of ["rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins"])
      expect(metrics[key]!, key).toBeAllClose(trl[key]!, FP32);
  });

  test("give TRL's loss of ipo", () => {
    using _ = torch.tensorScope();
    using policy = loadTinyLlama("losses/fixtures/policy", true);
    expect(step(policy, "ipo", split, sharePrompts).loss).toBeAllClose(stored.trl.ipo!.loss, FP32);
  });
});
