/** Before and after, in numbers and in words, for the terminal and for the report. */
import type { Kind } from "../../demo/questions.js";
import { QUESTION_KINDS } from "../../demo/questions.js";
import { type Score, summarise } from "../../demo/scoring.js";
import type { Answer } from "./stages.js";

export interface KindScore {
  kind: Kind | "all";
  before: Score;
  after: Score;
}

export interface Comparison {
  kinds: KindScore[];
  all: KindScore;
  /** What the base knows when asked in its own way: share of true sentences that it completes rightly. */
  baseKnows: number;
  /** How the base carries on with the first words of a text: it speaks the valley's language. */
  prose: readonly { opening: string; continued: string }[];
  before: readonly Answer[];
  after: readonly Answer[];
}

export function compare(
  before: readonly Answer[],
  after: readonly Answer[],
  baseKnows: number,
  prose: Comparison["prose"],
): Comparison {
  const score = (kind: KindScore["kind"]): KindScore => {
    const of = (answers: readonly Answer[]): Score =>
      summarise(answers.filter(({ question }) => kind === "all" || question.kind === kind));
    return { kind, before: of(before), after: of(after) };
  };
  return { kinds: QUESTION_KINDS.map(score), all: score("all"), baseKnows, prose, before, after };
}

export const percentText = (share: number): string => `${Math.round(share * 100)} %`;

/** At most 80 columns. */
export function comparisonText({ kinds, all, baseKnows, prose }: Comparison): string {
  const line = (name: string, total: string | number, before: string, after: string): string =>
    `  ${name.padEnd(22)}${String(total).padStart(9)}${before.padStart(14)}${after.padStart(12)}`;
  const row = ({ kind, before, after }: KindScore): string =>
    line(kind, after.total, percentText(before.correct), percentText(after.correct));
  return [
    line("held-out questions", "asked", "base right", "SFT right"),
    ...kinds.filter(({ after }) => after.total > 0).map(row),
    row(all),
    line("ended by itself", all.after.total, percentText(all.before.stopped), percentText(all.after.stopped)),
    "",
    `  Asked in its own way, to carry on with a sentence, the base is right ${percentText(baseKnows)} of the time:`,
    "  it knows the valley. What it learns in the second stage is to answer.",
    "",
    ...prose.slice(0, 2).map(({ opening, continued }) => `  prose  ${cut(`${opening} |${continued}`)}`),
  ].join("\n");
}

/** A few questions of different kinds, both answers side by side. */
export function examples(
  { before, after }: Comparison,
  count: number,
): { question: string; before: string; after: string }[] {
  const seen = new Set<string>();
  const chosen: { question: string; before: string; after: string }[] = [];
  after.forEach((answer, i) => {
    if (seen.has(answer.question.kind) || chosen.length >= count) return;
    seen.add(answer.question.kind);
    const asked = answer.question.messages.map(({ content }) => content).join(" / ");
    chosen.push({ question: asked, before: before[i]!.output, after: answer.output });
  });
  return chosen;
}

function cut(text: string): string {
  const flat = text.replaceAll("\n", " ");
  return flat.length > 68 ? `${flat.slice(0, 67)}…` : flat;
}

export function examplesText(comparison: Comparison, count: number): string {
  return examples(comparison, count)
    .map(
      ({ question, before, after }) =>
        `  asked  ${cut(question)}\n  base   ${cut(before)}\n  SFT    ${cut(after)}`,
    )
    .join("\n\n");
}
