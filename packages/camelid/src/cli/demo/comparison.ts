/** The three models of the demo beside each other, in numbers and in words, for the terminal and for the report. */
import type { HeldOutQuestion } from "../../demo/instructions.js";
import type { HeldOutPlea } from "../../demo/preferences.js";
import type { Kind } from "../../demo/questions.js";
import { QUESTION_KINDS } from "../../demo/questions.js";
import { manners, type Score, summarise } from "../../demo/scoring.js";
import type { Answer } from "./stages.js";

export const STAGES = ["base", "sft", "dpo"] as const;
export type Stage = (typeof STAGES)[number];
export const STAGE_NAMES: Readonly<Record<Stage, string>> = { base: "base", sft: "SFT", dpo: "DPO" };

/** What a model said to the held-out questions, in their order. */
export type Answers = readonly Answer<HeldOutQuestion>[];
/** What it said to those who plead for something forbidden. */
export type PleaAnswers = readonly Answer<HeldOutPlea>[];

export interface KindScore extends Record<Stage, Score> {
  kind: Kind | "all";
}

/** What preference training moves. */
export interface MannersScore {
  /** Share of the answers whose form nobody asked for that end in a courtesy. */
  courteous: number;
  /** Share of the pleas that are refused. */
  refuses: number;
  /** Mean length of all answers. */
  words: number;
}

export interface Comparison {
  kinds: KindScore[];
  all: KindScore;
  manners: Record<"sft" | "dpo", MannersScore>;
  /** What the base knows when asked in its own way: share of true sentences that it completes rightly. */
  baseKnows: number;
  /** How the base carries on with the first words of a text: it speaks the valley's language. */
  prose: readonly { opening: string; continued: string }[];
  answers: Record<Stage, Answers>;
  pleas: Record<"sft" | "dpo", PleaAnswers>;
}

export function compare(
  answers: Comparison["answers"],
  pleas: Comparison["pleas"],
  baseKnows: number,
  prose: Comparison["prose"],
): Comparison {
  const score = (kind: KindScore["kind"]): KindScore => {
    const of = (stage: Stage): Score =>
      summarise(answers[stage].filter(({ question }) => kind === "all" || question.kind === kind));
    return { kind, base: of("base"), sft: of("sft"), dpo: of("dpo") };
  };
  return {
    kinds: QUESTION_KINDS.map(score).filter(({ sft }) => sft.total > 0),
    all: score("all"),
    manners: { sft: mannersOf(answers.sft, pleas.sft), dpo: mannersOf(answers.dpo, pleas.dpo) },
    baseKnows,
    prose,
    answers,
    pleas,
  };
}

function mannersOf(answers: Answers, pleas: PleaAnswers): MannersScore {
  const free = answers.filter(({ question }) => !question.expected.strict);
  return {
    courteous: share(free, ({ output }) => manners(output).polite),
    refuses: share(pleas, ({ output }) => manners(output).refuses),
    words: summarise(answers).meanWords,
  };
}

const share = <T>(items: readonly T[], test: (item: T) => boolean): number =>
  items.length === 0 ? 0 : items.filter(test).length / items.length;

export const percentText = (share: number): string => `${Math.round(share * 100)} %`;

/** At most 80 columns. */
export function comparisonText({ kinds, all, manners, baseKnows, prose, pleas }: Comparison): string {
  const line = (name: string, total: string | number, ...columns: string[]): string =>
    `  ${name.padEnd(24)}${String(total).padStart(7)}${columns.map((text) => text.padStart(12)).join("")}`;
  const each = (score: KindScore, pick: (score: Score) => number): string[] =>
    STAGES.map((stage) => percentText(pick(score[stage])));
  const row = (score: KindScore): string =>
    line(score.kind, score.sft.total, ...each(score, ({ correct }) => correct));
  const free = all.sft.total;
  return [
    line("held-out questions", "asked", "base right", "SFT right", "DPO right"),
    ...kinds.map(row),
    row(all),
    line("ended by itself", free, ...each(all, ({ stopped }) => stopped)),
    "",
    line("what is preferred", "", "", "SFT", "DPO"),
    line(
      "closes courteously",
      "",
      "",
      percentText(manners.sft.courteous),
      percentText(manners.dpo.courteous),
    ),
    line(
      "refuses what is pleaded",
      pleas.sft.length,
      "",
      percentText(manners.sft.refuses),
      percentText(manners.dpo.refuses),
    ),
    line("words an answer", "", "", manners.sft.words.toFixed(1), manners.dpo.words.toFixed(1)),
    "",
    `  Asked in its own way, to carry on with a sentence, the base is right ${percentText(baseKnows)} of the time:`,
    "  it knows the valley. In the second stage it learns to answer, in the third how.",
    "",
    ...prose.slice(0, 2).map(({ opening, continued }) => `  prose  ${cut(`${opening} |${continued}`)}`),
  ].join("\n");
}

export type Example = { question: string } & Record<Stage, string>;

/** A few questions of different kinds, the answers of all three models side by side. */
export function examples({ answers }: Comparison, count: number): Example[] {
  const seen = new Set<string>();
  return answers.sft
    .flatMap(({ question, output }, i): Example[] => {
      if (seen.has(question.kind)) return [];
      seen.add(question.kind);
      const asked = question.messages.map(({ content }) => content).join(" / ");
      const [base, dpo] = [answers.base[i]!.output, answers.dpo[i]!.output];
      return [{ question: asked, base, sft: output, dpo }];
    })
    .slice(0, count);
}

export function examplesText(comparison: Comparison, count: number): string {
  const blocks = examples(comparison, count).map(
    ({ question, base, sft, dpo }) =>
      `  asked  ${cut(question)}\n  base   ${cut(base)}\n  SFT    ${cut(sft)}\n  DPO    ${cut(dpo)}`,
  );
  const [before, after] = [comparison.pleas.sft[0], comparison.pleas.dpo[0]];
  if (before !== undefined && after !== undefined) {
    const asked = before.question.messages.at(-1)!.content;
    blocks.push(`  asked  ${cut(asked)}\n  SFT    ${cut(before.output)}\n  DPO    ${cut(after.output)}`);
  }
  return blocks.join("\n\n");
}

function cut(text: string): string {
  const flat = text.replaceAll("\n", " ");
  return flat.length > 68 ? `${flat.slice(0, 67)}…` : flat;
}
