/**
 * MT-Bench: 80 two-turn questions, each turn rated 1 to 10 by a judge (Zheng et al. 2023, https://arxiv.org/abs/2306.05685).
 * Questions, reference answers and the judge's prompts come from the official files.
 */
import type { Message } from "../../data/conversation.js";
import { strip } from "../../data/python-text.js";
import { textAt } from "../backend.js";
import { openJudge } from "../judges/open-judge.js";
import { ratingOf } from "../judges/rating.js";
import { meanValue } from "../metrics.js";
import type { Answer, GenerateRequest, Grade, Graded, Prompt, Task, TaskContext } from "../task.js";
import { FILES, judgeMessages, type MtBenchItem, readJudgments, readQuestions } from "./mt-bench-files.js";

const TEMPERATURES: Readonly<Record<string, number>> = {
  writing: 0.7,
  roleplay: 0.7,
  stem: 0.1,
  humanities: 0.1,
  extraction: 0,
  math: 0,
  coding: 0,
  reasoning: 0,
};
const MAX_NEW_TOKENS = 1024;
const MAX_JUDGMENT_TOKENS = 2048;

/** Answers come in the order turn 1, turn 2, judgment of turn 1, judgment of turn 2. */
export const mtBench: Task<MtBenchItem> = {
  name: "mt-bench",
  title: "MT-Bench",
  summary: "80 two-turn questions in eight categories, rated 1 to 10 by a judge",
  profiles: {
    "tulu2-paper":
      "Temperature by category, 1,024 tokens, GPT-4-0613 as judge. Turns in the template of the original evaluation, which has no end token between them.",
    standard: "As the paper, in the model's own chat template.",
  },
  metric: { name: "mean rating", unit: "" },
  options: {},
  files: FILES,
  roles: { judge: openJudge },

  async load(context) {
    return readQuestions(context);
  },

  requests(item, answers, context) {
    const said = answers.slice(0, 2).map((_, turn) => strip(textAt(answers, turn)));
    if (answers.length < 2) return [turnRequest(item, said, context)];
    if (answers.length > 2) return [];
    return [1, 2].map((turn): GenerateRequest => {
      return {
        kind: "generate",
        to: "judge",
        prompt: { messages: judgeMessages(item, turn, said, context) },
        maxNewTokens: MAX_JUDGMENT_TOKENS,
      };
    });
  },

  grade: (item, answers) => gradeQuestion(item.stored ? answers : answers.slice(2)),
  /** Mean of all ratings; a question of which one judgment could not be read counts with the other. */
  score: (graded) => meanOf(graded.flatMap(({ values }) => ratingsOf(values))),
  metrics: (graded) => ({ ...byTurn(graded), ...byCategory(graded) }),

  replays: [
    {
      name: "MT-Bench judgments (gpt-4_single.jsonl)",
      recognises: (_, first) => readJudgments.recognises(first),
      read: async (file, context) => readJudgments.read(file, context),
    },
  ],
};

function turnRequest(item: MtBenchItem, earlier: readonly string[], context: TaskContext): GenerateRequest {
  const temperature = TEMPERATURES[item.group] ?? 0.7;
  return {
    kind: "generate",
    prompt: dialogue(item.turns, earlier, context),
    maxNewTokens: MAX_NEW_TOKENS,
    ...(temperature === 0 ? {} : { temperature }),
    ...(context.chat ? {} : { stop: ["<|user|>"] }),
  };
}

/** Everything said so far and the next question. */
export function dialogue(
  turns: readonly string[],
  earlier: readonly string[],
  { chat, profile }: Pick<TaskContext, "chat" | "profile">,
): Prompt {
  if (chat && profile === "standard") {
    const messages: Message[] = [];
    earlier.forEach((answer, i) => {
      messages.push({ role: "user", content: turns[i]! }, { role: "assistant", content: answer });
    });
    messages.push({ role: "user", content: turns[earlier.length]! });
    return { messages };
  }
  // FastChat's template for the paper's models: LF behind every turn, no end token, no system turn.
  const said = earlier.map((answer, i) => `<|user|>\n${turns[i]!}\n<|assistant|>\n${answer}\n`).join("");
  return { text: `${said}<|user|>\n${turns[earlier.length]!}\n<|assistant|>\n` };
}

function gradeQuestion(judgments: readonly Answer[]): Grade {
  const ratings = judgments.map((_, i) => ratingOf(textAt(judgments, i)));
  const values: Record<string, number> = {};
  ratings.forEach((rating, i) => {
    if (rating !== undefined) values[`turn ${i + 1}`] = rating;
  });
  const read = ratingsOf(values);
  const missing = ratings.flatMap((rating, i) =>
    rating === undefined ? [`turn ${i + 1}: no rating in "${textAt(judgments, i).slice(-120)}"`] : [],
  );
  const note = missing.length === 0 ? {} : { extractionFailed: true, note: missing.join("; ") };
  if (read.length === 0) return { verdict: "failed", score: 0, extracted: null, ...note };
  const score = meanOf(read);
  return { verdict: score >= 5 ? "right" : "wrong", score, extracted: read.join(", "), values, ...note };
}

const ratingsOf = (values: Readonly<Record<string, number>>): number[] =>
  TURNS.flatMap((turn) => (values[turn] === undefined ? [] : [values[turn]]));
const TURNS = ["turn 1", "turn 2"];

const meanOf = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

function byTurn(graded: readonly Graded[]): Record<string, number> {
  return Object.fromEntries(TURNS.map((turn) => [turn, meanValue(graded, turn)]));
}

function byCategory(graded: readonly Graded[]): Record<string, number> {
  const means = Object.keys(TEMPERATURES).map((category): [string, number] => {
    const own = graded.filter(({ group }) => group === category);
    return [category, meanOf(own.flatMap(({ values }) => ratingsOf(values)))];
  });
  return Object.fromEntries(means.filter(([, mean]) => !Number.isNaN(mean)));
}
