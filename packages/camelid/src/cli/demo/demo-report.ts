import { figures, sideBySide, table } from "../../report/blocks.js";
import { html } from "../../report/html.js";
import { lineChart } from "../../report/line-chart.js";
import { page, section } from "../../report/page.js";
import type { RunRecord } from "../../run/read-run.js";
import { type Comparison, examples, percentText } from "./comparison.js";

/** The demo on one page: what was trained, what it says now, and both loss curves. */
export function demoReport(comparison: Comparison, base: RunRecord, sft: RunRecord): string {
  const { all, kinds, baseKnows, after, before } = comparison;
  return page({
    title: "A model learns to answer",
    kind: "demo",
    lead: html`A model of a million parameters read the prose of a small valley, then was shown questions with their answers. On questions it never saw it went from <b>${percentText(all.before.correct)}</b> right to <b>${percentText(all.after.correct)}</b>.`,
    body: [
      section({
        heading: "Before and after",
        note: "Held-out questions: the fact, the wording or both are in no training row.",
        body: [
          figures([
            { name: "base right", value: percentText(all.before.correct) },
            { name: "SFT right", value: percentText(all.after.correct) },
            { name: "base ends its turn", value: percentText(all.before.stopped) },
            { name: "SFT ends its turn", value: percentText(all.after.stopped) },
            { name: "base completes true sentences", value: percentText(baseKnows) },
          ]),
          table(
            [
              { name: "kind" },
              { name: "asked", kind: "number" },
              { name: "base right", kind: "number" },
              { name: "SFT right", kind: "number" },
              { name: "letter for letter", kind: "number" },
            ],
            kinds
              .filter((kind) => kind.after.total > 0)
              .map((kind) => [
                kind.kind,
                kind.after.total,
                percentText(kind.before.correct),
                percentText(kind.after.correct),
                percentText(kind.after.exact),
              ]),
          ),
        ],
      }),
      section({
        heading: "In their own words",
        note: "One question of each kind.",
        body: table(
          [
            { name: "question", kind: "text" },
            { name: "base", kind: "text" },
            { name: "after SFT", kind: "text" },
          ],
          examples(comparison, 20).map((row) => [row.question, row.before, row.after]),
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
        note: "Nats per trained token.",
        body: sideBySide([lossChart("base: prose", base), lossChart("SFT: questions and answers", sft)]),
      }),
      section({
        heading: "Every question",
        body: table(
          [
            { name: "question", kind: "text" },
            { name: "expected", kind: "text" },
            { name: "base", kind: "text" },
            { name: "after SFT", kind: "text" },
            { name: "verdict" },
          ],
          after.map((answer, i) => [
            answer.question.messages.map(({ role, content }) => `${role}: ${content}`).join("\n"),
            answer.question.expected.answer,
            before[i]!.output,
            answer.output,
            answer.verdict.reason,
          ]),
        ),
      }),
    ],
  });
}

function lossChart(title: string, run: RunRecord) {
  const points = run.steps.map(({ step, loss }) => [step, loss] as const);
  return lineChart({ title, series: [{ name: "loss", points }], smooth: true, from: 0 });
}
