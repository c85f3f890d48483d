import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../../../../../tests/tiny-model.js";
import { addLora } from "../../adapters/lora.js";
import type { TokenRow } from "../../data/collate.js";
import { IGNORE_INDEX } from "../../data/render.js";
import { readTrainRows, type TrainRows } from "../../data/train-rows.js";
import type { LanguageModel } from "../../model/language-model.js";
import { loadModel } from "../../model/load.js";
import type { PackedRows } from "../../nn/packed-rows.js";
import { loadTokenizer, type Tokenizer } from "../../tokenizer/tokenizer.js";
import { learningRateSchedule } from "../optim/schedules.js";
import { neighboursCheck, packedCheck, packedLogps, splitCheck } from "./batch-checks.js";
import { initialLossCheck, vocabularyCheck, weightsCheck } from "./model-checks.js";
import { type PreflightInput, preflight, preflightChecks } from "./preflight.js";
import { fewRows } from "./sample.js";
import { scheduleCheck } from "./schedule-check.js";

const root = mkdtempSync(join(tmpdir(), "camelid-preflight-"));
afterAll(() => rmSync(root, { recursive: true }));

const settings = {
  preflight: true,
  onBad: "error",
  maxSeqLen: 512,
  tokenVariant: "B",
  specialTokensInContent: "text",
  lossReduction: "token-mean",
  schedule: "linear",
  learningRate: 1e-3,
  warmupRatio: 0.1,
} as const;

let tiny: TinyModel;
let tokenizer: Tokenizer;
let data: TrainRows;
let rows: TokenRow[];
beforeAll(async () => {
  torch.setNumThreads(1);
  tiny = await writeTinyModel(root);
  tokenizer = await loadTokenizer(tiny.model);
  data = await readTrainRows(tiny.data, tokenizer, settings);
  rows = fewRows(data.rows, 256);
});

const load = (dtype: torch.DType = "float32") => loadModel(tiny.model, { dtype, trainable: true });
const input = (model: LanguageModel): PreflightInput & { settings: typeof settings } => ({
  model,
  parameters: model.namedParameters(),
  tokenizer,
  data,
  plan: { totalSteps: 40 },
  learningRate: learningRateSchedule({ ...settings, totalSteps: 40 }),
  settings,
});

/** The model, with hidden states that `change` makes of its own. */
function altered(
  model: LanguageModel,
  change: (hidden: torch.Tensor, rows: PackedRows) => torch.Tensor,
): LanguageModel {
  return new Proxy(model, {
    get(target, key) {
      if (key === "hiddenStates") return (packed: PackedRows) => change(target.hiddenStates(packed), packed);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("a healthy model and its rows", () => {
  test.each(["float32", "bfloat16"] as const)("pass every check in %s, on time", async (dtype) => {
    using model = load(dtype);
    const started = performance.now();
    const checks = await preflightChecks(input(model));
    expect((performance.now() - started) / 1000).toBeLessThan(30);
    expect(checks.filter(({ status }) => status === "fail")).toEqual([]);
    // A tiny random model is told to be one; nothing else is remarkable.
    expect(checks.filter(({ status }) => status === "warn").map(({ name }) => name)).toEqual([
      "initial loss",
    ]);
    expect(checks).toHaveLength(16);
  });

  test("are as they were afterwards: no gradients, no tensors, no random numbers", async () => {
    using model = load();
    await preflightChecks(input(model)); // rotary tables and the like are made once
    using before = torch.getRandomState();
    const { liveTensors, liveBytes } = torch.memoryStats();
    await preflightChecks(input(model));
    expect(torch.memoryStats()).toMatchObject({ liveTensors, liveBytes });
    using after = torch.getRandomState();
    expect(after.toArray()).toEqual(before.toArray());
    for (const parameter of model.namedParameters().values()) expect(parameter.grad).toBeUndefined();
  });
});

describe("adapters", () => {
  const lora = { rank: 4, alpha: 8, dropout: 0.5, targetModules: ["q_proj", "down_proj"] };

  test("are checked by their own gradients, without dropout, and left as they were", async () => {
    using model = loadModel(tiny.model, { dtype: "float32" });
    const adapter = addLora(model, lora);
    const parameters = adapter.namedParameters();
    using before = torch.getRandomState();
    const checks = await preflightChecks({ ...input(model), parameters });
    expect(checks.find(({ name }) => name === "split")).toMatchObject({ status: "ok" });
    for (const parameter of parameters.values()) expect(parameter.grad).toBeUndefined();
    using after = torch.getRandomState();
    expect(after.toArray()).toEqual(before.toArray());
  });

  test("without influence on the model fail: nothing would be trained", () => {
    using model = loadModel(tiny.model, { dtype: "float32" });
    const parameters = addLora(model, lora).namedParameters();
    torch.noGrad(() => {
      for (const parameter of parameters.values()) parameter.zero_();
    });
    expect(splitCheck(model, parameters, rows, "token-mean")).toMatchObject({
      status: "fail",
      detail: "no weight gets a gradient from these rows",
    });
  });
});

describe("rows that influence each other are found", () => {
  test("attention that crosses rows", () => {
    using model = load();
    // Every token sees the mean of all tokens before it in the stretch, whatever row they belong to.
    const leaking = altered(model, (hidden) => hidden.add(hidden.cumsum(0).mul(0.05)));
    const packed = packedLogps(leaking, rows);
    expect(packedCheck(leaking, rows, packed)).toMatchObject({ status: "fail" });
    expect(neighboursCheck(leaking, rows, packed)).toMatchObject({ status: "fail" });
    expect(splitCheck(leaking, leaking.namedParameters(), rows, "token-mean")).toMatchObject({
      status: "fail",
    });
  });

  test("positions that do not restart", () => {
    using model = load();
    const continued = altered(model, (hidden) => {
      const places = torch.arange(0, hidden.shape[0]!, 1, { dtype: "float32" }).mul(0.01).cos().unsqueeze(1);
      return hidden.mul(places);
    });
    expect(packedCheck(continued, rows, packedLogps(continued, rows))).toMatchObject({
      status: "fail",
      detail: expect.stringMatching(/^row row-\d+ alone and packed differ/),
    });
  });

  test("a leak of one bit, which no tolerance would see", () => {
    using model = load();
    const leaking = altered(model, (hidden) => hidden.add(hidden.mean().mul(1e-4)));
    const packed = packedLogps(leaking, rows);
    expect(packedCheck(leaking, rows, packed).status).toBe("ok");
    expect(neighboursCheck(leaking, rows, packed).status).toBe("fail");
  });

  test("a model that computes NaN", () => {
    using model = load();
    const broken = altered(model, (hidden) => hidden.mul(Number.NaN));
    expect(packedCheck(broken, rows, packedLogps(broken, rows)).status).toBe("fail");
    expect(splitCheck(broken, broken.namedParameters(), rows, "token-mean").status).toBe("fail");
  });
});

test("a mean of micro-batch means depends on the split, and says so", () => {
  using model = load();
  const uneven = rows.map((row, i) => (i === 0 ? { ...row, labels: firstOnly(row.labels) } : row));
  expect(splitCheck(model, model.namedParameters(), uneven, "token-mean").status).toBe("ok");
  expect(splitCheck(model, model.namedParameters(), uneven, "microbatch-mean")).toMatchObject({
    status: "warn",
    fix: expect.stringContaining("token-mean"),
  });
});

const firstOnly = (labels: Int32Array): Int32Array => {
  const first = labels.findIndex((label) => label !== IGNORE_INDEX);
  return labels.map((label, i) => (i === first ? label : IGNORE_INDEX));
};

describe("weights and vocabulary", () => {
  test("NaN in a tensor fails and names it; only the checks that need no pass have run", async () => {
    using model = load();
    const name = "model.layers.1.mlp.down_proj.weight";
    torch.noGrad(() => {
      using element = model.namedParameters().get(name)!.narrow(0, 3, 1);
      element.fill_(Number.NaN);
    });
    expect(weightsCheck(model.namedParameters())).toMatchObject({
      status: "fail",
      detail: expect.stringContaining(name),
    });
    const checks = await preflightChecks(input(model));
    expect(checks.map((check) => check.name)).not.toContain("initial loss");
    await expect(preflight(input(model), { run: {} })).rejects.toMatchObject({
      code: "ERR_PREFLIGHT",
      exitCode: 2,
      message: "1 of 12 preflight checks failed; nothing was written.",
      where: expect.stringContaining(name),
    });
  });

  test("a tensor of zeros is told", () => {
    using zeros = torch.zeros([3, 3]);
    using ones = torch.ones([3]);
    expect(weightsCheck(new Map([["a", ones]])).status).toBe("ok");
    expect(
      weightsCheck(
        new Map([
          ["a", ones],
          ["b", zeros],
        ]),
      ),
    ).toMatchObject({
      status: "warn",
      detail: "1 of 2 tensors are all zeros: b",
    });
  });

  test("ids beyond the embedding fail, an embedding that is mostly out of reach is told", () => {
    const row = { inputIds: Int32Array.of(1, 999) };
    expect(vocabularyCheck({ vocabSize: 1000 }, 1000, [row]).status).toBe("ok");
    expect(vocabularyCheck({ vocabSize: 1001 }, 1000, []).status).toBe("fail");
    expect(vocabularyCheck({ vocabSize: 900 }, 999, [row]).status).toBe("fail");
    expect(vocabularyCheck({ vocabSize: 151_665 }, 151_936, []).status).toBe("ok");
    expect(vocabularyCheck({ vocabSize: 32_000 }, 128_256, []).status).toBe("warn");
  });
});

test.each([
  [2.1, "ok", "guessing gives 10.37"],
  [10.3, "warn", "seem random"],
  [11.5, "warn", "11.50 nats"],
  [25, "fail", "25.00 nats"],
  [Number.NaN, "fail", "the loss is NaN"],
  [Number.POSITIVE_INFINITY, "fail", "the loss is Infinity"],
])("an initial loss of %d over 32,000 ids is %s", (loss, status, detail) => {
  expect(initialLossCheck(loss, 32_000, 100)).toMatchObject({
    status,
    detail: expect.stringContaining(detail),
  });
});

describe("the schedule", () => {
  const plan = { schedule: "linear", learningRate: 2e-5, warmupRatio: 0.03, totalSteps: 1000 } as const;

  test.each(["linear", "cosine", "constant"] as const)("%s lands where planned", (schedule) => {
    const wanted = { ...plan, schedule };
    expect(scheduleCheck(learningRateSchedule(wanted), wanted)).toMatchObject({
      status: "ok",
      detail: expect.stringMatching(/first 0, peak 2e-5 at step 31, last \S+ at step 1000$/),
    });
  });

  test("made for twice the steps, or moved on four times a step, it fails", () => {
    const long = learningRateSchedule({ ...plan, totalSteps: 2000 });
    expect(scheduleCheck(long, plan)).toMatchObject({ status: "fail" });
    const right = learningRateSchedule(plan);
    const perRank = Object.assign((step: number) => right(4 * step - 3), { warmupSteps: right.warmupSteps });
    expect(scheduleCheck(perRank, plan)).toMatchObject({ status: "fail" });
  });

  test("that never leaves warm-up is told", () => {
    const one = { ...plan, totalSteps: 1 };
    expect(scheduleCheck(learningRateSchedule(one), one)).toMatchObject({
      status: "warn",
      detail: "all 1 steps are warm-up, the last has rate 0 of 2e-5",
    });
  });
});

describe("the sample", () => {
  test("stays within its tokens, has something to train, and is empty when there is no time", () => {
    const few = fewRows(data.rows, 100);
    expect(few.reduce((sum, row) => sum + row.inputIds.length, 0)).toBeLessThanOrEqual(100);
    expect(fewRows(data.rows, 60)).toEqual([]);
    expect(fewRows([], 1000)).toEqual([]);
  });

  test("trains every token of its pieces when no answer begins in them", () => {
    const inputIds = Int32Array.from({ length: 500 }, (_, i) => i);
    const late = {
      id: "late",
      dataset: "d",
      inputIds,
      labels: inputIds.map((id) => (id < 400 ? IGNORE_INDEX : id)),
    };
    expect(fewRows([late], 128)).toHaveLength(4);
    for (const { labels } of fewRows([late], 128)) expect(labels).toEqual(inputIds.slice(0, 32));
  });

  test("a model too slow for the time given is told, and its rows are checked all the same", async () => {
    using model = load();
    const checks = await preflightChecks(input(model), 1e-6);
    expect(checks.at(-1)).toMatchObject({ name: "batches", status: "warn" });
    expect(checks.map(({ name }) => name)).toContain("turn end");
  });
});

test("switched off, or with a run that goes on, nothing is checked", async () => {
  using model = load();
  const off = { ...input(model), settings: { ...settings, preflight: false } };
  expect(await preflight(off, { run: {} })).toEqual([]);
  expect(await preflight(input(model), { run: { resume: true } })).toEqual([]);
  expect(await preflight(input(model), { run: {} })).toHaveLength(16);
});
