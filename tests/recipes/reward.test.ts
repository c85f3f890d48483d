/** Reward models as a whole: what a run leaves, and what must not change its numbers. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  isRewardFolder,
  loadRewardModel,
  loadTokenizer,
  type Message,
  type RecipeContext,
  readPairRows,
  readRun,
  scorePairs,
} from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as reward from "../../recipes/reward.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import "../close.js";

const root = mkdtempSync(join(tmpdir(), "camelid-reward-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let data: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 32 });
  const rows = readFileSync(tiny.data, "utf8").trim().split("\n");
  data = join(root, "pairs.jsonl");
  const lines = rows.map((line, i) => {
    const prompt = (JSON.parse(line) as { messages: Message[] }).messages.slice(0, -1);
    const answer = (content: string) => [...prompt, { role: "assistant", content }];
    return JSON.stringify({ id: i, chosen: answer(`camel ${i}.`), rejected: answer(`water grass ${i}.`) });
  });
  writeFileSync(data, `${lines.join("\n")}\n`);
});

const newFolder = () => join(mkdtempSync(join(root, "run-")), "run");

interface Options {
  out?: string;
  resume?: boolean;
  /** Stops the run when this path exists in its folder, as Ctrl+C would. */
  stopAt?: string;
}

async function train(changes: Partial<reward.RewardRunSettings> = {}, options: Options = {}) {
  const { out = newFolder(), resume = false, stopAt } = options;
  const settings = reward.settings.parse({
    ...{ model: tiny.model, data, out, threads: 1 },
    ...{ microBatchSize: 2, gradAccumSteps: 2, learningRate: 5e-3, maxSteps: 6 },
    ...changes,
  });
  const signal = {
    get aborted() {
      return stopAt !== undefined && existsSync(join(out, stopAt));
    },
  } as AbortSignal;
  const context: RecipeContext = { recipe: "reward", origins: {}, output: "silent", resume, signal };
  await reward.run(settings, context);
  const record = await readRun(out);
  const numbers = record.steps.map(({ loss, grad_norm, metrics = {} }): Record<string, number> => {
    const { pairs_per_second: _, ...rest } = metrics;
    return { loss, grad_norm, ...rest };
  });
  return { out, record, numbers };
}

const hashOf = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

test.each([
  ["fp32", {}],
  ["bf16 with masters", { precision: "bf16-mixed" as const }],
  ["centred scores and recomputed activations", { centerRewards: 0.01, activationCheckpointing: true }],
])("a run in %s learns which answers are preferred", async (_name, changes) => {
  const { out, numbers, record } = await train({ ...changes, maxSteps: 24, heldOutRows: 8 });
  const last = numbers.at(-1)!;
  expect(last.loss).toBeLessThan(0.4 * numbers[0]!.loss!);
  expect(last.accuracy).toBe(1);
  expect(last.margin).toBeCloseTo(last["rewards/chosen"]! - last["rewards/rejected"]!, 5);
  const looks = record.evals.filter(({ name }) => name === "held-out");
  expect(looks.map(({ step }) => step)).toEqual([0, 24]);
  expect(looks[1]!.metrics!.accuracy).toBeGreaterThan(0.9);
  expect(looks[1]!.loss).toBeLessThan(looks[0]!.loss!);
  expect(isRewardFolder(join(out, "final"))).toBe(true);
  const config = JSON.parse(readFileSync(join(out, "final", "config.json"), "utf8"));
  expect(config).toMatchObject({
    architectures: ["LlamaForSequenceClassification"],
    id2label: { 0: "LABEL_0" },
  });
});

test("the saved folder judges pairs as the run did, and can be trained on", async () => {
  const { out, record } = await train({ maxSteps: 8, evalData: data });
  const final = join(out, "final");
  const tokenizer = await loadTokenizer(final);
  const { pairs } = await readPairRows(data, tokenizer, { onBad: "error" });
  using model = loadRewardModel(final);
  const plan = { microBatchSize: 4, maxSeqLen: 128, packing: true, sharePrompts: true };
  const scores = await scorePairs(model, pairs, plan);
  const margin = scores.reduce((sum, { chosen, rejected }) => sum + chosen - rejected, 0) / pairs.length;
  expect(margin).toBeCloseTo(record.evals.at(-1)!.metrics!.margin!, 4);
  const more = await train({ model: final, maxSteps: 1, learningRate: 1e-6, evalData: data });
  expect(more.record.evals[0]!.metrics!.margin).toBeCloseTo(margin, 4);
});

test("numbers do not depend on how pairs are split, packed and whether their prompts are shared", async () => {
  const one = await train({ microBatchSize: 4, gradAccumSteps: 1, packing: true, sharePrompts: true });
  const other = await train({ microBatchSize: 1, gradAccumSteps: 4, packing: false, sharePrompts: false });
  one.numbers.forEach((step, i) => {
    for (const [key, value] of Object.entries(step))
      expect(other.numbers[i]![key]!, `step ${i + 1} ${key}`).toBeAllClose(value, { atol: 5e-4, rtol: 5e-4 });
  });
});

test.each([
  ["fp32", {}],
  ["bf16 with masters", { precision: "bf16-mixed" as const }],
])(
  "a run in %s that was stopped and continued equals an unbroken one, to the bit",
  async (_name, changes) => {
    const settings = { ...changes, saveEverySteps: 3, keepCheckpoints: null };
    const unbroken = await train(settings);
    const out = newFolder();
    const stopped = await train(settings, { out, stopAt: "checkpoints/step-3" });
    expect(stopped.record.status).toBe("interrupted");
    expect(stopped.numbers.length).toBeLessThan(6);
    const continued = await train(settings, { out, resume: true });
    expect(continued.record.status).toBe("completed");
    expect(continued.numbers).toEqual(unbroken.numbers);
    const file = join("final", "model.safetensors");
    expect(hashOf(join(out, file))).toBe(hashOf(join(unbroken.out, file)));
  },
);

describe("what cannot be is refused", () => {
  test("adapters", () => {
    const places = { model: "m", data: "d", out: "o" };
    expect(reward.settings.safeParse({ ...places, lora: { rank: 4 } }).success).toBe(false);
  });

  test("conversations to judge", async () => {
    await expect(train({ evalData: tiny.data })).rejects.toThrow(/conversations, not pairs/);
  });
});

test("a run frees every tensor", async () => {
  await train({ maxSteps: 1 });
  const before = torch.memoryStats();
  await train({ maxSteps: 2 });
  const after = torch.memoryStats();
  expect([after.liveTensors, after.liveBytes]).toEqual([before.liveTensors, before.liveBytes]);
});
