import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSampleData } from "../../../../../tests/eval/sample-data.js";
import { taskContext } from "../../../../../tests/eval/task-context.js";
import type { Answer, Profile } from "../task.js";
import { type BbhItem, bbh } from "./bbh.js";

const root = mkdtempSync(join(tmpdir(), "camelid-bbh-"));
afterAll(() => rmSync(root, { recursive: true }));
const data = writeSampleData(join(root, "data"));

const item = (target: string): BbhItem => ({ id: "a/0", group: "a", target, input: "?", taskPrompt: "" });
const said = (text: string): Answer[] => [
  { kind: "generate", samples: [{ text, finishReason: "stop", tokens: 1 }] },
];
const grade = (target: string, text: string, profile: Profile) =>
  bbh.grade(item(target), said(text), taskContext(bbh, data, { profile }));

test("extraction: the paper's ends at the first full stop and needs one, the standard's goes to the end of the line", async () => {
  const cases: [
    target: string,
    output: string,
    paper: string | null,
    right: [paper: boolean, standard: boolean],
  ][] = [
    ["(A)", "So the answer is (A).", "(A)", [true, true]],
    ["(A)", "the answer is a.", "a", [true, false]],
    ["3.5", "The answer is 3.5.", "3", [false, true]],
    ["True", "So the answer is True", null, [false, true]],
    ["-50", "So the answer is 50.", "50", [true, false]],
    ["no", "the answer is yes. No, so the answer is no.", "yes", [false, true]],
    ["> ) ]", "So the answer is ] } >.", "] } >", [true, false]],
    ["True", "True", null, [true, true]],
    ["yes", "the answer is\nyes.", null, [false, false]],
  ];
  for (const [target, output, extracted, [paper, standard]] of cases) {
    const byPaper = await grade(target, output, "tulu2-paper");
    expect(byPaper.extracted, output).toBe(extracted);
    expect(byPaper.verdict, `paper: ${output}`).toBe(paper ? "right" : "wrong");
    expect((await grade(target, output, "standard")).verdict, output).toBe(standard ? "right" : "wrong");
  }
});

test("an answer without the phrase is compared whole and marked", async () => {
  expect(await grade("True", "  True\n", "standard")).toMatchObject({
    verdict: "right",
    extracted: null,
    extractionFailed: true,
  });
});

test("tasks the data do not have are remarked, not scored as zero", async () => {
  const context = taskContext(bbh, data);
  const items = await bbh.load(context);
  expect(new Set(items.map(({ group }) => group))).toEqual(new Set(["boolean_expressions", "word_sorting"]));
  expect(context.notes[0]).toMatch(/^2 of 27 tasks: the data have no causal_judgement/);
});

test("the score is the mean over tasks, however many questions each has", () => {
  const graded = [
    { id: "a/0", group: "a", score: 1, values: {} },
    { id: "a/1", group: "a", score: 0, values: {} },
    { id: "b/0", group: "b", score: 1, values: {} },
  ];
  expect(bbh.score(graded, "standard")).toBe(75);
});

test("a prompt file without the canary's rule is damaged", async () => {
  const folder = writeSampleData(join(root, "bad"));
  const file = join(folder, "bbh/cot-prompts/word_sorting.txt");
  writeFileSync(file, readFileSync(file, "utf8").split("\n").slice(2).join("\n"));
  await expect(bbh.load(taskContext(bbh, folder))).rejects.toMatchObject({
    code: "ERR_EVAL_DATA_DAMAGED",
    where: expect.stringContaining("word_sorting.txt"),
  });
});
