/**
 * The 14 + 14 weighted prompt templates that instruction/input/output sources are rendered with
 * (spec 1.7). One `random()` draw a row picks the template; all three fields are stripped first.
 */
import { weightedIndex } from "../python-random.js";
import { strip } from "../python-text.js";

interface Template {
  readonly weight: number;
  readonly prompt: (instruction: string, input: string) => string;
  /** Text before the output; one template answers on a new line. */
  readonly before?: string;
}

const ALPACA_WITH_INPUT =
  "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n";

const WITH_INPUT: readonly Template[] = [
  { weight: 0.2, prompt: (i, x) => `${i}\n\n${x}\n\n` },
  { weight: 0.1, prompt: (i, x) => `${i}\n${x}\n\n` },
  { weight: 0.1, prompt: (i, x) => `${i}\n${x}\n` },
  { weight: 0.05, prompt: (i, x) => `${i}\n\nInput: ${x}\n\nOutput:` },
  { weight: 0.05, prompt: (i, x) => `${i}\nInput: ${x}\nOutput:` },
  { weight: 0.05, prompt: (i, x) => `${i}\n${x}\n\nResponse:` },
  { weight: 0.05, prompt: (i, x) => `${i}\n\nAdditional Context:\n${x}\n\nAnswer:` },
  { weight: 0.05, prompt: (i, x) => `Task: ${i}\nInput: ${x}\nOutput:` },
  { weight: 0.05, prompt: (i, x) => `Task: ${i}\n\n${x}\n\n` },
  { weight: 0.05, prompt: (i, x) => `Task: ${i}\n\n${x}\n\nAnswer:` },
  { weight: 0.05, prompt: (i, x) => `You need to complete the following task:\n\n${i}\n\n${x}\n\nAnswer:` },
  { weight: 0.05, prompt: (i, x) => `${i}\n\nNow complete the following instance -\nInput: ${x}\nOutput:` },
  { weight: 0.05, prompt: (i, x) => `Instruction:${i}\n\nInput: ${x}\n\n` },
  {
    weight: 0.1,
    prompt: (i, x) => `${ALPACA_WITH_INPUT}### Instruction:\n${i}\n\n### Input:\n${x}\n\n### Response:`,
  },
];

const WITHOUT_INPUT: readonly Template[] = [
  { weight: 0.2, prompt: (i) => `${i}\n\n` },
  { weight: 0.1, prompt: (i) => `${i}\n` },
  { weight: 0.1, prompt: (i) => i, before: "\n" },
  { weight: 0.05, prompt: (i) => `${i} Output:` },
  { weight: 0.05, prompt: (i) => `${i}\nResponse:` },
  { weight: 0.05, prompt: (i) => `${i}\n\nAnswer:` },
  { weight: 0.05, prompt: (i) => `Task: ${i}\n\n` },
  { weight: 0.05, prompt: (i) => `Instruction: ${i}\n` },
  { weight: 0.05, prompt: (i) => `Instruction: ${i}\nOutput:` },
  { weight: 0.05, prompt: (i) => `You need to complete the following task:\n\n${i}\n\n` },
  { weight: 0.05, prompt: (i) => `Can you help with this?\n\n${i}\n` },
  // "Plase" is the original's spelling, and 1 in 20 rows of the released mix carries it.
  { weight: 0.05, prompt: (i) => `Plase answer the following request: ${i}\nAnswer:` },
  { weight: 0.05, prompt: (i) => `Tell me how would you respond to the following request.\n${i}\n` },
  {
    weight: 0.1,
    prompt: (i) =>
      `Write a response that appropriately completes the request.\n\n### Instruction:\n${i}\n\n### Response:`,
  },
];

/** Left-to-right float sums, like `itertools.accumulate`: the last one is not exactly 1, and Python uses it as it is. */
function cumulative(templates: readonly Template[]): number[] {
  let sum = 0;
  return templates.map(({ weight }) => (sum += weight));
}
const CUMULATIVE_WITH_INPUT = cumulative(WITH_INPUT);
const CUMULATIVE_WITHOUT_INPUT = cumulative(WITHOUT_INPUT);

export interface RenderedInstruction {
  prompt: string;
  completion: string;
  /** For lineage: "with input, template 3". */
  step: string;
}

/** @param draw the row's `random()` in [0, 1) */
export function renderInstruction(
  instruction: string,
  input: string | null | undefined,
  output: string,
  draw: number,
): RenderedInstruction {
  const x = strip(input ?? "");
  const templates = x === "" ? WITHOUT_INPUT : WITH_INPUT;
  const index = weightedIndex(x === "" ? CUMULATIVE_WITHOUT_INPUT : CUMULATIVE_WITH_INPUT, draw);
  const { prompt, before = "" } = templates[index]!;
  return {
    prompt: prompt(strip(instruction), x),
    completion: before + strip(output),
    step: `template ${index + 1} of 14 ${x === "" ? "without" : "with"} input`,
  };
}
