/**
 * Reward models against transformers and TRL. The other way round, folders that Camelid wrote are scored by transformers itself:
 *     CAMELID_PYTHON=/path/to/python npx vitest run tests/parity/reward.test.ts
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { saveAdapter } from "../../packages/camelid/src/adapters/adapter-file.js";
import { loadTrainedReward } from "../../packages/camelid/src/adapters/load-adapted.js";
import { addLora } from "../../packages/camelid/src/adapters/lora.js";
import type { PairRow } from "../../packages/camelid/src/data/pair-rows.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import {
  isRewardFolder,
  loadRewardModel,
  type RewardModel,
  saveRewardModel,
} from "../../packages/camelid/src/model/reward-model.js";
import { accumulateReward } from "../../packages/camelid/src/train/accumulate-reward.js";
import { rewardLoss } from "../../packages/camelid/src/train/losses/reward.js";
import { adamw } from "../../packages/camelid/src/train/optim/adamw.js";
import { learningRateSchedule } from "../../packages/camelid/src/train/optim/schedules.js";
import { scorePairs, scoreRows } from "../../packages/camelid/src/train/pair-scores.js";
import { ScoreMeter } from "../../packages/camelid/src/train/score-meter.js";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";

const scratch = mkdtempSync(join(tmpdir(), "camelid-reward-parity-"));
afterAll(() => rmSync(scratch, { recursive: true }));
beforeAll(() => torch.setNumThreads(1));

const LOGGED = ["accuracy", "margin", "mean_reward"] as const;
type Column = (typeof LOGGED)[number] | "loss" | "grad_norm" | "learning_rate";

const stored = readReferenceJson<{
  pairs: { prompt: number; chosen_ids: number[]; rejected_ids: number[] }[];
  order: number[][];
}>("reward/fixtures/pairs.json");
const {
  settings,
  scores,
  history: trl,
} = readReferenceJson<{
  settings: Record<
    "steps" | "warmup_ratio" | "eps" | "weight_decay" | "center_rewards" | "peak" | "max_grad_norm",
    number
  > & { betas: [number, number] };
  scores: Record<"chosen" | "rejected", number[]>;
  history: Record<Column, number[]>;
}>("reward/fixtures/reference.json");

const pairs: PairRow[] = stored.pairs.map(({ prompt, chosen_ids, rejected_ids }, place) => {
  const side = (ids: number[]) => ({
    ...{ id: `${place}`, dataset: "toy", inputIds: Int32Array.from(ids), labels: Int32Array.from(ids) },
  });
  return {
    ...{ id: `${place}`, dataset: "toy", place, promptTokens: prompt },
    ...{ chosen: side(chosen_ids), rejected: side(rejected_ids) },
  };
});

const folder = parityPath("reward/fixtures/model");
const load = (trainable: boolean): RewardModel => loadRewardModel(folder, { dtype: "float32", trainable });

interface Way {
  sharePrompts: boolean;
  microBatchSize: number;
}
const ways: [string, Way][] = [
  ["rows one after the other", { sharePrompts: false, microBatchSize: 4 }],
  ["prompts shared", { sharePrompts: true, microBatchSize: 4 }],
  ["prompts shared, pair by pair", { sharePrompts: true, microBatchSize: 1 }],
];

describe.each(ways)("%s", (_name, way) => {
  test("gives transformers' scores", async () => {
    using model = load(false);
    const given = await scorePairs(model, pairs, { ...way, packing: true, maxSeqLen: 24 });
    expect(given.map(({ chosen }) => chosen)).toBeAllClose(scores.chosen, { atol: 1e-5, rtol: 1e-5 });
    expect(given.map(({ rejected }) => rejected)).toBeAllClose(scores.rejected, { atol: 1e-5, rtol: 1e-5 });
  });

  test("thirty steps equal TRL's RewardTrainer", () => {
    using _ = torch.tensorScope();
    using model = load(true);
    const { betas, eps, weight_decay: weightDecay, steps, warmup_ratio: warmupRatio } = settings;
    using optimizer = adamw(model.namedParameters(), { betas, eps, weightDecay });
    const learningRate = learningRateSchedule({
      ...{ schedule: "linear", learningRate: settings.peak, warmupRatio, totalSteps: steps },
    });
    using meter = new ScoreMeter("cpu");
    const history: Record<Column, number[]> = {
      ...{ loss: [], grad_norm: [], learning_rate: [], accuracy: [], margin: [], mean_reward: [] },
    };
    stored.order.forEach((places, index) => {
      using _step = torch.tensorScope();
      for (let at = 0; at < places.length; at += way.microBatchSize) {
        const batch = places.slice(at, at + way.microBatchSize).map((place) => pairs[place]!);
        const loss = { centerRewards: settings.center_rewards, sharePrompts: way.sharePrompts };
        accumulateReward(model, batch, 1 / places.length, loss, meter);
      }
      const lr = learningRate(index + 1);
      history.grad_norm.push(optimizer.update(lr, settings.max_grad_norm).item());
      history.learning_rate.push(lr);
      const { loss, metrics } = meter.take();
      history.loss.push(loss);
      for (const name of LOGGED) history[name].push(metrics[name]!);
    });
    expect(history.learning_rate).toBeAllClose(trl.learning_rate, { atol: 1e-20, rtol: 1e-12 });
    for (const name of ["loss", "grad_norm", ...LOGGED] as const) {
      const scale = Math.max(...trl[name].map(Math.abs));
      // TRL prints four digits of what it logs; the weights below have all.
      expect(history[name], name).toBeAllClose(trl[name], { atol: 2e-5 * scale, rtol: 5e-4 });
    }
    const expected = readReferenceTensors("reward/fixtures/final.safetensors");
    const before = readReferenceTensors("reward/fixtures/model/model.safetensors");
    const final = model.namedParameters();
    expect([...final.keys()].sort()).toEqual([...expected.names].sort());
    for (const [name, tensor] of final) {
      expect(tensor.toArray(), name).toBeAllClose(expected.get(name).data, { atol: 1e-4, rtol: 0 });
      expect(tensor.toArray(), name).not.toBeAllClose(before.get(name).data, { atol: 1e-3, rtol: 0 });
    }
  });
});

test("the loss by hand: equal scores cost ln 2, and centring adds the squared sum", () => {
  using _ = torch.tensorScope();
  const side = (values: number[]) => torch.tensor(values, { dtype: "float64" });
  const both = { chosen: side([2, 1, -3]), rejected: side([2, -1, 0]) };
  const plain = [Math.log(2), Math.log(1 + Math.exp(-2)), Math.log(1 + Math.exp(3))];
  expect(rewardLoss(both, { centerRewards: null })).toBeAllClose(plain, { atol: 1e-12, rtol: 0 });
  const centred = [plain[0]! + 16 * 0.1, plain[1]!, plain[2]! + 9 * 0.1];
  expect(rewardLoss(both, { centerRewards: 0.1 })).toBeAllClose(centred, { atol: 1e-12, rtol: 0 });
});

describe("folders", () => {
  const rows = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const plan = { microBatchSize: 4, maxSeqLen: 24, packing: true };

  test("a saved model loads with the same scores, and its head is no language model's", async () => {
    using model = load(false);
    const copy = join(scratch, "copy");
    saveRewardModel(model, copy, { tokenizer: new Map(), padTokenId: undefined });
    expect(isRewardFolder(copy)).toBe(true);
    using again = loadRewardModel(copy);
    expect(await scoreRows(again, rows, plan)).toEqual(await scoreRows(model, rows, plan));
    expect(() => loadModel(copy)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining("lm_head.weight"),
        fix: expect.stringContaining("reward model"),
      }),
    );
  });

  test("a language model gets a new head by the seed, and keeps its other weights", () => {
    const base = parityPath("dpo/fixtures/model");
    const heads = [1, 1, 2].map((seed) => {
      torch.manualSeed(seed);
      using model = loadRewardModel(base);
      expect([...model.namedParameters().keys()]).not.toContain("lm_head.weight");
      return model.score.toArray();
    });
    expect(heads[1]).toEqual(heads[0]);
    expect(heads[2]).not.toEqual(heads[0]);
    expect(Math.hypot(...heads[0]!)).toBeGreaterThan(0.5);
    expect(Math.hypot(...heads[0]!)).toBeLessThan(1.5);
  });

  test("a classifier of several labels is refused", () => {
    const copy = join(scratch, "labels");
    using model = load(false);
    saveRewardModel(model, copy, { tokenizer: new Map(), padTokenId: undefined });
    const tensors = new Map(model.namedParameters());
    using wide = torch.zeros([2, 32]);
    torch.writeSafetensors(join(copy, "model.safetensors"), tensors.set("score.weight", wide));
    expect(() => loadRewardModel(copy)).toThrow(/score.weight is \[1, 32\]; there is shape \[2,32\]/);
  });

  const python = process.env.CAMELID_PYTHON;
  test.skipIf(python === undefined)(
    "transformers gives a saved model the same scores",
    async () => {
      const ids = join(scratch, "rows.json");
      writeFileSync(ids, JSON.stringify(rows.map(({ inputIds }) => [...inputIds])));
      for (const [base, padTokenId] of [
        [folder, 0],
        [folder, undefined],
        [parityPath("dpo/fixtures/model"), 0],
        [parityPath("families/fixtures/qwen3-tied-v5/model"), undefined],
      ] as const) {
        using model = loadRewardModel(base, { dtype: "float32" });
        const saved = join(scratch, `saved-${base.length}-${padTokenId}`);
        saveRewardModel(model, saved, { tokenizer: new Map(), padTokenId });
        expect(readFileSync(join(saved, "config.json"), "utf8")).toContain("ForSequenceClassification");
        const environment = { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error" };
        const printed = execFileSync(python!, [parityPath("check_reward.py"), saved, ids], {
          env: environment,
        });
        const given = printed.toString().trim().split("\n").map(Number);
        expect(await scoreRows(model, rows, plan)).toBeAllClose(given, { atol: 1e-5, rtol: 1e-5 });
      }
    },
    300_000,
  );

  test.skipIf(python === undefined)(
    "PEFT gives a saved adapter with its head the same scores, and what PEFT writes of it is read",
    async () => {
      const ids = join(scratch, "rows.json");
      writeFileSync(ids, JSON.stringify(rows.map(({ inputIds }) => [...inputIds])));
      const [saved, copy] = [join(scratch, "adapter"), join(scratch, "adapter-copy")];
      torch.manualSeed(3);
      using model = loadRewardModel(parityPath("dpo/fixtures/model"), { dtype: "float32" });
      const adapter = addLora(model.decoder, {
        rank: 4,
        alpha: 8,
        dropout: 0,
        targetModules: ["q_proj", "down_proj"],
      });
      torch.noGrad(() => {
        for (const { b } of adapter.pairs.values()) b.normal_(0, 0.3);
      });
      const base = { model: parityPath("dpo/fixtures/model") };
      saveAdapter(adapter, saved, base, model.score);
      const own = await scoreRows(model, rows, plan);
      const environment = { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error" };
      const arguments_ = [parityPath("check_reward.py"), saved, ids, copy];
      const printed = execFileSync(python!, arguments_, { env: environment });
      const given = printed.toString().trim().split("\n").map(Number);
      expect(own).toBeAllClose(given, { atol: 1e-5, rtol: 1e-5 });
      using again = loadTrainedReward(copy, { dtype: "float32" });
      expect(await scoreRows(again, rows, plan)).toEqual(own);
    },
    300_000,
  );
});
