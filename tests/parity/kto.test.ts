import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import type { JudgedRow } from "../../packages/camelid/src/data/judged-rows.js";
import {
  accumulateKto,
  judgedBatches,
  ktoBaseline,
} from "../../packages/camelid/src/train/accumulate-kto.js";
import { JudgedMeter } from "../../packages/camelid/src/train/judged-meter.js";
import { ktoLoss } from "../../packages/camelid/src/train/losses/kto.js";
import { adamw } from "../../packages/camelid/src/train/optim/adamw.js";
import { learningRateSchedule } from "../../packages/camelid/src/train/optim/schedules.js";
import { pairLogps } from "../../packages/camelid/src/train/pair-logps.js";
import type { Reference } from "../../packages/camelid/src/train/reference-logps.js";
import "../close.js";
import { readReferenceJson, readReferenceTensors } from "./reference.js";
import { loadTinyLlama } from "./tiny-llama.js";

beforeAll(() => torch.setNumThreads(1));

describe("the formula", () => {
  interface Case {
    kl: number;
    beta: number;
    desirable_weight: number;
    undesirable_weight: number;
    losses: number[];
    rewards: number[];
    gradient_of_mean: number[];
  }
  const { labels, policy, reference, cases } = readReferenceJson<{
    labels: boolean[];
    policy: number[];
    reference: number[];
    cases: Case[];
  }>("kto/fixtures/formula.json");
  const EXACT = { atol: 1e-12, rtol: 1e-9 };

  test.each(cases.map((one) => [`kl ${one.kl}, beta ${one.beta}`, one] as const))(
    "gives the stored losses, rewards and gradients: %s",
    (_name, expected) => {
      using _ = torch.tensorScope();
      const given = torch.tensor(policy, { dtype: "float64" });
      given.requiresGrad = true;
      const { losses, rewards, isRight } = ktoLoss(
        given,
        torch.tensor(reference, { dtype: "float64" }),
        labels,
        expected.kl,
        {
          beta: expected.beta,
          desirableWeight: expected.desirable_weight,
          undesirableWeight: expected.undesirable_weight,
        },
      );
      expect(losses).toBeAllClose(expected.losses, EXACT);
      expect(rewards).toBeAllClose(expected.rewards, EXACT);
      const lead = expected.rewards.map((reward) => reward - expected.beta * expected.kl);
      expect(isRight.toArray().map(Boolean)).toEqual(
        lead.map((value, i) => (labels[i] ? value > 0 : value < 0)),
      );
      losses.mean().backward();
      expect(given.grad!).toBeAllClose(expected.gradient_of_mean, EXACT);
    },
  );

  test("a desirable and an undesirable answer at the reference cost half their weights", () => {
    using _ = torch.tensorScope();
    const logps = torch.tensor([-3, -7], { dtype: "float64" });
    const settings = { beta: 0.1, desirableWeight: 1.2, undesirableWeight: 0.6 };
    const { losses } = ktoLoss(logps, logps, [true, false], 0, settings);
    expect(losses.toArray()).toEqual([0.6, 0.3]);
  });
});

const LOGGED = [
  "rewards/chosen",
  "rewards/rejected",
  "rewards/margins",
  "logps/chosen",
  "logps/rejected",
] as const;
type Column = (typeof LOGGED)[number] | "loss" | "kl" | "grad_norm" | "learning_rate";

const stored = readReferenceJson<{
  rows: { prompt_ids: number[]; completion_ids: number[]; KL_completion_ids: number[]; label: boolean }[];
  order: number[][];
}>("kto/fixtures/rows.json");
const { settings, history: trl } = readReferenceJson<{
  settings: Record<
    | ("steps" | "warmup_ratio" | "eps" | "weight_decay" | "beta" | "desirable_weight")
    | ("undesirable_weight" | "peak" | "max_grad_norm"),
    number
  > & { betas: [number, number] };
  history: Record<Column, (number | null)[]>;
}>("kto/fixtures/reference.json");

const rows: JudgedRow[] = stored.rows.map(
  ({ prompt_ids, completion_ids, KL_completion_ids, label }, place) => {
    const side = (ids: number[]) => ({
      ...{ id: `${place}`, dataset: "toy" },
      inputIds: Int32Array.from([...prompt_ids, ...ids]),
      labels: Int32Array.from([...prompt_ids.map(() => -100), ...ids]),
    });
    return {
      ...{ id: `${place}`, dataset: "toy", place, promptTokens: prompt_ids.length, desirable: label },
      ...{ chosen: side(completion_ids), rejected: side(KL_completion_ids) },
    };
  },
);

/** The loop of recipes/kto.ts, with the rows of every step given by the reference. */
async function train(plan: { microBatchSize: number; packing: boolean }) {
  using model = loadTinyLlama("kto/fixtures/model", true);
  using frozen = loadTinyLlama("kto/fixtures/model");
  const reference: Reference = {
    logps: (batch) => torch.noGrad(() => pairLogps(frozen, batch, { sharePrompts: true })),
    verify() {},
  };
  const { betas, eps, weight_decay: weightDecay, steps, warmup_ratio: warmupRatio } = settings;
  using optimizer = adamw(model.namedParameters(), { betas, eps, weightDecay });
  const learningRate = learningRateSchedule({
    ...{ schedule: "linear", learningRate: settings.peak, warmupRatio, totalSteps: steps },
  });
  const weights = {
    ...{ beta: settings.beta, desirableWeight: settings.desirable_weight },
    undesirableWeight: settings.undesirable_weight,
  };
  using meter = new JudgedMeter("cpu");
  const columns: Column[] = ["loss", "kl", "grad_norm", "learning_rate", ...LOGGED];
  const history = Object.fromEntries(columns.map((name) => [name, []])) as unknown as Record<
    Column,
    (number | null)[]
  >;
  for (const [index, places] of stored.order.entries()) {
    const step = places.map((place) => rows[place]!);
    const batches = judgedBatches(step, { ...plan, maxSeqLen: 24 });
    const baseline = await ktoBaseline(model, batches, reference, step.length);
    for (const batch of batches) accumulateKto(model, batch, baseline, 1 / step.length, weights, meter);
    const lr = learningRate(index + 1);
    using norm = optimizer.update(lr, settings.max_grad_norm);
    history.grad_norm.push(norm.item());
    history.learning_rate.push(lr);
    const { loss, metrics } = meter.take();
    history.loss.push(loss);
    history.kl.push(baseline.kl);
    for (const name of LOGGED) history[name].push(metrics[name] ?? null);
  }
  const final = new Map([...model.namedParameters()].map(([name, tensor]) => [name, tensor.toArray()]));
  return { history, final };
}

/** Relative to the largest value of the run: a reward of 1e-7 at the start has no digits to compare. */
function expectClose(name: Column, given: readonly (number | null)[], rtol = 2e-4) {
  const expected = trl[name];
  expect(
    given.map((value) => value === null),
    name,
  ).toEqual(expected.map((value) => value === null));
  const numbers = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
  const scale = Math.max(...numbers(expected).map(Math.abs));
  expect(numbers(given), name).toBeAllClose(numbers(expected), { atol: 5e-6 * scale, rtol });
}

describe.each([
  ["a step in one pass", { microBatchSize: 4, packing: false }],
  ["packed", { microBatchSize: 2, packing: true }],
  ["row by row", { microBatchSize: 1, packing: false }],
])("thirty steps of KTO equal TRL's KTOTrainer: %s", (_name, plan) => {
  test("loss, baseline, rewards, log-probabilities, gradient norms and final weights", async () => {
    const { history, final } = await train(plan);
    expect(history.learning_rate).toBeAllClose(trl.learning_rate as number[], { atol: 1e-20, rtol: 1e-12 });
    for (const name of ["loss", "kl", ...LOGGED] as const) expectClose(name, history[name]);
    expectClose("grad_norm", history.grad_norm, 5e-4);
    const expected = readReferenceTensors("kto/fixtures/final.safetensors");
    const before = readReferenceTensors("kto/fixtures/model/model.safetensors");
    for (const [name, values] of final) {
      expect(values, name).toBeAllClose(expected.get(name).data, { atol: 1e-4, rtol: 0 });
      expect(Array.from(expected.get(name).data), name).not.toBeAllClose(before.get(name).data, {
        ...{ atol: 2e-3, rtol: 0 },
      });
    }
  });
});
