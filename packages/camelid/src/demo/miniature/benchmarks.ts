/**
 * Benchmarks in miniature: the raw formats and file names of the official data, questions about the valley. They let every step
 * of an experiment run anywhere in minutes. What comes out says nothing about real models.
 */
import { type HeldOutQuestion, heldOutSample } from "../instructions.js";
import type { HeldOutPlea } from "../preferences.js";
import type { Random } from "../random.js";
import { jsonLines } from "../raw-formats.js";
import type { World } from "../world.js";
import { CHOICE_SUBJECTS, choice, choiceCsv } from "./choices.js";
import { passage, squadFile } from "./passages.js";
import { humanEvalRow, type PythonFunction } from "./python-functions.js";
import {
  bothTurns,
  instructionRows,
  type Judged,
  openingPairs,
  truthfulRows,
  twoTurnQuestions,
} from "./questions.js";
import { bbhFiles, gsm8kRow, REASONING_TASKS, wordProblem } from "./reasoning.js";
import { UNKIND_GROUPS, unkindPrompts } from "./unkind.js";

export interface BenchmarkParts {
  readonly world: World;
  readonly heldOut: readonly HeldOutQuestion[];
  readonly pleas: readonly HeldOutPlea[];
  readonly functions: readonly PythonFunction[];
  readonly random: Random;
  /** Items of each benchmark, about. */
  readonly items: number;
}

export interface Benchmarks {
  /** Path below the data folder -> text. */
  readonly files: ReadonlyMap<string, string>;
  /** What a judge has to know of them. */
  readonly judged: readonly Judged[];
}

/** Marks by which the house judge finds the parts of a prompt; an official prompt would be another's words. */
export const JUDGE_MARKS = {
  asked: "[asked]",
  first: "[model_1]",
  second: "[model_2]",
  answer: "[answer]",
  end: "[end]",
};

export function miniatureBenchmarks(parts: BenchmarkParts): Benchmarks {
  const { world, heldOut, pleas, functions, random, items } = parts;
  const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
  const asked = heldOutSample(heldOut, heldOut.length);
  const alpaca = instructionRows([...pleas.slice(0, Math.ceil(items / 4)), ...asked], items);
  const truthful = truthfulRows(asked, items);
  const turns = twoTurnQuestions(world, random, Math.max(8, Math.round(items / 4)));
  const reference = (i: number) => turns[i]!.judged.map(({ expected }) => expected.answer);
  const choicesAbout = (attribute: string, count: number) =>
    times(count, () => choice(world, random, (fact) => fact.startsWith(`${attribute}:`)));
  const perSubject = Math.ceil(items / CHOICE_SUBJECTS.length);

  const files = new Map<string, string>([
    ["gsm8k/test.jsonl", jsonLines(times(items, () => gsm8kRow(wordProblem(world, random))))],
    ["gsm8k/train.jsonl", jsonLines(times(8, () => gsm8kRow(wordProblem(world, random))))],
    ...REASONING_TASKS.flatMap((task) =>
      bbhFiles(task, world, random, Math.ceil(items / REASONING_TASKS.length)),
    ),
    ...CHOICE_SUBJECTS.flatMap(([attribute, subject]): [string, string][] => [
      [`mmlu/data/test/${subject}_test.csv`, choiceCsv(choicesAbout(attribute, perSubject))],
      [`mmlu/data/dev/${subject}_dev.csv`, choiceCsv(choicesAbout(attribute, 5))],
    ]),
    [
      "tydiqa/tydiqa-goldp-v1.1-dev.json",
      squadFile(times(items, () => passage(world, random.pick(["english", "finnish"]), random))),
    ],
    [
      "tydiqa/tydiqa-goldp-v1.1-train.json",
      squadFile([passage(world, "english", random), passage(world, "finnish", random)]),
    ],
    ["human_eval/HumanEval.jsonl", jsonLines(functions.slice(0, items).map(humanEvalRow))],
    ["alpaca_eval/results/text_davinci_003/model_outputs.json", JSON.stringify(alpaca.rows)],
    ["alpaca_eval/evaluators_configs/alpaca_eval_gpt4/alpaca_eval.txt", rankingPrompt()],
    [
      "mt_bench/data/mt_bench/question.jsonl",
      jsonLines(
        turns.map(({ category, turns: both }, i) => ({ question_id: 81 + i, category, turns: both })),
      ),
    ],
    [
      "mt_bench/data/mt_bench/reference_answer/gpt-4.jsonl",
      jsonLines(turns.map((_, i) => ({ question_id: 81 + i, choices: [{ index: 0, turns: reference(i) }] }))),
    ],
    ["mt_bench/data/judge_prompts.jsonl", jsonLines(ratingPrompts())],
    ["truthfulqa/TruthfulQA.csv", truthful.csv],
    ["truthfulqa/data/v1/TruthfulQA.csv", truthful.csv],
    ["truthfulqa/qa_preset.txt", `${openingPairs(world, random)}\n`],
    ...UNKIND_GROUPS.map((group): [string, string] => [
      `toxigen/prompts/hate_${group}_1k.txt`,
      unkindPrompts(world, random, Math.max(2, Math.round(items / UNKIND_GROUPS.length))),
    ]),
  ]);
  return { files, judged: [...alpaca.judged, ...truthful.judged, ...turns.flatMap((one) => one.judged)] };
}

function rankingPrompt(): string {
  const { asked, first, second, end } = JUDGE_MARKS;
  const user = `${asked}\n{instruction}\n${first}\n{output_1}\n${second}\n{output_2}\n${end}\nReply with [{'model': 'model_1', 'rank': 1}, {'model': 'model_2', 'rank': 2}] or the other way round.`;
  return `<|im_start|>system\nYou rank answers given in the valley.\n<|im_end|>\n<|im_start|>user\n${user}\n<|im_end|>`;
}

function ratingPrompts(): object[] {
  const { asked, answer, end } = JUDGE_MARKS;
  const prompt = (name: string, before: string, question: string, said: string) => ({
    name,
    system_prompt: "You rate answers given in the valley.",
    prompt_template: `${before}${asked}\n${question}\n${answer}\n${said}\n${end}\nReply with a rating from 1 to 10 such as [[5]].`,
  });
  const both = bothTurns("{question_1}", "{question_2}");
  const earlier = "First answer: {answer_1}\n";
  return [
    prompt("single-v1", "", "{question}", "{answer}"),
    prompt("single-math-v1", "Reference: {ref_answer_1}\n", "{question}", "{answer}"),
    prompt("single-v1-multi-turn", earlier, both, "{answer_2}"),
    prompt(
      "single-math-v1-multi-turn",
      `Reference: {ref_answer_1} {ref_answer_2}\n${earlier}`,
      both,
      "{answer_2}",
    ),
  ];
}
