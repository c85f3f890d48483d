/** `camelid eval` from end to end: a tiny model over every task that needs nothing but a model, on sample files of our own. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Prediction } from "../../packages/camelid/src/eval/predictions.js";
import type { EvalMetrics } from "../../packages/camelid/src/eval/results-folder.js";
import { writeSampleData } from "../eval/sample-data.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError, readJsonLines } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-eval-"));
const TASKS = ["mmlu", "mmlu-5shot", "gsm8k", "bbh", "tydiqa", "perplexity"];
let tiny: TinyModel;
let data: string;
let out: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache"); // no file of this machine's cache
  tiny = await writeTinyModel(join(root, "tiny"));
  data = writeSampleData(join(root, "data"));
});
afterAll(() => {
  delete process.env.CAMELID_CACHE;
  rmSync(root, { recursive: true });
});
beforeEach(() => {
  out = join(mkdtempSync(join(root, "test-")), "out");
});

const metricsOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, "metrics.json"), "utf8")) as EvalMetrics;
const run = (...words: string[]) =>
  camelid("eval", "--model", tiny.model, "--data", data, "--threads", "1", "--shots", "0", ...words);

test("every task leaves a number, a line per item and a page; metrics are what the lines add up to", async () => {
  const text = `${data}/perplexity/text.txt,${data}/perplexity/rows.jsonl`;
  const { code, err } = await run("--tasks", TASKS.join(","), "--text", text, "--out", out);
  expect(err).not.toMatch(/Error/);
  expect(code).toBe(0);

  const { tasks, model, profile } = metricsOf(out);
  expect({ name: model.name, profile }).toEqual({ name: tiny.model, profile: "standard" });
  expect(Object.keys(tasks)).toEqual(TASKS);
  const counts = { mmlu: 3, "mmlu-5shot": 3, gsm8k: 3, bbh: 3, tydiqa: 3, perplexity: 3 };
  for (const [name, summary] of Object.entries(tasks)) {
    const lines = readJsonLines<Prediction>(join(out, summary.predictions));
    expect(lines, name).toHaveLength(counts[name as keyof typeof counts]);
    expect(summary.items).toBe(lines.length);
    expect(summary.right).toBe(lines.filter(({ verdict }) => verdict === "right").length);
    expect(summary.truncated).toBe(lines.filter(({ truncated }) => truncated).length);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
    for (const line of lines) {
      expect(line).toMatchObject({ task: name, answers: expect.any(Array) });
      expect(line.prompt?.length || name === "perplexity", `${name} ${line.id} has its prompt`).toBeTruthy();
      expect(["right", "wrong"]).toContain(line.verdict);
    }
    expect(typeof summary.score, name).toBe("number");
  }
  const [gsm] = readJsonLines<Prediction>(join(out, "gsm8k.jsonl"));
  expect(gsm!.prompt).toMatch(/^Answer the following question\.\n\nQuestion: Ann has 3 pens.*\nAnswer:$/);
  const page = readFileSync(join(out, "report.html"), "utf8");
  for (const title of ["MMLU", "GSM8K", "BBH", "TyDiQA-GoldP", "Perplexity"]) expect(page).toContain(title);
  expect(readdirSync(out).sort()).toEqual(
    ["answers", ...TASKS.map((name) => `${name}.jsonl`), "metrics.json", "report.html"].sort(),
  );
}, 120_000);

test("each task's own predictions give the same numbers through --replay", async () => {
  const text = `${data}/perplexity/rows.jsonl`;
  await run("--tasks", TASKS.join(","), "--text", text, "--out", out);
  const live = metricsOf(out).tasks;
  for (const task of TASKS) {
    const folder = `${out}-${task}`;
    const words = ["--replay", join(out, `${task}.jsonl`), "--data", data, "--shots", "0", "--text", text];
    const { code, err } = await camelid("eval", ...words, "--out", folder);
    expect(code, err).toBe(0);
    const { score, interval, right, wrong, truncated, empty, metrics } = metricsOf(folder).tasks[task]!;
    expect({ score, interval, right, wrong, truncated, empty, metrics }, task).toEqual({
      score: live[task]!.score,
      interval: live[task]!.interval,
      right: live[task]!.right,
      wrong: live[task]!.wrong,
      truncated: live[task]!.truncated,
      empty: live[task]!.empty,
      metrics: live[task]!.metrics,
    });
  }
}, 60_000);

test("called again nothing is asked, a further task is added, and the numbers are the same", async () => {
  await run("--tasks", "bbh", "--out", out);
  const before = metricsOf(out);
  await run("--tasks", "bbh,mmlu", "--out", out);
  const after = metricsOf(out);
  expect({ ...after.tasks.bbh, seconds: 0 }).toEqual({ ...before.tasks.bbh, seconds: 0 });
  expect(Object.keys(after.tasks)).toEqual(["bbh", "mmlu"]);
  expect(after.counters!.model!.requests).toBe(3); // MMLU's; BBH's answers were there
  expect(before.counters!.model!.requests).toBe(3);
}, 60_000);

test("an evaluation that died goes on with the answers it has, even when the last line is cut", async () => {
  await run("--tasks", "gsm8k", "--out", out);
  const whole = readFileSync(join(out, "gsm8k.jsonl"), "utf8");
  const answers = join(out, "answers/model.jsonl");
  const lines = readFileSync(answers, "utf8").split("\n");
  writeFileSync(answers, `${lines[0]}\n${lines[1]!.slice(0, 30)}`);
  for (const name of ["metrics.json", "report.html", "gsm8k.jsonl"]) rmSync(join(out, name));
  await run("--tasks", "gsm8k", "--out", out);
  expect(readFileSync(join(out, "gsm8k.jsonl"), "utf8")).toBe(whole);
  expect(metricsOf(out).counters!.model!.requests).toBe(2);
}, 60_000);

test("the two profiles ask and read differently, and do not share a folder", async () => {
  await run("--tasks", "mmlu", "--profile", "tulu2-paper", "--out", out);
  const [first] = readJsonLines<Prediction>(join(out, "mmlu.jsonl"));
  expect(first!.prompt).toContain("about  high school biology.");
  expectOneClearError(await run("--tasks", "mmlu", "--out", out), {
    code: "ERR_EVAL_OUT",
    says: /results of profile tulu2-paper, not standard/,
  });
}, 60_000);

test("--limit takes items from all over the task and the report says so", async () => {
  await run("--tasks", "bbh", "--limit", "2", "--out", out);
  expect(readJsonLines<Prediction>(join(out, "bbh.jsonl")).map(({ id }) => id)).toEqual([
    "boolean_expressions/0",
    "boolean_expressions/1",
  ]);
  expect(readFileSync(join(out, "report.html"), "utf8")).toContain("--limit 2");
}, 60_000);

test("neither how many items go together nor how many are asked for changes any of them", async () => {
  const lines = async (name: string, ...words: string[]) => {
    await run("--tasks", "bbh,tydiqa", "--out", `${out}-${name}`, ...words);
    const all = ["bbh", "tydiqa"].flatMap((task) =>
      readJsonLines<Prediction>(join(`${out}-${name}`, `${task}.jsonl`)),
    );
    return new Map(all.map((line) => [`${line.task} ${line.id}`, line]));
  };
  const together = await lines("together");
  expect(await lines("alone", "--batch-size", "1")).toEqual(together);
  for (const [key, line] of await lines("few", "--limit", "2")) expect(line).toEqual(together.get(key));
}, 60_000);

test("--dry-run writes the prompts and asks nobody", async () => {
  await run("--tasks", "gsm8k", "--dry-run", "--out", out);
  const lines = readJsonLines<Prediction>(join(out, "gsm8k.dry-run.jsonl"));
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatchObject({
    verdict: "skipped",
    reason: expect.stringContaining("dry-run"),
    answers: [],
  });
  expect(lines[0]!.prompt).toContain("Ann has 3 pens");
  expect(existsSync(join(out, "metrics.json"))).toBe(false);
});

test("what cannot be done is one clear error, and nothing is written", async () => {
  const cases: [words: string[], code: string, says: RegExp][] = [
    [["--tasks", "gms8k"], "ERR_EVAL_TASK", /no task "gms8k"/],
    [["--tasks", "gsm8k", "--endpoint", "http://127.0.0.1:9/v1"], "ERR_EVAL_SUBJECT", /more than one/],
    [["--tasks", "gsm8k", "--options", "exemplars"], "ERR_EVAL_OPTION", /no option of a task/],
    [["--tasks", "perplexity"], "ERR_EVAL_DATA_MISSING", /needs a file/],
    [["--tasks", "gsm8k", "--strict-data"], "ERR_EVAL_DATA_ALTERED", /test\.jsonl is not the official file/],
    [
      ["--tasks", "gsm8k", "--profile", "tulu2-paper", "--shots", "8"],
      "ERR_EVAL_EXEMPLARS",
      /eight examples/,
    ],
  ];
  for (const [words, code, says] of cases) {
    expectOneClearError(await run(...words, "--out", out), { code, says });
    expect(existsSync(join(out, "metrics.json")), code).toBe(false);
  }
  const { err } = await run("--tasks", "gms8k", "--out", out);
  expect(err).toContain('did you mean "gsm8k"?');
  expectOneClearError(await camelid("eval", "--out", out), {
    code: "ERR_EVAL_SUBJECT",
    says: /nothing to eval/,
  });
  expectOneClearError(await camelid("eval", "--model", tiny.model, "--out", out), {
    code: "ERR_MISSING_VALUE",
    says: /no task/,
  });
  expectOneClearError(await camelid("eval", "--model", tiny.model, "--tasks", "gsm8k", "--out", out), {
    code: "ERR_EVAL_DATA_MISSING",
    says: /gsm8k\/test\.jsonl is not in the data folder/,
  });
}, 60_000);

test("an endpoint is evaluated like a model; perplexity, which it cannot answer, is refused", async () => {
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => {
      text += String(chunk);
    });
    request.on("end", () => {
      const question = JSON.parse(text).messages.at(-1).content as string;
      const content = question.includes("Ann has 3 pens")
        ? "3 and 4 make 7. So the answer is 7."
        : "I do not know.";
      response.writeHead(200, { "content-type": "application/json" });
      response.end(
        JSON.stringify({
          choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
          usage: { prompt_tokens: 100, completion_tokens: 10 },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const words = [
      "--endpoint",
      endpoint,
      "--endpoint-model",
      "m",
      "--data",
      data,
      "--price",
      "1,2",
      "--out",
      out,
    ];
    expect((await camelid("eval", "--tasks", "gsm8k,mmlu", ...words)).code).toBe(0);
    const { tasks, counters } = metricsOf(out);
    expect(tasks.gsm8k).toMatchObject({ right: 1, wrong: 2, extraction_failed: 2 });
    expect(tasks.mmlu).toMatchObject({ right: 0, graded: 3, extraction_failed: 3 });
    expect(counters!.model).toMatchObject({
      requests: 6,
      prompt_tokens: 600,
      cost_usd: expect.closeTo(0.00072),
    });
    expectOneClearError(await camelid("eval", "--tasks", "perplexity", ...words), {
      code: "ERR_EVAL_NO_SCORES",
      says: /needs log-probabilities/,
    });
  } finally {
    server.close();
  }
}, 60_000);

test("two evaluations are compared item by item", async () => {
  await run("--tasks", "mmlu", "--out", out);
  const other = `${out}-2`;
  await run("--tasks", "mmlu", "--chat", "yes", "--out", other);
  const { code, out: text } = await camelid("compare", out, other, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(text)).toMatchObject({ tasks: [{ key: "mmlu", items: 3 }], unmatched: [] });
}, 60_000);
