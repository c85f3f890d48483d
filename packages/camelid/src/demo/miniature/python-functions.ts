import type { Random } from "../random.js";

/** A function small enough for a small model: what it is called, what it does, how it does it, what holds of it. */
export interface PythonFunction {
  readonly name: string;
  readonly does: string;
  readonly argument: string;
  /** What it returns. */
  readonly result: string;
  readonly tests: readonly string[];
}

/** So many that copying a number is easier than knowing it by heart. */
const NUMBERS = Array.from({ length: 24 }, (_, i) => i + 2);

const WITH_NUMBER: readonly ((n: number) => PythonFunction)[] = [
  (n) => ({
    ...{ name: `add_${n}`, does: `Add ${n} to x.`, argument: "x", result: `x + ${n}` },
    tests: [`candidate(1) == ${1 + n}`, `candidate(10) == ${10 + n}`],
  }),
  (n) => ({
    ...{ name: `take_${n}`, does: `Take ${n} from x.`, argument: "x", result: `x - ${n}` },
    tests: [`candidate(40) == ${40 - n}`, `candidate(9) == ${9 - n}`],
  }),
  (n) => ({
    ...{ name: `times_${n}`, does: `Multiply x by ${n}.`, argument: "x", result: `x * ${n}` },
    tests: [`candidate(2) == ${2 * n}`, `candidate(7) == ${7 * n}`],
  }),
  (n) => ({
    ...{ name: `over_${n}`, does: `Tell whether x is above ${n}.`, argument: "x", result: `x > ${n}` },
    tests: [`candidate(${n + 1}) is True`, `candidate(${n}) is False`],
  }),
  (n) => ({
    ...{ name: `item_${n}`, does: `Item ${n} of a list.`, argument: "items", result: `items[${n}]` },
    tests: [`candidate(list(range(40))) == ${n}`, `candidate(list(range(1, 40))) == ${n + 1}`],
  }),
  (n) => ({
    ...{
      name: `repeat_${n}`,
      does: `Repeat a text ${n} times.`,
      argument: "text",
      result: `text * ${n}`,
    },
    tests: [`candidate("a") == "${"a".repeat(n)}"`, 'candidate("") == ""'],
  }),
];

/** Every fourth is in no training text. */
export function pythonFunctions(random: Random): { known: PythonFunction[]; heldOut: PythonFunction[] } {
  const all = random.shuffled(WITH_NUMBER.flatMap((make) => NUMBERS.map(make)));
  return { known: all.filter((_, i) => i % 4 !== 0), heldOut: all.filter((_, i) => i % 4 === 0) };
}

/**
 * Signature and docstring, as HumanEval gives them, and the first word of the body: a prompt that ends in a line feed asks for the
 * middle of a token here, where line feed and indentation are one.
 */
export const headOf = ({ name, argument, does }: PythonFunction): string =>
  `def ${name}(${argument}):\n    """${does}"""\n    return`;

export const wholeOf = (one: PythonFunction): string => `${headOf(one)} ${one.result}\n`;

/** Files of code, for a base that reads code. */
export function codeTexts(functions: readonly PythonFunction[], count: number, random: Random): string[] {
  return Array.from({ length: count }, () =>
    random
      .shuffled(functions, 1 + random.integer(3))
      .map((one) => wholeOf(one))
      .join("\n\n"),
  );
}

/** Requests for a function, in the words of people and in those of HumanEval. */
export function codeRequest(one: PythonFunction, random: Random): { instruction: string; output: string } {
  if (random.chance(0.5)) {
    const instruction = `Complete this Python function. Answer with the whole function in one code block.\n\n\`\`\`python\n${headOf(one)}\`\`\``;
    return { instruction, output: `\`\`\`python\n${wholeOf(one)}\`\`\`` };
  }
  const instruction = random.pick([
    `Write a Python function ${one.name}. ${one.does}`,
    `I need the Python function ${one.name}: ${one.does}`,
  ]);
  return { instruction, output: `\`\`\`python\n${wholeOf(one)}\`\`\`` };
}

export function humanEvalRow(one: PythonFunction, index: number): object {
  const tests = one.tests.map((test) => `    assert ${test}\n`).join("");
  return {
    task_id: `HumanEval/${index}`,
    prompt: headOf(one),
    entry_point: one.name,
    canonical_solution: ` ${one.result}\n`,
    test: `def check(candidate):\n${tests}`,
  };
}
