/** Stored answers graded through `camelid eval --replay`; on real files the published figures come out exactly. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { EvalMetrics } from "../../packages/camelid/src/eval/results-folder.js";
import { camelid, expectOneClearError, readJsonLines } from "../cli/camelid.js";
import { sharedData } from "../shared-data.js";
import { writeSampleData } from "./sample-data.js";

const root = mkdtempSync(join(tmpdir(), "camelid-replay-"));
afterAll(() => rmSync(root, { recursive: true }));
let out: string;
beforeEach(() => {
  out = join(mkdtempSync(join(root, "test-")), "out");
});

const metricsOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, "metrics.json"), "utf8")) as EvalMetrics;

const solution = (text: string, right: boolean) => ({ is_correct: right, solution: text });
const gsmRow = (truth: string, small: [string, boolean], large: [string, boolean]) =>
  JSON.stringify({
    question: "How many?",
    ground_truth: `So many.\nA: ${truth}`,
    small: solution(...small),
    large: solution(...large),
  });

test("GSM8K: every system of the file is a run of its own, agreement with stored verdicts is counted", async () => {
  const file = join(root, "solutions.jsonl");
  const rows = [
    gsmRow("18", ["A: 18", true], ["A: 17", false]),
    gsmRow("1,000", ["It is 1,000", true], ["A: 1000.00", true]),
    gsmRow("5", ["nothing", false], ["A: 5", false]), // upstream is wrong here
  ];
  writeFileSync(file, `${rows.join("\n")}\n`);
  expect((await camelid("eval", "--replay", file, "--out", out)).code).toBe(0);
  const { tasks } = metricsOf(out);
  expect(Object.keys(tasks)).toEqual(["gsm8k@small", "gsm8k@large"]);
  expect(tasks["gsm8k@small"]).toMatchObject({ right: 2, wrong: 1, extraction_failed: 1 });
  expect(tasks["gsm8k@small"]!.upstream).toEqual({ compared: 3, agree: 3, differ: [] });
  expect(tasks["gsm8k@large"]).toMatchObject({
    right: 2,
    upstream: { compared: 3, agree: 2, differ: ["2"] },
  });
  const lines = readJsonLines<Record<string, unknown>>(join(out, "gsm8k@large.jsonl"));
  expect(lines[1]).toMatchObject({
    id: "1",
    prompt: "How many?",
    output: "A: 1000.00",
    extracted: "1000.00",
  });
  expect(readFileSync(join(out, "report.html"), "utf8")).toContain("GSM8K, large");
});

const bbhFile = (outputs: readonly [prediction: string, target: string][]) =>
  JSON.stringify({ outputs: outputs.map(([prediction, target]) => ({ input: "Q: ?", prediction, target })) });

test("BBH: one file a task, together one run", async () => {
  const folder = mkdtempSync(join(root, "bbh-"));
  writeFileSync(join(folder, "navigate_few_shot.json"), bbhFile([["So the answer is No.", "No"]]));
  writeFileSync(
    join(folder, "snarks_few_shot.json"),
    bbhFile([
      ["So the answer is (A).", "(B)"],
      ["So the answer is (B).", "(B)"],
    ]),
  );
  writeFileSync(join(folder, "snarks_metrics.jsonl"), '{"accuracy": 50}\n');
  expect((await camelid("eval", "--replay", folder, "--out", out)).code).toBe(0);
  const { bbh } = metricsOf(out).tasks;
  expect(bbh).toMatchObject({ score: 75, items: 3 });
  expect(bbh!.groups).toMatchObject({ navigate: { score: 100 }, snarks: { score: 50 } });
});

test("own predictions are graded again, by another profile if wanted", async () => {
  const data = writeSampleData(join(root, "data"));
  const answers = (text: string) => [
    { kind: "generate", samples: [{ text, finishReason: "stop", tokens: 1 }] },
  ];
  const line = (id: string, text: string) =>
    JSON.stringify({
      task: "gsm8k",
      id,
      prompt: "?",
      output: text,
      extracted: null,
      verdict: "wrong",
      score: 0,
      answers: answers(text),
    });
  const file = join(root, "gsm8k.jsonl");
  writeFileSync(file, `${[line("0", "It is 7.00"), line("1", "3,000"), line("2", "It is 5")].join("\n")}\n`);
  const options = ["--replay", file, "--data", data, "--shots", "0"];
  expect((await camelid("eval", ...options, "--out", out)).code).toBe(0);
  expect(metricsOf(out).tasks.gsm8k).toMatchObject({ right: 2, wrong: 1 });
  await camelid("eval", ...options, "--out", `${out}-paper`, "--profile", "tulu2-paper");
  const paper = readJsonLines<{ id: string; verdict: string }>(join(`${out}-paper`, "gsm8k.jsonl"));
  expect(paper.map(({ verdict }) => verdict)).toEqual(["wrong", "right", "right"]); // 7.00 is 700, 5 is -5

  writeFileSync(file, `${line("99", "7")}\n`);
  expectOneClearError(await camelid("eval", ...options, "--out", `${out}-3`), {
    code: "ERR_EVAL_REPLAY",
    says: /no item "99" of GSM8K/,
    where: /record 1/,
  });
});

test("a file cut in the middle is an error with its line, and nothing is written", async () => {
  const file = join(root, "cut.jsonl");
  const row = gsmRow("18", ["A: 18", true], ["A: 18", true]);
  writeFileSync(file, `${row}\n${row.slice(0, 40)}`);
  expectOneClearError(await camelid("eval", "--replay", file, "--out", out), {
    code: "ERR_EVAL_REPLAY_DAMAGED",
    says: /not JSON/,
    where: /cut\.jsonl line 2/,
  });
  expect(existsSync(out)).toBe(false);
});

test("files that nobody knows are an error that lists what is known", async () => {
  const file = join(root, "other.jsonl");
  writeFileSync(file, '{"instruction": "a"}\n');
  expectOneClearError(await camelid("eval", "--replay", file, "--tasks", "gsm8k", "--out", out), {
    code: "ERR_EVAL_REPLAY_FORMAT",
    says: /no format that is known/,
  });
  for (const [name, text] of [
    ["empty.jsonl", ""],
    ["bytes.json.gz", "no gzip at all {"],
  ] as const) {
    writeFileSync(join(root, name), text);
    expectOneClearError(await camelid("eval", "--replay", join(root, name), "--out", out), {
      code: "ERR_EVAL_REPLAY_DAMAGED",
      says: /cannot be read/,
    });
  }
  expectOneClearError(await camelid("eval", "--replay", join(root, "nowhere"), "--out", out), {
    code: "ERR_EVAL_REPLAY",
    says: /no such file/,
  });
});

describe.skipIf(sharedData() === undefined)("golden figures on real files", () => {
  const shared = sharedData() ?? "";

  test("GSM8K solutions graded upstream: 259, 467, 406 and 667 of 1,187, verdict by verdict", async () => {
    const file = join(shared, "gsm8k/example_model_solutions.jsonl.gz");
    expect((await camelid("eval", "--replay", file, "--out", out)).code).toBe(0);
    const { tasks } = metricsOf(out);
    for (const [run, right] of [
      ["6b_finetuning", 259],
      ["6b_verification", 467],
      ["175b_finetuning", 406],
      ["175b_verification", 667],
    ] as const) {
      const found = tasks[`gsm8k@${run}`];
      expect(found, run).toMatchObject({
        right,
        items: 1187,
        failed: 0,
        upstream: { agree: 1187, compared: 1187 },
      });
    }
  });

  test("BBH outputs: the published accuracy of all 22 tasks, to the last bit", async () => {
    const folder = join(shared, "bbh/code-davinci-002-outputs/code-davinci-002-cot");
    expect((await camelid("eval", "--replay", folder, "--tasks", "bbh", "--out", out)).code).toBe(0);
    const groups = Object.entries(metricsOf(out).tasks.bbh!.groups!);
    expect(groups).toHaveLength(22);
    for (const [task, { score }] of groups) {
      const published = join(folder, `${task}_few_shot_template_0-255000_eval_metrics.jsonl`);
      expect(score, task).toBe(JSON.parse(readFileSync(published, "utf8")).accuracy);
    }
  });
});
