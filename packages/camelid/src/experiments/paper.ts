/** The paper's columns and printed rows, for experiments that end in one of its tables. */
import { MT_BENCH_TABLE, PAPER_COLUMNS, PUBLISHED_TABLES } from "../eval/published.js";
import type { Column, PublishedLine } from "./experiment.js";

const SHORT: Readonly<Record<string, string>> = {
  mmlu: "MMLU",
  gsm8k: "GSM",
  bbh: "BBH",
  tydiqa: "TyDi",
  "codex-eval": "Codex",
  "alpaca-eval": "AlpE",
  toxigen: "Tox",
  truthfulqa: "TQA",
};

/** Tables 2, 5 and 6 have all eight; 1 and 3 leave out TruthfulQA, whose prompts are in UltraFeedback. */
export function paperColumns(count: "seven" | "eight"): Column[] {
  return PAPER_COLUMNS.filter(({ task }) => count === "eight" || task !== "truthfulqa").map(({ task }) => ({
    task,
    name: SHORT[task]!,
    unit: "%",
    ...(task === "toxigen" ? { lowerIsBetter: true } : {}),
  }));
}

/** Rows of a table of the paper as printed, contradictions and all. @param which model names to take */
export function paperLines(table: number, which: RegExp = /./): PublishedLine[] {
  const { rows } = PUBLISHED_TABLES.find(({ number }) => number === table)!;
  return rows
    .filter(({ model }) => which.test(model))
    .map(({ model, scores, average, remark }) => ({
      name: model,
      values: Object.fromEntries(Object.entries(scores).map(([task, score]) => [SHORT[task]!, score])),
      ...(average === undefined ? {} : { average }),
      ...(remark === undefined ? {} : { remark }),
    }));
}

/** Table 4: MT-Bench, AlpacaEval, length of its answers in characters. */
export function lengthLines(): PublishedLine[] {
  return MT_BENCH_TABLE.map(({ model, mtBench, alpacaEval, length }) => ({
    name: model,
    values: { "MT-B": mtBench, AlpE: alpacaEval, length },
  }));
}
