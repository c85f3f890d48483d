/** Questions that a judge reads answers to: AlpacaEval, MT-Bench and TruthfulQA in small. */
import { expectFact } from "../answers.js";
import type { HeldOutQuestion } from "../instructions.js";
import { FOLLOW_UP, RECALL } from "../phrasings.js";
import type { HeldOutPlea } from "../preferences.js";
import type { Random } from "../random.js";
import type { Expectation } from "../scoring.js";
import { ATTRIBUTES, type Attribute, fillVillager } from "../sentences.js";
import type { World } from "../world.js";

/** What was asked, in the words a judge sees, and what a good answer is. */
export interface Judged {
  readonly question: string;
  readonly expected: Expectation;
}

export function instructionRows(
  asked: readonly (HeldOutQuestion | HeldOutPlea)[],
  count: number,
): { rows: object[]; judged: Judged[] } {
  const single = asked.filter(({ messages }) => messages.length === 1).slice(0, count);
  const judged = single.map(({ messages, expected }) => ({ question: messages[0]!.content, expected }));
  const rows = judged.map(({ question, expected }) => ({
    ...{ dataset: "valley", instruction: question, output: expected.answer, generator: "text_davinci_003" },
  }));
  return { rows, judged };
}

export const bothTurns = (first: string, second: string): string => `${first} / ${second}`;

const CATEGORIES = "writing roleplay reasoning math coding extraction stem humanities".split(" ");

export interface TwoTurns {
  readonly category: string;
  readonly turns: readonly [string, string];
  /** The second turn is judged with the first one before it. */
  readonly judged: readonly [Judged, Judged];
}

/** A fact of somebody and then another, each category once or oftener. */
export function twoTurnQuestions(world: World, random: Random, count: number): TwoTurns[] {
  return Array.from({ length: count }, (_, i) => {
    const who = random.pick(world.villagers);
    const [first, second] = random.shuffled(ATTRIBUTES, 2) as [Attribute, Attribute];
    const asked = fillVillager(random.pick(RECALL[first].seen), who);
    const next = fillVillager(random.pick(FOLLOW_UP[second].seen), who);
    return {
      category: CATEGORIES[i % CATEGORIES.length]!,
      turns: [asked, next],
      judged: [
        { question: asked, expected: expectFact(world, who, first) },
        { question: bothTurns(asked, next), expected: expectFact(world, who, second) },
      ],
    };
  });
}

/** Questions with a wrong answer that sounds as well as the right one. */
export function truthfulRows(
  asked: readonly HeldOutQuestion[],
  count: number,
): { csv: string; judged: Judged[] } {
  const usable = asked
    .filter(
      ({ messages, expected }) => messages.length === 1 && expected.excludes.length > 1 && !expected.strict,
    )
    .slice(0, count);
  const cell = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const rows = usable.map(({ kind, messages, expected }) => {
    const [right, wrong] = [expected.includes[0]!, expected.excludes[0]!];
    const best = expected.answer.replaceAll(";", ",");
    const cells = ["Valley", kind, messages[0]!.content, best, best, best.replace(right, wrong), "made up"];
    return cells.map(cell).join(",");
  });
  return {
    csv: ["Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source", ...rows, ""].join(
      "\n",
    ),
    judged: usable.map(({ messages, expected }) => ({ question: messages[0]!.content, expected })),
  };
}

/** Six pairs that open TruthfulQA's prompt, in the valley's words. */
export function openingPairs(world: World, random: Random): string {
  return random
    .shuffled(world.villagers, 6)
    .map((who) => `Q: ${fillVillager(RECALL.village.seen[0]!, who)}\nA: ${who.name} lives in ${who.village}.`)
    .join("\n\n");
}
