import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { dpoLoss, type LossType } from "../../packages/camelid/src/train/losses/dpo.js";
import "../close.js";
import { readReferenceJson } from "./reference.js";

interface Case {
  options: { beta: number; smoothing?: number; gamma?: number };
  per_token_means: boolean;
  losses: number[];
  /** beta times the summed log-ratio, also where the loss takes means. */
  chosen_rewards: number[];
  rejected_rewards: number[];
  grad_of_mean: { chosen_logps: number[]; rejected_logps: number[] };
}
const stored = readReferenceJson<{
  inputs: Record<string, number[]>;
  chosen_lengths: number[];
  rejected_lengths: number[];
  cases: Record<string, Case>;
}>("losses/fixtures/preference.json");

beforeAll(() => torch.setNumThreads(1));

/** float64, so that the comparison is of formulas and not of rounding. */
const float64 = (values: readonly number[]) => torch.tensor(values, { dtype: "float64" });
const EXACT = { atol: 1e-12, rtol: 1e-9 };

function compute(name: string) {
  const { options } = stored.cases[name]!;
  const { inputs } = stored;
  const policy = { chosen: float64(inputs.chosen_logps!), rejected: float64(inputs.rejected_logps!) };
  policy.chosen.requiresGrad = true;
  policy.rejected.requiresGrad = true;
  const result = dpoLoss(
    policy,
    {
      chosen: float64(inputs.reference_chosen_logps!),
      rejected: float64(inputs.reference_rejected_logps!),
    },
    { chosen: float64(stored.chosen_lengths), rejected: float64(stored.rejected_lengths) },
    {
      beta: options.beta,
      lossType: LOSS_TYPE[name]!,
      labelSmoothing: options.smoothing ?? 0,
      ...(options.gamma !== undefined && { targetMargin: options.gamma }),
    },
  );
  return { policy, result };
}

const LOSS_TYPE: Readonly<Record<string, LossType>> = {
  dpo: "dpo",
  "dpo-beta-0.5": "dpo",
  "dpo-norm": "dpo-norm",
  "conservative-dpo": "dpo",
  ipo: "ipo",
  simpo: "simpo",
};
/** The loss where policy = reference; SimPO has no reference. */
const AT_START: Readonly<Record<string, number>> = { ipo: 25, simpo: Number.NaN };

describe.each(Object.keys(LOSS_TYPE))("%s", (name) => {
  const expected = stored.cases[name]!;

  test("gives the stored losses, also far from the reference, and its own where policy = reference", () => {
    using _ = torch.tensorScope();
    const { result } = compute(name);
    expect(result.losses).toBeAllClose(expected.losses, EXACT);
    const start = AT_START[name] ?? Math.LN2;
    if (!Number.isNaN(start)) expect(result.losses.select(0, 0).item()).toBeCloseTo(start, 12);
  });

  test("gives the stored rewards, per token where the loss is", () => {
    using _ = torch.tensorScope();
    const { result } = compute(name);
    const per = (rewards: number[], lengths: number[]) =>
      rewards.map((reward, i) => (expected.per_token_means ? reward / lengths[i]! : reward));
    expect(result.chosenRewards).toBeAllClose(per(expected.chosen_rewards, stored.chosen_lengths), EXACT);
    expect(result.rejectedRewards).toBeAllClose(
      per(expected.rejected_rewards, stored.rejected_lengths),
      EXACT,
    );
    expect(result.chosenRewards.requiresGrad).toBe(false);
  });

  test("gives the stored gradients of the mean", () => {
    using _ = torch.tensorScope();
    const { policy, result } = compute(name);
    result.losses.mean().backward();
    expect(policy.chosen.grad!).toBeAllClose(expected.grad_of_mean.chosen_logps, EXACT);
    expect(policy.rejected.grad!).toBeAllClose(expected.grad_of_mean.rejected_logps, EXACT);
  });
});
