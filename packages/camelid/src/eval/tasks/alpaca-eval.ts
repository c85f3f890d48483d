/**
 * AlpacaEval 1: a judge compares an answer with that of text-davinci-003, instruction by instruction
 * (Li et al. 2023, https://github.com/tatsu-lab/alpaca_eval). Prompt and instructions come from the official files.
 */
import { PythonRandom } from "../../data/python-random.js";
import { SettingsError } from "../../errors.js";
import { textAt } from "../backend.js";
import { openJudge } from "../judges/open-judge.js";
import { rankOf } from "../judges/ranking.js";
import { meanScore, meanValue } from "../metrics.js";
import type { Answer, GenerateRequest, Grade, Task, TaskContext } from "../task.js";
import {
  type AlpacaItem,
  FILES,
  judgeMessages,
  readAnnotations,
  readInstructions,
} from "./alpaca-eval-files.js";
import { numberOption } from "./programs.js";

export const alpacaEval: Task<AlpacaItem> = {
  name: "alpaca-eval",
  title: "AlpacaEval",
  summary: "805 instructions, win rate against text-davinci-003 by a judge",
  profiles: {
    "tulu2-paper":
      "Greedy, up to 8,192 tokens; the judge is GPT-4-0613 with 100 tokens. Which answer it sees first is drawn per instruction as upstream draws it.",
    standard: "As the paper, each pair judged in both orders and the two preferences averaged.",
  },
  metric: { name: "win rate", unit: "%" },
  options: {
    swap: "order of the two answers: random, both or never; random as in the paper, else both",
    outputs: "model_outputs.json with answers to judge; the model is not asked",
    maxNewTokens: "tokens of an answer, 8192",
  },
  files: FILES,
  roles: { judge: openJudge },

  async load(context) {
    swapOf(context); // a wrong option is known before anything is asked
    return readInstructions(context);
  },

  requests(item, answers, context) {
    const given = item.output;
    if (given === undefined && answers.length === 0) {
      const messages = [{ role: "user", content: item.instruction } as const];
      return [
        {
          kind: "generate",
          prompt: context.chat ? { messages } : { text: item.instruction },
          maxNewTokens: numberOption(context, "maxNewTokens", 8192),
        },
      ];
    }
    const output = outputOf(item, answers);
    const asked = judgments(item, answers);
    if (asked.length > 0 || output === item.reference) return []; // equal answers are a draw, nobody is asked
    return ordersOf(item, context).map((switched): GenerateRequest => {
      return {
        kind: "generate",
        to: "judge",
        prompt: { messages: judgeMessages(item, output, switched, context) },
        maxNewTokens: 100,
      };
    });
  },

  grade: gradeAlpaca,
  /** Mean of preference - 1: a win counts 1, a draw one half. */
  score: (graded) => 100 * meanScore(graded),
  metrics: (graded) => ({
    "wins %": 100 * meanValue(graded, "win"),
    "draws %": 100 * meanValue(graded, "draw"),
    "mean length in characters": meanValue(graded, "characters"),
  }),

  replays: [
    {
      name: "AlpacaEval annotations.json",
      recognises: (_, first) => readAnnotations.recognises(first),
      read: async (file, context) => readAnnotations.read(file, (item) => ordersOf(item, context)),
    },
  ],
};

/** Whether the reference and the model's answer change places: drawn as upstream, from a text as seed. */
export function isSwitched(instruction: string, seed = 0): boolean {
  return new PythonRandom(`is_switched_outputs${instruction}${seed}`).random() >= 0.5;
}

function swapOf({ settings, profile }: TaskContext): "random" | "both" | "never" {
  const swap = settings.swap ?? (profile === "tulu2-paper" ? "random" : "both");
  if (swap === "random" || swap === "both" || swap === "never") return swap;
  throw new SettingsError("ERR_EVAL_OPTION", `the option alpaca-eval.swap is "${swap}".`, {
    where: "--options",
    fix: "random (one order, drawn per instruction), both (two judgments a pair) or never (the reference first).",
  });
}

/** One entry per judgment: whether the answers have changed places in it. A stored judgment was made in the drawn order. */
function ordersOf(item: AlpacaItem, context: TaskContext): boolean[] {
  if (item.stored) return [isSwitched(item.instruction)];
  switch (swapOf(context)) {
    case "both":
      return [false, true];
    case "never":
      return [false];
    case "random":
      return [isSwitched(item.instruction)];
  }
}

/** With `outputs=FILE` the model is not asked; then all answers are the judge's. */
function outputOf(item: AlpacaItem, answers: readonly Answer[]): string {
  return item.output ?? textAt(answers);
}

const judgments = (item: AlpacaItem, answers: readonly Answer[]) =>
  item.output === undefined ? answers.slice(1) : answers;

function gradeAlpaca(item: AlpacaItem, answers: readonly Answer[], context: TaskContext): Grade {
  const output = outputOf(item, answers);
  const values = { characters: [...output].length };
  if (output === item.reference) return verdictOf([1.5], values, "both answers are the same");
  const given = judgments(item, answers);
  if (output === "" && given.length === 0) return unreadable("the model wrote nothing", values);
  const preferences = ordersOf(item, context).map((switched, i) => {
    const first = rankOf(textAt(given, i), "model_1");
    if (first === undefined) return undefined;
    // Preference 2 is for the second output of the pair, the model's; in a switched pair it stood first.
    return switched ? 3 - first : first;
  });
  const read = preferences.filter((one) => one !== undefined);
  if (read.length < preferences.length) {
    return unreadable(
      `the judge's answer is no ranking: ${clip(textAt(given, preferences.indexOf(undefined)))}`,
      values,
    );
  }
  return verdictOf(
    read,
    values,
    read.length > 1 && read[0] !== read[1] ? "the judge changed its mind with the order" : "",
  );
}

function verdictOf(preferences: readonly number[], values: Record<string, number>, note: string): Grade {
  const preference = preferences.reduce((sum, one) => sum + one, 0) / preferences.length;
  return {
    verdict: preference > 1.5 ? "right" : "wrong",
    score: preference - 1,
    extracted: String(preference),
    values: { ...values, win: preference > 1.5 ? 1 : 0, draw: preference === 1.5 ? 1 : 0 },
    ...(note === "" ? {} : { note }),
  };
}

/** No preference: counted and shown, never scored. */
function unreadable(note: string, values: Record<string, number>): Grade {
  return { verdict: "failed", score: 0, extracted: null, extractionFailed: true, values, note };
}

const clip = (text: string) => (text.length > 120 ? `${text.slice(0, 120)}...` : text);
