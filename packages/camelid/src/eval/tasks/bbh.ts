/** BIG-Bench Hard: 27 tasks, three worked examples each (Suzgun et al. 2022, https://arxiv.org/abs/2210.09261). */
import { z } from "zod";
import { strip } from "../../data/python-text.js";
import { textAt } from "../backend.js";
import { damaged, type OfficialFile } from "../data-folder.js";
import { meanOverGroups, meanScore } from "../metrics.js";
import { question } from "../prompts.js";
import type { Answer, Grade, ReplayFile, ReplayRun, Task, TaskContext, TaskItem } from "../task.js";
import { SHA256 } from "./pins.js";
import { paperRandom, sample } from "./subset.js";
import { exactMatchIgnoring } from "./text-match.js";

export interface BbhItem extends TaskItem {
  readonly group: string;
  readonly target: string;
  readonly input: string;
  /** Description of the task and its worked examples. */
  readonly taskPrompt: string;
}

const TASKS: readonly string[] =
  `boolean_expressions causal_judgement date_understanding disambiguation_qa dyck_languages
formal_fallacies geometric_shapes hyperbaton logical_deduction_five_objects logical_deduction_seven_objects
logical_deduction_three_objects movie_recommendation multistep_arithmetic_two navigate object_counting
penguins_in_a_table reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks
sports_understanding temporal_sequences tracking_shuffled_objects_five_objects tracking_shuffled_objects_seven_objects
tracking_shuffled_objects_three_objects web_of_lies word_sorting`.split(/\s+/);

const SOURCE =
  "https://raw.githubusercontent.com/suzgunmirac/BIG-Bench-Hard/9ee07bd481feebf959a6b59d61ea57bdcf30964d";
const PAPER_ITEMS = 40;

export const bbh: Task<BbhItem> = {
  name: "bbh",
  title: "BBH",
  summary: "27 hard BIG-bench tasks, 3-shot chain of thought, exact match, mean over the tasks",
  profiles: {
    "tulu2-paper":
      '40 questions a task, drawn with seed 42 over task names in alphabetical order (the original went by directory order). The text after the first "the answer is" up to the next full stop, without punctuation: -50 equals 50.',
    standard:
      'All questions. The text after the last "the answer is" to the end of its line, less a closing full stop; equal character by character.',
  },
  metric: { name: "exact match", unit: "%" },
  files: TASKS.flatMap((task): OfficialFile[] => [file(`bbh/${task}.json`), file(`cot-prompts/${task}.txt`)]),

  async load(context) {
    const present = TASKS.filter((task) => context.data.find(`bbh/bbh/${task}.json`) !== undefined);
    if (present.length === 0) throw context.data.missing(`bbh/bbh/${TASKS[0]}.json`);
    if (present.length < TASKS.length) {
      const missing = TASKS.filter((task) => !present.includes(task));
      context.note(`${present.length} of 27 tasks: the data have no ${missing.join(", ")}.`);
    }
    const random = paperRandom(context.seed);
    return present.flatMap((task) => {
      const items = readTask(context, task);
      return context.profile === "tulu2-paper" ? sample(items, PAPER_ITEMS, random) : items;
    });
  },

  requests(item, answers, context) {
    if (answers.length > 0) return [];
    return [
      {
        kind: "generate",
        prompt: question(context, `${item.taskPrompt}\n\nQ: ${item.input}`, prefix(context)),
        maxNewTokens: 512,
        ...stops(context),
      },
    ];
  },

  grade: gradeBbh,
  score: (graded) => 100 * meanOverGroups(graded),
  metrics: (graded) => ({ "mean over questions": 100 * meanScore(graded) }),

  replays: [
    {
      name: "BBH outputs of code-davinci-002",
      recognises: (_, first) => Upstream.safeParse(first).success,
      read: async (stored) => [readUpstream(stored)],
    },
  ],
};

/** The paper leaves "Let's think step by step." to the model. */
function prefix({ profile, settings }: TaskContext): string {
  return profile === "tulu2-paper" || settings.direct === "true" ? "A:" : "A: Let's think step by step.";
}

function stops({ profile, chat }: TaskContext): { stop?: readonly string[] } {
  if (profile === "tulu2-paper") return chat ? {} : { stop: ["\n\n"] };
  return { stop: ["\n\nQ:"] };
}

function gradeBbh(
  item: BbhItem,
  answers: readonly Answer[],
  { profile }: Pick<TaskContext, "profile">,
): Grade {
  const output = textAt(answers);
  const found = profile === "tulu2-paper" ? statedPaper(output) : stated(output);
  const answer = found ?? strip(output);
  const right = profile === "tulu2-paper" ? exactMatchIgnoring(answer, item.target) : answer === item.target;
  return {
    verdict: right ? "right" : "wrong",
    score: right ? 1 : 0,
    extracted: found ?? null,
    ...(found === undefined ? { extractionFailed: true } : {}),
  };
}

/** `[t|T]he answer is (.*?)\.`: needs a full stop on the line, ends at the first one. The bar is in the original's class. */
function statedPaper(output: string): string | undefined {
  return /[t|T]he answer is (.*?)\./.exec(output)?.[1];
}

function stated(output: string): string | undefined {
  const at = output.lastIndexOf("he answer is ");
  if (at < 0) return undefined;
  const line = output.slice(at + "he answer is ".length).split("\n")[0]!;
  const text = strip(line);
  return text.endsWith(".") ? text.slice(0, -1) : text;
}

// -------------------------------------------------------------------------------------------------------- files

function file(path: string): OfficialFile {
  const full = `bbh/${path}`;
  return { path: full, url: `${SOURCE}/${path}`, sha256: SHA256[full]!, licence: "MIT" };
}

const TaskFile = z.object({
  examples: z.array(z.object({ input: z.string(), target: z.string() })).min(1),
});

function readTask(context: TaskContext, task: string): BbhItem[] {
  const path = `bbh/bbh/${task}.json`;
  const parsed = TaskFile.safeParse(context.data.json(path));
  if (!parsed.success) {
    throw damaged(context.data.find(path)!, 'a BBH file is {"examples": [{"input", "target"}, ...]}');
  }
  const prompt = taskPrompt(context, task);
  return parsed.data.examples.map(({ input, target }, index) => ({
    id: `${task}/${index}`,
    group: task,
    target,
    input,
    taskPrompt: prompt,
  }));
}

/** Without the canary line and the rule below it. */
function taskPrompt(context: TaskContext, task: string): string {
  const path = `bbh/cot-prompts/${task}.txt`;
  const lines = context.data.text(path).split("\n");
  if (lines[1]?.trim() !== "-----") {
    throw damaged(context.data.find(path)!, 'a BBH prompt starts with a canary line and "-----"');
  }
  const [description, ...examples] = strip(lines.slice(2).join("\n")).split("\n\nQ:");
  const shown = examples.slice(0, context.shots ?? examples.length);
  const blocks = shown.map(
    (example) => `Q:${context.settings.direct === "true" ? direct(example) : example}`,
  );
  return [description!, ...blocks].join("\n\n");
}

/** An example without its reasoning: what stands behind "So the answer is". */
function direct(example: string): string {
  const answer = example.slice(example.lastIndexOf("So the answer is") + "So the answer is".length);
  return `${example.slice(0, example.indexOf("\nA:"))}\nA: ${strip(answer)}`;
}

// -------------------------------------------------------------------------------------------------------- replay

const Upstream = z.object({
  outputs: z.array(z.object({ input: z.string(), prediction: z.string(), target: z.string() })).min(1),
});

/** One file a task; the name begins with the task's. `input` is the whole prompt, its last question the item's. */
function readUpstream({ path, name, records }: ReplayFile): ReplayRun<BbhItem> {
  const parsed = Upstream.safeParse(records[0]);
  const task = TASKS.find((one) => name.startsWith(`${one}_`) || name.startsWith(`${one}.`));
  if (!parsed.success || task === undefined) {
    throw damaged(path, "a file of BBH outputs is named after its task and holds {outputs: [...]}");
  }
  return {
    run: "stored",
    entries: parsed.data.outputs.map(({ input, prediction, target }, index) => ({
      item: { id: `${task}/${index}`, group: task, target, input, taskPrompt: "" },
      prompt: input,
      answers: [{ kind: "generate", samples: [{ text: prediction, finishReason: "stop", tokens: 0 }] }],
    })),
  };
}
