import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import type { PairRow } from "../../packages/camelid/src/data/pair-rows.js";
import { accumulateDpo } from "../../packages/camelid/src/train/accumulate-dpo.js";
import { adamw } from "../../packages/camelid/src/train/optim/adamw.js";
import { learningRateSchedule } from "../../packages/camelid/src/train/optim/schedules.js";
import { pairLogps } from "../../packages/camelid/src/train/pair-logps.js";
import { PairMeter } from "../../packages/camelid/src/train/pair-meter.js";
import type { Reference } from "../../packages/camelid/src/train/reference-logps.js";
import "../close.js";
import { readReferenceJson, readReferenceTensors } from "./reference.js";
import { loadTinyLlama } from "./tiny-llama.js";

const LOGGED = [
  "rewards/chosen",
  "rewards/rejected",
  "rewards/accuracies",
  "rewards/margins",
  "logps/chosen",
  "logps/rejected",
] as const;
type Column = (typeof LOGGED)[number] | "loss" | "grad_norm" | "learning_rate";

interface TrlRun extends Record<Column, number[]> {
  beta: number;
  peak: number;
  max_grad_norm: number;
  final_norms: Record<string, number>;
}

const stored = readReferenceJson<{
  pairs: { prompt_ids: number[]; chosen_ids: number[]; rejected_ids: number[] }[];
  order: number[][];
}>("dpo/fixtures/pairs.json");
const { settings, losses } = readReferenceJson<{
  settings: {
    steps: number;
    warmup_ratio: number;
    betas: [number, number];
    eps: number;
    weight_decay: number;
  };
  losses: Record<"dpo" | "dpo-norm", TrlRun>;
}>("dpo/fixtures/reference.json");

const pairs: PairRow[] = stored.pairs.map(({ prompt_ids, chosen_ids, rejected_ids }, place) => {
  const side = (ids: number[]) => ({
    ...{ id: `${place}`, dataset: "toy" },
    inputIds: Int32Array.from([...prompt_ids, ...ids]),
    labels: Int32Array.from([...prompt_ids.map(() => -100), ...ids]),
  });
  return {
    ...{ id: `${place}`, dataset: "toy", place, promptTokens: prompt_ids.length },
    chosen: side(chosen_ids),
    rejected: side(rejected_ids),
  };
});

interface Way {
  sharePrompts: boolean;
  /** Pairs in one forward and backward pass. */
  microBatchSize: number;
}

/** The loop of recipes/dpo.ts, with the pairs of every step given by the reference. */
function train(lossType: "dpo" | "dpo-norm", { sharePrompts, microBatchSize }: Way) {
  const { beta, peak, max_grad_norm } = losses[lossType];
  using _ = torch.tensorScope();
  using model = loadTinyLlama("dpo/fixtures/model", true);
  using frozen = loadTinyLlama("dpo/fixtures/model");
  const reference: Reference = {
    logps: (batch) => torch.noGrad(() => pairLogps(frozen, batch, { sharePrompts })),
    verify() {},
  };
  const { betas, eps, weight_decay: weightDecay, steps, warmup_ratio: warmupRatio } = settings;
  using optimizer = adamw(model.namedParameters(), { betas, eps, weightDecay });
  const learningRate = learningRateSchedule({
    ...{ schedule: "linear", learningRate: peak, warmupRatio, totalSteps: steps },
  });
  using meter = new PairMeter("cpu");
  const columns: Column[] = ["loss", "grad_norm", "learning_rate", ...LOGGED];
  const history = Object.fromEntries(columns.map((name): [Column, number[]] => [name, []])) as Record<
    Column,
    number[]
  >;
  stored.order.forEach((places, index) => {
    using _step = torch.tensorScope();
    for (let at = 0; at < places.length; at += microBatchSize) {
      const batch = places.slice(at, at + microBatchSize).map((place) => pairs[place]!);
      const loss = { beta, lossType, labelSmoothing: 0 };
      accumulateDpo(model, batch, reference, 1 / places.length, { ...loss, sharePrompts }, meter);
    }
    const lr = learningRate(index + 1);
    history.grad_norm.push(optimizer.update(lr, max_grad_norm).item());
    history.learning_rate.push(lr);
    const { loss, metrics } = meter.take();
    history.loss.push(loss);
    for (const name of LOGGED) history[name].push(metrics[name]!);
  });
  const final = new Map([...model.namedParameters()].map(([name, tensor]) => [name, tensor.toArray()]));
  return { history, final };
}

/** Relative to the largest value of the run: a margin of 1e-7 at the start has no digits to compare. */
function expectClose(name: string, given: readonly number[], expected: readonly number[], rtol = 1e-4) {
  const scale = Math.max(...expected.map(Math.abs));
  expect(given, name).toBeAllClose(expected, { atol: 2e-6 * scale, rtol });
}

beforeAll(() => torch.setNumThreads(1));

const ways: [string, Way][] = [
  ["rows one after the other", { sharePrompts: false, microBatchSize: 4 }],
  ["prompts shared", { sharePrompts: true, microBatchSize: 4 }],
  ["prompts shared, pair by pair", { sharePrompts: true, microBatchSize: 1 }],
];

describe.each(ways)("thirty steps of DPO equal TRL's DPOTrainer: %s", (_name, way) => {
  test("summed log-probabilities", () => {
    const { history, final } = train("dpo", way);
    const trl = losses.dpo;
    expect(history.learning_rate).toBeAllClose(trl.learning_rate, { atol: 1e-20, rtol: 1e-12 });
    for (const name of ["loss", ...LOGGED] as const) expectClose(name, history[name], trl[name]);
    expectClose("grad_norm", history.grad_norm, trl.grad_norm, 5e-4);
    const expected = readReferenceTensors("dpo/fixtures/final.safetensors");
    const before = readReferenceTensors("dpo/fixtures/model/model.safetensors");
    for (const [name, values] of final) {
      expect(values, name).toBeAllClose(expected.get(name).data, { atol: 1e-4, rtol: 0 });
      expect(Array.from(expected.get(name).data), name).not.toBeAllClose(before.get(name).data, {
        ...{ atol: 2e-3, rtol: 0 },
      });
    }
  });

  test("means per token, whose rewards TRL logs as sums", () => {
    const { history, final } = train("dpo-norm", way);
    const trl = losses["dpo-norm"];
    for (const name of ["loss", "logps/chosen", "logps/rejected"] as const)
      expectClose(name, history[name], trl[name]);
    expectClose("grad_norm", history.grad_norm, trl.grad_norm, 5e-4);
    // What TRL logs: beta times the log-ratio of the sums. Ours has the margin that is in the loss.
    const rewards = (side: "logps/chosen" | "logps/rejected") =>
      history[side].map((logp, i) => trl.beta * (logp - referenceLogps(side, i)));
    expectClose("rewards/chosen", rewards("logps/chosen"), trl["rewards/chosen"]);
    expectClose("rewards/rejected", rewards("logps/rejected"), trl["rewards/rejected"]);
    for (const [name, values] of final)
      expect(Math.hypot(...values), name).toBeAllClose(trl.final_norms[name]!, { atol: 0, rtol: 1e-5 });
  });
});

/** Mean of the reference's summed log-probabilities over the pairs of a step. */
function referenceLogps(side: "logps/chosen" | "logps/rejected", step: number): number {
  referenceOfPairs ??= torch.tensorScope(() => {
    using frozen = loadTinyLlama("dpo/fixtures/model");
    const { chosen, rejected } = torch.noGrad(() => pairLogps(frozen, pairs, { sharePrompts: false }));
    return { "logps/chosen": chosen.toArray(), "logps/rejected": rejected.toArray() };
  });
  const places = stored.order[step]!;
  return places.reduce((sum, place) => sum + referenceOfPairs![side][place]!, 0) / places.length;
}
let referenceOfPairs: Record<"logps/chosen" | "logps/rejected", number[]> | undefined;

test("the two losses can be told apart at these tolerances", () => {
  expect(losses.dpo.loss).not.toBeAllClose(losses["dpo-norm"].loss, { atol: 0, rtol: 1e-3 });
});
