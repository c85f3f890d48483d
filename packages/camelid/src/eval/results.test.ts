/** Results folders, comparison and report of evaluations made up here. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { compareResults } from "./compare.js";
import { averagesOf, DPO_EFFECT, type PaperTask, PUBLISHED_TABLES } from "./published.js";
import { compareReport } from "./report/compare-report.js";
import { evalReport } from "./report/eval-report.js";
import { type EvalMetrics, openResults, readMetrics, readPredictions } from "./results-folder.js";
import type { TaskSummary } from "./summary.js";

const root = mkdtempSync(join(tmpdir(), "camelid-results-"));
afterAll(() => rmSync(root, { recursive: true }));

interface Row {
  id: string;
  right: boolean;
  verdict?: "failed";
}

/** A folder with GSM8K results of these rows. */
function results(name: string, rows: readonly Row[], changes: Partial<TaskSummary> = {}): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  const lines = rows.map(({ id, right, verdict }) =>
    JSON.stringify({
      task: "gsm8k",
      id,
      target: "7",
      prompt: `question ${id} <script>alert(1)</script>`,
      output: right ? "7" : "8",
      extracted: right ? "7" : "8",
      verdict: verdict ?? (right ? "right" : "wrong"),
      score: verdict === "failed" ? null : Number(right),
      answers: [],
    }),
  );
  writeFileSync(join(folder, "gsm8k.jsonl"), `${lines.join("\n")}\n`);
  const graded = rows.filter(({ verdict }) => verdict === undefined);
  const summary: TaskSummary = {
    task: "gsm8k",
    title: "GSM8K",
    profile: "standard",
    metric: "exact match",
    unit: "%",
    score: (100 * graded.filter(({ right }) => right).length) / graded.length,
    interval: [10, 90],
    interval_method: "wilson",
    items: rows.length,
    graded: graded.length,
    right: graded.filter(({ right }) => right).length,
    wrong: graded.filter(({ right }) => !right).length,
    failed: rows.length - graded.length,
    skipped: 0,
    truncated: 1,
    extraction_failed: 0,
    empty: 0,
    prompt_too_long: 0,
    files: [{ path: "gsm8k/test.jsonl", sha256: "ab", state: "altered" }],
    notes: [],
    predictions: "gsm8k.jsonl",
    seconds: 1,
    ...changes,
  };
  const metrics: EvalMetrics = {
    format: 1,
    model: { name, identity: name },
    profile: "standard",
    seed: 42,
    updated: "2026-01-01T00:00:00.000Z",
    tasks: { gsm8k: summary },
  };
  writeFileSync(join(folder, "metrics.json"), JSON.stringify(metrics));
  return folder;
}

const rows = (right: (i: number) => boolean, count = 60): Row[] =>
  Array.from({ length: count }, (_, i) => ({ id: String(i), right: right(i) }));

test("a comparison pairs items by id, counts flips both ways and says whether it may be chance", async () => {
  const a = results(
    "a",
    rows((i) => i % 3 === 0),
  );
  const b = results("b", [...rows((i) => i % 3 === 0 || i % 5 === 1)].reverse());
  const [task] = (await compareResults(a, b)).tasks;
  const gained = rows((i) => i % 3 !== 0 && i % 5 === 1).filter(({ right }) => right);
  expect(task!.gained.map(({ id }) => id)).toEqual(gained.map(({ id }) => id));
  expect(task).toMatchObject({ items: 60, lost: [], clear: true, warnings: [] });
  expect(task!.difference).toBeCloseTo((100 * gained.length) / 60, 10);
  expect((await compareResults(a, a)).tasks[0]).toMatchObject({ difference: 0, clear: false });
});

test("items without a verdict in one of the two are left out and counted; other data are a warning", async () => {
  const a = results(
    "c",
    rows(() => true),
  );
  const b = results("d", [...rows(() => true, 50), { id: "50", right: false, verdict: "failed" }], {
    files: [{ path: "gsm8k/test.jsonl", sha256: "cd", state: "altered" }],
    profile: "tulu2-paper",
  });
  const [task] = (await compareResults(a, b)).tasks;
  expect(task).toMatchObject({ items: 50, onlyA: 10, onlyB: 0, scoreA: 100, scoreB: 100 });
  expect(task!.warnings).toEqual([expect.stringMatching(/profiles differ/), "the data files differ"]);
});

test("a predictions file cut in the middle is an error with its line", async () => {
  const a = results(
    "e",
    rows(() => true),
  );
  const file = join(a, "gsm8k.jsonl");
  writeFileSync(file, readFileSync(file, "utf8").slice(0, 400));
  expect(() => readPredictions(a, readMetrics(a).tasks.gsm8k!)).toThrow(/no whole prediction/);
  await expect(compareResults(a, a)).rejects.toMatchObject({ code: "ERR_EVAL_RESULTS" });
  expect(evalReport(a, readMetrics(a))).toContain("not there, or not whole"); // the numbers are still shown
});

test("a folder takes results of one model, profile and seed, and nothing that is not an evaluation", () => {
  const a = results(
    "f",
    rows(() => true),
  );
  const own = { name: "f", identity: "f", profile: "standard", seed: 42 } as const;
  expect(Object.keys(openResults(a, own))).toEqual(["gsm8k"]);
  for (const other of [
    { ...own, identity: "g" },
    { ...own, profile: "tulu2-paper" as const },
    { ...own, seed: 1 },
  ]) {
    expect(() => openResults(a, other)).toThrow(expect.objectContaining({ code: "ERR_EVAL_OUT" }));
  }
  const foreign = join(root, "photos");
  mkdirSync(foreign);
  writeFileSync(join(foreign, "cat.jpg"), "");
  expect(() => openResults(foreign, own)).toThrow(expect.objectContaining({ code: "ERR_EVAL_OUT" }));
});

test("averages are over seven or eight columns, ToxiGen turned round; the published rows recompute", () => {
  for (const { rows: published, average } of PUBLISHED_TABLES) {
    for (const { model, scores, average: printed, remark } of published) {
      const found = averagesOf(scores)[average];
      if (printed === undefined || remark !== undefined) continue;
      expect(found, model).toBeDefined();
      expect(Math.abs(found! - printed), model).toBeLessThan(0.151); // ±0.1 on rounded columns
    }
  }
  expect(averagesOf({ mmlu: 50 })).toEqual({});
});

test("the paper's differences agree with its own rows", () => {
  const [table] = PUBLISHED_TABLES;
  const row = (model: string) => table!.rows.find((one) => one.model === model)!;
  for (const { model: size, scores } of DPO_EFFECT) {
    for (const [task, difference] of Object.entries(scores) as [PaperTask, number][]) {
      const found = row(`Tülu 2+DPO ${size}`).scores[task]! - row(`Tülu 2 ${size}`).scores[task]!;
      expect(Math.abs(found - difference), `${size} ${task}`).toBeLessThan(0.11);
    }
  }
});

test("the report holds scores, remarks and items, and texts of models stay text", () => {
  const a = results("h", [...rows((i) => i % 2 === 0), { id: "x", right: false, verdict: "failed" }]);
  const page = evalReport(a, readMetrics(a));
  expect(page).toContain("not the official files: gsm8k/test.jsonl");
  expect(page).toContain("1 of 61 have no verdict");
  expect(page).toContain("Tülu 2+DPO 70B");
  expect(page).toContain('value="failed"');
  expect(page).not.toContain("<script>alert");
  expect(page).toContain("&lt;script&gt;alert");
});

test("the page of a comparison lists the flipped items", async () => {
  const comparison = await compareResults(
    results(
      "i",
      rows((i) => i < 10),
    ),
    results(
      "j",
      rows((i) => i > 5),
    ),
  );
  const page = compareReport(comparison);
  expect(page).toContain("flipped items");
  expect(page).toContain("Tülu 2 13B"); // table 3
  expect(page.match(/<details class="right">/g)).toHaveLength(50);
  expect(page.match(/<details class="wrong">/g)).toHaveLength(6);
});
