/** 8-bit AdamW against a plain implementation of it, and against fp32 AdamW on a small problem. */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { dynamicMap, quantizeDynamic } from "../../nn/nf4-reference.js";
import { type AdamwSettings, adamw } from "./adamw.js";

beforeAll(() => torch.setNumThreads(1));

const settings: AdamwSettings = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, optimizer: "adamw-8bit" };
const f = Math.fround;

/** One parameter's weights and moments, in fp32 arithmetic written out. */
class Plain {
  mean: { codes: Uint8Array; absmax: Float32Array };
  square: { codes: Uint8Array; absmax: Float32Array };
  step = 0;
  constructor(readonly weight: Float32Array) {
    this.mean = quantizeDynamic(new Float32Array(weight.length), dynamicMap(true));
    this.square = quantizeDynamic(new Float32Array(weight.length), dynamicMap(false));
  }

  update(gradient: Float32Array, lr: number, { betas, eps, weightDecay }: AdamwSettings): void {
    this.step++;
    const [means, squares] = [dynamicMap(true), dynamicMap(false)];
    const [b1, b2] = [f(betas[0]), f(betas[1])];
    const keep = f(1 - lr * weightDecay);
    const rate = f(f(lr) / f(1 - betas[0] ** this.step));
    const root = f(Math.sqrt(1 - betas[1] ** this.step));
    const [m, v] = [new Float32Array(this.weight.length), new Float32Array(this.weight.length)];
    gradient.forEach((g, i) => {
      const block = Math.floor(i / 256);
      const oldMean = f(means[this.mean.codes[i]!]! * this.mean.absmax[block]!);
      const oldSquare = f(squares[this.square.codes[i]!]! * this.square.absmax[block]!);
      m[i] = f(f(oldMean * b1) + f(g * f(1 - b1)));
      v[i] = f(f(oldSquare * b2) + f(f(g * g) * f(1 - b2)));
      const denominator = f(f(f(Math.sqrt(v[i]!)) / root) + f(eps));
      this.weight[i] = f(f(this.weight[i]! * keep) - f(rate * f(m[i]! / denominator)));
    });
    this.mean = quantizeDynamic(m, means);
    this.square = quantizeDynamic(v, squares);
  }
}

test("weights, codes and scales are the plain implementation's, bit for bit, a short last block included", () => {
  using _ = torch.tensorScope();
  torch.manualSeed(3);
  const weight = torch.randn([75, 67]);
  const plain = new Plain(Float32Array.from(weight.toArray()));
  weight.requiresGrad = true;
  using optimizer = adamw(new Map([["w", weight]]), settings);
  const columns = torch.arange(0, 67).to({ dtype: "float32" }).mul(-0.3).exp();
  for (let step = 1; step <= 8; step++) {
    // Gradients of very different size by column, and a column that never has one.
    const gradient = torch
      .randn([75, 67])
      .mul(columns)
      .mul(step === 5 ? 30 : 1);
    gradient.narrow(1, 3, 1).zero_();
    weight.grad = gradient;
    plain.update(Float32Array.from(gradient.toArray()), 1e-2, settings);
    optimizer.update(1e-2, null);
    expect(weight.detach().toTypedArray()).toEqual(plain.weight);
    const state = optimizer.state();
    expect(state.get("exp_avg.w")!.toTypedArray()).toEqual(plain.mean.codes);
    expect(state.get("exp_avg_scales.w")!.toTypedArray()).toEqual(plain.mean.absmax);
    expect(state.get("exp_avg_sq.w")!.toTypedArray()).toEqual(plain.square.codes);
    expect(state.get("exp_avg_sq_scales.w")!.toTypedArray()).toEqual(plain.square.absmax);
  }
});

describe("on a regression of 80 inputs", () => {
  const loss = (optimizerName: "adamw" | "adamw-8bit", dtype: DType, masterWeights: boolean): number =>
    torch.tensorScope(() => {
      torch.manualSeed(4);
      const [x, target] = [torch.randn([256, 80]), torch.randn([64, 80]).mul(0.5)];
      const y = x.matmul(target.t());
      const weight = torch.zeros([64, 80], { dtype });
      weight.requiresGrad = true;
      using optimizer = adamw(new Map([["w", weight]]), {
        ...settings,
        weightDecay: 0,
        optimizer: optimizerName,
        masterWeights,
      });
      const error = (): Tensor => torch.linear(x.to({ dtype }), weight).to({ dtype: "float32" }).sub(y);
      for (let step = 0; step < 150; step++) {
        using _ = torch.tensorScope();
        error().pow(2).mean().backward();
        optimizer.update(0.01, 1).dispose();
      }
      return torch.noGrad(() => error().pow(2).mean().item());
    });

  test("it gets as low as fp32 moments do", () => {
    const [fp32, eight] = [loss("adamw", "float32", false), loss("adamw-8bit", "float32", false)];
    expect(fp32).toBeLessThan(0.05); // from 20
    expect(eight).toBeLessThan(1.5 * fp32 + 1e-3);
  });

  test("bf16 weights with fp32 masters too", () => {
    expect(loss("adamw-8bit", "bfloat16", true)).toBeLessThan(1.5 * loss("adamw", "bfloat16", true) + 1e-3);
  });
});

test("tensors below 4,096 elements keep fp32 moments and equal plain AdamW", () => {
  using _ = torch.tensorScope();
  const run = (optimizer: "adamw" | "adamw-8bit"): Tensor => {
    torch.manualSeed(6);
    const weight = torch.randn([4095]);
    weight.requiresGrad = true;
    using adam = adamw(new Map([["w", weight]]), { ...settings, optimizer });
    expect(adam.state().get("exp_avg.w")!.dtype).toBe("float32");
    for (let step = 0; step < 3; step++) {
      weight.grad = torch.randn([4095]);
      adam.update(1e-3, null);
    }
    return weight.detach();
  };
  expect(run("adamw-8bit").equal(run("adamw"))).toBe(true);
});

test("moments take 2.03 bytes a weight instead of 8", () => {
  using _ = torch.tensorScope();
  const weight = torch.zeros([1024, 1024]);
  weight.requiresGrad = true;
  const bytes = (optimizer: "adamw" | "adamw-8bit"): number => {
    const before = torch.memoryStats().liveBytes;
    using _adam = adamw(new Map([["w", weight]]), { ...settings, optimizer });
    return (torch.memoryStats().liveBytes - before) / weight.numel;
  };
  expect(bytes("adamw")).toBeCloseTo(8, 2);
  expect(bytes("adamw-8bit")).toBeCloseTo(2 + (2 * 4) / 256, 2);
});

test("goes on bit for bit from its stored state", () => {
  using _ = torch.tensorScope();
  const start = (): Tensor => {
    torch.manualSeed(8);
    const weight = torch.randn([64, 128]).to({ dtype: "bfloat16" });
    weight.requiresGrad = true;
    return weight;
  };
  const gradient = (step: number): Tensor => {
    torch.manualSeed(100 + step);
    return torch.randn([64, 128]).to({ dtype: "bfloat16" });
  };
  const options = { ...settings, masterWeights: true };
  const [whole, first, second] = [start(), start(), start()];
  using unbroken = adamw(new Map([["w", whole]]), options);
  for (let step = 0; step < 6; step++) {
    whole.grad = gradient(step);
    unbroken.update(1e-3, 1);
  }
  using before = adamw(new Map([["w", first]]), options);
  for (let step = 0; step < 3; step++) {
    first.grad = gradient(step);
    before.update(1e-3, 1);
  }
  torch.noGrad(() => second.copy_(first));
  using after = adamw(new Map([["w", second]]), options);
  after.loadState(before.state());
  expect(after.step).toBe(3);
  for (let step = 3; step < 6; step++) {
    second.grad = gradient(step);
    after.update(1e-3, 1);
  }
  expect(second.detach().equal(whole.detach())).toBe(true);
  const expected = unbroken.state();
  for (const [name, tensor] of after.state()) expect(tensor.equal(expected.get(name)!), name).toBe(true);
});
