import { basename, resolve } from "node:path";
import type { RunRecord } from "../run/read-run.js";
import { barChart } from "./bars.js";
import { figures, fold, keyValues, note, sideBySide, table } from "./blocks.js";
import { type Html, type HtmlValue, html } from "./html.js";
import { lineChart, runningMean } from "./line-chart.js";
import { page, section } from "./page.js";
import { numberText } from "./scale.js";

/**
 * The report of a run as one HTML file: the curves, what each source contributed, samples, the settings and where
 * each came from, the machine. Works for a run at any stage, also one that failed or is still going on.
 */
export function runReport(run: RunRecord): string {
  return page({
    title: basename(resolve(run.path)),
    kind: `${run.provenance.recipe || "run"} report`,
    lead: lead(run),
    body: [
      remarks(run),
      training(run),
      perSource(run),
      evaluations(run),
      samples(run),
      settings(run),
      environment(run),
    ],
  });
}

function lead(run: RunRecord): HtmlValue {
  const first = run.steps[0];
  const last = run.steps.at(-1);
  const state = {
    empty: "Nothing happened yet",
    unfinished: "Running, or killed",
    completed: "Completed",
    interrupted: "Interrupted and saved",
    failed: "Failed",
  }[run.status];
  if (first === undefined || last === undefined) return html`<b>${state}.</b> No step was done.`;
  const planned = run.events.findLast((event) => event.event === "run-start")?.total_steps;
  const of = planned !== undefined && planned !== last.step ? ` of ${numberText(planned)}` : "";
  return html`<b>${state}</b> after ${numberText(last.step)}${of} steps and ${numberText(last.epoch)} epochs; the loss went from <b>${numberText(first.loss)}</b> to <b>${numberText(meanLoss(run.steps.slice(-tail(run))))}</b> nats per trained token.`;
}

/** A single step is noise; the end of a run is its last twentieth. */
function tail(run: RunRecord): number {
  return Math.max(1, Math.round(run.steps.length / 20));
}

function meanLoss(steps: RunRecord["steps"]): number {
  return steps.reduce((sum, { loss }) => sum + loss, 0) / steps.length;
}

function remarks(run: RunRecord): HtmlValue {
  const failure = run.events.findLast((event) => event.event === "run-end")?.error;
  const bad = run.steps.filter(({ loss }) => !Number.isFinite(loss));
  const warnings = run.events.filter((event) => event.event === "warning-raised");
  const remarks = [
    failure !== undefined &&
      note(
        html`<b>The run failed.</b> ${failure.code !== undefined && html`<code>${failure.code}</code> `}${failure.message}`,
        "bad",
      ),
    bad.length > 0 &&
      note(
        html`<b>The loss was not a finite number</b> at ${bad.length === 1 ? "step" : "steps"} ${bad
          .slice(0, 8)
          .map(({ step }) => step)
          .join(", ")}${bad.length > 8 && ` and ${bad.length - 8} more`}.`,
        "bad",
      ),
    ...warnings.map(({ message, step }) =>
      note(html`${step !== undefined && html`<b>Step ${step}.</b> `}${message}`, "warn"),
    ),
    ...run.notes.map((text) => note(text)),
  ];
  if (remarks.every((remark) => remark === false)) return undefined;
  return section({ heading: "Remarks", body: remarks });
}

function training(run: RunRecord): Html {
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
              series: [
                { name, color: (i % 8) + 1, points: curve((step) => step.metrics?.[name] ?? Number.NaN) },
              ],
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
    { name: "Final loss", value: steps.length === 0 ? "–" : numberText(meanLoss(steps.slice(-tail(run)))) },
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

function perSource({ steps }: RunRecord): HtmlValue {
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
    points.reduce((sum, [, y]) => sum + y, 0) / points.length;
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
          numberText(mean(points.slice(0, span(points)))),
          numberText(mean(points.slice(-span(points)))),
        ]),
      ),
    ],
  });
}

function evaluations({ evals }: RunRecord): HtmlValue {
  if (evals.length === 0) return undefined;
  const metrics = [...new Set(evals.flatMap((one) => Object.keys(one.metrics ?? {})))];
  return section({
    heading: "Evaluations",
    body: table(
      [
        { name: "step", kind: "number" },
        { name: "on" },
        { name: "loss", kind: "number" },
        ...metrics.map((name) => ({ name, kind: "number" as const })),
      ],
      evals.map(({ step, name, loss, metrics: values }) => [
        step,
        name,
        loss === undefined ? "" : numberText(loss),
        ...metrics.map((key) => (values?.[key] === undefined ? "" : numberText(values[key]))),
      ]),
    ),
  });
}

function samples({ samples: all }: RunRecord): HtmlValue {
  if (all.length === 0) return undefined;
  const prompts = [...new Set(all.map(({ prompt }) => prompt))];
  return section({
    heading: "Samples",
    note: "The same prompts through the run, newest answer last.",
    body: prompts.map((prompt) => {
      const answers = all.filter((one) => one.prompt === prompt);
      const reference = answers.find((answer) => answer.reference !== undefined)?.reference;
      return html`<h3>Prompt</h3><blockquote>${prompt}</blockquote>${table(
        [{ name: "step", kind: "number" }, { name: "answer", kind: "text" }, { name: "ended by" }],
        answers.map(({ step, text, finish_reason }) => [step, text, finish_reason ?? ""]),
      )}${reference !== undefined && fold("Answer in the data", html`<blockquote>${reference}</blockquote>`)}`;
    }),
  });
}

function settings({ settings: values, provenance }: RunRecord): Html {
  const rows = flatten(values).map(([key, value]) => {
    const origin = provenance.origins[key];
    const chosen = origin !== undefined && origin.source !== "default";
    return {
      cells: [key, value, originText(origin)],
      quiet: !chosen,
    };
  });
  return section({
    heading: "Settings",
    note: html`As they took effect, and where each came from. <code>settings.json</code> of this folder can be given to <code>--config</code>.`,
    body: table(
      [{ name: "key", kind: "key" }, { name: "value", kind: "code" }, { name: "from" }],
      rows.sort((a, b) => Number(a.quiet) - Number(b.quiet)),
    ),
  });
}

function environment({ events, path }: RunRecord): HtmlValue {
  const start = events.findLast((event) => event.event === "run-start");
  if (start === undefined) return undefined;
  const saved = events.filter((event) => event.event === "checkpoint-saved");
  return section({
    heading: "Environment",
    body: keyValues([
      ["folder", html`<code>${path}</code>`],
      ["started", start.time],
      ...Object.entries(start.environment ?? {}).map(([name, value]) => [name, String(value)] as const),
      ...(start.resumed_from_step === undefined
        ? []
        : [["resumed from step", start.resumed_from_step] as const]),
      ...(start.settings_changed?.length
        ? [["settings changed", start.settings_changed.join("; ")] as const]
        : []),
      ...(saved.length === 0 ? [] : [["saved", saved.map((event) => event.path).join(", ")] as const]),
    ]),
  });
}

/** As the command line prints it; flags and --set name themselves. */
function originText(origin: { source: string; detail?: string } | undefined): string {
  if (origin === undefined) return "default";
  const { source, detail } = origin;
  if (detail === undefined) return source;
  return source === "flag" || source === "set" ? detail : `${source} ${detail}`;
}

function flatten(values: object, prefix = ""): [string, string][] {
  return Object.entries(values).flatMap(([name, value]): [string, string][] => {
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return flatten(value, `${prefix}${name}.`);
    return [[prefix + name, settingText(value)]];
  });
}

function settingText(value: unknown): string {
  if (value === null) return "none";
  if (Array.isArray(value)) return value.map(settingText).join(", ");
  return typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3
    ? value.toExponential()
    : String(value);
}

function timeText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes === 0) return `${(ms / 1000).toFixed(1)} s`;
  return minutes < 60
    ? `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
