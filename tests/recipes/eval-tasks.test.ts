/** `evalTasks`: benchmarks while training, which change nothing of it and survive what a run survives. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RecipeContext, readMetrics, readRun, runReport } from "camelid";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as dpo from "../../recipes/dpo.js";
import * as sft from "../../recipes/sft.js";
import { writeJudgedData } from "../eval/judged-data.js";
import { writeSampleData } from "../eval/sample-data.js";
import { traceOf } from "../faults/training.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-eval-tasks-"));
let tiny: TinyModel;
let data: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache"); // no file of this machine's cache
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 24 });
  data = writeSampleData(join(root, "data"));
});
afterAll(() => {
  delete process.env.CAMELID_CACHE;
  rmSync(root, { recursive: true });
});

const TASKS = { evalTasks: ["mmlu", "bbh"], evalTasksShots: 0, evalTasksLimit: 2 };

async function train(
  changes: Partial<sft.SftSettings> = {},
  { resume = false, controller = new AbortController() } = {},
) {
  const out = changes.out ?? join(mkdtempSync(join(root, "run-")), "run");
  const settings = sft.settings.parse({
    ...{ model: tiny.model, data: tiny.data, out, threads: 1, preflight: false },
    ...{ microBatchSize: 2, gradAccumSteps: 2, learningRate: 1e-2, maxSteps: 4 },
    ...changes,
  });
  const context: RecipeContext = {
    ...{ recipe: "sft", origins: {}, output: "silent", resume, signal: controller.signal },
  };
  const outcome = await sft.run(settings, context);
  return { out, outcome, record: await readRun(out) };
}

test("tasks are evaluated before, at steps and after, logged with their intervals, and the training is the same bits", async () => {
  const plain = await train();
  const { out, record } = await train({ ...TASKS, evalTasksData: [data], evalTasksEverySteps: 2 });
  expect(await traceOf(out)).toEqual(await traceOf(plain.out));
  expect(record.evals.map(({ step, name }) => `${step} ${name}`)).toEqual(
    [0, 2, 4].flatMap((step) => [`${step} mmlu`, `${step} bbh`]),
  );
  for (const { step, name, metrics } of record.evals) {
    const stored = readMetrics(join(out, `evals/step-${step}`)).tasks[name]!;
    expect(metrics).toMatchObject({ score: stored.score, items: 2, low: stored.interval![0] });
  }
  const report = runReport(record);
  expect(report).toContain("Benchmarks");
  expect(report).toContain('aria-label="bbh');
}, 60_000);

test("without evalTasksEverySteps the end alone is evaluated, in DPO too", async () => {
  const { record } = await train({ ...TASKS, evalTasksData: [data] });
  expect(record.evals.map(({ step }) => step)).toEqual([4, 4]);

  const out = join(root, "dpo");
  const rows = readFileSync(tiny.data, "utf8").trim().split("\n").slice(0, 8);
  const pairs = rows.map((line) => {
    const { id, messages } = JSON.parse(line);
    const last = { role: "assistant", content: "no." };
    return { id, chosen: messages.slice(0, 2), rejected: [messages[0], last] };
  });
  const file = join(root, "pairs.json");
  writeFileSync(file, JSON.stringify(pairs));
  const settings = dpo.settings.parse({
    ...{ model: tiny.model, data: file, out, threads: 1, preflight: false, answerPrompts: null },
    ...{ microBatchSize: 2, gradAccumSteps: 2, maxSteps: 1, ...TASKS, evalTasksData: [data] },
  });
  const signal = new AbortController().signal;
  await dpo.run(settings, { recipe: "dpo", origins: {}, output: "silent", resume: false, signal });
  expect((await readRun(out)).evals.filter(({ name }) => name === "bbh").map(({ step }) => step)).toEqual([
    1,
  ]);
}, 60_000);

test("what is wrong with names, files or judges is told before anything is written", async () => {
  const cases: [Partial<sft.SftSettings>, string][] = [
    [{ ...TASKS, evalTasks: ["gms8k"] }, "ERR_EVAL_TASK"],
    [{ ...TASKS, evalTasksData: [join(root, "nowhere")] }, "ERR_EVAL_DATA_MISSING"],
    [{ ...TASKS, evalTasks: ["alpaca-eval"] }, "ERR_EVAL_JUDGE"],
    [{ ...TASKS, evalTasksData: [data], evalTasksOptions: ["direct"] }, "ERR_EVAL_OPTION"],
  ];
  for (const [changes, code] of cases) {
    const out = join(root, `wrong-${code}`);
    await expect(train({ ...changes, out })).rejects.toMatchObject({ code });
    expect(existsSync(out), code).toBe(false);
  }
}, 60_000);

test("an evaluation that Ctrl+C cut is done on resume, what was done is kept, and only then the run is complete", async () => {
  const controller = new AbortController();
  let interrupts = true;
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      // The signal comes while the judge is thinking.
      if (interrupts) return controller.abort();
      const message = { role: "assistant", content: "[{'model': 'model_1', 'rank': 1}]" };
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ choices: [{ index: 0, message, finish_reason: "stop" }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const judge = `judge=http://127.0.0.1:${(server.address() as AddressInfo).port}/v1#judge`;
  const settings = {
    ...{ ...TASKS, evalTasks: ["bbh", "alpaca-eval"], evalTasksJudges: [judge] },
    ...{ evalTasksData: [data, writeJudgedData(join(root, "judged"))], out: join(root, "cut") },
  };
  try {
    const first = await train(settings, { controller });
    expect(first.outcome).toBe("interrupted");
    expect(first.record.evals.map(({ name }) => name)).toEqual(["bbh"]);
    expect(existsSync(join(settings.out, "final"))).toBe(false);
    interrupts = false;
    const resumed = await train(settings, { resume: true });
    expect(resumed.outcome).toBe("completed");
    expect(resumed.record.evals.map(({ step, name }) => [step, name])).toEqual([
      [4, "bbh"],
      [4, "alpaca-eval"],
    ]);
    expect(existsSync(join(settings.out, "final/model.safetensors"))).toBe(true);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}, 60_000);

test("a judge that is not there is a warning of the run; the model is saved", async () => {
  const judged = writeJudgedData(join(root, "judged"));
  const { outcome, record, out } = await train({
    evalTasks: ["toxigen"],
    evalTasksData: [judged],
    evalTasksLimit: 2,
    evalTasksJudges: [`classifier=${join(root, "no-such-folder")}`],
  });
  expect(outcome).toBe("completed");
  expect(existsSync(join(out, "final/model.safetensors"))).toBe(true);
  const warnings = record.events.filter((event) => event.event === "warning-raised");
  expect(warnings.map(({ code }) => code)).toEqual(["EVAL_TASKS_FAILED"]);
}, 60_000);
