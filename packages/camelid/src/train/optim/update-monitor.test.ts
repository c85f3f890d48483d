import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { expect, test } from "vitest";
import { adamw } from "./adamw.js";
import { UpdateMonitor } from "./update-monitor.js";

const settings = { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 } as const;

/** Share of unchanged weights when every weight is 1, has a gradient, and AdamW's first update moves it by the rate. */
function shareAt(
  learningRate: number,
  dtype: "bfloat16" | "float32",
  touched: (weight: Tensor) => Tensor,
): number {
  const weight = torch.ones([100, 50], { dtype });
  weight.requiresGrad = true;
  const parameters = new Map([["w", weight]]);
  using optimizer = adamw(parameters, settings);
  using monitor = new UpdateMonitor(parameters, optimizer);
  torch.tensorScope(() => touched(weight).sum().backward());
  monitor.remember();
  optimizer.update(learningRate, null).dispose();
  const share = monitor.unchangedShare();
  weight.dispose();
  return share;
}

test("the neighbours of 1 in bf16 are 1/256 below and 1/128 above: smaller updates are lost", () => {
  const all = (weight: Tensor): Tensor => weight.mul(1);
  expect(shareAt(1 / 1024, "bfloat16", all)).toBe(1);
  expect(shareAt(1 / 256, "bfloat16", all)).toBe(0);
  expect(shareAt(1 / 1024, "float32", all)).toBe(0);
});

test("weights that never had a gradient do not count, such as the embeddings of words that did not come", () => {
  const firstRows = (weight: Tensor): Tensor => weight.narrow(0, 0, 10).mul(1);
  expect(shareAt(1 / 1024, "bfloat16", firstRows)).toBe(1);
  expect(shareAt(1 / 64, "bfloat16", firstRows)).toBe(0);
});

test("leaves no tensor behind", () => {
  const before = torch.memoryStats().liveTensors;
  shareAt(1 / 1024, "bfloat16", (weight) => weight.mul(1));
  expect(torch.memoryStats().liveTensors).toBe(before);
});
