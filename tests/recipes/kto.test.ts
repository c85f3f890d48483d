/** KTO as a whole: what a run leaves, and what must not change its numbers. */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { isAdapterFolder, type Message, readLineage } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as kto from "../../recipes/kto.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { type RunOptions, runRecipe } from "./run-recipe.js";
import "../close.js";

const root = mkdtempSync(join(tmpdir(), "camelid-kto-"));
const cache = join(root, "cache");
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let judged: string;
let pairs: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = cache;
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 24 });
  const rows = readFileSync(tiny.data, "utf8").trim().split("\n");
  const made = rows.map((line, i) => {
    const prompt = (JSON.parse(line) as { messages: Message[] }).messages.slice(0, -1);
    const answer = (content: string) => [...prompt, { role: "assistant", content }];
    return { id: i, chosen: answer(`camel ${i}.`), rejected: answer("water water grass.") };
  });
  const write = (name: string, values: readonly object[]): string => {
    writeFileSync(join(root, name), values.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return join(root, name);
  };
  pairs = write("pairs.jsonl", made);
  judged = write(
    "judged.jsonl",
    made.flatMap(({ id, chosen, rejected }) => [
      { dataset: "pairs", id: `${id} chosen`, messages: chosen, label: true },
      { dataset: "pairs", id: `${id} rejected`, messages: rejected, label: false },
    ]),
  );
});

const lora = {
  rank: 4,
  alpha: 8,
  dropout: 0,
  targetModules: ["q_proj", "v_proj", "down_proj"],
  rslora: false,
};
const newFolder = () => join(mkdtempSync(join(root, "run-")), "run");

async function train(changes: Partial<kto.KtoRunSettings> = {}, options: RunOptions = {}) {
  const { out = newFolder() } = options;
  const settings = kto.settings.parse({
    ...{ model: tiny.model, data: judged, out, threads: 1, preflight: false, answerPrompts: null },
    ...{ microBatchSize: 4, gradAccumSteps: 2, learningRate: 1e-3, maxSteps: 6, maxNewTokens: 8 },
    ...changes,
  });
  return await runRecipe("kto", kto, settings, options);
}

const hashOf = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

test.each([
  ["every weight", { lora: null, learningRate: 5e-3 }],
  ["adapters, with stored numbers", { lora, learningRate: 2e-2 }],
  [
    "adapters, switched off for the reference",
    { lora, learningRate: 2e-2, reference: "adapters-off" as const },
  ],
  ["bf16", { lora: null, learningRate: 5e-3, precision: "bf16-mixed" as const }],
])("training with %s starts at one half and learns what is liked", async (_name, changes) => {
  const { out, numbers, record } = await train({ ...changes, maxSteps: 12 });
  const within = "precision" in changes ? 0.02 : 1e-4;
  expect(numbers[0]!.loss).toBeGreaterThan(0.5 - within);
  expect(numbers[0]!.loss).toBeLessThan(0.5 + within);
  const last = numbers.at(-1)!;
  expect(last.loss).toBeLessThan(0.49);
  expect(last["rewards/margins"]).toBeGreaterThan(0.05);
  expect(last["rewards/margins"]).toBeCloseTo(last["rewards/chosen"]! - last["rewards/rejected"]!, 10);
  expect(Object.keys(record.steps[0]!.metrics!)).toEqual(
    expect.arrayContaining([
      ...["kl", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"],
      ...["logps/chosen", "logps/rejected", "lengths/chosen", "lengths/rejected"],
    ]),
  );
  const looks = record.evals.filter(({ name }) => name === "judged");
  expect(looks.map(({ step }) => step)).toEqual([0, 12]);
  expect(looks[1]!.loss).toBeLessThan(looks[0]!.loss!);
  expect(isAdapterFolder(join(out, "final"))).toBe(changes.lora !== null);
});

describe("numbers do not depend on", () => {
  const close = async (a: Partial<kto.KtoRunSettings>, b: Partial<kto.KtoRunSettings>) => {
    const [one, other] = [await train(a), await train(b)];
    one.numbers.forEach((step, i) => {
      expect(Object.keys(other.numbers[i]!)).toEqual(Object.keys(step));
      for (const [key, value] of Object.entries(step)) {
        const tolerance = { atol: 3e-4, rtol: 3e-4 };
        expect(other.numbers[i]![key]!, `step ${i + 1} ${key}`).toBeAllClose(value, tolerance);
      }
    });
    return one;
  };

  test("how rows are split and packed, also where the baseline is not 0", async () => {
    const { numbers } = await close(
      { microBatchSize: 8, gradAccumSteps: 1, packing: true, learningRate: 5e-3 },
      { microBatchSize: 1, gradAccumSteps: 8, packing: false, learningRate: 5e-3 },
    );
    expect(numbers.some(({ kl }) => kl! > 0.01)).toBe(true);
  });

  test("where the reference's log-probabilities come from", async () => {
    await close({ lora, reference: "stored" }, { lora, reference: "adapters-off" });
  });

  test("whether the answers come as pairs or one by one", async () => {
    const [one, other] = [await train({ data: judged }), await train({ data: pairs })];
    expect(other.numbers).toEqual(one.numbers);
  });
});

test("weights of the judgements scale their losses", async () => {
  const { numbers } = await train({
    desirableWeight: 3,
    undesirableWeight: 1,
    microBatchSize: 48,
    gradAccumSteps: 1,
    maxSteps: 1,
  });
  expect(numbers[0]!.loss).toBeCloseTo(0.5 * ((3 + 1) / 2), 4);
});

describe("a run that was stopped and continued equals an unbroken one, to the bit", () => {
  test.each([
    ["of every weight", { lora: null }, "model.safetensors"],
    ["of adapters with dropout", { lora: { ...lora, dropout: 0.2 } }, "adapter_model.safetensors"],
  ])("%s", async (_name, changes, file) => {
    const settings = { ...changes, learningRate: 5e-3, saveEverySteps: 3, keepCheckpoints: null };
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

test("the reference scores each row once, whatever the batch size", async () => {
  rmSync(join(cache, "reference-logps"), { recursive: true, force: true });
  await train({ maxSteps: 1 });
  const stored = readdirSync(join(cache, "reference-logps"));
  expect(stored).toHaveLength(1);
  const { chosen } = JSON.parse(readFileSync(join(cache, "reference-logps", stored[0]!), "utf8"));
  expect(chosen).toHaveLength(48);
  await train({ maxSteps: 3, microBatchSize: 2, seed: 7, epochs: 2 });
  expect(readdirSync(join(cache, "reference-logps"))).toEqual(stored);
});

test("rows held out are looked at and not trained", async () => {
  const { out, record } = await train({ heldOutRows: 8, epochs: 1, maxSteps: null });
  const { rowsOfStep } = await readLineage(join(out, "lineage"));
  expect(rowsOfStep.size).toBe(record.steps.length);
  const places = [...rowsOfStep.values()].flat();
  expect(new Set(places).size).toBe(places.length);
  expect(places.length).toBeLessThanOrEqual(48 - 8);
  const look = record.evals.find(({ name }) => name === "judged")!;
  expect(look.loss).toBeCloseTo(0.5, 4);
});

test("preflight weighs both kinds and looks at the passes", async () => {
  const { record } = await train({ preflight: true, desirableWeight: 2, maxSteps: 1 });
  const warnings = record.events.flatMap((event) => (event.event === "warning-raised" ? [event.code] : []));
  expect(warnings).toContain("PREFLIGHT_BALANCE");
  const balanced = await train({ preflight: true, maxSteps: 1 });
  const codes = balanced.record.events.flatMap((event) =>
    event.event === "warning-raised" ? [event.code] : [],
  );
  expect(codes).not.toContain("PREFLIGHT_BALANCE");
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
