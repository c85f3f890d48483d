import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import type { TokenRow } from "../../packages/camelid/src/data/collate.js";
import {
  accumulateSft,
  type LossReduction,
  lossScales,
} from "../../packages/camelid/src/train/accumulate.js";
import { LossMeter } from "../../packages/camelid/src/train/loss-meter.js";
import { adamw } from "../../packages/camelid/src/train/optim/adamw.js";
import { learningRateSchedule } from "../../packages/camelid/src/train/optim/schedules.js";
import "../close.js";
import { readReferenceJson, readReferenceTensors } from "./reference.js";
import { loadTinyLlama } from "./tiny-llama.js";

interface Variant {
  lr: number[];
  loss: number[];
  grad_norm: number[];
  final: Record<string, { sum: number; absolute_sum: number; norm: number }>;
}

const stored = readReferenceJson<{
  rows: { id: string; input_ids: number[]; labels: number[] }[];
  order: number[][];
}>("sft/fixtures/rows.json");
const { settings, variants, trained_tokens } = readReferenceJson<{
  settings: {
    steps: number;
    rows_per_step: number;
    learning_rate: number;
    warmup_ratio: number;
    warmup_steps: number;
    betas: [number, number];
    eps: number;
    max_grad_norm: number;
  };
  variants: Record<string, Variant>;
  trained_tokens: number[];
}>("sft/fixtures/reference.json");

const rows: TokenRow[] = stored.rows.map((row) => ({
  id: row.id,
  dataset: "toy",
  inputIds: Int32Array.from(row.input_ids),
  labels: Int32Array.from(row.labels),
}));

interface TrainOptions {
  steps?: number;
  /** Rows in one forward and backward pass. */
  microBatchSize?: number;
  weightDecay?: number;
  decays?: () => boolean;
  reduction?: LossReduction;
}

/** The loop of recipes/sft.ts, with the rows of every step given by the reference. */
function train({
  steps = settings.steps,
  microBatchSize = settings.rows_per_step,
  weightDecay = 0,
  decays,
  reduction = "token-mean",
}: TrainOptions) {
  using _ = torch.tensorScope();
  using model = loadTinyLlama("sft/fixtures/model", true);
  const { betas, eps } = settings;
  using optimizer = adamw(model.namedParameters(), { betas, eps, weightDecay, ...(decays && { decays }) });
  const learningRate = learningRateSchedule({
    schedule: "linear",
    learningRate: settings.learning_rate,
    warmupRatio: settings.warmup_ratio,
    totalSteps: settings.steps,
  });
  using meter = new LossMeter(["toy"], "cpu");
  const history = {
    lr: [] as number[],
    loss: [] as number[],
    gradNorm: [] as number[],
    trainedTokens: [] as number[],
  };
  stored.order.slice(0, steps).forEach((places, index) => {
    using _step = torch.tensorScope();
    const batches = chunk(
      places.map((place) => rows[place]!),
      microBatchSize,
    );
    const scales = lossScales(batches, reduction);
    batches.forEach((batch, i) => {
      accumulateSft(model, batch, scales[i]!, meter);
    });
    const lr = learningRate(index + 1);
    const gradNorm = optimizer.update(lr, settings.max_grad_norm).item();
    const { loss, trainedTokens } = meter.take();
    history.lr.push(lr);
    history.loss.push(loss);
    history.gradNorm.push(gradNorm);
    history.trainedTokens.push(trainedTokens);
  });
  const final = new Map(
    [...model.namedParameters()].map(([name, tensor]) => [name, Float64Array.from(tensor.toArray())]),
  );
  return { ...history, final };
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

beforeAll(() => torch.setNumThreads(1));

describe("fifty steps of SFT equal a plain PyTorch loop", () => {
  /** The promise of the project for losses, relatively; everything that follows from them has the same rounding. */
  const LOSS = { atol: 0, rtol: 1e-4 };
  const cases: [string, string, TrainOptions][] = [
    ["8 rows at once", "decay-0", {}],
    ["micro-batches of 2 rows", "decay-0", { microBatchSize: 2 }],
    ["row by row", "decay-0", { microBatchSize: 1 }],
    ["weight decay on everything", "decay-0.1", { weightDecay: 0.1, decays: () => true }],
    ["weight decay on matrices", "decay-0.1-matrices-only", { weightDecay: 0.1 }],
    ["row by row, mean of means", "mean-of-means-1x8", { microBatchSize: 1, reduction: "microbatch-mean" }],
  ];
  test.each(cases)("%s", (_name, variant, options) => {
    const reference = variants[variant]!;
    const run = train(options);
    expect(run.lr).toBeAllClose(reference.lr, { atol: 1e-20, rtol: 1e-12 });
    expect(run.trainedTokens).toEqual(trained_tokens);
    expect(run.loss).toBeAllClose(reference.loss, LOSS);
    expect(run.gradNorm).toBeAllClose(reference.grad_norm, { atol: 0, rtol: 5e-4 });
    expect([...run.final.keys()].sort()).toEqual(Object.keys(reference.final).sort());
    for (const [name, values] of run.final) {
      const norm = Math.hypot(...values);
      expect(norm, name).toBeAllClose(reference.final[name]!.norm, { atol: 0, rtol: 1e-5 });
      const absoluteSum = values.reduce((sum, value) => sum + Math.abs(value), 0);
      expect(absoluteSum, name).toBeAllClose(reference.final[name]!.absolute_sum, { atol: 0, rtol: 1e-5 });
    }
  });

  test("and so does every final weight", () => {
    const { final } = train({});
    const expected = readReferenceTensors("sft/fixtures/final.safetensors");
    const before = readReferenceTensors("sft/fixtures/model/model.safetensors");
    for (const [name, values] of final) {
      expect({ shape: expected.get(name).shape, data: values }, name).toBeAllClose(expected.get(name), {
        atol: 5e-5,
        rtol: 0,
      });
      // They have moved far more than that.
      expect(Array.from(expected.get(name).data), name).not.toBeAllClose(before.get(name).data, {
        atol: 5e-3,
        rtol: 0,
      });
    }
  });

  test("the variants can be told apart at these tolerances", () => {
    const losses = Object.values(variants).map((variant) => variant.loss);
    losses.forEach((left, i) => {
      for (const right of losses.slice(i + 1))
        expect(left).not.toBeAllClose(right, { atol: 0, rtol: 10 * LOSS.rtol });
    });
  });
});

test("loss and gradient norm do not depend on how a step is split", () => {
  const runs = [8, 4, 3, 2, 1].map((microBatchSize) => train({ steps: 1, microBatchSize }));
  for (const { loss, gradNorm } of runs.slice(1)) {
    expect(loss).toBeAllClose(runs[0]!.loss, { atol: 0, rtol: 1e-6 });
    expect(gradNorm).toBeAllClose(runs[0]!.gradNorm, { atol: 0, rtol: 1e-6 });
  }
});
