/** A recipe of one's own, made of the public pieces: what its loop may do, and what it is told when it does something else. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  accumulateSft,
  adamwToTrain,
  type Look,
  LossMeter,
  learningRateSchedule,
  loadModel,
  loadTokenizer,
  modelToTrain,
  openTraining,
  planSteps,
  prepareTraining,
  readLineage,
  readRun,
  readTrainRows,
  stepBatches,
  type TrainingStep,
  type TrainRows,
  totalTokens,
  trainedWeights,
} from "camelid";
import { afterAll, beforeAll, expect, test } from "vitest";
import { settings as sftSettings } from "../../recipes/sft.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-own-loop-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 24 });
});

interface Parts {
  step: TrainingStep;
  rows: TrainRows["rows"];
  accumulate: () => Promise<void>;
  log: () => void;
}

/** Six steps; `body` says what one does. @returns how the loop ended */
async function train(body: (parts: Parts) => Promise<"break" | undefined>, observe?: (look: Look) => void) {
  const out = join(mkdtempSync(join(root, "run-")), "run");
  const places = { model: tiny.model, data: tiny.data, out, threads: 1 };
  const settings = sftSettings.parse({
    ...places,
    microBatchSize: 2,
    gradAccumSteps: 2,
    maxSteps: 6,
    learningRate: 1e-2,
  });
  const { signal } = new AbortController();
  const setup = await prepareTraining(settings, {
    ...{ recipe: "own", origins: {}, output: "silent" as const, resume: false, signal },
  });
  const { world, start } = setup;
  const tokenizer = await loadTokenizer(start.modelFolder);
  const data = await readTrainRows(settings.data, tokenizer, settings);
  const plan = planSteps(data.rows.length, settings);
  using model = modelToTrain(setup, tokenizer);
  const trained = trainedWeights(model, null, start);
  using optimizer = adamwToTrain(setup, trained.parameters);
  using meter = new LossMeter(data.sources, "cpu", world);
  using training = openTraining(setup, {
    ...{ model, trained, optimizer, tokenizer, data, plan, checks: [], opening: "own" },
    learningRate: learningRateSchedule({ ...settings, ...plan }),
  });
  for await (const step of training.steps(async (look) => observe?.(look))) {
    const rows = step.rowsOf(data.rows);
    const accumulate = (): Promise<void> =>
      step.accumulate(stepBatches(rows, settings, world), (batch) =>
        accumulateSft(model, batch.rows, batch.scale, meter),
      );
    const log = (): void => step.log(() => ({ rows, ...meter.take(), tokens: totalTokens(rows), shown: {} }));
    if ((await body({ step, rows, accumulate, log })) === "break") break;
  }
  return { out, outcome: await training.finish() };
}

const whole = async ({ step, accumulate, log }: Parts): Promise<undefined> => {
  await accumulate();
  step.update();
  log();
};

test("a loop that takes every part of every step completes its run", async () => {
  const looks: [number, boolean][] = [];
  const { out, outcome } = await train(whole, (look) => void looks.push([looks.length, look.isDue(3)]));
  expect(outcome).toBe("completed");
  expect(looks).toEqual([
    ...[
      [0, true],
      [1, false],
      [2, false],
      [3, true],
    ],
    ...[
      [4, false],
      [5, false],
      [6, true],
    ],
  ]);
  const record = await readRun(out);
  expect(record.steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(record.steps.at(-1)!.loss).toBeLessThan(record.steps[0]!.loss);
  expect(record.settings).toMatchObject({ microBatchSize: 2 });
  expect([...(await readLineage(join(out, "lineage"))).rowsOfStep.get(1)!]).toHaveLength(4);
  expect(existsSync(join(out, "final", "model.safetensors"))).toBe(true);
  expect(readFileSync(join(out, "report.html"), "utf8")).toContain("loss");
});

test("a loop left early is an interrupted run without a result", async () => {
  const { out, outcome } = await train(async (parts) => {
    await whole(parts);
    return parts.step.number === 3 ? "break" : undefined;
  });
  expect(outcome).toBe("interrupted");
  expect((await readRun(out)).steps).toHaveLength(3);
  expect(existsSync(join(out, "final"))).toBe(false);
  const last = await train(async (parts) => {
    await whole(parts);
    return parts.step.number === 6 ? "break" : undefined;
  });
  expect(last.outcome).toBe("completed");
  const unfinished = await train(async (parts) => (parts.step.number === 6 ? "break" : whole(parts)));
  expect(unfinished.outcome).toBe("interrupted");
});

test.each([
  [
    "a step whose passes come in two parts",
    /one `accumulate`, which takes all/,
    async ({ accumulate }: Parts) => {
      await accumulate();
      await accumulate();
    },
  ],
  [
    "an update before any pass",
    /`update` comes once, after `accumulate`/,
    async ({ step }: Parts) => void step.update(),
  ],
  [
    "a step that is updated twice",
    /`update` comes once, after `accumulate`/,
    async ({ accumulate, step }: Parts) => {
      await accumulate();
      step.update();
      step.update();
    },
  ],
  [
    "a step that is not updated",
    /`log` comes after `update`/,
    async ({ accumulate, log }: Parts) => {
      await accumulate();
      log();
    },
  ],
  [
    "a step that is not logged",
    /a step ends with `log`/,
    async ({ accumulate, step }: Parts) => {
      await accumulate();
      step.update();
    },
  ],
])("%s is told, with the order of the parts", async (_name, says, body) => {
  await expect(train(async (parts) => void (await body(parts)) as undefined)).rejects.toMatchObject({
    message: expect.stringMatching(says),
    fix: expect.stringContaining("rowsOf, accumulate, update, log"),
  });
});

test("an error in the middle of a step leaves no tensor behind", async () => {
  await train(whole);
  const before = torch.memoryStats();
  const failing = train(async ({ accumulate, step }) => {
    await accumulate();
    step.update();
    throw new Error("own mistake");
  });
  await expect(failing).rejects.toThrow("own mistake");
  const after = torch.memoryStats();
  expect([after.liveTensors, after.liveBytes]).toEqual([before.liveTensors, before.liveBytes]);
});

test("weights that are to be in parts and lie whole on every rank are refused, and nothing is written", async () => {
  const out = join(mkdtempSync(join(root, "whole-")), "run");
  const settings = sftSettings.parse({ model: tiny.model, data: tiny.data, out, shard: "parameters" });
  const { signal } = new AbortController();
  const context = { recipe: "own", origins: {}, output: "silent" as const, resume: false, signal };
  const alone = await prepareTraining(settings, context);
  const tokenizer = await loadTokenizer(tiny.model);
  const data = await readTrainRows(settings.data, tokenizer, settings);
  const plan = planSteps(data.rows.length, settings);
  using model = loadModel(tiny.model, { trainable: true }); // not in parts
  const trained = trainedWeights(model, null, alone.start);
  using optimizer = adamwToTrain(alone, trained.parameters);
  const parts = {
    ...{ model, trained, optimizer, tokenizer, data, plan, checks: [], opening: "own" },
    learningRate: learningRateSchedule({ ...settings, ...plan }),
  };
  const setup = { ...alone, world: { ...alone.world, group: {} as torch.ProcessGroup } }; // as a rank of several has one
  expect(() => openTraining(setup, parts)).toThrow(
    expect.objectContaining({ code: "ERR_NOT_IN_PARTS", fix: expect.stringContaining("modelToTrain") }),
  );
  expect(existsSync(out)).toBe(false);
  openTraining(alone, parts)[Symbol.dispose](); // one process has everything whatever shard says
});
