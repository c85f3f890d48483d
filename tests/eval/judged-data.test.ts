/** Damaged, altered and missing files of the judged tasks: an error that says where, never a lower score. */
import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { DataFolder } from "../../packages/camelid/src/eval/data-folder.js";
import { loadTask } from "../../packages/camelid/src/eval/registry.js";
import { writeJudgedData } from "./judged-data.js";
import { taskContext } from "./task-context.js";

const root = mkdtempSync(join(tmpdir(), "camelid-damaged-"));
afterAll(() => rmSync(root, { recursive: true }));

const REFERENCE = "alpaca_eval/results/text_davinci_003/model_outputs.json";
const QUESTIONS = "mt_bench/data/mt_bench/question.jsonl";
const half = (text: string) => text.slice(0, text.length / 2);

const DAMAGED: readonly [
  task: string,
  file: string,
  change: (text: string) => string | undefined,
  says: RegExp,
][] = [
  ["codex-eval", "human_eval/HumanEval.jsonl", half, /not JSON/],
  [
    "codex-eval",
    "human_eval/HumanEval.jsonl",
    (text) => text.replace('"entry_point"', '"entry"'),
    /entry_point/,
  ],
  ["codex-eval", "human_eval/HumanEval.jsonl", () => undefined, /not in the data folder/],
  ["mbpp", "mbpp/mbpp.jsonl", half, /not JSON/],
  [
    "mbpp",
    "mbpp/mbpp.jsonl",
    (text) => text.replace('"test_list":["assert plus1(1) == 2"]', '"test_list":[]'),
    /test_list/,
  ],
  ["alpaca-eval", REFERENCE, half, /not JSON/],
  ["alpaca-eval", REFERENCE, () => '{"a": 1}', /no list/],
  ["alpaca-eval", REFERENCE, (text) => text.replace('"output"', '"answer"'), /"output"/],
  ["mt-bench", QUESTIONS, half, /not JSON/],
  ["mt-bench", QUESTIONS, (text) => text.replace('"Write it again."', "5"), /turns/],
  [
    "mt-bench",
    "mt_bench/data/mt_bench/reference_answer/gpt-4.jsonl",
    () => "",
    /question 111 .* no reference/,
  ],
  ["truthfulqa", "truthfulqa/TruthfulQA.csv", (text) => text.slice(0, text.indexOf("too")), /quoted cell/],
  [
    "truthfulqa",
    "truthfulqa/TruthfulQA.csv",
    (text) => text.replace("Best Answer", "Best"),
    /column "Best Answer"/,
  ],
  ["truthfulqa", "truthfulqa/TruthfulQA.csv", (text) => text.replace(",http://x", ""), /6 cells/],
  [
    "truthfulqa-mc",
    "truthfulqa/TruthfulQA.csv",
    (text) => text.replace("Cats never sleep; Cats fly ", ""),
    /false answers/,
  ],
  ["toxigen", "toxigen/prompts/hate_asian_1k.txt", () => "", /no prompt/],
];

test.for(DAMAGED)("%s: %s", async ([name, file, change, says], { task: { name: title } }) => {
  const folder = writeJudgedData(join(root, `${title.replaceAll(/\W/g, "")}${Math.random()}`));
  const path = join(folder, file);
  const changed = change(readFileSync(path, "utf8"));
  if (changed === undefined) unlinkSync(path);
  else writeFileSync(path, changed);
  const task = await loadTask(name);
  const error = await task.load(taskContext(task, folder)).then(
    () => undefined,
    (reason: Error & { where?: string }) => reason,
  );
  expect(error?.message).toMatch(says);
  expect(`${error?.where}`).toContain(folder);
});

test("a judge prompt without its placeholders is refused before a judge is asked", async () => {
  const folder = writeJudgedData(join(root, "prompt"));
  const file = "alpaca_eval/evaluators_configs/alpaca_eval_gpt4/alpaca_eval.txt";
  const path = join(folder, file);
  writeFileSync(path, readFileSync(path, "utf8").replace("{output_2}", "{output}"));
  const task = await loadTask("alpaca-eval");
  const context = taskContext(task, folder);
  const [item] = await task.load(context);
  const said = [{ kind: "generate", samples: [{ text: "x", finishReason: "stop", tokens: 1 }] }] as const;
  expect(() => task.requests(item!, said, context)).toThrow(/ChatML prompt with .*\{output_2\}/);
});

test("other bytes than the official ones are said in the results, or an error when asked for", async () => {
  const folder = writeJudgedData(join(root, "altered"));
  const task = await loadTask("codex-eval");
  const context = taskContext(task, folder);
  await task.load(context);
  expect([...context.data.used.values()].map(({ state }) => state)).toEqual(["altered"]);
  const data = new DataFolder([folder], task.files, { strict: true });
  await expect(task.load({ ...context, data })).rejects.toThrow(
    expect.objectContaining({ code: "ERR_EVAL_DATA_ALTERED" }),
  );
});
