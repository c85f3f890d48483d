import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSampleData } from "../../../../../tests/eval/sample-data.js";
import { taskContext } from "../../../../../tests/eval/task-context.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { Answer, TaskContext } from "../task.js";
import { type TydiqaItem, tydiqa } from "./tydiqa.js";

const root = mkdtempSync(join(tmpdir(), "camelid-tydiqa-"));
afterAll(() => rmSync(root, { recursive: true }));
const data = writeSampleData(join(root, "data"));
const context = (changes: Partial<TaskContext> = {}) => taskContext(tydiqa, data, changes);

const item: TydiqaItem = {
  id: "english-1",
  group: "english",
  target: "12 km",
  context: "",
  question: "?",
  answers: ["12 km", "12"],
  demonstrations: [],
};
const said = (text: string): Answer[] => [
  { kind: "generate", samples: [{ text, finishReason: "length", tokens: 50 }] },
];

test("the best of several reference answers counts; the standard reads the first line only", async () => {
  const chatty = "12\n\nThe river is long.";
  expect((await tydiqa.grade(item, said(" The 12. "), context())).score).toBe(1);
  expect((await tydiqa.grade(item, said(chatty), context())).score).toBe(1);
  const paper = await tydiqa.grade(item, said(chatty), context({ profile: "tulu2-paper" }));
  expect(paper.score).toBeCloseTo(0.4, 12); // "12 river is long" against "12": 1 of 4 words and 1 of 1
});

test("an empty answer is marked", async () => {
  expect(await tydiqa.grade(item, said(" \n"), context())).toMatchObject({
    score: 0,
    extractionFailed: true,
  });
});

test("means are over languages; English is in the headline of the paper, and not in the benchmark's", () => {
  const graded = [
    { id: "a", group: "english", score: 1, values: { exact: 1 } },
    { id: "b", group: "finnish", score: 0.5, values: { exact: 0 } },
    { id: "c", group: "finnish", score: 0, values: { exact: 0 } },
  ];
  const metrics = tydiqa.metrics!(graded, context());
  expect(metrics["F1 with English"]).toBe(62.5);
  expect(metrics["F1 without English"]).toBe(25);
  expect(tydiqa.score(graded, "tulu2-paper")).toBe(62.5);
  expect(tydiqa.score(graded, "standard")).toBe(25);
  expect(tydiqa.score(graded.slice(0, 1), "standard")).toBe(100); // the line of English itself
});

/** One token a character, BOS in front; enough for the rule of 512. */
const characters = {
  encode: async (text: string) => [1, ...Array.from(text, (one) => one.codePointAt(0)! + 10)],
  decode: (ids: ArrayLike<number>) =>
    Array.from(ids, (id) => (id === 1 ? "<s>" : String.fromCodePoint(id - 10))).join(""),
} as unknown as Tokenizer;

test("the paper's cut passages begin with a literal BOS; short ones stay as they are", async () => {
  const folder = writeSampleData(join(root, "long"));
  const file = join(folder, "tydiqa/tydiqa-goldp-v1.1-dev.json");
  const long = "x".repeat(600);
  writeFileSync(file, readFileSync(file, "utf8").replace("Lake X is in Y.", long));
  const tokens = { tokenizer: characters, contextLength: 4096, count: async () => 1 };
  const items = await tydiqa.load(taskContext(tydiqa, folder, { profile: "tulu2-paper", tokens }));
  const contexts = new Map(items.map((one) => [one.id, one.context]));
  expect(contexts.get("english-12-0")).toBe(`<s>${"x".repeat(511)}`);
  expect(contexts.get("finnish-3-0")).toBe("Karhu asuu metsässä.");
  const standard = await tydiqa.load(taskContext(tydiqa, folder));
  expect(standard.find(({ id }) => id === "english-12-0")!.context).toBe(long);
});

test("the paper's cut needs the tokenizer, and says so", async () => {
  await expect(tydiqa.load(context({ profile: "tulu2-paper" }))).rejects.toMatchObject({
    code: "ERR_EVAL_TOKENIZER",
    fix: expect.stringContaining("--tokenizer"),
  });
});

test("a language missing from the training file takes its example from questions that are not scored", async () => {
  const folder = writeSampleData(join(root, "few"));
  const file = join(folder, "tydiqa/tydiqa-goldp-v1.1-train.json");
  const train = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ data: [train.data[1]] }));
  const own = taskContext(tydiqa, folder);
  const items = await tydiqa.load(own);
  const english = items.filter(({ group }) => group === "english");
  expect(english).toHaveLength(1);
  expect(english[0]!.demonstrations[0]!.id).not.toBe(english[0]!.id);
  expect(own.notes.join()).toMatch(/training file has no english/);
});

test("a file that is not SQuAD-shaped is damage", async () => {
  const folder = writeSampleData(join(root, "bad"));
  writeFileSync(join(folder, "tydiqa/tydiqa-goldp-v1.1-dev.json"), '{"data": [{"paragraphs": [{}]}]}');
  await expect(tydiqa.load(taskContext(tydiqa, folder))).rejects.toMatchObject({
    code: "ERR_EVAL_DATA_DAMAGED",
    message: expect.stringContaining("data.0.paragraphs.0.context"),
  });
});
