/**
 * MBPP: short Python programs from one sentence and three asserts (Austin et al. 2021, https://arxiv.org/abs/2108.07732).
 * Not part of the paper's suite; both profiles do the same.
 */
import { z } from "zod";
import { answerAt } from "../backend.js";
import { damaged } from "../data-folder.js";
import { meanScore } from "../metrics.js";
import type { Task, TaskContext, TaskItem } from "../task.js";
import { codeBlock, gradePrograms, numberOption, passMetrics } from "./programs.js";

export interface MbppItem extends TaskItem {
  readonly prompt: string;
  readonly demonstrations: string;
  readonly test: string;
  readonly functionName: string;
}

const FILE = "mbpp/mbpp.jsonl";
/** Rows 1 to 10 are for prompts; these three are the ones the benchmark's authors used. */
const DEMONSTRATIONS = [2, 3, 4];
const isTest = (id: number) => id >= 11 && id <= 510;

export const mbpp: Task<MbppItem> = {
  name: "mbpp",
  title: "MBPP",
  summary: "500 short Python programs from a sentence and three asserts, 3-shot, pass@1",
  profiles: {
    "tulu2-paper": "The paper has no MBPP; as `standard`.",
    standard:
      "Test rows 11 to 510, rows 2 to 4 as examples, greedy, the block behind the opened fence is run.",
  },
  metric: { name: "pass@1", unit: "%" },
  options: {
    samples: "answers per problem, 1",
    k: "score is pass@k, 1",
    temperature: "0, or 0.8 for several samples",
    topP: "0.95",
    timeLimit: "seconds a program may run, 10",
    memoryMiB: "memory of the interpreter, 512",
    parallel: "programs at once, --concurrency",
  },
  files: [
    {
      path: FILE,
      url: "https://raw.githubusercontent.com/deepseek-ai/DeepSeek-Coder/2f9fd85927c669dae3c0fbb2d607274023af243e/Evaluation/MBPP/data/mbpp.jsonl",
      sha256: "ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
      licence: "CC-BY-4.0",
    },
  ],

  async load(context) {
    const rows = readRows(context);
    const shots = context.shots ?? DEMONSTRATIONS.length;
    const ids = [...DEMONSTRATIONS, 1, 5, 6, 7, 8, 9, 10].slice(0, shots);
    const demonstrations = ids
      .flatMap((id) => rows.filter((row) => row.task_id === id))
      .map((row) => `${taskText(row)}\n${FENCE}${unix(row.code)}\n\`\`\`\n\n`)
      .join("");
    const items = rows.filter(({ task_id }) => isTest(task_id));
    if (items.length < 500)
      context.note(`MBPP: ${items.length} of the 500 test rows are in the data folder.`);
    return items.map((row) => ({
      id: String(row.task_id),
      target: unix(row.code),
      prompt: taskText(row),
      demonstrations,
      test: [row.test_setup_code, ...row.test_list].join("\n"),
      functionName: /\bdef\s+(\w+)/.exec(row.code)?.[1] ?? "",
    }));
  },

  requests(item, answers, context) {
    if (answers.length > 0) return [];
    const samples = Math.max(1, numberOption(context, "samples", 1));
    const temperature = numberOption(context, "temperature", samples > 1 ? 0.8 : 0);
    const text = item.demonstrations + item.prompt;
    return [
      {
        kind: "generate",
        prompt: context.chat
          ? { messages: [{ role: "user", content: text }], prefix: FENCE }
          : { text: `${text}\n${FENCE}` },
        maxNewTokens: 512,
        samples,
        ...(temperature === 0 ? {} : { temperature, topP: numberOption(context, "topP", 0.95) }),
        stop: ["\n```"],
      },
    ];
  },

  grade(item, answers, context) {
    const { samples } = answerAt(answers, 0, "generate");
    const programs = samples.map(({ text }) => ({
      program: codeBlock(text, `def ${item.functionName}`) ?? text,
      test: item.test,
    }));
    return gradePrograms(programs, numberOption(context, "k", 1), context);
  },

  score: (graded) => 100 * meanScore(graded),
  metrics: passMetrics,
};

const FENCE = "```python\n";

const Row = z.object({
  task_id: z.int(),
  text: z.string(),
  code: z.string(),
  test_setup_code: z.string().default(""),
  test_list: z.array(z.string()).min(1),
});
type Row = z.output<typeof Row>;

/** The official file has Windows line ends in its programs. */
const unix = (code: string) => code.replaceAll("\r\n", "\n").replaceAll("\t", "    ");

function taskText({ text, test_list }: Row): string {
  return `${text.trim()}\nThe program must pass these tests:\n${test_list.join("\n")}`;
}

function readRows(context: TaskContext): Row[] {
  return context.data.jsonLines(FILE).map(({ value, line }) => {
    const row = Row.safeParse(value);
    if (row.success) return row.data;
    throw damaged(
      `${context.data.find(FILE)} line ${line}`,
      'a row has a number "task_id", the texts "text" and "code" and the list "test_list"',
    );
  });
}
