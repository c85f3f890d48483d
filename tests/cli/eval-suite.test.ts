/**
 * `camelid eval` of a model like the demo's over every task there is, on slices: prompts, generation, the sandbox, judges, the classifier,
 * files and report in one run. The weights are untrained: what is tested is that every number has its items and every item its verdict.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openHouseJudge } from "../../packages/camelid/src/cli/experiment/house-judge.js";
import { type LaidOut, layOutMiniature } from "../../packages/camelid/src/cli/experiment/miniature.js";
import type { Prediction } from "../../packages/camelid/src/eval/predictions.js";
import { PAPER_SUITE, taskNames } from "../../packages/camelid/src/eval/registry.js";
import type { EvalMetrics } from "../../packages/camelid/src/eval/results-folder.js";
import { writeJudgedData } from "../eval/judged-data.js";
import { parityPath } from "../parity/reference.js";
import { camelid, readJsonLines } from "./camelid.js";

const LIMIT = 2;
/** MBPP has one function here, perplexity one text. */
const ONE_ITEM = new Set(["mbpp", "perplexity"]);
const root = mkdtempSync(join(tmpdir(), "camelid-suite-"));
let laid: LaidOut;
let mbpp: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache"); // no file of this machine's cache
  laid = await layOutMiniature(root, { seed: 3, documents: 300, rows: 200, pairs: 40, items: 6 });
  mbpp = writeJudgedData(join(root, "judged"));
});
afterAll(() => {
  delete process.env.CAMELID_CACHE;
  rmSync(root, { recursive: true });
});

/** An untrained model does not stop: a turn of MT-Bench is 1,024 tokens, more when its odd bytes are encoded again. */
function withLongContext(folder: string): string {
  const path = join(folder, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...config, max_position_embeddings: 8192 }));
  return folder;
}

test("every task of the registry runs from the command line: a verdict for every item, a page, the paper's averages", async () => {
  const model = withLongContext(laid.given.blank!.path);
  const names = taskNames();
  expect(names).toEqual(expect.arrayContaining([...PAPER_SUITE]));
  const out = join(root, "out");
  const others = names.filter((name) => !PAPER_SUITE.includes(name)); // `all` is the paper's suite
  const run = async (judge: string) =>
    camelid(
      ...["eval", "--model", model, "--tasks", ["all", ...others].join(","), "--out", out, "--threads", "1"],
      ...["--data", `${laid.evalData},${mbpp}`, "--text", join(laid.evalData, "truthfulqa/qa_preset.txt")],
      ...["--shots", "0", "--limit", String(LIMIT), "--options", "alpaca-eval.maxNewTokens=64"],
      ...[
        "--judges",
        `judge=${judge},truth=${judge},info=${judge},classifier=${parityPath("roberta/fixtures/model")}`,
      ],
    );
  {
    await using judge = await openHouseJudge(laid.judged);
    const { code, err } = await run(`${judge.url}#house`);
    expect(err).not.toMatch(/Error/);
    expect(code).toBe(0);
  }

  const { tasks, averages, counters } = JSON.parse(
    readFileSync(join(out, "metrics.json"), "utf8"),
  ) as EvalMetrics;
  expect(Object.keys(tasks).sort()).toEqual([...names].sort());
  const page = readFileSync(join(out, "report.html"), "utf8");
  for (const [name, summary] of Object.entries(tasks)) {
    const lines = readJsonLines<Prediction>(join(out, summary.predictions));
    expect(lines.length, name).toBe(ONE_ITEM.has(name) ? 1 : LIMIT);
    expect(summary.graded, `${name}: ${JSON.stringify(summary.reasons)}`).toBe(lines.length);
    expect(typeof summary.score, name).toBe("number");
    for (const { verdict, answers } of lines) {
      expect(["right", "wrong"], name).toContain(verdict);
      expect(answers.length, name).toBeGreaterThan(0);
    }
    expect(page).toContain(summary.title);
  }
  // Judges and classifier were asked, programs ran.
  expect(tasks["mt-bench"]!.score).toBeGreaterThanOrEqual(1);
  expect(readJsonLines<Prediction>(join(out, "codex-eval.jsonl"))[0]!.details).toBeDefined();
  expect(Object.keys(counters!).sort()).toEqual(
    [
      "alpaca-eval.judge",
      "model",
      "mt-bench.judge",
      "toxigen.classifier",
      "truthfulqa.info",
      "truthfulqa.truth",
    ].sort(),
  );
  expect(averages).toEqual({ seven: expect.any(Number), eight: expect.any(Number) });
  expect(readdirSync(out)).toEqual(expect.arrayContaining(names.map((name) => `${name}.jsonl`)));
}, 120_000);
