import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSampleData } from "../../../../../tests/eval/sample-data.js";
import { taskContext } from "../../../../../tests/eval/task-context.js";
import type { Answer, Prompt, TaskContext } from "../task.js";
import { type MmluItem, mmlu, mmlu5 } from "./mmlu.js";
import { CATEGORY, SUBJECTS } from "./mmlu-subjects.js";

const root = mkdtempSync(join(tmpdir(), "camelid-mmlu-"));
afterAll(() => rmSync(root, { recursive: true }));
const data = writeSampleData(join(root, "data"));

const item: MmluItem = {
  id: "x/0",
  group: "virology",
  target: "C",
  row: ["?", "a", "b", "c", "d", "C"],
  examples: [],
  emptyTokens: undefined,
};
const scores = (...logps: number[]): Answer[] => [
  { kind: "score", scores: logps.map((logp) => ({ logp, tokens: 1, isGreedy: false })) },
];
const wrote = (text: string): Answer[] => [
  { kind: "generate", samples: [{ text, finishReason: "stop", tokens: 1 }] },
];
const context = (changes: Partial<TaskContext> = {}) => taskContext(mmlu, data, changes);

test("57 subjects in four categories of the published sizes", () => {
  expect(SUBJECTS).toHaveLength(57);
  const sizes = new Map<string, number>();
  for (const category of CATEGORY.values()) sizes.set(category, (sizes.get(category) ?? 0) + 1);
  expect(Object.fromEntries(sizes)).toEqual({ STEM: 18, humanities: 13, "social sciences": 12, other: 14 });
});

test("the likeliest letter is the answer; of equals the first", async () => {
  expect(await mmlu.grade(item, scores(-3, -2, -1, -4), context())).toMatchObject({
    extracted: "C",
    verdict: "right",
  });
  expect(await mmlu.grade(item, scores(-1, -1, -1, -1), context())).toMatchObject({
    extracted: "A",
    verdict: "wrong",
  });
});

test.each([
  ["C", "C"],
  [" (C) because", "C"],
  ["The answer is C.", "C"],
  ["Cats are nice", undefined],
  ["I think it's D", "D"],
  ["A", "A"],
  ["none", undefined],
  ["", undefined],
])("a written answer %j names %s", async (text, letter) => {
  const found = await mmlu.grade(item, wrote(text), context({ canScore: false }));
  expect(found.extracted ?? undefined).toBe(letter);
  expect(found.extractionFailed ?? false).toBe(letter === undefined);
});

test("the paper takes the last token of each letter, the standard the letter as it continues the prompt", async () => {
  const [one] = await mmlu.load(context());
  const paper = context({ profile: "tulu2-paper" });
  expect((await mmlu.requests(one!, [], paper))[0]).toMatchObject({ kind: "score", tokens: "last" });
  expect((await mmlu.requests(one!, [], context()))[0]).not.toHaveProperty("tokens");
  expect((await mmlu.requests(one!, [], context({ canScore: false })))[0]).toMatchObject({
    kind: "generate",
  });
});

test("examples are left out from the end until the prompt fits, and that is remarked", async () => {
  const [one] = await mmlu5.load(context());
  // 1,000 tokens for every "Answer:", so that two examples and the question are too many.
  const count = async (prompt: Prompt) => 1000 * JSON.stringify(prompt).split("Answer:").length - 1000;
  const tokens = { tokenizer: undefined as never, contextLength: 8192, count };
  const paper = context({ profile: "tulu2-paper", tokens });
  const [request] = await mmlu5.requests(one!, [], paper);
  const text = JSON.stringify(request);
  expect(text).toContain("has wings");
  expect(text).not.toContain("has roots");
  expect(paper.notes).toEqual([expect.stringMatching(/examples were left out/)]);
});

test("a row with five cells or another letter is damage, with file and row", async () => {
  const folder = writeSampleData(join(root, "bad"));
  const file = join(folder, "mmlu/data/test/marketing_test.csv");
  for (const text of ["Who?,a,b,c,A\n", "Who?,a,b,c,d,E\n", 'Who?,"a,b,c,d,A\n']) {
    writeFileSync(file, text);
    await expect(mmlu.load(taskContext(mmlu, folder))).rejects.toMatchObject({
      code: "ERR_EVAL_DATA_DAMAGED",
      where: expect.stringContaining("marketing_test.csv"),
    });
  }
});

test("quoted cells keep commas, quotes and line ends", async () => {
  const items = await mmlu5.load(context());
  expect(items.map(({ row }) => row)).toContainEqual(["Which one, then?", "x, y", 'a "z"', "w", "v", "C"]);
  expect(items[0]!.examples[1]![0]).toBe("Which of these, if any,\nhas roots?");
});
