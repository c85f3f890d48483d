import type { EvalEnd } from "../run/events.js";
import type { RunRecord } from "../run/read-run.js";
import { sideBySide, table } from "./blocks.js";
import { type HtmlValue, html } from "./html.js";
import { lineChart } from "./line-chart.js";
import { section } from "./page.js";

/** Evaluations on benchmarks have a score; held-out losses and answers have none. */
export const isBenchmark = ({ metrics }: Pick<EvalEnd, "metrics">): boolean => metrics?.score !== undefined;

/** Scores of `evalTasks` through the run, each with its 95 % interval, the loss beside them. */
export function benchmarksSection(run: RunRecord): HtmlValue {
  const evals = run.evals.filter(isBenchmark);
  if (evals.length === 0) return undefined;
  const names = [...new Set(evals.map(({ name }) => name))];
  const curve = (name: string, key: string) =>
    evals
      .filter((one) => one.name === name && one.metrics?.[key] !== undefined)
      .map(({ step, metrics }) => [step, metrics![key]!] as const);
  const several = names.filter((name) => curve(name, "score").length > 1);
  return section({
    heading: "Benchmarks",
    note: html`The model as it was at these steps. Each has an evaluation of its own with every item: <code>evals/step-N/report.html</code>. Low and high are the ends of the 95 % interval.`,
    body: [
      several.length > 0 &&
        sideBySide([
          ...several.map((name, i) =>
            lineChart({
              title: name,
              height: 7,
              series: [
                { name: "score", color: (i % 8) + 1, points: curve(name, "score") },
                { name: "low", color: 8, points: curve(name, "low") },
                { name: "high", color: 8, points: curve(name, "high") },
              ],
            }),
          ),
          lineChart({
            title: "Training loss",
            height: 7,
            smooth: true,
            series: [{ name: "loss", points: run.steps.map(({ step, loss }) => [step, loss] as const) }],
          }),
        ]),
      table(
        [
          { name: "step", kind: "number" },
          { name: "task" },
          { name: "score", kind: "number" },
          { name: "95 %", kind: "number" },
          { name: "items", kind: "number", hint: "with a verdict" },
        ],
        evals.map(({ step, name, metrics }) => [
          step,
          name,
          html`<b>${metrics!.score!.toFixed(2)}</b>`,
          metrics!.low === undefined ? "" : `${metrics!.low.toFixed(1)} to ${metrics!.high!.toFixed(1)}`,
          metrics!.items ?? "",
        ]),
      ),
    ],
  });
}
