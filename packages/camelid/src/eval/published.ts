/**
 * The published tables of Tülu 2 (arXiv 2311.10702v2), as templates: a reader puts a row of their own beside them.
 * Where the publication contradicts itself the number stands as printed; `remark` says so.
 */

/** Columns in the paper's order, by task name. */
export const PAPER_COLUMNS = [
  { task: "mmlu", name: "MMLU", detail: "0-shot" },
  { task: "gsm8k", name: "GSM8K", detail: "8-shot CoT" },
  { task: "bbh", name: "BBH", detail: "3-shot CoT" },
  { task: "tydiqa", name: "TyDiQA", detail: "1-shot F1" },
  { task: "codex-eval", name: "Codex-Eval", detail: "P@10" },
  { task: "alpaca-eval", name: "AlpacaEval", detail: "% win" },
  { task: "toxigen", name: "ToxiGen", detail: "% toxic, lower is better" },
  { task: "truthfulqa", name: "TruthfulQA", detail: "% info + true" },
] as const;

export type PaperTask = (typeof PAPER_COLUMNS)[number]["task"];

export interface Averages {
  /** Tables 1 and 3: seven columns, without TruthfulQA. */
  readonly seven?: number;
  /** Tables 2, 5 and 6: all eight. */
  readonly eight?: number;
}

/** Means over the paper's columns; ToxiGen enters as 100 - x. Missing where a column is. */
export function averagesOf(scores: Partial<Readonly<Record<string, number | null>>>): Averages {
  const mean = (tasks: readonly string[]) => {
    const values = tasks.map((task) => {
      const score = scores[task];
      if (score === undefined || score === null) return Number.NaN;
      return task === "toxigen" ? 100 - score : score;
    });
    const sum = values.reduce((total, value) => total + value, 0);
    return Number.isNaN(sum) ? undefined : sum / tasks.length;
  };
  const all = PAPER_COLUMNS.map(({ task }) => task as string);
  const seven = mean(all.filter((task) => task !== "truthfulqa"));
  const eight = mean(all);
  return { ...(seven === undefined ? {} : { seven }), ...(eight === undefined ? {} : { eight }) };
}

export interface PublishedTable {
  readonly number: number;
  readonly title: string;
  readonly average: keyof Averages;
  readonly rows: readonly PublishedRow[];
}

export interface PublishedRow {
  readonly model: string;
  /** By the columns above; undefined where the paper has a dash or no such column. */
  readonly scores: Readonly<Partial<Record<PaperTask, number>>>;
  /** As printed. */
  readonly average: number | undefined;
  readonly remark?: string;
}

const WITHOUT_TQA = PAPER_COLUMNS.slice(0, 7).map(({ task }) => task);
const ALL = PAPER_COLUMNS.map(({ task }) => task);

/** `model | MMLU | GSM | ... | average`, a dash for what is not there. */
function rows(columns: readonly PaperTask[], text: string): PublishedRow[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [model, ...cells] = line.split("|").map((cell) => cell.trim());
      const numbers = cells
        .slice(0, columns.length + 1)
        .map((cell) => (cell === "-" ? undefined : Number(cell)));
      const remark = cells[columns.length + 1];
      return {
        model: model!,
        scores: Object.fromEntries(
          columns.flatMap((task, i) => (numbers[i] === undefined ? [] : [[task, numbers[i]]])),
        ),
        average: numbers[columns.length],
        ...(remark === undefined ? {} : { remark }),
      };
    });
}

export const PUBLISHED_TABLES: readonly PublishedTable[] = [
  {
    number: 1,
    title: "Main comparison",
    average: "seven",
    rows: rows(
      WITHOUT_TQA,
      `
GPT-4-0613 | 81.4 | 95.0 | 89.1 | 65.2 | 87.0 | 91.2 | 0.6 | 86.9
GPT-3.5-turbo-0613 | 65.7 | 76.5 | 70.8 | 51.2 | 88.0 | 91.8 | 0.5 | 77.6
GPT-3.5-turbo-0301 | 67.9 | 76.0 | 66.1 | 51.9 | 88.4 | 83.6 | 27.7 | 72.3
Zephyr-Beta 7B | 58.6 | 28.0 | 44.9 | 23.7 | 54.3 | 86.3 | 64.0 | 47.4
Xwin-LM v0.1 70B | 65.0 | 65.5 | 65.6 | 38.2 | 66.1 | 95.8 | 12.7 | 69.1
Llama-2-Chat 7B | 46.8 | 12.0 | 25.6 | 22.7 | 24.0 | 87.3 | 0.0 | 45.4 | the row recomputes to 45.5
Llama-2-Chat 13B | 53.2 | 9.0 | 40.3 | 32.1 | 33.1 | 91.4 | 0.0 | 51.3
Llama-2-Chat 70B | 60.9 | 59.0 | 49.0 | 44.4 | 52.1 | 94.5 | 0.0 | 65.7
Tülu 2 7B | 50.4 | 34.0 | 48.5 | 46.4 | 36.9 | 73.9 | 7.0 | 54.7
Tülu 2+DPO 7B | 50.7 | 34.5 | 45.5 | 44.5 | 40.0 | 85.1 | 0.5 | 56.3 | the row recomputes to 57.1
Tülu 2 13B | 55.4 | 46.0 | 49.5 | 53.2 | 49.0 | 78.9 | 1.7 | 61.5
Tülu 2+DPO 13B | 55.3 | 49.5 | 49.4 | 39.7 | 48.9 | 89.5 | 1.1 | 61.6
Tülu 2 70B | 67.3 | 73.0 | 68.4 | 53.6 | 68.5 | 86.6 | 0.5 | 73.8
Tülu 2+DPO 70B | 67.8 | 71.5 | 66.0 | 35.8 | 68.9 | 95.1 | 0.2 | 72.1`,
    ),
  },
  {
    number: 2,
    title: "Data mixtures (Llama-2 bases, supervised)",
    average: "eight",
    rows: rows(
      ALL,
      `
ShareGPT only 7B | 47.8 | 20.0 | 41.5 | 24.0 | 29.2 | 72.3 | 12.6 | 54.1 | 47.0
V1 mix 7B | 49.2 | 37.0 | 44.2 | 52.9 | 33.9 | 64.5 | 39.9 | 40.8 | 47.8
V2 mix 7B | 50.4 | 34.0 | 48.5 | 46.4 | 36.9 | 73.9 | 7.0 | 50.2 | 54.2
V1 mix 13B | 52.3 | 53.0 | 50.6 | 58.8 | 38.9 | 67.7 | 18.7 | 45.3 | 56.0
V2 mix 13B | 55.4 | 46.0 | 49.5 | 53.2 | 49.0 | 78.9 | 1.7 | 55.8 | 60.8
V1 mix 70B | 67.3 | 74.5 | 67.5 | 56.8 | 65.4 | 82.8 | 0.0 | 57.9 | 71.5
V2 mix 70B | 67.3 | 73.0 | 68.4 | 53.6 | 68.5 | 86.6 | 0.5 | 62.2 | 72.4`,
    ),
  },
  {
    number: 5,
    title: "QLoRA, full fine-tuning and base models",
    average: "eight",
    rows: rows(
      ALL,
      `
Llama-2 base 7B | 41.8 | 12.0 | 39.3 | 51.2 | 26.8 | - | 77.3 | 26.7 | -
Tülu 2 7B | 50.4 | 34.0 | 48.5 | 46.4 | 36.9 | 73.9 | 7.0 | 40.8 | 53.0 | TruthfulQA is 50.2 in table 2
Tülu 2 QLoRA 7B | 48.8 | 20.5 | 45.7 | 49.2 | 31.7 | 56.1 | 14.7 | 44.6 | 47.7
Llama-2 base 13B | 52.0 | 25.0 | 48.9 | 56.5 | 32.5 | - | 85.7 | 31.1 | -
Tülu 2 13B | 55.4 | 46.0 | 49.5 | 53.2 | 49.0 | 78.9 | 1.7 | 55.8 | 60.8
Tülu 2 QLoRA 13B | 54.6 | 36.0 | 52.5 | 54.6 | 39.1 | 65.6 | 0.0 | 55.2 | 57.2
Llama-2 base 70B | 64.5 | 55.5 | 66.0 | 62.6 | 60.1 | - | 84.2 | 38.2 | -
Tülu 2 70B | 67.3 | 73.0 | 68.4 | 53.6 | 68.5 | 86.6 | 0.5 | 62.2 | 73.4 | the row recomputes to 72.4, as in table 2
Tülu 2 QLoRA 70B | 67.4 | 64.5 | 71.6 | 60.9 | 66.9 | 78.6 | 0.5 | 58.4 | 71.0`,
    ),
  },
  {
    number: 6,
    title: "Code Tülu 2",
    average: "eight",
    rows: rows(
      ALL,
      `
CodeLlama base 7B | 33.8 | 12.0 | 43.4 | 47.6 | 58.7 | - | 81.5 | 26.1 | -
CodeLlama Instruct 7B | 41.5 | 17.0 | 38.4 | 41.6 | 64.1 | 71.9 | 1.0 | 15.2 | 48.6
Tülu 2 7B | 50.4 | 34.0 | 48.5 | 46.4 | 36.9 | 73.9 | 7.0 | 40.8 | 53.0 | TruthfulQA is 50.2 in table 2
Code Tülu 2 7B | 43.7 | 33.0 | 49.1 | 52.6 | 68.9 | 58.0 | 5.0 | 33.0 | 54.2
CodeLlama base 13B | 37.5 | 22.0 | 49.5 | 52.1 | 69.8 | - | 77.9 | 26.9 | -
CodeLlama Instruct 13B | 43.3 | 23.0 | 48.0 | 37.8 | 69.2 | 75.3 | 0.0 | 38.1 | 54.3
Tülu 2 13B | 55.4 | 46.0 | 49.5 | 53.2 | 49.0 | 78.9 | 1.7 | 55.8 | 60.8
Code Tülu 2 13B | 45.9 | 41.0 | 52.8 | 55.7 | 76.2 | 64.1 | 0.0 | 36.7 | 59.1
CodeLlama base 34B | 47.4 | 35.0 | 57.0 | 57.1 | 77.6 | - | 88.3 | 24.4 | -
CodeLlama Instruct 34B | 50.9 | 38.0 | 59.2 | 55.1 | 76.5 | 84.5 | 0.0 | 51.2 | 64.4
Code Tülu 2 34B | 53.6 | 54.0 | 64.3 | 60.6 | 82.5 | 76.8 | 0.0 | 42.0 | 66.7`,
    ),
  },
];

/** Table 3: what DPO changed, DPO less SFT, average of seven. */
export const DPO_EFFECT: readonly PublishedRow[] = rows(
  WITHOUT_TQA,
  `
7B | 0.3 | 0.5 | -3.0 | -1.9 | 3.1 | 11.2 | -6.5 | 1.6
13B | -0.1 | 3.5 | -0.1 | -13.5 | -0.1 | 10.6 | -0.6 | 0.1
70B | 0.5 | -1.5 | -2.4 | -17.8 | 0.4 | 8.5 | -0.3 | -1.7`,
);

/** Table 4: MT-Bench, AlpacaEval win rate, mean length of the AlpacaEval answers. */
export const MT_BENCH_TABLE: readonly {
  model: string;
  mtBench: number;
  alpacaEval: number;
  length: number;
}[] = [
  { model: "GPT-4-1106-preview", mtBench: 9.26, alpacaEval: 97.1, length: 2041 },
  { model: "GPT-4-0613", mtBench: 9.18, alpacaEval: 91.2, length: 1090 },
  { model: "GPT-3.5-turbo-0613", mtBench: 8.39, alpacaEval: 91.8, length: 1416 },
  { model: "GPT-3.5-turbo-0301", mtBench: 7.94, alpacaEval: 83.6, length: 838 },
  { model: "Zephyr-Beta 7B", mtBench: 7.35, alpacaEval: 86.3, length: 2721 },
  { model: "Tülu 2 7B", mtBench: 6.3, alpacaEval: 73.9, length: 1248 },
  { model: "Tülu 2+DPO 7B", mtBench: 6.27, alpacaEval: 85.1, length: 1437 },
  { model: "Xwin v0.2 13B", mtBench: 7.01, alpacaEval: 91.0, length: 2748 },
  { model: "Tülu 2 13B", mtBench: 6.7, alpacaEval: 78.9, length: 1034 },
  { model: "Tülu 2+DPO 13B", mtBench: 7.0, alpacaEval: 89.5, length: 1414 },
  { model: "Xwin v0.1 70B", mtBench: 7.53, alpacaEval: 95.8, length: 1797 },
  { model: "Tülu 2 70B", mtBench: 7.49, alpacaEval: 86.6, length: 1011 },
  { model: "Tülu 2+DPO 70B", mtBench: 7.89, alpacaEval: 95.1, length: 1414 },
];

/** Table 8: MT-Bench by category, in the order of `MT_BENCH_CATEGORIES`, and the average as printed. */
export const MT_BENCH_CATEGORIES = [
  "stem",
  "humanities",
  "reasoning",
  "coding",
  "math",
  "extraction",
  "roleplay",
  "writing",
] as const;
export const MT_BENCH_BY_CATEGORY: readonly { model: string; scores: readonly number[]; average: number }[] =
  [
    { model: "GPT-4-1106-preview", scores: [9.9, 9.95, 8.1, 9.05, 7.95, 9.9, 9.5, 9.7], average: 9.26 },
    { model: "GPT-4-0613", scores: [9.65, 9.85, 9.3, 8.6, 8.1, 9.35, 9.03, 9.55], average: 9.18 },
    { model: "GPT-3.5-turbo-0613", scores: [9.55, 9.95, 6.2, 7.05, 7.05, 9.0, 8.65, 9.65], average: 8.39 },
    { model: "GPT-3.5-turbo-0301", scores: [9.05, 9.55, 6.3, 6.7, 5.2, 8.6, 8.55, 9.6], average: 7.94 },
    { model: "Llama-2-Chat 7B", scores: [8.65, 8.75, 4.25, 3.0, 2.4, 6.5, 7.7, 8.9], average: 6.27 },
    { model: "Llama-2-Chat 13B", scores: [8.63, 9.75, 5.1, 3.0, 3.45, 6.93, 7.5, 8.85], average: 6.65 },
    { model: "Llama-2-Chat 70B", scores: [8.93, 9.63, 5.8, 3.15, 3.3, 7.25, 7.5, 9.3], average: 6.86 },
    { model: "Zephyr-Beta 7B", scores: [9.03, 9.63, 5.6, 5.1, 4.45, 7.45, 8.2, 9.35], average: 7.35 },
    { model: "Xwin 70B v0.1", scores: [9.68, 9.95, 6.55, 4.25, 3.3, 8.75, 8.25, 9.55], average: 7.53 },
    { model: "Xwin 13B v0.2", scores: [9.55, 9.88, 5.2, 3.6, 2.85, 7.7, 8.6, 8.68], average: 7.01 },
    { model: "Tülu 2 7B", scores: [8.0, 9.5, 4.4, 3.4, 3.3, 6.1, 7.63, 8.1], average: 6.3 },
    { model: "Tülu 2+DPO 7B", scores: [8.23, 9.6, 4.3, 3.32, 2.35, 6.05, 7.95, 8.35], average: 6.27 },
    { model: "Tülu 2 13B", scores: [8.7, 9.25, 5.45, 4.3, 3.75, 7.35, 7.5, 7.3], average: 6.7 },
    { model: "Tülu 2+DPO 13B", scores: [9.08, 9.8, 5.3, 3.6, 2.95, 8.0, 8.6, 8.7], average: 7.0 },
    { model: "Tülu 2 70B", scores: [9.0, 9.75, 5.5, 5.1, 4.7, 8.45, 8.3, 9.15], average: 7.49 },
    { model: "Tülu 2+DPO 70B", scores: [9.0, 9.9, 7.0, 4.7, 4.65, 9.35, 9.25, 9.25], average: 7.89 },
  ];
