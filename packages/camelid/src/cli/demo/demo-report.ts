import { figures, sideBySide, table } from "../../report/blocks.js";
import { type Html, html } from "../../report/html.js";
import { lineChart } from "../../report/line-chart.js";
import { page, section } from "../../report/page.js";
import type { RunRecord } from "../../run/read-run.js";
import { type Comparison, examples, percentText, STAGE_NAMES, STAGES, type Stage } from "./comparison.js";

/** The demo on one page: what was trained, what it says now, and the curves of all three stages. */
export function demoReport(comparison: Comparison, runs: Record<Stage, RunRecord>): string {
  const { all, baseKnows, manners } = comparison;
  return page({
    title: "A model learns to answer",
    kind: "demo",
    lead: html`A model of a million parameters read the prose of a small valley, was shown questions with their answers, and then which of two answers people prefer. On questions it never saw it went from <b>${percentText(all.base.correct)}</b> right to <b>${percentText(all.sft.correct)}</b>; preferences then took its courtesy from <b>${percentText(manners.sft.courteous)}</b> to <b>${percentText(manners.dpo.courteous)}</b> and left <b>${percentText(all.dpo.correct)}</b> right.`,
    body: [
      section({
        heading: "Questions",
        note: "Held out: the fact, the wording or both are in no training row.",
        body: [
          figures([
            ...STAGES.map((stage) => ({
              name: `${STAGE_NAMES[stage]} right`,
              value: percentText(all[stage].correct),
            })),
            { name: "base ends its turn", value: percentText(all.base.stopped) },
            { name: "SFT ends its turn", value: percentText(all.sft.stopped) },
            { name: "base completes true sentences", value: percentText(baseKnows) },
          ]),
          kindTable(comparison),
        ],
      }),
      preferenceSection(comparison),
      section({
        heading: "In their own words",
        note: "One question of each kind.",
        body: table(
          [{ name: "question", kind: "text" }, ...STAGES.map(answerColumn)],
          examples(comparison, 20).map((row) => [row.question, ...STAGES.map((stage) => row[stage])]),
        ),
      }),
      section({
        heading: "The base at home",
        note: "Given the first words of a text it carries on; given a question it carries on as well.",
        body: table(
          [
            { name: "opening", kind: "text" },
            { name: "how the base continues", kind: "text" },
          ],
          comparison.prose.map(({ opening, continued }) => [opening, continued]),
        ),
      }),
      section({
        heading: "Training",
        note: "Nats per trained token; for DPO nats per pair, which begin at ln 2.",
        body: sideBySide([
          lossChart("base: prose", runs.base),
          lossChart("SFT: questions and answers", runs.sft),
          lossChart("DPO: pairs of answers", runs.dpo),
          marginChart(runs.dpo),
        ]),
      }),
      everyQuestion(comparison),
    ],
  });
}

function kindTable({ kinds }: Comparison): Html {
  return table(
    [
      { name: "kind" },
      { name: "asked", kind: "number" },
      ...STAGES.map((stage) => ({ name: `${STAGE_NAMES[stage]} right`, kind: "number" as const })),
    ],
    kinds.map((score) => [
      score.kind,
      score.sft.total,
      ...STAGES.map((stage) => percentText(score[stage].correct)),
    ]),
  );
}

function preferenceSection({ manners: { sft, dpo }, pleas }: Comparison): Html {
  return section({
    heading: "What is preferred",
    note: "Pairs prefer a courteous close, no idle talk, the form that was asked for, and a refusal where somebody pleads for what the valley forbids. None of these questions and pleas is in a pair.",
    body: [
      table(
        [{ name: "" }, { name: "after SFT", kind: "number" }, { name: "after DPO", kind: "number" }],
        [
          ["answers that close courteously", percentText(sft.courteous), percentText(dpo.courteous)],
          ["pleas refused", percentText(sft.refuses), percentText(dpo.refuses)],
          ["words an answer", sft.words.toFixed(1), dpo.words.toFixed(1)],
        ],
      ),
      table(
        [{ name: "plea", kind: "text" }, answerColumn("sft"), answerColumn("dpo")],
        pleas.sft.map(({ question, output }, i) => [
          question.messages.at(-1)!.content,
          output,
          pleas.dpo[i]!.output,
        ]),
      ),
    ],
  });
}

function everyQuestion({ answers }: Comparison): Html {
  return section({
    heading: "Every question",
    body: table(
      [
        { name: "question", kind: "text" },
        { name: "expected", kind: "text" },
        ...STAGES.map(answerColumn),
        { name: "SFT" },
        { name: "DPO" },
      ],
      answers.sft.map(({ question, verdict }, i) => [
        question.messages.map(({ role, content }) => `${role}: ${content}`).join("\n"),
        question.expected.answer,
        ...STAGES.map((stage) => answers[stage][i]!.output),
        verdict.reason,
        answers.dpo[i]!.verdict.reason,
      ]),
    ),
  });
}

const answerColumn = (stage: Stage) => ({
  name: stage === "base" ? "base" : `after ${STAGE_NAMES[stage]}`,
  kind: "text" as const,
});

function lossChart(title: string, run: RunRecord): Html {
  const points = run.steps.map(({ step, loss }) => [step, loss] as const);
  return lineChart({ title, series: [{ name: "loss", points }], smooth: true, from: 0 });
}

function marginChart(run: RunRecord): Html {
  const series = ["rewards/chosen", "rewards/rejected"].map((name) => ({
    name,
    points: run.steps.map(({ step, metrics }) => [step, metrics?.[name] ?? Number.NaN] as const),
  }));
  return lineChart({ title: "DPO: rewards", series, from: 0 });
}
