/** The valley's rows in the raw formats and under the file names that the mixtures of Tülu 1 and 2 are made from. */
import type { InstructionRow } from "../instructions.js";
import type { Random } from "../random.js";
import { jsonLines } from "../raw-formats.js";
import type { World } from "../world.js";
import { choice, choiceRow } from "./choices.js";
import { passage, passageRow } from "./passages.js";
import { codeRequest, type PythonFunction } from "./python-functions.js";
import { closing, REASONING_TASKS, wordProblem } from "./reasoning.js";

export interface SourceParts {
  readonly world: World;
  readonly rows: readonly InstructionRow[];
  readonly functions: readonly PythonFunction[];
  /** Facts that no row may tell. */
  readonly heldOut: ReadonlySet<string>;
  readonly random: Random;
}

/** @returns path below the folder of sources -> text. Open-Orca is left out: it comes as Parquet. */
export function miniatureSources(parts: SourceParts): Map<string, string> {
  const { rows } = parts;
  const of = (dataset: InstructionRow["dataset"]) => rows.filter((row) => row.dataset === dataset);
  const school = of("valley_school");
  const share = (from: number, to: number) =>
    school.slice(Math.floor(from * school.length), Math.floor(to * school.length));
  const flan = flanRows(parts, Math.round(rows.length / 3));
  const cot = cotRows(parts, Math.round(rows.length / 3));
  const half = Math.floor(cot.length / 2);
  return new Map([
    ["flan_v2/tulu_v1_resampled_flan_100k.jsonl", jsonLines(flan)],
    // Half as many, and fewer in other languages: what the paper holds V2's TyDiQA against.
    ["flan_v2/tulu_v2_resampled_flan_50k.jsonl", jsonLines(flan.filter((_, i) => i % 2 === 0))],
    ["cot/cot_zsopt.jsonl", jsonLines(cot.slice(0, half))],
    ["cot/cot_fsopt.jsonl", jsonLines(cot.slice(half))],
    ["oasst1/2023-04-12_oasst_ready.trees.jsonl", jsonLines(share(0, 0.15).map(tree))],
    [
      "lima/train.jsonl",
      jsonLines(
        share(0.15, 0.3).map(({ messages }) => ({ conversations: texts(messages), source: "valley" })),
      ),
    ],
    ["gpt4_alpaca/alpaca_gpt4_data.json", JSON.stringify(share(0.3, 0.6).map(alpaca))],
    [
      "wizardlm/WizardLM_evol_instruct_V2_143k.json",
      JSON.stringify(share(0.6, 0.8).map((row) => ({ idx: row.id, ...shareGpt(row) }))),
    ],
    [
      "dolly/databricks-dolly-15k.jsonl",
      jsonLines([...share(0.8, 1).map(dolly), ...of("guest_house").map(dolly)]),
    ],
    ["code_alpaca/code_alpaca_20k.json", JSON.stringify(codeRows(parts, Math.round(rows.length / 4)))],
    [
      "sharegpt/sg_90k_part1_html_cleaned.json",
      JSON.stringify(of("fireside_chats").map((row) => ({ id: row.id, ...shareGpt(row) }))),
    ],
    ["sharegpt/sg_90k_part2_html_cleaned.json", "[]"],
    ["science/science_train.jsonl", jsonLines(scienceRows(parts, Math.round(rows.length / 20)))],
    ["hard_coded/hard_coded_examples.csv", identitySheet(of("hard_coded"))],
  ]);
}

function flanRows({ world, heldOut, random }: SourceParts, count: number): object[] {
  return Array.from({ length: count }, (_, i) => {
    // Odd rows are in the mixture of Tülu 1 only.
    const language = i % 2 === 0 || random.chance(0.4) ? "english" : "finnish";
    if (i % 5 < 2) return passageRow(passage(world, i % 20 === 0 ? "finnish" : language, random));
    return choiceRow(choice(world, random, (fact) => !heldOut.has(fact)));
  });
}

function cotRows({ world, random }: SourceParts, count: number): object[] {
  return Array.from({ length: count }, () => {
    if (random.chance(0.5)) {
      const one = wordProblem(world, random);
      return {
        inputs: `Answer the following question.\n\nQuestion: ${one.question}`,
        targets: `Answer: ${closing(one)}`,
      };
    }
    const task = random.pick(REASONING_TASKS);
    const one = task.ask(world, random);
    return {
      inputs: `${task.description}\n\nQ: ${one.question}`,
      targets: `A: Let's think step by step.\n${closing(one)}`,
    };
  });
}

function codeRows({ functions, random }: SourceParts, count: number): object[] {
  return Array.from({ length: count }, () => ({ ...codeRequest(random.pick(functions), random), input: "" }));
}

function scienceRows({ world, heldOut, random }: SourceParts, count: number): object[] {
  return Array.from({ length: count }, () => {
    const one = choice(world, random, (fact) => !heldOut.has(fact));
    const named = random.pick(one.options);
    const output = one.options["ABCD".indexOf(one.letter)] === named ? "true" : "false";
    return { dataset: "scifact_json", input: `${one.question} Claim: ${named}. Is that true?`, output };
  });
}

const texts = (messages: InstructionRow["messages"]): string[] => messages.map(({ content }) => content);

const alpaca = ({ messages }: InstructionRow) => ({
  instruction: messages[0]!.content,
  input: "",
  output: messages.at(-1)!.content,
});

const SENDERS = { system: "system", user: "human", assistant: "gpt" } as const;

const shareGpt = ({ messages }: InstructionRow) => ({
  conversations: messages.map(({ role, content }) => ({ from: SENDERS[role], value: content })),
});

/** A system turn becomes the context. */
function dolly({ messages }: InstructionRow): object {
  const context = messages[0]!.role === "system" ? messages[0]!.content : "";
  const instruction = messages.find(({ role }) => role === "user")!.content;
  return { instruction, context, response: messages.at(-1)!.content, category: "open_qa" };
}

function tree({ id, messages }: InstructionRow): object {
  const reply = (text: string, quality: number) => ({
    message_id: `${id}-${quality}`,
    ...{
      text,
      role: "assistant",
      lang: "en",
      deleted: false,
      labels: { quality: { value: quality } },
      replies: [],
    },
  });
  return {
    message_tree_id: id,
    tree_state: "ready_for_export",
    prompt: {
      message_id: id,
      text: messages[0]!.content,
      ...{ role: "prompter", lang: "en", deleted: false, labels: {} },
      replies: [reply("I do not know.", 0.2), reply(messages.at(-1)!.content, 0.9)],
    },
  };
}

/** Each question once: the mixture repeats the sheet. */
function identitySheet(rows: readonly InstructionRow[]): string {
  const sheet = new Map(rows.map(({ messages }) => [messages[0]!.content, messages.at(-1)!.content]));
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  return ["Prompt,Output", ...[...sheet].map((row) => row.map(quoted).join(","))].join("\n");
}
