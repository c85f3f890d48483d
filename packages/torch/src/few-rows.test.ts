/** The product of a few bf16 rows, which does not go through libtorch. */
import { expect, test } from "vitest";
import type { Tensor } from "./index.js";
import * as torch from "./index.js";

torch.setNumThreads(1);

const random = (...shape: number[]): Tensor => torch.randn(shape).to({ dtype: "bfloat16" });
const wide = (x: Tensor): Tensor => x.to({ dtype: "float32" });

test.each([1, 2, 3, 4, 5])("%i rows: the product in fp32, rounded", (rows) => {
  using _ = torch.tensorScope();
  torch.manualSeed(rows);
  for (const [outputs, size] of [
    [2, 32],
    [130, 96],
    [64, 40], // not whole vectors: libtorch's
  ] as const) {
    const [x, weight, bias] = [random(rows, size), random(outputs, size), random(outputs)];
    for (const shift of [undefined, bias]) {
      const ours = torch.noGrad(() => torch.linear(x, weight, shift));
      const exact = torch.linear(wide(x), wide(weight), shift === undefined ? undefined : wide(shift));
      expect(ours.shape).toEqual([rows, outputs]);
      const allowed = exact
        .abs()
        .mul(2 ** -8)
        .add(1e-3);
      expect(wide(ours).sub(exact).abs().le(allowed).all().item()).not.toBe(0);
    }
  }
});

test("a row has the same bits alone, beside others, and whatever the threads", () => {
  using _ = torch.tensorScope();
  torch.manualSeed(9);
  const [x, weight] = [random(4, 64), random(300, 64)];
  const alone = torch.noGrad(() => torch.linear(x.narrow(0, 2, 1), weight)).toArray();
  expect(torch.noGrad(() => torch.linear(x, weight).narrow(0, 2, 1)).toArray()).toEqual(alone);
  torch.setNumThreads(3);
  expect(torch.noGrad(() => torch.linear(x, weight).narrow(0, 2, 1)).toArray()).toEqual(alone);
  torch.setNumThreads(1);
});

test("where a gradient is wanted, it is there", () => {
  using _ = torch.tensorScope();
  const [x, weight] = [random(2, 32), random(4, 32)];
  weight.requiresGrad = true;
  torch.linear(x, weight).sum().backward();
  expect(weight.grad!.shape).toEqual([4, 32]);
});

test("a bias that alone is trained has its gradient, also beside few rows", () => {
  using _ = torch.tensorScope();
  const [x, weight, bias] = [random(2, 32), random(4, 32), random(4)];
  bias.requiresGrad = true;
  torch.linear(x, weight, bias).sum().backward();
  expect(bias.grad!.toArray()).toEqual([2, 2, 2, 2]);
});

test("a bias of another length is an error", () => {
  using _ = torch.tensorScope();
  expect(() => torch.noGrad(() => torch.linear(random(2, 32), random(4, 32), random(3)))).toThrow();
});
