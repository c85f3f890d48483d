/** AlpacaEval's files: instructions with the reference's answers, the judge's prompt, stored annotations. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import type { Message } from "../../data/conversation.js";
import { DataError } from "../../errors.js";
import { type DataFolder, damaged, type OfficialFile } from "../data-folder.js";
import { chatMl, fill } from "../judges/judge-prompt.js";
import type { Answer, ReplayEntry, ReplayFile, ReplayRun, TaskContext, TaskItem } from "../task.js";

export interface AlpacaItem extends TaskItem {
  readonly instruction: string;
  /** What the reference answered. */
  readonly reference: string;
  /** The model's answer where it is given and not asked for. */
  readonly output?: string;
  /** The judgment is a stored one. */
  readonly stored?: boolean;
}

const SOURCE =
  "https://raw.githubusercontent.com/tatsu-lab/alpaca_eval/cd543a149df89434d8a54582c0151c0b945c3d20";
const REFERENCE = "alpaca_eval/results/text_davinci_003/model_outputs.json";
const PROMPT = "alpaca_eval/evaluators_configs/alpaca_eval_gpt4/alpaca_eval.txt";

export const FILES: readonly OfficialFile[] = [
  {
    path: REFERENCE,
    url: `${SOURCE}/results/text_davinci_003/model_outputs.json`,
    sha256: "af0bc112f08c88bf589bbfe6fc1036806d0a0f6fec9c4d5a4db860f5afe73b4b",
    licence: "CC-BY-NC-4.0",
  },
  {
    path: PROMPT,
    url: `${SOURCE}/src/alpaca_eval/evaluators_configs/alpaca_eval_gpt4/alpaca_eval.txt`,
    sha256: "cf4bace43fa6ac71944b9ca2506587ad7c509478a219e98a3950abf9d5b42a98",
    licence: "Apache-2.0",
  },
];

const Output = z.object({
  instruction: z.string(),
  output: z.string(),
  dataset: z.string().optional(),
  generator: z.string().optional(),
});

export function readInstructions(context: TaskContext): AlpacaItem[] {
  const rows = parseOutputs(context.data.json(REFERENCE), context.data.find(REFERENCE)!);
  const outputs = context.settings.outputs === undefined ? undefined : readOutputs(context.settings.outputs);
  return rows.flatMap(({ instruction, output, dataset }, index): AlpacaItem[] => {
    const item = itemOf(index, instruction, output, dataset);
    if (outputs === undefined) return [item];
    const given = outputs.get(instruction);
    if (given === undefined) context.note(`${context.settings.outputs} does not answer every instruction.`);
    return given === undefined ? [] : [{ ...item, output: given }];
  });
}

function itemOf(
  index: number,
  instruction: string,
  reference: string,
  group: string | undefined,
): AlpacaItem {
  return { id: String(index), instruction, reference, ...(group === undefined ? {} : { group }) };
}

/** A `model_outputs.json`: instruction -> answer. */
function readOutputs(path: string): Map<string, string> {
  let value: unknown;
  try {
    const bytes = readFileSync(path);
    value = JSON.parse((path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8"));
  } catch (cause) {
    throw new DataError("ERR_EVAL_OUTPUTS", `stored answers cannot be read (${(cause as Error).message}).`, {
      where: path,
      fix: 'give a JSON list of {"instruction": ..., "output": ...}, as AlpacaEval writes it.',
      cause,
    });
  }
  return new Map(parseOutputs(value, path).map(({ instruction, output }) => [instruction, output]));
}

function parseOutputs(value: unknown, where: string): z.output<typeof Output>[] {
  if (!Array.isArray(value)) throw damaged(where, "it is no list");
  return value.map((row, index) => {
    const output = Output.safeParse(row);
    if (output.success) return output.data;
    throw damaged(`${where} row ${index + 1}`, 'a row has the texts "instruction" and "output"');
  });
}

/** What the judge sees. Model 1 is the reference unless the two have changed places. */
export function judgeMessages(
  item: AlpacaItem,
  output: string,
  switched: boolean,
  context: Pick<TaskContext, "data">,
): Message[] {
  const [output_1, output_2] = switched ? [output, item.reference] : [item.reference, output];
  const values = { instruction: item.instruction, output_1, output_2 };
  return judgePrompt(context).map(({ role, content }) => ({ role, content: fill(content, values) }));
}

const READ = new WeakMap<DataFolder, Message[]>();

function judgePrompt({ data }: Pick<TaskContext, "data">): Message[] {
  const known = READ.get(data);
  if (known !== undefined) return known;
  const template = data.text(PROMPT);
  const messages = chatMl(template);
  const wants = ["{instruction}", "{output_1}", "{output_2}"];
  if (messages === undefined || wants.some((name) => !template.includes(name))) {
    throw damaged(data.find(PROMPT)!, `it is no ChatML prompt with ${wants.join(", ")}`);
  }
  READ.set(data, messages);
  return messages;
}

// -------------------------------------------------------------------------------------------------------- replay

const Annotation = z.object({
  instruction: z.string(),
  output_1: z.string(),
  output_2: z.string(),
  generator_1: z.string(),
  generator_2: z.string(),
  dataset: z.string().optional(),
  preference: z.number().nullable(),
});

/** Upstream's annotations keep the preference, not the judge's words: 1 or 2, 0 for equal answers, null for no ranking. */
export const readAnnotations = {
  recognises: (first: unknown) => Annotation.safeParse(first).success,

  read(file: ReplayFile, ordersOf: (item: AlpacaItem) => boolean[]): ReplayRun<AlpacaItem>[] {
    const runs = new Map<string, ReplayEntry<AlpacaItem>[]>();
    file.records.forEach((record, index) => {
      const row = Annotation.safeParse(record);
      const where = `${file.path} record ${index + 1}`;
      if (!row.success) throw damaged(where, "it is no annotation of AlpacaEval");
      const { instruction, output_1, output_2, generator_2, dataset, preference } = row.data;
      if (preference !== null && ![0, 1, 1.5, 2].includes(preference)) {
        throw damaged(where, `the preference is ${preference}`);
      }
      const item = { ...itemOf(index, instruction, output_1, dataset), output: output_2, stored: true };
      const entry: ReplayEntry<AlpacaItem> = {
        item,
        answers:
          output_1 === output_2 ? [] : ordersOf(item).map((switched) => judgment(preference, switched)),
        ...(preference === null ? {} : { upstreamScore: preference === 0 ? 0.5 : preference - 1 }),
      };
      const run = runs.get(generator_2);
      if (run === undefined) runs.set(generator_2, [entry]);
      else run.push(entry);
    });
    return [...runs].map(([run, entries]) => ({ run, entries }));
  },
};

/** The words that would have led to a preference, in the order in which the judge saw the answers. */
function judgment(preference: number | null, switched: boolean): Answer {
  const first = preference === null || preference === 0 ? 0 : switched ? 3 - preference : preference;
  const text =
    first === 0 ? "" : `[{'model': 'model_1', 'rank': ${first}}, {'model': 'model_2', 'rank': ${3 - first}}]`;
  return { kind: "generate", samples: [{ text, finishReason: "stop", tokens: 0 }] };
}
