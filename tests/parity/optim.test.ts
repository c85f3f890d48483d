import * as torch from "@camelid/torch";
import { describe, expect, test } from "vitest";
import { adamw } from "../../packages/camelid/src/train/optim/adamw.js";
import { clipFactor, gradientNorm } from "../../packages/camelid/src/train/optim/clip.js";
import {
  learningRateSchedule,
  type ScheduleSettings,
} from "../../packages/camelid/src/train/optim/schedules.js";
import "../close.js";
import { readReferenceJson } from "./reference.js";

type Matrix = number[] | number[][];

interface AdamwState {
  parameters: Matrix[];
  exp_avg: Matrix[];
  exp_avg_sq: Matrix[];
}

interface AdamwCase {
  settings: { betas: [number, number]; eps: number; weight_decay: number };
  lrs: number[];
  start: Matrix[];
  gradients: Matrix[][];
  float32: AdamwState[];
}

const FP32 = { atol: 1e-8, rtol: 2e-6 };
// Moments of tiny gradients are far below any absolute tolerance.
const MOMENTS = { atol: 0, rtol: 2e-6 };

const ADAMW = Object.entries(readReferenceJson<Record<string, AdamwCase>>("optim/fixtures/adamw.json"));

describe("AdamW equals torch.optim.AdamW after every step", () => {
  test.each(ADAMW)("%s", (_name, reference) => {
    using _ = torch.tensorScope();
    const parameters = new Map(
      reference.start.map((start, i) => [`p${i}`, torch.tensor(start, { requiresGrad: true })]),
    );
    const { betas, eps, weight_decay: weightDecay } = reference.settings;
    using optimizer = adamw(parameters, { betas, eps, weightDecay, decays: () => true });
    reference.gradients.forEach((gradients, step) => {
      gradients.forEach((gradient, i) => {
        parameters.get(`p${i}`)!.grad = torch.tensor(gradient);
      });
      optimizer.update(reference.lrs[step]!, null);
      const after = reference.float32[step]!;
      [...parameters].forEach(([name, parameter], i) => {
        const state = optimizer.state();
        expect(parameter, `step ${step}, parameter ${i}`).toBeAllClose(after.parameters[i]!, FP32);
        expect(state.get(`exp_avg.${name}`)!).toBeAllClose(after.exp_avg[i]!, MOMENTS);
        expect(state.get(`exp_avg_sq.${name}`)!).toBeAllClose(after.exp_avg_sq[i]!, MOMENTS);
        expect(parameter.grad).toBeUndefined();
      });
    });
  });

  test("without a rule of its own, only matrices decay", () => {
    const reference = ADAMW.find(([name]) => name === "decay")![1];
    const plain = ADAMW.find(([name]) => name === "plain")![1];
    using _ = torch.tensorScope();
    const parameters = new Map(
      reference.start.map((start, i) => [`p${i}`, torch.tensor(start, { requiresGrad: true })]),
    );
    const { betas, eps, weight_decay: weightDecay } = reference.settings;
    using optimizer = adamw(parameters, { betas, eps, weightDecay });
    reference.gradients.forEach((gradients, step) => {
      gradients.forEach((gradient, i) => {
        parameters.get(`p${i}`)!.grad = torch.tensor(gradient);
      });
      optimizer.update(reference.lrs[step]!, null);
    });
    // The two cases differ in decay alone, so the vector must end where it does without any.
    expect([plain.start, plain.gradients, plain.lrs]).toEqual([
      reference.start,
      reference.gradients,
      reference.lrs,
    ]);
    expect(parameters.get("p0")!).toBeAllClose(reference.float32.at(-1)!.parameters[0]!, FP32);
    expect(parameters.get("p1")!).toBeAllClose(plain.float32.at(-1)!.parameters[1]!, FP32);
    expect(parameters.get("p1")!).not.toBeAllClose(reference.float32.at(-1)!.parameters[1]!, FP32);
  });
});

describe("clipping equals torch.nn.utils.clip_grad_norm_", () => {
  const cases =
    readReferenceJson<{ max_norm: number; gradients: Matrix[]; norm: number; clipped: Matrix[] }[]>(
      "optim/fixtures/clip.json",
    );
  test.each(cases)("norm $norm to at most $max_norm", ({ max_norm, gradients, norm, clipped }) => {
    using _ = torch.tensorScope();
    const tensors = gradients.map((gradient) => torch.tensor(gradient));
    const measured = gradientNorm(tensors);
    expect(measured).toBeAllClose(norm, { atol: 0, rtol: 1e-6 });
    const factor = clipFactor(measured, max_norm);
    tensors.forEach((tensor, i) => {
      expect(tensor.mul(factor)).toBeAllClose(clipped[i]!, { atol: 1e-9, rtol: 1e-6 });
    });
  });

  test("the optimizer updates as if gradients had been clipped before", () => {
    using _ = torch.tensorScope();
    const { max_norm, gradients, clipped } = cases.find(({ max_norm, norm }) => norm > max_norm)!;
    const [limited, before] = [gradients, clipped].map((given, i) => {
      const leaves = given.map((gradient) => torch.ones(torch.tensor(gradient).shape));
      leaves.forEach((leaf, j) => {
        leaf.requiresGrad = true;
        leaf.grad = torch.tensor(given[j]!);
      });
      const named = new Map(leaves.map((leaf, j) => [`p${j}`, leaf]));
      using optimizer = adamw(named, { betas: [0.9, 0.95], eps: 1e-2, weightDecay: 0 });
      optimizer.update(0.1, i === 0 ? max_norm : null);
      return leaves;
    }) as [torch.Tensor[], torch.Tensor[]];
    limited.forEach((leaf, i) => {
      expect(leaf).toBeAllClose(before[i]!.toArray() as Matrix, { atol: 1e-7, rtol: 1e-6 });
    });
  });
});

describe("learning rates equal those of transformers' schedules", () => {
  const reference = readReferenceJson<{
    schedules: { schedule: string; peak: number; warmup_steps: number; total_steps: number; lrs: number[] }[];
    warmup_steps: { total_steps: number; warmup_ratio: number; warmup_steps: number }[];
  }>("optim/fixtures/schedules.json");
  const offered: readonly string[] = [
    "linear",
    "cosine",
    "constant",
  ] satisfies ScheduleSettings["schedule"][];
  const cases = reference.schedules.filter(({ schedule }) => offered.includes(schedule));

  test("all three are compared", () => {
    expect(new Set(cases.map(({ schedule }) => schedule))).toEqual(new Set(offered));
  });

  test.each(cases)("$schedule, $warmup_steps of $total_steps steps warm-up", (stored) => {
    const rate = learningRateSchedule({
      schedule: stored.schedule as ScheduleSettings["schedule"],
      learningRate: stored.peak,
      warmupRatio: stored.warmup_steps / stored.total_steps,
      totalSteps: stored.total_steps,
    });
    expect(rate.warmupSteps).toBe(stored.warmup_steps);
    // Updates are counted from 1.
    const used = stored.lrs.map((_, index) => rate(index + 1));
    expect(used).toBeAllClose(stored.lrs, { atol: 1e-20, rtol: 1e-12 });
  });

  test.each(reference.warmup_steps)(
    "$warmup_ratio of $total_steps steps are $warmup_steps of warm-up",
    (stored) => {
      const { warmupSteps } = learningRateSchedule({
        schedule: "linear",
        learningRate: 1,
        warmupRatio: stored.warmup_ratio,
        totalSteps: stored.total_steps,
      });
      expect(warmupSteps).toBe(stored.warmup_steps);
    },
  );
});
