/** Preference training as a whole: what a run leaves, and what must not change its numbers. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  isAdapterFolder,
  loadAdapter,
  loadModel,
  loadTokenizer,
  type Message,
  pairLogps,
  readAdapterConfig,
  readPairRows,
  readRun,
} from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as dpo from "../../recipes/dpo.js";
import * as sft from "../../recipes/sft.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { contextOf, type RunOptions, runRecipe } from "./run-recipe.js";
import "../close.js";

const root = mkdtempSync(join(tmpdir(), "camelid-dpo-"));
const cache = join(root, "cache");
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let pairs: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = cache;
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 32 });
  const rows = readFileSync(tiny.data, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const lines = rows.map(({ messages }: { messages: Message[] }, i) => {
    const prompt = messages.slice(0, -1);
    const answer = (content: string) => [...prompt, { role: "assistant", content }];
    return { dataset: "hills", id: i, chosen: answer(`camel ${i}.`), rejected: answer("water water grass.") };
  });
  pairs = join(root, "pairs.jsonl");
  writeFileSync(pairs, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
});

const lora = {
  rank: 4,
  alpha: 8,
  dropout: 0,
  targetModules: ["q_proj", "v_proj", "down_proj"],
  rslora: false,
};
const newFolder = () => join(mkdtempSync(join(root, "run-")), "run");

async function train(changes: Partial<dpo.DpoRunSettings> = {}, options: RunOptions = {}) {
  const { out = newFolder() } = options;
  const settings = dpo.settings.parse({
    ...{ model: tiny.model, data: pairs, out, threads: 1 },
    ...{ microBatchSize: 2, gradAccumSteps: 2, learningRate: 1e-3, maxSteps: 6, maxNewTokens: 8 },
    ...changes,
  });
  return await runRecipe("dpo", dpo, settings, options);
}

const hashOf = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const rewardMargin = (run: { numbers: Record<string, number>[] }) => run.numbers.at(-1)!["rewards/margins"]!;

const kinds: [string, Partial<dpo.DpoRunSettings>][] = [
  ["every weight", { lora: null }],
  ["adapters, with stored numbers", { lora }],
  ["adapters, switched off for the reference", { lora, reference: "adapters-off" }],
  ["means per token", { lora: null, lossType: "dpo-norm", beta: 5 }],
  ["activation checkpointing", { lora, activationCheckpointing: true }],
  ["bf16", { lora: null, precision: "bf16-mixed" }],
];
describe.each(kinds)("training with %s", (_name, changes) => {
  test("starts at ln 2 with margins of 0, and learns the preference", async () => {
    const run = await train({ learningRate: 5e-3, ...changes });
    const first = run.numbers[0]!;
    const within = changes.precision === undefined ? 2e-4 : 0.05;
    expect(Math.abs(first.loss! - Math.LN2)).toBeLessThan(within);
    expect(Math.abs(first["rewards/margins"]!)).toBeLessThan(within);
    expect(run.numbers.at(-1)!.loss).toBeLessThan(0.69);
    expect(rewardMargin(run)).toBeGreaterThan(0.01);
    expect(run.numbers.at(-1)!["rewards/accuracies"]).toBeGreaterThan(0.5);
    expect(Object.keys(run.record.steps[0]!.metrics!).sort()).toEqual(
      expect.arrayContaining([
        "lengths/chosen",
        "lengths/rejected",
        "logps/chosen",
        "logps/rejected",
        "rewards/accuracies",
        "rewards/chosen",
        "rewards/margins",
        "rewards/rejected",
      ]),
    );
  });
});

describe("relatives of DPO learn the preference as well", () => {
  test("ipo begins at (1 / 2 beta)^2 and comes nearer to its margin", async () => {
    const { numbers } = await train({ lossType: "ipo", learningRate: 5e-3 });
    expect(numbers[0]!.loss).toBeCloseTo(25, 3);
    expect(numbers.at(-1)!.loss!).toBeLessThan(24);
    expect(numbers.at(-1)!["rewards/margins"]).toBeGreaterThan(0);
  });

  test("simpo scores without a reference: none is computed", async () => {
    rmSync(join(cache, "reference-logps"), { recursive: true, force: true });
    const { numbers } = await train({ lossType: "simpo", beta: 2, targetMargin: 1, learningRate: 5e-3 });
    expect(existsSync(join(cache, "reference-logps"))).toBe(false);
    const [first, last] = [numbers[0]!, numbers.at(-1)!];
    expect(first["rewards/chosen"]).toBeLessThan(-2); // beta times a mean log-probability
    expect(last.loss!).toBeLessThan(first.loss! - 0.05);
    expect(last["rewards/margins"]!).toBeGreaterThan(first["rewards/margins"]! + 0.05);
  });
});

test("smoothed labels pull less: at equal margins the gradient is 1 - 2 times the share that is wrong", async () => {
  // d/dm of -(1 - e) log sigmoid(m) - e log sigmoid(-m) at m = 0 is -(1 - e) / 2 + e / 2
  const norm = async (labelSmoothing: number) => (await train({ labelSmoothing, maxSteps: 1 })).numbers[0]!;
  const [plain, smoothed] = [await norm(0), await norm(0.25)];
  expect(smoothed.loss).toBeCloseTo(Math.LN2, 3);
  expect(smoothed.grad_norm! / plain.grad_norm!).toBeCloseTo(0.5, 3);
});

describe("numbers do not depend on", () => {
  const close = async (a: Partial<dpo.DpoRunSettings>, b: Partial<dpo.DpoRunSettings>) => {
    const [one, other] = [await train(a), await train(b)];
    one.numbers.forEach((step, i) => {
      for (const [key, value] of Object.entries(step)) {
        expect(other.numbers[i]![key]!, `step ${i + 1} ${key}`).toBeAllClose(value, {
          atol: 2e-4,
          rtol: 2e-4,
        });
      }
    });
  };

  test("how pairs are split, packed and whether their prompts are shared", async () => {
    await close(
      { microBatchSize: 4, gradAccumSteps: 1, packing: true, sharePrompts: true },
      { microBatchSize: 1, gradAccumSteps: 4, packing: false, sharePrompts: false },
    );
  });

  test("where the reference's log-probabilities come from", async () => {
    await close({ lora, reference: "stored" }, { lora, reference: "adapters-off" });
  });
});

describe("a run that was stopped and continued equals an unbroken one, to the bit", () => {
  test.each([
    ["of every weight", { lora: null }, "model.safetensors"],
    ["of adapters with dropout", { lora: { ...lora, dropout: 0.2 } }, "adapter_model.safetensors"],
  ])("%s", async (_name, changes, file) => {
    const settings = { ...changes, saveEverySteps: 3, keepCheckpoints: null };
    const unbroken = await train(settings);
    const out = newFolder();
    const stopped = await train(settings, { out, stopAt: "checkpoints/step-3" });
    expect(stopped.record.status).toBe("interrupted");
    expect(stopped.numbers).toHaveLength(3);
    const continued = await train(settings, { out, resume: true });
    expect(continued.record.status).toBe("completed");
    expect(continued.numbers).toEqual(unbroken.numbers);
    expect(hashOf(join(out, "final", file))).toBe(hashOf(join(unbroken.out, "final", file)));
  });
});

describe("a run of adapters", () => {
  test("leaves a PEFT folder that gives, on its base, what the run reported", async () => {
    const base = hashOf(join(tiny.model, "model.safetensors"));
    // The last step's update is not in its own report: with a learning rate that ends at 0, it is nothing.
    const { out, record } = await train({ lora, microBatchSize: 32, gradAccumSteps: 1, epochs: 4 });
    const final = join(out, "final");
    expect(isAdapterFolder(final)).toBe(true);
    expect(readdirSync(final).sort()).toEqual(
      expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]),
    );
    expect(readAdapterConfig(final)).toMatchObject({ settings: lora, baseModel: tiny.model });
    const { pairs: rows } = await readPairRows(pairs, await loadTokenizer(tiny.model), { onBad: "error" });
    using _ = torch.tensorScope();
    using model = loadModel(tiny.model);
    const before = torch.noGrad(() => pairLogps(model, rows, { sharePrompts: true }));
    loadAdapter(model, final);
    const after = torch.noGrad(() => pairLogps(model, rows, { sharePrompts: true }));
    const reward = after.chosen.sub(before.chosen).mean().item() * 0.1;
    expect(reward).toBeGreaterThan(record.steps.at(-2)!.metrics!["rewards/chosen"]! * 0.5);
    expect(after.chosen.mean().item()).toBeGreaterThan(before.chosen.mean().item());
    expect(hashOf(join(tiny.model, "model.safetensors"))).toBe(base);
  });

  test("of supervised training too: frozen base, adapter folder, resumable to the bit", async () => {
    const sftRun = async (options: RunOptions = {}) => {
      const { out = newFolder() } = options;
      const settings = sft.settings.parse({
        ...{ model: tiny.model, data: tiny.data, out, threads: 1, lora },
        ...{
          microBatchSize: 2,
          gradAccumSteps: 2,
          learningRate: 1e-2,
          saveEverySteps: 4,
          keepCheckpoints: null,
        },
      });
      await sft.run(settings, contextOf("sft", out, options));
      return { out, losses: (await readRun(out)).steps.map(({ loss }) => loss) };
    };
    const unbroken = await sftRun();
    expect(unbroken.losses.at(-1)).toBeLessThan(unbroken.losses[0]! - 0.05);
    expect(isAdapterFolder(join(unbroken.out, "final"))).toBe(true);
    const out = newFolder();
    await sftRun({ out, stopAt: "checkpoints/step-4" });
    const continued = await sftRun({ out, resume: true });
    expect(continued.losses).toEqual(unbroken.losses);
    const file = join("final", "adapter_model.safetensors");
    expect(hashOf(join(out, file))).toBe(hashOf(join(unbroken.out, file)));
  });
});

describe("stored log-probabilities of the reference", () => {
  const stored = () => readdirSync(join(cache, "reference-logps")).sort();

  test("are found again by another run, and one whose numbers are wrong is not trusted", async () => {
    rmSync(join(cache, "reference-logps"), { recursive: true, force: true });
    await train({ maxSteps: 1 });
    const [name, ...others] = stored();
    expect(others).toEqual([]);
    await train({ maxSteps: 1, learningRate: 1e-4 });
    expect(stored()).toEqual([name]);
    const path = join(cache, "reference-logps", name!);
    const numbers = JSON.parse(readFileSync(path, "utf8"));
    numbers.chosen[0] -= 0.5;
    writeFileSync(path, JSON.stringify(numbers));
    await expect(train({ maxSteps: 1 })).rejects.toThrow(/log-probability/);
    writeFileSync(path, "cut off");
    await train({ maxSteps: 1 });
    expect(JSON.parse(readFileSync(path, "utf8")).chosen).toHaveLength(32);
  });

  test("are others for other weights, other tokens, another precision", async () => {
    const before = stored().length;
    await train({ maxSteps: 1, precision: "bf16" });
    expect(stored()).toHaveLength(before + 1);
    await train({ maxSteps: 1, maxSeqLen: 40, onBad: "skip" });
    expect(stored()).toHaveLength(before + 2);
    const { model } = await writeTinyModel(join(root, "other"), { rows: 32, seed: 2 });
    await train({ maxSteps: 1, model });
    expect(stored()).toHaveLength(before + 3);
  });
});

test("switching adapters off needs adapters", async () => {
  await expect(train({ reference: "adapters-off" })).rejects.toThrow(/needs adapters/);
});

test("answers to sample prompts come with their length, before and after", async () => {
  const prompts = join(root, "prompts.jsonl");
  writeFileSync(prompts, '{"prompt": "alpaca"}\n{"messages": [{"role": "user", "content": "two camel?"}]}\n');
  const { record } = await train({ samplePrompts: prompts, maxSteps: 2 });
  expect(record.samples.map(({ step }) => step)).toEqual([0, 0, 2, 2]);
  const lengths = record.evals
    .filter(({ name }) => name === "answers")
    .map(({ step, metrics }) => [step, metrics!["answers/prompts"], metrics!["answers/characters"]]);
  const mean = (step: number) =>
    record.samples.filter((one) => one.step === step).reduce((sum, { text }) => sum + text.length / 2, 0);
  expect(lengths).toEqual([
    [0, 2, mean(0)],
    [2, 2, mean(2)],
  ]);
});

test.each([
  ["every weight", { lora: null }],
  ["adapters", { lora, reference: "adapters-off" as const }],
])("a run of %s frees every tensor", async (_name, changes) => {
  await train({ ...changes, maxSteps: 1 });
  const before = torch.memoryStats();
  await train({ ...changes, maxSteps: 2 });
  const after = torch.memoryStats();
  expect([after.liveTensors, after.liveBytes]).toEqual([before.liveTensors, before.liveBytes]);
});

test("every preset is complete", () => {
  for (const preset of Object.values(dpo.presets)) {
    const places = { model: "m", data: "d", out: "o" };
    expect(dpo.settings.parse({ ...places, ...preset() })).toEqual({ ...places, ...preset() });
  }
});
