/** Updates inside the backward pass: the same numbers as after it, fewer gradients in memory. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { recompute } from "../../nn/recompute.js";
import { checkMethod } from "../check-settings.js";
import { type AdamwSettings, adamw, checkInBackward } from "./adamw.js";

beforeAll(() => torch.setNumThreads(1));

const SIZE = 96;
const LAYERS = 6;
const base = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1 } as const;

/** A stack of layers, and one vector that all of them use. */
function newParameters(): Map<string, Tensor> {
  torch.manualSeed(11);
  const parameters = new Map([["shared", torch.randn([SIZE])]]);
  for (let i = 0; i < LAYERS; i++) parameters.set(`layer.${i}`, torch.randn([SIZE, SIZE]).mul(0.1));
  for (const parameter of parameters.values()) parameter.requiresGrad = true;
  return parameters;
}

/** @param checkpointing recomputes each layer, whose gradients then come from a backward pass inside the backward pass */
function backward(parameters: ReadonlyMap<string, Tensor>, step: number, checkpointing: boolean): void {
  using _ = torch.tensorScope();
  torch.manualSeed(200 + step);
  let x = torch.randn([16, SIZE]).mul(parameters.get("shared")!);
  for (let i = 0; i < LAYERS; i++) {
    const layer = (input: Tensor): Tensor => torch.linear(input, parameters.get(`layer.${i}`)!).tanh();
    x = checkpointing ? recompute(layer, x) : layer(x);
  }
  x.mul(parameters.get("shared")!).pow(2).mean().backward();
}

function train(settings: AdamwSettings, checkpointing: boolean): { weights: Tensor[]; norms: number[] } {
  const parameters = newParameters();
  using optimizer = adamw(parameters, settings);
  const norms: number[] = [];
  for (let step = 1; step <= 4; step++) {
    optimizer.begin(0.01 * step);
    backward(parameters, step, checkpointing);
    norms.push(optimizer.update(0.01 * step, null).item());
  }
  expect(optimizer.step).toBe(4);
  return { weights: [...parameters.values()].map((parameter) => parameter.detach()), norms };
}

describe.each(["adamw", "adamw-8bit"] as const)("%s", (optimizer) => {
  test.each([false, true])(
    "weights are the same bit for bit, the gradient norm too (checkpointing %s)",
    (checkpointing) => {
      using _ = torch.tensorScope();
      const after = train({ ...base, optimizer }, checkpointing);
      const inside = train({ ...base, optimizer, optimizerInBackward: true }, checkpointing);
      for (const [i, weight] of inside.weights.entries()) expect(weight.equal(after.weights[i]!)).toBe(true);
      inside.norms.forEach((norm, i) => {
        expect(norm / after.norms[i]!).toBeCloseTo(1, 6);
      });
    },
  );
});

test("no two gradients of layers are in memory together", () => {
  using _ = torch.tensorScope();
  const matrix = 4 * SIZE * SIZE;
  const peak = (optimizerInBackward: boolean): number => {
    const parameters = newParameters();
    using optimizer = adamw(parameters, { ...base, optimizerInBackward });
    optimizer.begin(0.01);
    torch.resetPeakMemory();
    const before = torch.memoryStats().liveBytes;
    backward(parameters, 1, false);
    optimizer.update(0.01, null);
    for (const parameter of parameters.values()) expect(parameter.grad).toBeUndefined();
    return torch.memoryStats().peakBytes - before;
  };
  expect(peak(false) - peak(true)).toBeGreaterThan((LAYERS - 2) * matrix);
});

test("a second pass in one step is an error that names the parameter", () => {
  using _ = torch.tensorScope();
  const parameters = newParameters();
  using optimizer = adamw(parameters, { ...base, optimizerInBackward: true });
  optimizer.begin(0.01);
  backward(parameters, 1, false);
  expect(() => backward(parameters, 2, false)).toThrow(/second backward pass/);
});

test.each([
  ["after", "adamw", false],
  ["after", "adamw-8bit", false],
  ["inside", "adamw", true],
  ["inside", "adamw-8bit", true],
] as const)(
  "gradients that are not finite change no weight (%s the pass, %s)",
  (_, optimizer, optimizerInBackward) => {
    using _scope = torch.tensorScope();
    const parameters = newParameters();
    using adam = adamw(parameters, { ...base, optimizer, optimizerInBackward });
    const before = [...parameters.values()].map((parameter) => parameter.detach().clone());
    adam.begin(0.01);
    let x = torch.randn([4, SIZE]).mul(parameters.get("shared")!);
    for (let i = 0; i < LAYERS; i++) x = torch.linear(x, parameters.get(`layer.${i}`)!);
    x.sum().mul(Number.NaN).backward();
    expect(adam.update(0.01, null).item()).toBeNaN();
    for (const [i, parameter] of [...parameters.values()].entries()) {
      expect(parameter.equal(before[i]!)).toBe(true);
      expect(parameter.grad).toBeUndefined();
    }
  },
);

test("passes between two steps leave weights and gradients alone", () => {
  using _ = torch.tensorScope();
  const parameters = newParameters();
  using _optimizer = adamw(parameters, { ...base, optimizerInBackward: true });
  const before = parameters.get("layer.0")!.detach().clone();
  backward(parameters, 1, false);
  expect(parameters.get("layer.0")!.equal(before)).toBe(true);
  expect(parameters.get("layer.0")!.grad).toBeDefined();
});

test("an optimizer that is gone updates nothing any more, and leaves no tensor behind", () => {
  const live = torch.memoryStats().liveTensors;
  torch.tensorScope(() => {
    const parameters = newParameters();
    const optimizer = adamw(parameters, { ...base, optimizerInBackward: true });
    optimizer.begin(0.01);
    optimizer[Symbol.dispose]();
    backward(parameters, 1, false);
    expect(parameters.get("layer.0")!.grad).toBeDefined();
  });
  expect(torch.memoryStats().liveTensors).toBe(live);
});

describe("what it cannot honour is refused", () => {
  const settings = { optimizerInBackward: true, maxGradNorm: null, gradAccumSteps: 1 };
  test("clipping", () => {
    expect(() => checkInBackward({ ...settings, maxGradNorm: 1 })).toThrow(/cannot clip/);
    using _ = torch.tensorScope();
    using optimizer = adamw(newParameters(), { ...base, optimizerInBackward: true });
    optimizer.begin(0.01);
    expect(() => optimizer.update(0.01, 1)).toThrow(/cannot clip/);
  });
  test("accumulation", () => {
    expect(() => checkInBackward({ ...settings, gradAccumSteps: 4 })).toThrow(/cannot accumulate/);
    expect(() => checkInBackward(settings)).not.toThrow();
  });
  test("several processes, whatever they split", () => {
    const whole = { ...settings, lora: null, quantize: null };
    expect(() => checkMethod(whole, { size: 2 })).toThrow(/works on one process/);
    expect(() => checkMethod(whole, { size: 1 })).not.toThrow();
  });
  test("an update at another rate than the step began with", () => {
    using _ = torch.tensorScope();
    using optimizer = adamw(newParameters(), { ...base, optimizerInBackward: true });
    optimizer.begin(0.01);
    expect(() => optimizer.update(0.02, null)).toThrow(/learning rate/);
  });
});
