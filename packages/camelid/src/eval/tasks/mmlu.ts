/** MMLU: 57 subjects, four options, answered by the likeliest letter (Hendrycks et al. 2021, https://arxiv.org/abs/2009.03300). */
import { answerAt, textAt } from "../backend.js";
import { parseCsv } from "../csv.js";
import { damaged, type OfficialFile } from "../data-folder.js";
import { meanOverGroups, meanScore } from "../metrics.js";
import { question } from "../prompts.js";
import type { Answer, Grade, Prompt, Task, TaskContext, TaskItem } from "../task.js";
import { CATEGORY, SUBJECTS } from "./mmlu-subjects.js";
import { pandasCells } from "./pandas-cells.js";
import { SHA256 } from "./pins.js";

export interface MmluItem extends TaskItem {
  /** The subject's id: `high_school_biology`. */
  readonly group: string;
  readonly target: string;
  readonly row: Row;
  /** Development rows of the subject, in file order. */
  readonly examples: readonly Row[];
  /** Tokens of the prompt with all examples and an empty question, where a tokenizer is known. */
  readonly emptyTokens: number | undefined;
}

/** Question, four options, letter. */
type Row = readonly string[];

const LETTERS = ["A", "B", "C", "D"] as const;
/** Tokens a prompt of the paper may have; examples are dropped until it fits. */
const PAPER_PROMPT_TOKENS = 2048;
const NO_QUESTION: Row = ["", "", "", "", "", ""];
/** Where texts are put together, tokens may fall otherwise than in each alone. */
const BORDER_TOKENS = 16;

export const mmlu: Task<MmluItem> = mmluTask("mmlu", 0);
export const mmlu5: Task<MmluItem> = mmluTask("mmlu-5shot", 5);

function mmluTask(name: string, ownShots: number): Task<MmluItem> {
  return {
    name,
    title: ownShots === 0 ? "MMLU" : "MMLU 5-shot",
    summary: `57 subjects, four options, ${ownShots}-shot, accuracy over all questions`,
    profiles: {
      "tulu2-paper":
        'The last token of " A", " B", " C", " D" by probability after "The answer is:"; two spaces before the subject, empty and NA cells print as nan. The original ran with 8-bit weights, this runs with those of the model.',
      standard:
        'The likeliest of " A", " B", " C", " D" after "The answer is:", cells as they stand. Endpoints without log-probabilities write the letter.',
    },
    metric: { name: "accuracy", unit: "%" },
    files: SUBJECTS.flatMap((subject) => [official("dev", subject), official("test", subject)]),
    needsScores: false,

    async load(context) {
      const present = SUBJECTS.filter((subject) => context.data.find(path("test", subject)) !== undefined);
      if (present.length === 0) throw context.data.missing(path("test", SUBJECTS[0]!));
      if (present.length < SUBJECTS.length) {
        const missing = SUBJECTS.filter((subject) => !present.includes(subject));
        context.note(`${present.length} of 57 subjects: the data have no ${missing.join(", ")}.`);
      }
      const shots = context.shots ?? ownShots;
      const items: MmluItem[] = [];
      for (const subject of present) {
        const examples = shots > 0 ? readRows(context, "dev", subject).slice(0, shots) : [];
        const empty = promptOf({ group: subject, row: NO_QUESTION, examples }, examples.length, context);
        const emptyTokens = examples.length > 0 ? await context.tokens?.count(empty) : undefined;
        for (const [index, row] of readRows(context, "test", subject).entries()) {
          const id = `${subject}/${index}`;
          items.push({ id, group: subject, target: row[5]!, row, examples, emptyTokens });
        }
      }
      return items;
    },

    async requests(item, answers, context) {
      if (answers.length > 0) return [];
      const prompt = await fittingPrompt(item, context);
      if (!context.canScore) return [{ kind: "generate", prompt, maxNewTokens: 16 }];
      return [
        {
          kind: "score",
          prompt,
          continuations: LETTERS.map((letter) => ` ${letter}`),
          ...(context.profile === "tulu2-paper" ? { tokens: "last" } : {}),
        },
      ];
    },

    grade: gradeMmlu,
    score: (graded) => 100 * meanScore(graded),
    metrics(graded) {
      const categories = new Map<string, (typeof graded)[number][]>();
      for (const item of graded) {
        const category = CATEGORY.get(item.group ?? "") ?? "other";
        categories.set(category, [...(categories.get(category) ?? []), item]);
      }
      const parts = [...categories].map(([category, items]) => [category, 100 * meanScore(items)] as const);
      return { ...Object.fromEntries(parts), "mean over subjects": 100 * meanOverGroups(graded) };
    },
  };
}

/** The prompt with as many examples as fit. */
async function fittingPrompt(item: MmluItem, context: TaskContext): Promise<Prompt> {
  const { tokens, profile } = context;
  // At least one token must fit behind the prompt.
  const longest =
    profile === "tulu2-paper" ? PAPER_PROMPT_TOKENS : (tokens?.contextLength ?? Number.POSITIVE_INFINITY) - 1;
  let shown = item.examples.length;
  // A text has at most as many tokens as bytes: nearly every question fits without being counted.
  const surely = (item.emptyTokens ?? Number.NaN) + Buffer.byteLength(block(item.row)) + BORDER_TOKENS;
  if (surely <= longest) return promptOf(item, shown, context);
  while (
    shown > 0 &&
    tokens !== undefined &&
    (await tokens.count(promptOf(item, shown, context))) > longest
  ) {
    shown--;
  }
  if (shown < item.examples.length) {
    context.note("Some prompts were too long; examples were left out from the end.");
  }
  return promptOf(item, shown, context);
}

function promptOf(
  item: Pick<MmluItem, "group" | "row" | "examples">,
  shown: number,
  context: TaskContext,
): Prompt {
  const subject = item.group.replaceAll("_", " ");
  // The original's subject begins with a space of its own.
  const about = context.profile === "tulu2-paper" ? ` ${subject}` : subject;
  const header = `The following are multiple choice questions (with answers) about ${about}.\n\n`;
  const examples = item.examples.slice(0, shown).map((row) => `${block(row)} ${row[5]}\n\n`);
  const text = header + examples.join("") + block(item.row);
  return context.chat ? question(context, text, "The answer is:") : { text };
}

function block([text, ...rest]: Row): string {
  const options = LETTERS.map((letter, i) => `\n${letter}. ${rest[i]}`);
  return `${text}${options.join("")}\nAnswer:`;
}

function gradeMmlu(item: MmluItem, answers: readonly Answer[]): Grade {
  const letter = answers[0]?.kind === "score" ? likeliest(answers) : written(textAt(answers));
  const right = letter === item.target;
  return {
    verdict: right ? "right" : "wrong",
    score: right ? 1 : 0,
    extracted: letter ?? null,
    ...(letter === undefined ? { extractionFailed: true } : {}),
  };
}

function likeliest(answers: readonly Answer[]): string {
  const { scores } = answerAt(answers, 0, "score");
  let best = 0;
  scores.forEach(({ logp }, i) => {
    if (logp > scores[best]!.logp) best = i;
  });
  return LETTERS[best]!;
}

/** A letter that stands alone: `B`, `(B)`, `B.`, `The answer is B`. */
function written(text: string): string | undefined {
  return /(?:^|[^\p{L}\p{N}'])([ABCD])(?![\p{L}\p{N}'])/u.exec(text)?.[1];
}

// -------------------------------------------------------------------------------------------------------- files

function path(split: "dev" | "test", subject: string): string {
  return `mmlu/data/${split}/${subject}_${split}.csv`;
}

function official(split: "dev" | "test", subject: string): OfficialFile {
  const place = path(split, subject);
  const sha256 = SHA256[place];
  return {
    path: place,
    url: "https://people.eecs.berkeley.edu/~hendrycks/data.tar",
    member: place.slice("mmlu/".length),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(split === "dev" ? { optional: true } : {}),
    licence: "MIT",
  };
}

function readRows(context: TaskContext, split: "dev" | "test", subject: string): Row[] {
  const place = path(split, subject);
  const where = () => context.data.find(place) ?? place;
  const rows = parseCsv(context.data.text(place), where());
  const bad = rows.findIndex((row) => row.length !== 6 || !/^[ABCD]$/.test(row[5]!));
  if (bad >= 0 || rows.length === 0) {
    throw damaged(
      `${where()} row ${bad + 1}`,
      "an MMLU row is a question, four options and one of A, B, C, D",
    );
  }
  return context.profile === "tulu2-paper" ? pandasCells(rows) : rows;
}
