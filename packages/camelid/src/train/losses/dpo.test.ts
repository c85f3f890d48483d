/** Losses of preference pairs by hand; against TRL in tests/parity/dpo.test.ts, by finite differences here. */
import * as torch from "@camelid/torch";
import { describe, expect, test } from "vitest";
import "../../../../../tests/close.js";
import { type DpoSettings, dpoLoss } from "./dpo.js";

/**
 * One pair. The policy gives the chosen answer of 5 tokens -10 nats and the rejected one of 4 tokens -12; the reference both -11.
 * Ratios: chosen -10 - -11 = 1, rejected -12 - -11 = -1; per token 1 / 5 and -1 / 4.
 */
const pair = { chosen: -10, rejected: -12 };
const reference = { chosen: -11, rejected: -11 };
const lengths = { chosen: 5, rejected: 4 };

const sides = ({ chosen, rejected }: typeof pair) => ({
  chosen: torch.tensor([chosen], { dtype: "float64" }),
  rejected: torch.tensor([rejected], { dtype: "float64" }),
});
const compute = (settings: DpoSettings, policy = pair) =>
  dpoLoss(sides(policy), sides(reference), sides(lengths), settings);

/** -log sigmoid(x) */
const cost = (x: number): number => Math.log(1 + Math.exp(-x));

const cases: [string, DpoSettings, loss: number, rewards: [chosen: number, rejected: number]][] = [
  // margin 0.1 * (1 - -1) = 0.2
  ["dpo", { lossType: "dpo", beta: 0.1, labelSmoothing: 0 }, cost(0.2), [0.1, -0.1]],
  [
    "dpo with a quarter of the labels wrong",
    { lossType: "dpo", beta: 0.1, labelSmoothing: 0.25 },
    0.75 * cost(0.2) + 0.25 * cost(-0.2),
    [0.1, -0.1],
  ],
  // 5 * (0.2 + 0.25) = 2.25
  ["dpo-norm", { lossType: "dpo-norm", beta: 5, labelSmoothing: 0 }, cost(2.25), [1, -1.25]],
  [
    "dpo-norm with a tenth of the labels wrong",
    { lossType: "dpo-norm", beta: 5, labelSmoothing: 0.1 },
    0.9 * cost(2.25) + 0.1 * cost(-2.25),
    [1, -1.25],
  ],
  // (0.45 - 1 / 0.2)^2 = 4.55^2
  ["ipo", { lossType: "ipo", beta: 0.1, labelSmoothing: 0 }, 20.7025, [0.02, -0.025]],
  // 2 * (-10 / 5 - -12 / 4) = 2, of which a target of 1 leaves 1
  ["simpo", { lossType: "simpo", beta: 2, labelSmoothing: 0, targetMargin: 1 }, cost(1), [-4, -6]],
  [
    "simpo with a fifth of the labels wrong",
    { lossType: "simpo", beta: 2, labelSmoothing: 0.2, targetMargin: 1 },
    0.8 * cost(1) + 0.2 * cost(-1),
    [-4, -6],
  ],
];

describe.each(cases)("%s", (_name, settings, loss, [chosenReward, rejectedReward]) => {
  test("costs what the formula says of one pair", () => {
    using _ = torch.tensorScope();
    const { losses, chosenRewards, rejectedRewards } = compute(settings);
    expect(losses.item()).toBeCloseTo(loss, 12);
    expect(chosenRewards.item()).toBeCloseTo(chosenReward, 12);
    expect(rejectedRewards.item()).toBeCloseTo(rejectedReward, 12);
  });

  test("has the gradient of its finite differences", () => {
    using _ = torch.tensorScope();
    const policy = sides(pair);
    policy.chosen.requiresGrad = true;
    policy.rejected.requiresGrad = true;
    dpoLoss(policy, sides(reference), sides(lengths), settings).losses.sum().backward();
    const step = 1e-5;
    for (const side of ["chosen", "rejected"] as const) {
      const at = (shift: number) => compute(settings, { ...pair, [side]: pair[side] + shift }).losses.item();
      const slope = (at(step) - at(-step)) / (2 * step);
      expect(policy[side].grad!.item(), side).toBeCloseTo(slope, 7);
    }
  });
});
