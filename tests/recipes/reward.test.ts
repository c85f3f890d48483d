/** Reward models as a whole: what a run leaves, and what must not change its numbers. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  addLora,
  isAdapterFolder,
  isRewardFolder,
  loadAdaptedModel,
  loadModel,
  loadRewardModel,
  loadTokenizer,
  loadTrainedReward,
  type Message,
  readPairRows,
  saveAdapter,
  scorePairs,
} from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as reward from "../../recipes/reward.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { type RunOptions, runRecipe } from "./run-recipe.js";
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

const lora = {
  rank: 4,
  alpha: 8,
  dropout: 0,
  targetModules: ["q_proj", "v_proj", "down_proj"],
  rslora: false,
};
const nf4 = { type: "nf4" as const, doubleQuant: true, throughFp16: false };
const newFolder = () => join(mkdtempSync(join(root, "run-")), "run");

async function train(changes: Partial<reward.RewardRunSettings> = {}, options: RunOptions = {}) {
  const { out = newFolder() } = options;
  const settings = reward.settings.parse({
    ...{ model: tiny.model, data, out, threads: 1 },
    ...{ microBatchSize: 2, gradAccumSteps: 2, learningRate: 5e-3, maxSteps: 6 },
    ...changes,
  });
  return await runRecipe("reward", reward, settings, options);
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

describe("with adapters", () => {
  test.each([
    ["on the whole base", { lora }],
    ["on a base in 4 bits", { lora, quantize: nf4 }],
  ])("%s it learns, and leaves a PEFT folder whose head goes along", async (_name, changes) => {
    const base = hashOf(join(tiny.model, "model.safetensors"));
    const { out, numbers, record } = await train({
      ...{ ...changes, maxSteps: 24, learningRate: 2e-2, heldOutRows: 8, saveEverySteps: 24 },
    });
    expect(numbers.at(-1)!.loss).toBeLessThan(0.4 * numbers[0]!.loss!);
    const final = join(out, "final");
    expect(isAdapterFolder(final)).toBe(true);
    expect(JSON.parse(readFileSync(join(final, "adapter_config.json"), "utf8"))).toMatchObject({
      ...{ task_type: "SEQ_CLS", modules_to_save: ["score"], base_model_name_or_path: tiny.model },
    });
    expect(() => loadAdaptedModel(final)).toThrow(/a reward model, which says no words/);
    expect(() => loadRewardModel(final)).toThrow();
    const { pairs } = await readPairRows(data, await loadTokenizer(final), { onBad: "error" });
    using model = loadTrainedReward(final);
    const plan = { microBatchSize: 4, maxSeqLen: 128, packing: true, sharePrompts: true };
    const scores = await scorePairs(model, pairs, plan);
    const wins = scores.filter(({ chosen, rejected }) => chosen > rejected).length;
    expect(wins / scores.length).toBeGreaterThan(0.9);
    expect(record.evals.at(-1)!.metrics!.accuracy).toBeGreaterThan(0.9);
    expect(hashOf(join(tiny.model, "model.safetensors"))).toBe(base);
  });

  test("the saved folder judges as the run did", async () => {
    const { out, record } = await train({ lora, maxSteps: 8, learningRate: 2e-2, evalData: data });
    const { pairs } = await readPairRows(data, await loadTokenizer(tiny.model), { onBad: "error" });
    using model = loadTrainedReward(join(out, "final"));
    const plan = { microBatchSize: 4, maxSeqLen: 128, packing: true, sharePrompts: true };
    const scores = await scorePairs(model, pairs, plan);
    const margin = scores.reduce((sum, { chosen, rejected }) => sum + chosen - rejected, 0) / pairs.length;
    expect(margin).toBeCloseTo(record.evals.at(-1)!.metrics!.margin!, 4);
  });

  test("an adapter of a language model gives no scores, nor does a language model", async () => {
    expect(() => loadTrainedReward(tiny.model)).toThrow(/it gives no scores/);
    using model = loadModel(tiny.model);
    const folder = join(root, "speaks");
    saveAdapter(addLora(model, lora), folder, { model: tiny.model });
    expect(() => loadTrainedReward(folder)).toThrow(/no head that gives a score/);
  });
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
  ["fp32", {}, "model.safetensors"],
  ["bf16 with masters", { precision: "bf16-mixed" as const }, "model.safetensors"],
  ["fp32 of adapters with dropout", { lora: { ...lora, dropout: 0.2 } }, "adapter_model.safetensors"],
])(
  "a run in %s that was stopped and continued equals an unbroken one, to the bit",
  async (_name, changes, name) => {
    const settings = { ...changes, saveEverySteps: 3, keepCheckpoints: null };
    const unbroken = await train(settings);
    const out = newFolder();
    const stopped = await train(settings, { out, stopAt: "checkpoints/step-3" });
    expect(stopped.record.status).toBe("interrupted");
    expect(stopped.numbers).toHaveLength(3);
    const continued = await train(settings, { out, resume: true });
    expect(continued.record.status).toBe("completed");
    expect(continued.numbers).toEqual(unbroken.numbers);
    const file = join("final", name);
    expect(hashOf(join(out, file))).toBe(hashOf(join(unbroken.out, file)));
  },
);

describe("what cannot be is refused", () => {
  test("4 bits without adapters", async () => {
    await expect(train({ quantize: nf4 })).rejects.toThrow(/only adapters on them/);
  });

  test("a pair with a text longer than the limit: it would be judged without its end", async () => {
    const { pairs } = await readPairRows(data, await loadTokenizer(tiny.model), { onBad: "error" });
    const longest = pairs.map((pair) => Math.max(pair.chosen.inputIds.length, pair.rejected.inputIds.length));
    const maxSeqLen = longest.sort((a, b) => a - b)[longest.length / 2]!;
    await expect(train({ maxSeqLen })).rejects.toMatchObject({
      code: "ERR_PAIR_CUT",
      message: expect.stringMatching(/takes too much of \d+ pairs/),
      where: expect.stringMatching(/line \d+: a text of the pair is longer than \d+ tokens/),
    });
    const { record } = await train({ maxSeqLen, onBad: "skip", maxSteps: 1 });
    expect(record.steps).toHaveLength(1);
  });

  test("conversations to judge", async () => {
    await expect(train({ evalData: tiny.data })).rejects.toThrow(/conversations, not pairs/);
  });
});

test.each([
  ["every weight", {}],
  ["adapters", { lora }],
])("a run of %s frees every tensor", async (_name, changes) => {
  await train({ ...changes, maxSteps: 1 });
  const before = torch.memoryStats();
  await train({ ...changes, maxSteps: 2 });
  const after = torch.memoryStats();
  expect([after.liveTensors, after.liveBytes]).toEqual([before.liveTensors, before.liveBytes]);
});
