/**
 * GSM8K: grade-school word problems, eight worked examples in the prompt (Cobbe et al. 2021; the examples of the paper
 * profile are those of Wei et al. 2022, table 20, which a user supplies).
 */
import { z } from "zod";
import { strip } from "../../data/python-text.js";
import { DataError } from "../../errors.js";
import { textAt } from "../backend.js";
import { damaged, type OfficialFile } from "../data-folder.js";
import { meanScore } from "../metrics.js";
import { question } from "../prompts.js";
import type {
  Answer,
  Grade,
  ReplayEntry,
  ReplayFile,
  ReplayRun,
  Task,
  TaskContext,
  TaskItem,
} from "../task.js";
import { readExemplarFile } from "./exemplars.js";
import { joinDigits, lastNumberPaper, sameNumber, statedNumber } from "./numbers.js";
import { SHA256 } from "./pins.js";
import { paperRandom, sample } from "./subset.js";
import { exactMatchIgnoring } from "./text-match.js";

export interface Gsm8kItem extends TaskItem {
  readonly target: string;
  readonly question: string;
  readonly exemplars: readonly Exemplar[];
}

interface Exemplar {
  readonly question: string;
  readonly answer: string;
}

const SOURCE =
  "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data";
const SHOTS = 8;
const PAPER_ITEMS = 200;

export const gsm8k: Task<Gsm8kItem> = {
  name: "gsm8k",
  title: "GSM8K",
  summary: "grade-school word problems, 8-shot chain of thought, exact match of the last number",
  profiles: {
    "tulu2-paper":
      "200 questions drawn with seed 42. The eight examples of Wei et al.; last number of the output, compared without punctuation: signs vanish, 18.00 is not 18.",
    standard:
      "All questions. The first eight training questions as examples; the number the answer states, compared as a number.",
  },
  metric: { name: "exact match", unit: "%" },
  files: [official("test"), { ...official("train"), optional: true }],

  async load(context) {
    const rows = readRows(context, "gsm8k/test.jsonl");
    const all = rows.map(({ question: text, answer }, index) => ({
      id: String(index),
      target: goldAnswer(answer),
      question: text,
    }));
    const drawn =
      context.profile === "tulu2-paper" ? sample(all, PAPER_ITEMS, paperRandom(context.seed)) : all;
    const exemplars = exemplarsOf(context);
    return drawn.map((item) => ({ ...item, exemplars }));
  },

  requests(item, answers, context) {
    if (answers.length > 0) return [];
    return [
      {
        kind: "generate",
        prompt: question(context, promptText(item), "Answer:"),
        maxNewTokens: 512,
        ...stops(context),
      },
    ];
  },

  grade: gradeGsm8k,
  score: (graded) => 100 * meanScore(graded),

  replays: [
    {
      name: "GSM8K example_model_solutions.jsonl",
      recognises: (_, first) => UpstreamRow.safeParse(first).success,
      read: async (file) => readUpstream(file),
    },
  ],
};

/** The user's turn, or a base model's text up to the answer's label. */
function promptText(item: Gsm8kItem): string {
  const demonstrations = item.exemplars.map(({ question: q, answer }) => `Question: ${q}\nAnswer: ${answer}`);
  const header =
    demonstrations.length > 0 ? "Answer the following questions." : "Answer the following question.";
  return [header, ...demonstrations, `Question: ${strip(item.question)}`].join("\n\n");
}

function stops(context: TaskContext): { stop?: readonly string[] } {
  if (context.profile === "tulu2-paper") return context.chat ? {} : { stop: ["\n"] };
  return { stop: ["\nQuestion:"] };
}

function gradeGsm8k(
  item: Gsm8kItem,
  answers: readonly Answer[],
  { profile }: Pick<TaskContext, "profile">,
): Grade {
  const output = textAt(answers);
  const found = profile === "tulu2-paper" ? lastNumberPaper(output) : statedNumber(output);
  const right =
    profile === "tulu2-paper"
      ? exactMatchIgnoring(found ?? joinDigits(output), item.target)
      : found !== undefined && sameNumber(found, item.target);
  return {
    verdict: right ? "right" : "wrong",
    score: right ? 1 : 0,
    extracted: found ?? null,
    ...(found === undefined ? { extractionFailed: true } : {}),
  };
}

// -------------------------------------------------------------------------------------------------------- files

function official(split: "test" | "train"): OfficialFile {
  const path = `gsm8k/${split}.jsonl`;
  return { path, url: `${SOURCE}/${split}.jsonl`, sha256: SHA256[path]!, licence: "MIT" };
}

const Row = z.object({ question: z.string(), answer: z.string() });

function readRows(context: TaskContext, path: string): z.output<typeof Row>[] {
  return context.data.jsonLines(path).map(({ value, line }) => {
    const row = Row.safeParse(value);
    if (row.success && row.data.answer.includes("####")) return row.data;
    throw damaged(
      `${context.data.find(path)} line ${line}`,
      'a GSM8K row has "question" and "answer" with a line "#### N"',
    );
  });
}

/** Text behind `####`, commas between digits gone. */
function goldAnswer(answer: string): string {
  return joinDigits(strip(answer.slice(answer.lastIndexOf("####") + 4)));
}

const FILE = "gsm8k/exemplars.jsonl";

function exemplarsOf(context: TaskContext): Exemplar[] {
  const shots = context.shots ?? SHOTS;
  if (shots === 0) return [];
  const named = context.settings.exemplars ?? context.data.find(FILE);
  if (named !== undefined) {
    return readExemplarFile(named, ["question", "cot_answer"], shots).map((row) => ({
      question: row.question!,
      answer: row.cot_answer!,
    }));
  }
  if (context.profile === "tulu2-paper") {
    throw new DataError(
      "ERR_EVAL_EXEMPLARS",
      "GSM8K as in the paper needs the eight examples of Wei et al. 2022.",
      {
        where: `${FILE} in the data folder`,
        fix: 'write them there as JSON lines {"question": ..., "cot_answer": ... "So the answer is N."}, or name the file: --options gsm8k.exemplars=FILE. samples/evaluation/gsm8k-exemplars.jsonl holds eight of our own with the same sums.',
      },
    );
  }
  // Rows that will not be asked: the training file's first ones, their steps on one line as a base model stops at none.
  return readRows(context, "gsm8k/train.jsonl")
    .slice(0, shots)
    .map(({ question: text, answer }) => ({ question: strip(text), answer: chain(answer) }));
}

/** A training answer as a chain of thought: calculator marks out, one line, ending like the paper's. */
function chain(answer: string): string {
  const steps = answer.slice(0, answer.lastIndexOf("####")).replace(/<<[^>]*>>/g, "");
  const sentences = steps
    .split("\n")
    .map((line) => strip(line))
    .filter((line) => line !== "")
    .map((line) => (/[.!?]$/.test(line) ? line : `${line}.`));
  return `${sentences.join(" ")} So the answer is ${goldAnswer(answer)}.`;
}

// -------------------------------------------------------------------------------------------------------- replay

const Solution = z.object({ is_correct: z.boolean(), solution: z.string() });
const UpstreamRow = z.object({ question: z.string(), ground_truth: z.string() }).catchall(Solution);

/** Solutions of four systems to every question, graded upstream. */
function readUpstream(file: ReplayFile): ReplayRun<Gsm8kItem>[] {
  const rows = file.records.map((record, index) => {
    const row = UpstreamRow.safeParse(record);
    if (!row.success) throw damaged(`${file.path} record ${index + 1}`, "not a row of model solutions");
    return row.data;
  });
  const systems = Object.keys(rows[0] ?? {}).filter((key) => key !== "question" && key !== "ground_truth");
  return systems.map((run) => ({
    run,
    entries: rows.map((row, index): ReplayEntry<Gsm8kItem> => {
      const solution = Solution.parse(row[run]);
      const truth = row.ground_truth;
      const target = joinDigits(strip(truth.slice(truth.lastIndexOf("A:") + 2)));
      return {
        item: { id: String(index), target, question: row.question, exemplars: [] },
        answers: [
          { kind: "generate", samples: [{ text: solution.solution, finishReason: "stop", tokens: 0 }] },
        ],
        prompt: row.question,
        upstreamScore: solution.is_correct ? 1 : 0,
      };
    }),
  }));
}
