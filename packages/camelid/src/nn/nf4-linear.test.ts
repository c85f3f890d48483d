import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { denseLinear, type Linear } from "./linear.js";
import { Nf4Linear } from "./nf4-linear.js";
import { quantizeNf4 } from "./nf4-weight.js";

beforeAll(() => torch.setNumThreads(1));

const settings = { doubleQuant: true, throughFp16: false };

/** The same numbers in 4 bits and restored beforehand, with a bias. */
function pair(dtype: DType, shape: [number, number]): { nf4: Linear; dense: Linear } {
  torch.manualSeed(1);
  const { source, bias } = torch.tensorScope(() => ({
    source: torch.randn(shape).mul(0.1),
    bias: torch.randn([shape[0]]).to({ dtype }),
  }));
  const weight = quantizeNf4(source, settings, "w");
  source.dispose();
  const name = "layer.q_proj";
  const dense = denseLinear(name, weight.dequantize(dtype), bias.clone());
  return { nf4: new Nf4Linear(name, weight, bias), dense };
}

/** Output and gradient of x for one upstream gradient. */
function evaluate(linear: Linear, dtype: DType): [Tensor, Tensor] {
  torch.manualSeed(2);
  const x = torch.randn([3, 5, linear.inFeatures]).to({ dtype });
  x.requiresGrad = true;
  const y = linear.forward(x);
  y.backward(torch.randn(y.shape).to({ dtype }));
  return [y.detach(), x.grad!];
}

describe.each(["float32", "bfloat16"] as const)("in %s", (dtype) => {
  test.each([
    ["whole blocks", [64, 128]],
    ["blocks across rows", [33, 29]],
  ] as [string, [number, number]][])(
    "with %s, output and gradient are those of the restored weight",
    (_, shape) => {
      using _scope = torch.tensorScope();
      const { nf4, dense } = pair(dtype, shape);
      const [expected, received] = [evaluate(dense, dtype), evaluate(nf4, dtype)];
      for (const i of [0, 1] as const) expect(received[i].equal(expected[i])).toBe(true);
    },
  );
});

test("between forward and backward nothing of full precision lives, and no weight gets a gradient", () => {
  using _ = torch.tensorScope();
  const shape: [number, number] = [512, 1024];
  const { nf4 } = pair("float32", shape);
  const full = 4 * shape[0] * shape[1];
  const x = torch.randn([8, shape[1]]);
  x.requiresGrad = true;
  const before = torch.memoryStats().liveBytes;
  const y = nf4.forward(nf4.forward(x).matmul(torch.ones([shape[0], shape[1]])));
  const held = torch.memoryStats().liveBytes - before;
  expect(held).toBeLessThan(full + 0.05 * full); // the matrix of ones; the 4-bit weight adds nothing
  y.sum().backward();
  expect(x.grad).toBeDefined();
  for (const [, tensor] of nf4.namedParameters()) expect(tensor.grad).toBeUndefined();
});

test("a frozen input records nothing", () => {
  using _ = torch.tensorScope();
  const { nf4 } = pair("float32", [64, 64]);
  expect(nf4.forward(torch.randn([2, 64])).requiresGrad).toBe(false);
});

test("is freed with everything it owns", () => {
  const before = torch.memoryStats().liveTensors;
  const { nf4, dense } = pair("float32", [64, 64]);
  nf4[Symbol.dispose]();
  dense[Symbol.dispose]();
  expect(torch.memoryStats().liveTensors).toBe(before);
});
