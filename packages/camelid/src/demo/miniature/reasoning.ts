import type { Random } from "../random.js";
import type { World } from "../world.js";

/** A question, the steps to its answer, the answer. */
export interface Reasoned {
  readonly question: string;
  readonly steps: string;
  readonly answer: string;
}

const THINGS = ["jars", "eggs", "apples", "loaves", "bells", "ropes", "stones", "candles"];

/** A sum about stores, as GSM8K asks. The valley writes numbers as words; here they are digits. */
export function wordProblem(world: World, random: Random): Reasoned {
  const { name } = random.pick(world.villagers);
  const things = random.pick(THINGS);
  const [a, b] = [2 + random.integer(7), 1 + random.integer(6)];
  if (random.chance(0.5)) {
    return {
      question: `${name} has ${a} ${things} and gets ${b} more. How many ${things} has ${name} now?`,
      steps: `${name} has ${a} + ${b} = ${a + b} ${things}.`,
      answer: String(a + b),
    };
  }
  return {
    question: `${name} has ${a + b} ${things} and gives ${b} away. How many ${things} has ${name} now?`,
    steps: `${name} has ${a + b} - ${b} = ${a} ${things}.`,
    answer: String(a),
  };
}

/** A task of BIG-Bench Hard in small: its name there, its description, its questions. */
export interface ReasoningTask {
  readonly name: string;
  readonly description: string;
  ask(world: World, random: Random): Reasoned;
}

export const REASONING_TASKS: readonly ReasoningTask[] = [
  {
    name: "boolean_expressions",
    description: "Say whether the expression is True or False.",
    ask(_world, random) {
      const [a, b] = [random.chance(0.5), random.chance(0.5)];
      const both = random.chance(0.5);
      const word = (value: boolean) => (value ? "True" : "False");
      const answer = word(both ? a && b : a || b);
      return {
        question: `${word(a)} ${both ? "and" : "or"} ${word(b)} is`,
        steps: both ? "With and, both must be True." : "With or, one True is enough.",
        answer,
      };
    },
  },
  {
    name: "object_counting",
    description: "Count the things that are named.",
    ask(_world, random) {
      const [a, b] = [1 + random.integer(5), 1 + random.integer(4)];
      const [x, y] = random.shuffled(THINGS, 2);
      return {
        question: `I have ${a} ${x} and ${b} ${y}. How many things have I?`,
        steps: `There are ${a} + ${b} = ${a + b} things.`,
        answer: String(a + b),
      };
    },
  },
  {
    name: "word_sorting",
    description: "Sort the names by the alphabet.",
    ask(world, random) {
      const names = random.shuffled(
        world.villagers.map(({ name }) => name),
        2,
      );
      const sorted = [...names].sort();
      return {
        question: `Sort: ${names.join(" ")}`,
        steps: `${sorted[0]} comes before ${sorted[1]}.`,
        answer: sorted.join(" "),
      };
    },
  },
];

export const closing = ({ steps, answer }: Reasoned): string => `${steps} So the answer is ${answer}.`;

/** GSM8K's own way of writing an answer. */
export const gsm8kRow = ({ question, steps, answer }: Reasoned): object => ({
  question,
  answer: `${steps.replace(/(\d+ [+-] \d+) = (\d+)/, "$1 = <<$1=$2>>$2")}\n#### ${answer}`,
});

export function bbhFiles(
  { name, description, ask }: ReasoningTask,
  world: World,
  random: Random,
  count: number,
): [path: string, text: string][] {
  const examples = Array.from({ length: count }, () => ask(world, random)).map(({ question, answer }) => ({
    input: question,
    target: answer,
  }));
  const shown = Array.from({ length: 3 }, () => ask(world, random)).map(
    (one) => `Q: ${one.question}\nA: Let's think step by step.\n${closing(one)}`,
  );
  const prompt = [description, ...shown].join("\n\n");
  return [
    [`bbh/bbh/${name}.json`, JSON.stringify({ canary: "made up by this project", examples })],
    [`bbh/cot-prompts/${name}.txt`, `made up by this project\n-----\n${prompt}\n`],
  ];
}
