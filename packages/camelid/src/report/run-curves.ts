import type { RunRecord } from "../run/read-run.js";
import { barChart } from "./bars.js";
import { figures, sideBySide, table } from "./blocks.js";
import { type Html, type HtmlValue, html } from "./html.js";
import { lineChart, runningMean } from "./line-chart.js";
import { section } from "./page.js";
import { numberText } from "./scale.js";

/** The curves of a run: loss, learning rate, gradient norm, speed, and whatever its method adds. */
export function trainingSection(run: RunRecord): Html {
  const { steps } = run;
  const curve = (pick: (step: RunRecord["steps"][number]) => number) =>
    steps.map((step) => [step.step, pick(step)] as const);
  const held = run.evals.filter(({ loss }) => loss !== undefined);
  const names = [...new Set(held.map(({ name }) => name))];
  const heldOut = names.map((name, i) => ({
    name,
    color: i + 2,
    points: held.filter((one) => one.name === name).map(({ step, loss }) => [step, loss!] as const),
  }));
  const metrics = [...new Set(steps.flatMap((step) => Object.keys(step.metrics ?? {})))];
  // A metric that a step does not have is not a NaN.
  const metric = (name: string) =>
    steps.flatMap(({ step, metrics }) =>
      metrics?.[name] === undefined ? [] : [[step, metrics[name]] as const],
    );
  const small = { height: 7, smooth: true };
  return section({
    heading: "Training",
    note: "Faint: every step. Bold: running mean. A dashed red line is a step whose value was not a finite number.",
    body: [
      figures(headline(run)),
      lineChart({
        title: "Loss",
        unit: "nats per trained token",
        smooth: true,
        height: 15,
        series: [{ name: "training", points: curve(({ loss }) => loss) }, ...heldOut],
      }),
      sideBySide([
        lineChart({
          title: "Learning rate",
          from: 0,
          height: 7,
          series: [{ name: "lr", color: 8, points: curve(({ lr }) => lr) }],
        }),
        lineChart({
          ...small,
          title: "Gradient norm",
          unit: "before clipping",
          series: [{ name: "norm", color: 3, points: curve((step) => step.grad_norm) }],
        }),
        lineChart({
          ...small,
          title: "Speed",
          unit: "tokens/s",
          from: 0,
          series: [{ name: "speed", color: 2, points: curve((step) => step.tokens_per_second) }],
        }),
      ]),
      metrics.length > 0 &&
        sideBySide(
          metrics.map((name, i) =>
            lineChart({
              ...small,
              title: name,
              series: [{ name, color: (i % 8) + 1, points: metric(name) }],
            }),
          ),
        ),
    ],
  });
}

function headline(run: RunRecord): { name: string; value: HtmlValue; unit?: string }[] {
  const { steps } = run;
  const tokens = steps.reduce((sum, step) => sum + step.trained_tokens, 0);
  const speeds = steps.map((step) => step.tokens_per_second).sort((a, b) => a - b);
  const end = run.events.findLast((event) => event.event === "run-end");
  const held = run.evals.findLast(({ loss }) => loss !== undefined);
  return [
    { name: "Final loss", value: steps.length === 0 ? "–" : numberText(finalLoss(run)) },
    ...(held?.loss === undefined ? [] : [{ name: `Loss on ${held.name}`, value: numberText(held.loss) }]),
    { name: "Steps", value: numberText(steps.at(-1)?.step ?? 0) },
    { name: "Trained tokens", value: numberText(tokens) },
    ...(speeds.length === 0
      ? []
      : [
          {
            name: "Median speed",
            value: numberText(speeds[Math.floor(speeds.length / 2)]!),
            unit: "tokens/s",
          },
        ]),
    ...(end?.duration_ms === undefined ? [] : [{ name: "Time", value: timeText(end.duration_ms) }]),
  ];
}

/** What each source of the mixture weighs in the loss, and how its own loss moved. */
export function sourcesSection({ steps }: RunRecord): HtmlValue {
  const bySource = new Map<string, { points: (readonly [number, number])[]; tokens: number; last: number }>();
  for (const { step, sources } of steps) {
    for (const [name, { loss, trained_tokens }] of Object.entries(sources ?? {})) {
      const entry = bySource.get(name) ?? { points: [], tokens: 0, last: Number.NaN };
      if (trained_tokens > 0) entry.points.push([step, loss]);
      entry.tokens += trained_tokens;
      bySource.set(name, entry);
    }
  }
  if (bySource.size === 0) return undefined;
  const sorted = [...bySource].sort(([, a], [, b]) => b.tokens - a.tokens);
  const total = sorted.reduce((sum, [, { tokens }]) => sum + tokens, 0);
  const colored = sorted.map(([name, entry], i) => ({ name, color: (i % 8) + 1, ...entry }));
  const mean = (points: readonly (readonly [number, number])[]) =>
    points.length === 0 ? "–" : numberText(points.reduce((sum, [, y]) => sum + y, 0) / points.length);
  const span = (points: readonly (readonly [number, number])[]) =>
    Math.max(1, Math.round(points.length / 20));
  return section({
    heading: "Sources",
    note: "What each part of the mixture weighs in the loss, counted in trained tokens, and how its own loss moved.",
    body: [
      barChart({
        title: "Share of trained tokens",
        bars: colored.map(({ name, color, tokens }) => ({
          name,
          color,
          value: tokens,
          text: `${((100 * tokens) / total).toFixed(1)} %`,
        })),
      }),
      lineChart({
        title: "Loss by source",
        unit: "nats per trained token, running mean",
        height: 14,
        series: colored
          .slice(0, 8)
          .map(({ name, color, points }) => ({ name, color, points: runningMean(points) })),
      }),
      colored.length > 8 && html`<p class="soft">The eight largest sources are drawn; the table has all.</p>`,
      table(
        [
          { name: "source" },
          { name: "trained tokens", kind: "number" },
          { name: "steps", kind: "number", hint: "steps in which it had a trained token" },
          { name: "loss, first", kind: "number" },
          { name: "loss, last", kind: "number" },
        ],
        colored.map(({ name, tokens, points }) => [
          name,
          numberText(tokens),
          numberText(points.length),
          mean(points.slice(0, span(points))),
          mean(points.slice(-span(points))),
        ]),
      ),
    ],
  });
}

/** The loss at the end of a run: the mean of its last twentieth, since a single step is noise. */
export function finalLoss({ steps }: RunRecord): number {
  const last = steps.slice(-Math.max(1, Math.round(steps.length / 20)));
  return last.reduce((sum, { loss }) => sum + loss, 0) / last.length;
}

function timeText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes === 0) return `${(ms / 1000).toFixed(1)} s`;
  return minutes < 60
    ? `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
