/** Published figures out of stored judgments and programs, through the path of live ones. Needs the real files. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { replay } from "../../packages/camelid/src/eval/replay.js";
import { sharedData } from "../shared-data.js";
import { writeJudgedData } from "./judged-data.js";

const root = mkdtempSync(join(tmpdir(), "camelid-replay-"));
afterAll(() => rmSync(root, { recursive: true }));
const data = sharedData();
const cores = Number(process.env.CAMELID_TEST_THREADS ?? 2);

describe.skipIf(data === undefined)("published figures", () => {
  const run = (path: string) =>
    replay({
      replay: join(data!, path),
      data: [data!],
      out: mkdtempSync(join(root, "out-")),
      concurrency: cores,
    });

  test("HumanEval: 98 of 164 generations pass, each as upstream says", async () => {
    const { metrics } = await run("human_eval/generations/wizardcoder-15b.T0.0_N1.results.59.8.jsonl.gz");
    expect(metrics.tasks["codex-eval"]).toMatchObject({
      items: 164,
      graded: 164,
      upstream: { agree: 164, differ: [] },
    });
    expect(metrics.tasks["codex-eval"]!.score).toBeCloseTo((100 * 98) / 164, 10);
  }, 180_000);

  const winRates: [string, number][] = [
    ["alpaca-7b", 26.459627329192543],
    ["llama-2-7b-chat-hf", 71.36645962732919],
    ["oasst-rlhf-llama-33b", 66.52173913043478],
    ["tulu-2-dpo-13b", 88.12189054726367],
    ["tulu-2-dpo-7b", 84.22360248447205],
    ["wizardlm-13b", 75.31094527363184],
  ];
  test.for(winRates)("AlpacaEval: the win rate of %s is the leaderboard's", async ([name, winRate]) => {
    const { metrics } = await run(`alpaca_eval/results/${name}/alpaca_eval_gpt4/annotations.json.gz`);
    const summary = metrics.tasks[`alpaca-eval@${name}`]!;
    expect(summary.score).toBeCloseTo(winRate, 10);
    expect(summary.items).toBe(805);
  });

  test("MT-Bench: the averages of both models are the published ones", async () => {
    const { metrics } = await run("mt_bench/data/mt_bench/model_judgment/gpt-4_single.jsonl.gz");
    const scores = Object.values(metrics.tasks).map(({ run, score }) => [run, score]);
    expect(scores).toEqual([
      ["gpt-4-1106-preview", 9.228125],
      ["mistralai/Mixtral-8x7B-Instruct-v0.1", 8.340625],
    ]);
  });

  test("files cut in the middle score nothing", async () => {
    const path = "alpaca_eval/results/tulu-2-dpo-7b/alpaca_eval_gpt4/annotations.json.gz";
    const whole = gunzipSync(readFileSync(join(data!, path))).toString("utf8");
    const cut = join(root, "annotations.json");
    writeFileSync(cut, whole.slice(0, whole.length / 2));
    const again = { replay: cut, data: [data!], out: join(root, "cut") };
    await expect(replay(again)).rejects.toThrow(expect.objectContaining({ code: "ERR_EVAL_REPLAY_DAMAGED" }));
  });
});

test("stored answers that are not what they should be are refused with their record", async () => {
  const own = writeJudgedData(join(root, "data"));
  const refuse = async (rows: readonly object[], pattern: RegExp) => {
    const file = join(root, "rows.jsonl");
    writeFileSync(file, rows.map((row) => JSON.stringify(row)).join("\n"));
    const out = mkdtempSync(join(root, "refused-"));
    await expect(replay({ replay: file, data: [own], out })).rejects.toThrow(
      expect.objectContaining({ code: "ERR_EVAL_DATA_DAMAGED", message: expect.stringMatching(pattern) }),
    );
  };
  const sample = { task_id: "HumanEval/0", completion: "    return 4" };
  await refuse([sample, { task_id: "HumanEval/999", completion: "" }], /no problem HumanEval\/999/);
  await refuse([sample, { task_id: "HumanEval/1" }], /"task_id" and "completion"/);
  const judged = { question_id: 81, model: "m", judge: ["j", "p"], judgment: "[[5]]", score: 5, turn: 1 };
  await refuse([judged, judged], /judged twice/);
  await refuse([{ ...judged, question_id: 5 }], /no question 5/);
  const pair = {
    instruction: "i",
    output_1: "a",
    output_2: "b",
    generator_1: "g",
    generator_2: "h",
    preference: 2,
  };
  await refuse([pair, { ...pair, preference: 7 }], /preference is 7/);
});

test("several samples of a problem are put together; bodies are put behind their prompt", async () => {
  const own = writeJudgedData(join(root, "data"));
  const file = join(root, "samples.jsonl");
  const bodies = ["    return 2 * x", "    return 4", "    return x + x"];
  writeFileSync(
    file,
    bodies.map((completion) => JSON.stringify({ task_id: "HumanEval/0", completion })).join("\n"),
  );
  const { metrics } = await replay({ replay: file, data: [own], out: join(root, "samples") });
  expect(metrics.tasks["codex-eval"]!.score).toBeCloseTo((100 * 2) / 3, 10);
});
