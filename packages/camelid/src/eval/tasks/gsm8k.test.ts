import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSampleData } from "../../../../../tests/eval/sample-data.js";
import { taskContext } from "../../../../../tests/eval/task-context.js";
import type { Answer, Profile } from "../task.js";
import { type Gsm8kItem, gsm8k } from "./gsm8k.js";

const root = mkdtempSync(join(tmpdir(), "camelid-gsm8k-"));
afterAll(() => rmSync(root, { recursive: true }));
let data: string;
beforeAll(() => {
  data = writeSampleData(join(root, "data"));
});

const item = (target: string): Gsm8kItem => ({ id: "0", target, question: "?", exemplars: [] });
const said = (text: string): Answer[] => [
  { kind: "generate", samples: [{ text, finishReason: "stop", tokens: 1 }] },
];
const grade = (target: string, text: string, profile: Profile) =>
  gsm8k.grade(item(target), said(text), taskContext(gsm8k, data, { profile }));

test("the paper's comparison drops signs and breaks decimals, the standard does neither", async () => {
  const cases: [target: string, output: string, paper: boolean, standard: boolean][] = [
    ["18", "18.00", false, true],
    ["5", "It is -5.", true, false],
    ["-5", "It is -5.", true, true],
    ["18", "So the answer is 18. That took 2 minutes.", false, true],
    ["1500", "1,500 people", true, true],
    ["18", "$18.", true, true],
    ["18", "eighteen", false, false],
  ];
  for (const [target, output, paper, standard] of cases) {
    expect((await grade(target, output, "tulu2-paper")).verdict, `paper: ${output}`).toBe(
      paper ? "right" : "wrong",
    );
    expect((await grade(target, output, "standard")).verdict, output).toBe(standard ? "right" : "wrong");
  }
});

test("an output without a number is marked, and an empty one too", async () => {
  for (const profile of ["tulu2-paper", "standard"] as const) {
    for (const output of ["no idea", ""]) {
      const found = await grade("18", output, profile);
      expect(found).toMatchObject({ verdict: "wrong", extracted: null, extractionFailed: true });
    }
  }
});

test("gold answers lose their commas", async () => {
  const items = await gsm8k.load(taskContext(gsm8k, data, { shots: 0 }));
  expect(items.map(({ target }) => target)).toEqual(["7", "3000", "-5"]);
});

test("of the 1,319 questions the paper's 200 are drawn, in its order", async () => {
  const folder = join(root, "full");
  mkdirSync(join(folder, "gsm8k"), { recursive: true });
  const row = (_: unknown, i: number) => JSON.stringify({ question: `q${i}`, answer: `#### ${i}` });
  writeFileSync(join(folder, "gsm8k/test.jsonl"), Array.from({ length: 1319 }, row).join("\n"));
  const items = await gsm8k.load(taskContext(gsm8k, folder, { profile: "tulu2-paper", shots: 0 }));
  const ids = items.map(({ id }) => Number(id));
  expect(ids.slice(0, 12)).toEqual([1309, 228, 51, 563, 501, 457, 285, 209, 1116, 178, 1209, 864]);
  expect(ids.slice(-3)).toEqual([270, 1169, 1180]);
  expect(ids.reduce((sum, id) => sum + id, 0)).toBe(130_924);
  expect(ids).toHaveLength(200);
});

test("the paper's examples are not invented: without them the error says which file", async () => {
  const context = taskContext(gsm8k, data, { profile: "tulu2-paper" });
  await expect(gsm8k.load(context)).rejects.toMatchObject({
    code: "ERR_EVAL_EXEMPLARS",
    where: expect.stringContaining("gsm8k/exemplars.jsonl"),
  });
});

test.each([
  ["cut in the middle", '{"question": "a", "answer": "#### 1"}\n{"question": "b", "ans', "line 2"],
  ["without the final line", '{"question": "a", "answer": "1"}\n', "line 1"],
  ["of another shape", '{"instruction": "a"}\n', "line 1"],
])("a file %s is an error with its line", async (_, text, where) => {
  const folder = mkdtempSync(join(root, "bad-"));
  mkdirSync(join(folder, "gsm8k"));
  writeFileSync(join(folder, "gsm8k/test.jsonl"), text);
  await expect(gsm8k.load(taskContext(gsm8k, folder, { shots: 0 }))).rejects.toMatchObject({
    code: "ERR_EVAL_DATA_DAMAGED",
    where: expect.stringContaining(where),
  });
});

test("a missing file is an error that says where to get it", async () => {
  await expect(gsm8k.load(taskContext(gsm8k, root))).rejects.toMatchObject({
    code: "ERR_EVAL_DATA_MISSING",
    fix: expect.stringMatching(/--download.*https:/),
  });
});
