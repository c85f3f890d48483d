/** What a run measures while it trains: right numbers, and not a bit of the training changed. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel, loadTokenizer, type RecipeContext, readLineage, readRun, readTrainRows } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rowLogprobs } from "../../packages/camelid/src/eval/row-logprobs.js";
import * as sft from "../../recipes/sft.js";
import { traceOf } from "../faults/training.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-watching-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let prompts: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 32 });
  prompts = join(root, "prompts.jsonl");
  const lines = [{ prompt: "alpaca" }, { messages: [{ role: "user", content: "two camel?" }] }];
  writeFileSync(prompts, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
});

async function train(changes: Partial<sft.SftSettings> = {}) {
  const out = join(mkdtempSync(join(root, "run-")), "run");
  const settings = sft.settings.parse({
    ...{ model: tiny.model, data: tiny.data, out, threads: 1 },
    ...{ microBatchSize: 2, gradAccumSteps: 2, learningRate: 1e-2, maxNewTokens: 8 },
    ...changes,
  });
  const { signal } = new AbortController();
  const context: RecipeContext = { recipe: "sft", origins: {}, output: "silent", resume: false, signal };
  await sft.run(settings, context);
  return { out, record: await readRun(out) };
}

describe("held-out rows", () => {
  test("are never trained, and their loss is the mean over their trained tokens", async () => {
    const { out, record } = await train({ heldOutRows: 8, evalEverySteps: 2 });
    expect(record.evals.map(({ step, name }) => [step, name])).toEqual(
      [0, 2, 4, 6].map((step) => [step, "held-out"]),
    );
    const trained = new Set([...(await readLineage(join(out, "lineage"))).rowsOfStep.values()].flat());
    expect(trained.size).toBe(24);

    const rows = (await readTrainRows(tiny.data, await loadTokenizer(tiny.model), { onBad: "error" })).rows;
    const heldOut = rows.filter(({ place }) => !trained.has(place));
    expect(heldOut).toHaveLength(8);
    for (const [folder, measured] of [
      [tiny.model, record.evals[0]!],
      [join(out, "final"), record.evals.at(-1)!],
    ] as const) {
      using model = loadModel(folder);
      const losses = rowLogprobs(model, heldOut).map(({ loss }, i) => {
        const count = heldOut[i]!.labels.slice(1).filter((label) => label >= 0).length;
        return { sum: loss * count, count, dataset: heldOut[i]!.dataset };
      });
      const mean = (some: typeof losses): number =>
        some.reduce((sum, one) => sum + one.sum, 0) / some.reduce((sum, one) => sum + one.count, 0);
      expect(measured.loss).toBeCloseTo(mean(losses), 5);
      for (const name of ["hills", "plains"])
        expect(measured.metrics![`loss/${name}`]).toBeCloseTo(
          mean(losses.filter((one) => one.dataset === name)),
          5,
        );
    }
  });

  test("may come from a file of their own, but not from both", async () => {
    const { record } = await train({ evalData: tiny.data });
    expect(record.evals.map(({ step }) => step)).toEqual([0, 8]);
    expect(record.evals[1]!.loss).toBeLessThan(record.evals[0]!.loss!);
    await expect(train({ evalData: tiny.data, heldOutRows: 3 })).rejects.toMatchObject({
      code: "ERR_HELD_OUT",
    });
    await expect(train({ heldOutRows: 17 })).rejects.toMatchObject({ code: "ERR_HELD_OUT" });
  });
});

test("looking at the model does not change a bit of the training", async () => {
  const plain = await traceOf((await train()).out);
  const watched = await train({
    evalData: tiny.data,
    evalEverySteps: 1,
    samplePrompts: prompts,
    sampleEverySteps: 1,
  });
  expect(await traceOf(watched.out)).toEqual(plain);
  expect(watched.record.samples).toHaveLength(2 * 9);
});

test("activation checkpointing changes no bit of a run", async () => {
  const plain = await traceOf((await train({ precision: "bf16-mixed" })).out);
  const checkpointed = await train({ precision: "bf16-mixed", activationCheckpointing: true });
  expect(await traceOf(checkpointed.out)).toEqual(plain);
});

test("samples are the model's own greedy answers", async () => {
  const { record } = await train({ samplePrompts: prompts });
  expect(record.samples.map(({ step, prompt }) => [step, prompt])).toEqual([
    [0, "alpaca"],
    [0, "two camel?"],
    [8, "alpaca"],
    [8, "two camel?"],
  ]);
  for (const { text, finish_reason } of record.samples) {
    expect(typeof text).toBe("string");
    expect(["stop", "length"]).toContain(finish_reason);
  }
});

describe("updates lost to rounding", () => {
  const shares = (record: Awaited<ReturnType<typeof train>>["record"]): number[] =>
    record.steps.flatMap(({ metrics }) => metrics?.["updates/unchanged_share"] ?? []);
  const warnings = (record: Awaited<ReturnType<typeof train>>["record"]): string[] =>
    record.events.flatMap((event) =>
      event.event === "warning-raised" && event.code === "UPDATES_LOST" ? [event.code] : [],
    );

  test("are measured in pure bf16, with one warning when most are lost", async () => {
    const { record } = await train({ precision: "bf16", learningRate: 1e-6 });
    expect(shares(record)).toHaveLength(7); // the first step of the warm-up has rate 0
    for (const share of shares(record)) expect(share).toBeGreaterThan(0.9);
    expect(warnings(record)).toEqual(["UPDATES_LOST"]);
  });

  test("raise no warning where updates arrive, and no metric in other precisions", async () => {
    const large = await train({ precision: "bf16", learningRate: 1e-2 });
    expect(Math.max(...shares(large.record).slice(0, 4))).toBeLessThan(0.2);
    expect(warnings(large.record)).toEqual([]);
    const { record } = await train({ precision: "bf16-mixed", learningRate: 1e-6 });
    expect(shares(record)).toEqual([]);
  });
});
