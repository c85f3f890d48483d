/** A run that was stopped goes on as if it had not been; what would make it another run is refused, and nothing is touched. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  listCheckpoints,
  loadModel,
  loadTokenizer,
  type RecipeContext,
  readLineage,
  readRun,
  rowsOfStep,
} from "camelid";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as sft from "../../recipes/sft.js";
import { camelid, expectOneClearError } from "../cli/camelid.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { expectNothingHalf, folderHashes, traceOf } from "./training.js";

const root = mkdtempSync(join(tmpdir(), "camelid-resume-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let out: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 30 });
});
beforeEach(() => {
  out = newRun();
});

const newRun = (): string => join(mkdtempSync(join(root, "run-")), "run");

type Changes = Partial<sft.SftSettings>;

/** 15 steps of 4 rows. */
const settingsOf = (changes: Changes = {}): sft.SftSettings =>
  sft.settings.parse({
    ...{ model: tiny.model, data: tiny.data, out, threads: 1, epochs: 2 },
    ...{ microBatchSize: 2, gradAccumSteps: 2, learningRate: 1e-2, weightDecay: 0.01, saveEverySteps: 3 },
    ...changes,
  });

/** Trains; with `stopAfter`, someone presses Ctrl+C in that step. */
async function train(changes: Changes = {}, options: { resume?: boolean; stopAfter?: number } = {}) {
  const settings = settingsOf(changes);
  const signal = {
    get aborted() {
      const events = join(settings.out, "events.jsonl");
      if (options.stopAfter === undefined || !existsSync(events)) return false;
      return readFileSync(events, "utf8").includes(`"step":${options.stopAfter},`);
    },
  } as AbortSignal;
  const context: RecipeContext = {
    ...{ recipe: "sft", origins: {}, output: "silent" },
    ...{ resume: options.resume ?? false, signal },
  };
  return await sft.run(settings, context);
}

/** A run as a killed process leaves it: no `run-end`, no result. */
async function killedAfter(step: number, changes: Changes = {}): Promise<void> {
  await train(changes, { stopAfter: step });
  const lines = readFileSync(join(out, "events.jsonl"), "utf8").trimEnd().split("\n");
  writeFileSync(join(out, "events.jsonl"), `${lines.slice(0, -1).join("\n")}\n`);
  rmSync(join(out, "report.html"));
}

const snapshot = () => folderHashes(out);

const resume = (...words: string[]) => camelid("sft", "--resume", "--out", out, ...words);

describe("a resumed run equals an unbroken one, bit for bit", () => {
  test.each<[string, Changes]>([
    ["fp32", {}],
    ["fp32, packed tighter, no clipping", { packing: true, maxSeqLen: 64, maxGradNorm: null }],
    ["not packed, mean of micro-batches", { packing: false, lossReduction: "microbatch-mean" }],
    ["bf16", { precision: "bf16" }],
    ["bf16 with fp32 masters", { precision: "bf16-mixed" }],
    ["two threads", { threads: 2 }],
  ])("%s", async (_, changes) => {
    expect(await train(changes)).toBe("completed");
    const unbroken = await traceOf(out);
    expect(unbroken.steps).toHaveLength(15);
    out = newRun();
    // Stopped within the first pass over the data, at its border, and within the second.
    expect(await train(changes, { stopAfter: 2 })).toBe("interrupted");
    expect(await train(changes, { resume: true, stopAfter: 8 })).toBe("interrupted");
    expect(await train(changes, { resume: true, stopAfter: 13 })).toBe("interrupted");
    expect(await train(changes, { resume: true })).toBe("completed");
    expect(await traceOf(out)).toEqual(unbroken);
  });

  test("after a kill it goes back to the last checkpoint, and later steps before it count no more", async () => {
    await train();
    const unbroken = await traceOf(out);
    out = newRun();
    await killedAfter(8);
    rmSync(join(out, "checkpoints", "step-8"), { recursive: true }); // what Ctrl+C saved; a kill would not have
    expect((await resume()).code).toBe(0);
    expect(await traceOf(out)).toEqual(unbroken);
    const starts = (await readRun(out)).events.filter(({ event }) => event === "run-start");
    expect(starts.at(-1)).toMatchObject({ resumed_from_step: 6, total_steps: 15 });
    const lineage = await readLineage(join(out, "lineage"));
    expect(lineage.rowsOfStep.size).toBe(15);
    for (const [step, rows] of lineage.rowsOfStep)
      expect(rows).toEqual(rowsOfStep(step, { seed: 42, numRows: 30, rowsPerStep: 4 }));
    expect(lineage.header).toMatch(/rows\.jsonl sha256:[0-9a-f]{64}$/);
  });

  test("a run stopped before its first checkpoint starts over, and says so", async () => {
    await train();
    const unbroken = await traceOf(out);
    out = newRun();
    await killedAfter(2);
    rmSync(join(out, "checkpoints"), { recursive: true });
    const { code, err } = await resume();
    expect(code, err).toBe(0);
    expect(err).toContain("the run continues from its first step: no checkpoint was saved");
    expect(await traceOf(out)).toEqual(unbroken);
  });

  test("cut lines of events and lineage cost nothing", async () => {
    await train();
    const unbroken = await traceOf(out);
    out = newRun();
    await killedAfter(8);
    appendFileSync(join(out, "events.jsonl"), '{"event":"step-end","step":9,"lo');
    appendFileSync(join(out, "lineage"), "9: 1 2");
    expect((await resume()).code).toBe(0);
    expect(await traceOf(out)).toEqual(unbroken);
    expect((await readLineage(join(out, "lineage"))).rowsOfStep.get(9)).toHaveLength(4);
  });

  test("neither the base model nor the first checkpoint has to be there any more", async () => {
    await train({ keepCheckpoints: 1 });
    const unbroken = await traceOf(out);
    out = newRun();
    const model = join(out, "..", "base");
    cpSync(tiny.model, model, { recursive: true });
    await killedAfter(4, { model, keepCheckpoints: 1 });
    rmSync(model, { recursive: true });
    expect((await resume()).code).toBe(0);
    expect(await traceOf(out)).toEqual(unbroken);
    expect((await loadTokenizer(join(out, "final"))).vocabSize).toBeGreaterThan(0);
  });
});

describe("what a checkpoint is", () => {
  test("a model folder that loads anywhere", async () => {
    await killedAfter(5);
    const folder = join(out, "checkpoints", "step-3");
    using model = loadModel(folder);
    expect(model.config.numHiddenLayers).toBe(2);
    expect((await loadTokenizer(folder)).eosTokenId).toBe(2);
  });

  test("the newest few are kept, and the result", async () => {
    const steps = (): number[] => listCheckpoints(out).map(({ step }) => step);
    await train({ keepCheckpoints: 2 });
    expect(steps()).toEqual([15, 12]);
    expect(existsSync(join(out, "final", "model.safetensors"))).toBe(true);
    out = newRun();
    await train({ keepCheckpoints: null });
    expect(steps()).toEqual([15, 12, 9, 6, 3]);
    expect(readdirSync(join(out, "checkpoints")), "nothing half removed").toHaveLength(5);
  });

  test("fp32 masters start from the full precision of the model's files", async () => {
    await train({ precision: "bf16-mixed", saveEverySteps: 1, keepCheckpoints: null });
    // The first step of a warm-up has learning rate 0: masters are still the base's own values.
    const state = join(out, "checkpoints", "step-1", "optimizer.safetensors");
    using _ = torch.tensorScope();
    const base = torch.readSafetensors(join(tiny.model, "model.safetensors")).tensors;
    const masters = torch.readSafetensors(state).tensors;
    for (const [name, weight] of base) expect(masters.get(`master.${name}`)!.equal(weight), name).toBe(true);
  });
});

describe("a damaged checkpoint is named and the one before is used", () => {
  const at = (name: string): string => join(out, "checkpoints", "step-6", name);
  const flip = (path: string, place: number): void => {
    const bytes = readFileSync(path);
    bytes[place < 0 ? bytes.length + place : place]! ^= 1;
    writeFileSync(path, bytes);
  };

  test.each<[string, RegExp, () => void]>([
    ["weights cut", /model\.safetensors has \d+ bytes/, () => truncateSync(at("model.safetensors"), 5000)],
    ["one bit of a weight", /model\.safetensors was altered/, () => flip(at("model.safetensors"), -9)],
    [
      "one bit of a moment",
      /optimizer\.safetensors was altered/,
      () => flip(at("optimizer.safetensors"), -2),
    ],
    ["no random state", /random\.safetensors is missing/, () => rmSync(at("random.safetensors"))],
    ["no manifest", /manifest\.json is missing/, () => rmSync(at("manifest.json"))],
    ["manifest cut", /manifest\.json is not JSON/, () => truncateSync(at("manifest.json"), 300)],
    ["manifest empty", /manifest\.json lacks/, () => writeFileSync(at("manifest.json"), "{}")],
    [
      "manifest altered",
      /manifest\.json was altered/,
      () =>
        writeFileSync(
          at("manifest.json"),
          readFileSync(at("manifest.json"), "utf8").replace('"step": 6', '"step": 7'),
        ),
    ],
  ])("%s", async (_, says, damage) => {
    await killedAfter(6, { keepCheckpoints: null });
    damage();
    const { code, err } = await resume();
    expect(code, err).toBe(0);
    expect(err).toMatch(says);
    expect(err).toContain("step-6 was passed over");
    expect(err).toContain("the run continues after step 3");
    expect(readdirSync(join(out, "checkpoints"))).toContain("step-6.damaged");
    await expectNothingHalf(out);
    const record = await readRun(out);
    expect(record.events).toContainEqual(
      expect.objectContaining({ event: "warning-raised", code: "CHECKPOINT_DAMAGED" }),
    );
    expect(record.steps).toHaveLength(15);
  });

  test("when none is sound, nothing is trained and nothing is touched", async () => {
    await killedAfter(6);
    for (const step of [3, 6]) truncateSync(join(out, "checkpoints", `step-${step}`, "model.safetensors"), 9);
    const before = snapshot();
    const ended = await resume();
    expectOneClearError(ended, {
      code: "ERR_CHECKPOINT_DAMAGED",
      says: /no checkpoint of this run is sound/,
    });
    expect(ended.err).toContain("step-6");
    expect(ended.err).toContain("step-3");
    expect(snapshot()).toEqual(before);
  });
});

describe("what would make it another run is refused, by name, and nothing is touched", () => {
  test.each<[string[], RegExp]>([
    [["--seed", "43"], /seed: 42 -> 43/],
    [["--learning-rate", "1e-3"], /learningRate: 0\.01 -> 0\.001/],
    [["--micro-batch-size", "4"], /microBatchSize: 2 -> 4/],
    [["--epochs", "3", "--schedule", "cosine"], /epochs: 2 -> 3; schedule: "linear" -> "cosine"/],
    [["--precision", "bf16"], /precision: "fp32" -> "bf16"/],
    [["--model", "elsewhere"], /model: .* -> "elsewhere"/],
  ])("%o", async (words, says) => {
    await killedAfter(4);
    const before = snapshot();
    expectOneClearError(await resume(...words), { code: "ERR_RESUME_SETTINGS", says });
    expect(snapshot()).toEqual(before);
  });

  test("other rows under the same name, or one row changed", async () => {
    const data = join(out, "..", "rows.jsonl");
    const rows = readFileSync(tiny.data, "utf8");
    writeFileSync(data, rows);
    await killedAfter(4, { data });
    const before = snapshot();
    writeFileSync(data, `${rows}${rows.slice(0, rows.indexOf("\n") + 1)}`);
    expectOneClearError(await resume(), { code: "ERR_RESUME_DATA", says: /31 rows instead of 30/ });
    writeFileSync(data, rows.replace(/camel|llama|alpaca/, "horse"));
    expectOneClearError(await resume(), {
      code: "ERR_RESUME_DATA",
      says: /30 rows differ in content or order/,
    });
    expect(snapshot()).toEqual(before);
  });

  test("a run that is complete", async () => {
    await train();
    const before = snapshot();
    expectOneClearError(await resume(), { code: "ERR_RUN_COMPLETE", says: /nothing to resume/ });
    expect(snapshot()).toEqual(before);
  });

  test("a folder without a run, which is not created", async () => {
    expectOneClearError(await resume(), { code: "ERR_RUN_NOT_FOUND", says: /holds no run/ });
    expect(existsSync(out)).toBe(false);
  });

  test("a new run in the folder of an old one", async () => {
    await killedAfter(4);
    const before = snapshot();
    await expect(train()).rejects.toMatchObject({ code: "ERR_RUN_EXISTS", fix: /--resume/ });
    expect(snapshot()).toEqual(before);
  });
});

describe("what leaves the run the same is allowed, and recorded", () => {
  const started = async () =>
    (await readRun(out)).events.flatMap((event) => (event.event === "run-start" ? [event] : [])).at(-1);
  /** Warnings about the resume; a model of random weights earns others. */
  const warned = async () =>
    (await readRun(out)).events.flatMap((event) =>
      event.event === "warning-raised" && event.code.startsWith("RESUME_") ? [event] : [],
    );

  test("how often is saved, and the data under another name", async () => {
    await train();
    const unbroken = await traceOf(out);
    out = newRun();
    await killedAfter(4);
    const data = join(out, "..", "moved.jsonl");
    cpSync(tiny.data, data);
    expect((await resume("--save-every-steps", "5", "--keep-checkpoints", "7", "--data", data)).code).toBe(0);
    expect(await started()).toMatchObject({
      resumed_from_step: 4,
      settings_changed: expect.arrayContaining(["saveEverySteps: 3 -> 5", "keepCheckpoints: 2 -> 7"]),
    });
    expect(await warned()).toEqual([]);
    expect(await traceOf(out)).toEqual(unbroken);
  });

  test("threads, and another split of the same rows: with a warning that bits will differ", async () => {
    await killedAfter(4);
    const { code, err } = await resume(
      "--threads",
      "2",
      "--micro-batch-size",
      "1",
      "--grad-accum-steps",
      "4",
    );
    expect(code, err).toBe(0);
    const [warning] = await warned();
    expect(warning).toMatchObject({ code: "RESUME_NOT_EXACT", step: 4 });
    for (const difference of ["threads: 1 -> 2", "microBatchSize: 2 -> 1", "gradAccumSteps: 2 -> 4"]) {
      expect(warning!.message).toContain(difference);
      expect(err).toContain(difference);
      expect((await started())?.settings_changed).toContain(difference);
    }
  });
});
