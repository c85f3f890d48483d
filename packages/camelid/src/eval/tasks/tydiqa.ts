/** TyDiQA-GoldP: questions in nine languages over a passage that holds the answer (Clark et al. 2020, https://arxiv.org/abs/2003.05002). */
import { z } from "zod";
import { strip } from "../../data/python-text.js";
import { DataError } from "../../errors.js";
import { textAt } from "../backend.js";
import { damaged } from "../data-folder.js";
import { meanOverGroups } from "../metrics.js";
import { question } from "../prompts.js";
import type { Answer, Graded, Task, TaskContext, TaskItem } from "../task.js";
import { paperRandom, sample } from "./subset.js";
import { squadF1, squadNormal } from "./text-match.js";
import { LANGUAGES } from "./tydiqa-languages.js";

export interface TydiqaItem extends TaskItem {
  /** The language: `swahili`. */
  readonly group: string;
  readonly target: string;
  readonly context: string;
  readonly question: string;
  readonly answers: readonly string[];
  readonly demonstrations: readonly Question[];
}

interface Question {
  readonly id: string;
  readonly language: string;
  readonly context: string;
  readonly question: string;
  readonly answers: readonly string[];
}

const SOURCE = "https://storage.googleapis.com/tydiqa/v1.1";
const DEV = "tydiqa/tydiqa-goldp-v1.1-dev.json";
const TRAIN = "tydiqa/tydiqa-goldp-v1.1-train.json";
const PAPER_ITEMS = 100;
const PAPER_CONTEXT_TOKENS = 512;

export const tydiqa: Task<TydiqaItem> = {
  name: "tydiqa",
  title: "TyDiQA-GoldP",
  summary: "questions in nine languages with the gold passage, 1-shot, SQuAD F1, mean over languages",
  profiles: {
    "tulu2-paper":
      "100 questions a language and one training example each, drawn with seed 42. Passages are cut to 512 tokens, cut ones begin with a literal BOS; the mean includes English.",
    standard:
      "All questions, whole passages, the answer is the output's first line; the mean leaves English out, as the benchmark does.",
  },
  metric: { name: "F1", unit: "%" },
  files: [
    { path: DEV, url: `${SOURCE}/tydiqa-goldp-v1.1-dev.json`, licence: "Apache-2.0" },
    { path: TRAIN, url: `${SOURCE}/tydiqa-goldp-v1.1-train.json`, licence: "Apache-2.0", optional: true },
  ],

  async load(context) {
    const dev = byLanguage(readQuestions(context, DEV));
    const languages = [...dev.keys()].sort();
    noteMissing(context, languages);
    const random = paperRandom(context.seed);
    const drawn = languages.map((language) =>
      context.profile === "tulu2-paper"
        ? sample(dev.get(language)!, PAPER_ITEMS, random)
        : dev.get(language)!,
    );
    const shots = context.shots ?? 1;
    const train =
      shots > 0 && context.data.find(TRAIN) ? byLanguage(readQuestions(context, TRAIN)) : new Map();
    const items: TydiqaItem[] = [];
    const lacking = languages.filter((language) => shots > 0 && !train.has(language));
    if (lacking.length > 0) {
      context.note(
        `The training file has no ${lacking.join(", ")}: the example is a development question, which is not scored.`,
      );
    }
    for (const [index, language] of languages.entries()) {
      let questions = drawn[index]!;
      let demonstrations: readonly Question[] = [];
      if (shots > 0) {
        const pool: readonly Question[] =
          train.get(language) ?? spareQuestions(dev.get(language)!, questions);
        demonstrations = sample(pool, shots, random);
        const taken = new Set(demonstrations.map(({ id }) => id));
        questions = questions.filter(({ id }) => !taken.has(id));
      }
      const shown = await Promise.all(demonstrations.map((one) => withCutContext(one, context)));
      for (const one of questions) items.push(toItem(await withCutContext(one, context), shown));
    }
    return items;
  },

  requests(item, answers, context) {
    if (answers.length > 0) return [];
    const labels = LANGUAGES[item.group]!;
    return [
      {
        kind: "generate",
        prompt: question(context, promptText(item), labels.answer, { baseJoin: "" }),
        maxNewTokens: 50,
        ...(context.chat ? {} : { stop: ["\n"] }),
      },
    ];
  },

  grade(item, answers, { profile }) {
    const output = strip(readAnswer(answers, profile === "standard"));
    const f1 = Math.max(...item.answers.map((reference) => squadF1(output, reference)));
    const exact = item.answers.some((reference) => squadNormal(reference) === squadNormal(output));
    return {
      verdict: exact ? "right" : "wrong",
      score: f1,
      extracted: output === "" ? null : output,
      ...(output === "" ? { extractionFailed: true } : {}),
      values: { exact: exact ? 1 : 0 },
    };
  },

  score(graded, profile) {
    const others = withoutEnglish(graded);
    const counted = profile === "standard" && others.length > 0 ? others : graded;
    return 100 * meanOverGroups(counted);
  },
  metrics: (graded) => ({
    "F1 without English": 100 * meanOverGroups(withoutEnglish(graded)),
    "F1 with English": 100 * meanOverGroups(graded),
    "exact match": 100 * meanOverGroups(graded.map((one) => ({ ...one, score: one.values.exact! }))),
  }),
};

const withoutEnglish = (graded: readonly Graded[]) => graded.filter(({ group }) => group !== "english");

/** Ends in a line feed that the paper's formatter does not trim away. */
function promptText(item: TydiqaItem): string {
  const labels = LANGUAGES[item.group]!;
  const ask = (one: Pick<Question, "context" | "question">) =>
    `${labels.passage} ${one.context}\n${labels.question} ${one.question}\n`;
  const demonstrations = item.demonstrations.map(
    (one) => `${ask(one)}${labels.answer} ${one.answers[0]}\n\n`,
  );
  return `${labels.instruction}\n\n${demonstrations.join("")}${ask(item)}`;
}

function readAnswer(answers: readonly Answer[], firstLine: boolean): string {
  const text = textAt(answers);
  return firstLine ? strip(text).split("\n")[0]! : text;
}

// -------------------------------------------------------------------------------------------------------- files

const File = z.object({
  data: z.array(
    z.object({
      paragraphs: z.array(
        z.object({
          context: z.string(),
          qas: z.array(
            z.object({
              id: z.string(),
              question: z.string(),
              answers: z.array(z.object({ text: z.string() })).min(1),
            }),
          ),
        }),
      ),
    }),
  ),
});

function readQuestions(context: TaskContext, path: string): Question[] {
  const parsed = File.safeParse(context.data.json(path));
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw damaged(context.data.find(path)!, `not SQuAD-shaped at ${issue.path.join(".")}: ${issue.message}`);
  }
  return parsed.data.data.flatMap(({ paragraphs }) =>
    paragraphs.flatMap(({ context: passage, qas }) =>
      qas.map(({ id, question: text, answers }) => ({
        id,
        language: id.split("-")[0]!,
        context: passage,
        question: text,
        answers: answers.map(({ text: answer }) => answer),
      })),
    ),
  );
}

function byLanguage(questions: readonly Question[]): Map<string, Question[]> {
  const groups = new Map<string, Question[]>();
  for (const one of questions) {
    if (LANGUAGES[one.language] === undefined) {
      throw damaged(DEV, `question ${one.id} is of "${one.language}", which TyDiQA-GoldP does not have`);
    }
    const same = groups.get(one.language);
    if (same === undefined) groups.set(one.language, [one]);
    else same.push(one);
  }
  return groups;
}

function noteMissing(context: TaskContext, languages: readonly string[]): void {
  const missing = Object.keys(LANGUAGES).filter((language) => !languages.includes(language));
  if (missing.length > 0)
    context.note(`${languages.length} of 9 languages: the data have no ${missing.join(", ")}.`);
}

/** Where the training file lacks a language, its demonstration comes from questions that are not asked. */
function spareQuestions(all: readonly Question[], drawn: readonly Question[]): readonly Question[] {
  const asked = new Set(drawn.map(({ id }) => id));
  const spare = all.filter(({ id }) => !asked.has(id));
  return spare.length > 0 ? spare : drawn;
}

/** The paper encodes with BOS, keeps 512 ids and decodes them, the BOS included. */
async function withCutContext(one: Question, { profile, tokens }: TaskContext): Promise<Question> {
  if (profile !== "tulu2-paper") return one;
  if (tokens === undefined) {
    throw new DataError("ERR_EVAL_TOKENIZER", "TyDiQA as in the paper cuts passages by tokens.", {
      where: "tydiqa, profile tulu2-paper",
      fix: "give the model's tokenizer with --tokenizer FOLDER, or use --profile standard.",
    });
  }
  const ids = await tokens.tokenizer.encode(one.context, {
    addSpecialTokens: true,
    parseSpecialTokens: true,
  });
  if (ids.length <= PAPER_CONTEXT_TOKENS) return one;
  const kept = ids.slice(0, PAPER_CONTEXT_TOKENS);
  return { ...one, context: tokens.tokenizer.decode(kept, { skipSpecialTokens: false }) };
}

function toItem(one: Question, demonstrations: readonly Question[]): TydiqaItem {
  return {
    id: one.id,
    group: one.language,
    target: one.answers.join(" | "),
    context: one.context,
    question: one.question,
    answers: one.answers,
    demonstrations,
  };
}
