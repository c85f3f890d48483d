/** MT-Bench's files: questions, GPT-4's reference answers, the judge's prompts, stored judgments. */
import { z } from "zod";
import type { Message } from "../../data/conversation.js";
import { type DataFolder, damaged, type OfficialFile } from "../data-folder.js";
import { fill, placeholders } from "../judges/judge-prompt.js";
import type { Answer, ReplayEntry, ReplayFile, ReplayRun, TaskContext, TaskItem } from "../task.js";

export interface MtBenchItem extends TaskItem {
  readonly group: string;
  readonly turns: readonly string[];
  /** GPT-4's answers to both turns; only math, reasoning and coding are rated beside them. */
  readonly reference?: readonly string[];
  /** Only the two judgments are at hand, not what they judge. */
  readonly stored?: boolean;
}

const SOURCE =
  "https://raw.githubusercontent.com/lm-sys/FastChat/0e6d3e4beaab66f4d3f93db72541a4abab8af28d/fastchat/llm_judge";
const QUESTIONS = "mt_bench/data/mt_bench/question.jsonl";
const REFERENCES = "mt_bench/data/mt_bench/reference_answer/gpt-4.jsonl";
const PROMPTS = "mt_bench/data/judge_prompts.jsonl";

const official = (path: string, sha256: string): OfficialFile => ({
  path,
  url: `${SOURCE}/${path.slice("mt_bench/".length)}`,
  sha256,
  licence: "Apache-2.0",
});

export const FILES: readonly OfficialFile[] = [
  official(QUESTIONS, "119565adbab82227089cefdb44c8d7e2cf04dc0a0ec233634c82e7d4e2a944f7"),
  official(REFERENCES, "f957a5bc977badb66885ec970e6cd08527845780313f0995764260e5777b9b3f"),
  official(PROMPTS, "fd283293406d024f44c174b094ef48031d0687a4682fd3a56b29b138f80281b6"),
];

const WITH_REFERENCE = new Set(["math", "reasoning", "coding"]);

const Question = z.object({
  question_id: z.int(),
  category: z.string(),
  turns: z.array(z.string()).length(2),
});
const Reference = z.object({
  question_id: z.int(),
  choices: z.array(z.object({ turns: z.array(z.string()).length(2) })).min(1),
});

export function readQuestions(context: TaskContext): MtBenchItem[] {
  const questions = rows(context, QUESTIONS, Question);
  const references = new Map(
    rows(context, REFERENCES, Reference).map(({ question_id, choices }) => [question_id, choices[0]!.turns]),
  );
  return questions.map(({ question_id, category, turns }): MtBenchItem => {
    const item = { id: String(question_id), group: category, turns };
    if (!WITH_REFERENCE.has(category)) return item;
    const reference = references.get(question_id);
    if (reference !== undefined) return { ...item, reference, target: reference.join("\n\n") };
    throw damaged(
      context.data.find(REFERENCES)!,
      `question ${question_id} (${category}) has no reference answer`,
    );
  });
}

// --------------------------------------------------------------------------------------------------- judge prompts

const JudgePrompt = z.object({ name: z.string(), system_prompt: z.string(), prompt_template: z.string() });

/** What the judge of single answers sees; the second turn shows the whole dialogue. */
export function judgeMessages(
  item: MtBenchItem,
  turn: number,
  answers: readonly string[],
  context: Pick<TaskContext, "data">,
): Message[] {
  const name = `single${item.reference === undefined ? "" : "-math"}-v1${turn === 2 ? "-multi-turn" : ""}`;
  const prompt = judgePrompts(context).find((one) => one.name === name);
  const where = context.data.find(PROMPTS)!;
  if (prompt === undefined) throw damaged(where, `it has no prompt "${name}"`);
  const values: Record<string, string> = {
    question: item.turns[0]!,
    answer: answers[0] ?? "",
    question_1: item.turns[0]!,
    question_2: item.turns[1]!,
    answer_1: answers[0] ?? "",
    answer_2: answers[1] ?? "",
    ...(item.reference === undefined
      ? {}
      : { ref_answer_1: item.reference[0]!, ref_answer_2: item.reference[1]! }),
  };
  const unknown = placeholders(prompt.prompt_template).find(
    (placeholder) => values[placeholder] === undefined,
  );
  if (unknown !== undefined) throw damaged(where, `the prompt "${name}" wants {${unknown}}`);
  return [
    { role: "system", content: prompt.system_prompt },
    { role: "user", content: fill(prompt.prompt_template, values) },
  ];
}

const READ = new WeakMap<DataFolder, z.output<typeof JudgePrompt>[]>();

function judgePrompts(context: Pick<TaskContext, "data">): z.output<typeof JudgePrompt>[] {
  const known = READ.get(context.data) ?? rows(context, PROMPTS, JudgePrompt);
  READ.set(context.data, known);
  return known;
}

// ---------------------------------------------------------------------------------------------------------- replay

const Judgment = z.object({
  question_id: z.int(),
  model: z.string(),
  judge: z.tuple([z.string(), z.string()]),
  judgment: z.string(),
  score: z.number(),
  turn: z.int().min(1).max(2),
});

export const readJudgments = {
  recognises: (first: unknown) => Judgment.safeParse(first).success,

  read(file: ReplayFile, context: TaskContext): ReplayRun<MtBenchItem>[] {
    const items = new Map(readQuestions(context).map((item) => [item.id, item]));
    const runs = new Map<string, Map<string, z.output<typeof Judgment>[]>>();
    file.records.forEach((record, index) => {
      const row = Judgment.safeParse(record);
      const where = `${file.path} record ${index + 1}`;
      if (!row.success) throw damaged(where, "it is no judgment of a single answer");
      const { question_id, turn, model } = row.data;
      const id = String(question_id);
      if (!items.has(id)) throw damaged(where, `there is no question ${question_id}`);
      const run = runs.get(model) ?? new Map<string, z.output<typeof Judgment>[]>();
      const both = run.get(id) ?? [];
      if (both[turn - 1] !== undefined)
        throw damaged(where, `turn ${turn} of question ${id} is judged twice`);
      both[turn - 1] = row.data;
      runs.set(model, run.set(id, both));
    });
    return [...runs].map(([run, questions]) => ({
      run,
      entries: [...questions].map(([id, both]) => entryOf(items.get(id)!, both)),
    }));
  },
};

function entryOf(item: MtBenchItem, both: readonly z.output<typeof Judgment>[]): ReplayEntry<MtBenchItem> {
  const answers = [0, 1].map((turn): Answer => {
    const text = both[turn]?.judgment ?? "";
    return { kind: "generate", samples: [{ text, finishReason: "stop", tokens: 0 }] };
  });
  const scores = both.map(({ score }) => score);
  const complete = scores.length === 2 && scores.every((score) => score >= 0);
  return {
    item: { ...item, stored: true },
    answers,
    ...(complete ? { upstreamScore: (scores[0]! + scores[1]!) / 2 } : {}),
  };
}

function rows<S extends z.ZodType>(
  { data }: Pick<TaskContext, "data">,
  path: string,
  schema: S,
): z.output<S>[] {
  return data.jsonLines(path).map(({ value, line }) => {
    const row = schema.safeParse(value);
    if (row.success) return row.data;
    const issue = row.error.issues[0]!;
    throw damaged(
      `${data.find(path)} line ${line}`,
      `${issue.path.join(".") || "the row"}: ${issue.message}`,
    );
  });
}
