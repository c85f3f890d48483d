/** Prompts byte for byte as the specification has them; the expected texts are written by hand, none by the program. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PromptRenderer, promptRenderer } from "../../packages/camelid/src/eval/backends/render.js";
import type { Profile, Prompt, Task, TaskContext, TaskItem } from "../../packages/camelid/src/eval/task.js";
import { bbh } from "../../packages/camelid/src/eval/tasks/bbh.js";
import { gsm8k } from "../../packages/camelid/src/eval/tasks/gsm8k.js";
import { mmlu, mmlu5 } from "../../packages/camelid/src/eval/tasks/mmlu.js";
import { tydiqa } from "../../packages/camelid/src/eval/tasks/tydiqa.js";
import type { Tokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { loadTokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { writeTinyModel } from "../tiny-model.js";
import { writeSampleData } from "./sample-data.js";
import { taskContext } from "./task-context.js";

const root = mkdtempSync(join(tmpdir(), "camelid-prompts-"));
afterAll(() => rmSync(root, { recursive: true }));
let data: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  data = writeSampleData(join(root, "data"));
  tokenizer = await loadTokenizer((await writeTinyModel(join(root, "tiny"))).model);
});

const exemplars = join(import.meta.dirname, "../../samples/evaluation/gsm8k-exemplars.jsonl");
const fixture = (name: string) =>
  readFileSync(join(import.meta.dirname, `../fixtures/eval/${name}.txt`), "utf8");

/** The tiny model has no chat template: conversations get the Tülu layout, as the paper's models did. */
async function promptOf<Item extends TaskItem>(
  task: Task<Item>,
  id: string,
  changes: Partial<TaskContext> & { profile: Profile },
): Promise<string> {
  const renderer: PromptRenderer = promptRenderer(tokenizer, changes.profile);
  const tokens = { tokenizer, contextLength: 4096, count: async () => 100 };
  const context = taskContext(task, data, { tokens, ...changes });
  const item = (await task.load(context)).find((one) => one.id === id)!;
  const [request] = await task.requests(item, [], context);
  return renderer.text((request as { prompt: Prompt }).prompt);
}

const paper = { profile: "tulu2-paper" } as const;
const standard = { profile: "standard" } as const;
const base = { chat: false };

test("GSM8K: eight examples, the answer's label behind the assistant's header", async () => {
  const settings = { exemplars };
  expect(await promptOf(gsm8k, "0", { ...paper, settings })).toBe(fixture("gsm8k.tulu2-paper.chat"));
});

test("GSM8K without examples speaks of one question; a base model gets the label on a new line", async () => {
  expect(await promptOf(gsm8k, "0", { ...paper, ...base, shots: 0 })).toBe(fixture("gsm8k.tulu2-paper.base"));
});

test("GSM8K, standard: training rows as examples, calculator marks out, steps on one line", async () => {
  expect(await promptOf(gsm8k, "0", { ...standard, shots: 1 })).toBe(fixture("gsm8k.standard.chat"));
});

test("BBH: the task's prompt without its two first lines; thinking step by step is left to the model", async () => {
  const id = "boolean_expressions/0";
  expect(await promptOf(bbh, id, paper)).toBe(fixture("bbh.tulu2-paper.chat"));
  expect(await promptOf(bbh, id, { ...paper, ...base })).toBe(fixture("bbh.tulu2-paper.base"));
});

test("BBH, standard: the answer begins as the examples' answers do; direct: examples without reasoning", async () => {
  const id = "boolean_expressions/0";
  expect(await promptOf(bbh, id, standard)).toBe(fixture("bbh.standard.chat"));
  expect(await promptOf(bbh, id, { ...standard, settings: { direct: "true" } })).toBe(
    fixture("bbh.direct.chat"),
  );
});

test("MMLU: two spaces before the subject and nan for NA in the paper, neither in the standard", async () => {
  const id = "high_school_biology/0";
  expect(await promptOf(mmlu, id, paper)).toBe(fixture("mmlu.tulu2-paper.chat"));
  expect(await promptOf(mmlu, id, standard)).toBe(fixture("mmlu.standard.chat"));
});

test("MMLU 5-shot: development rows in file order, blank line after each", async () => {
  const id = "high_school_biology/0";
  expect(await promptOf(mmlu5, id, { ...paper, ...base })).toBe(fixture("mmlu-5shot.tulu2-paper.base"));
});

test("TyDiQA: one example of the language, the user's turn ends in a line feed of its own", async () => {
  const english = fixture("tydiqa.tulu2-paper.english.chat");
  expect(await promptOf(tydiqa, "english-12-0", paper)).toBe(english);
  const text = fixture("tydiqa.tulu2-paper.english.base");
  expect(await promptOf(tydiqa, "english-12-0", { ...paper, ...base })).toBe(text);
  expect(await promptOf(tydiqa, "finnish-3-0", paper)).toBe(fixture("tydiqa.tulu2-paper.finnish.chat"));
});
