import { basename, resolve } from "node:path";
import type { RunRecord } from "../run/read-run.js";
import { benchmarksSection, isBenchmark } from "./benchmarks-section.js";
import { fold, keyValues, note, table } from "./blocks.js";
import { type Html, type HtmlValue, html } from "./html.js";
import { memorySection } from "./memory-section.js";
import { page, section } from "./page.js";
import { hasOwnSection, preferenceSection } from "./preference-section.js";
import { profileSection } from "./profile-section.js";
import { finalLoss, sourcesSection, trainingSection } from "./run-curves.js";
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
      trainingSection(run),
      sourcesSection(run),
      benchmarksSection(run),
      preferenceSection(run),
      evaluations(run),
      samples(run),
      profileSection(run),
      memorySection(run),
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
  return html`<b>${state}</b> after ${numberText(last.step)}${of} steps and ${numberText(last.epoch)} epochs; the loss went from <b>${numberText(first.loss)}</b> to <b>${numberText(finalLoss(run))}</b> nats per trained token.`;
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

function evaluations(run: RunRecord): HtmlValue {
  const evals = run.evals.filter((one) => !hasOwnSection(one) && !isBenchmark(one));
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
  if (typeof value === "object") return JSON.stringify(value);
  return typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3
    ? value.toExponential()
    : String(value);
}
