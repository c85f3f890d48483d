/** Everything that the page of a run shows besides its curves. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readRunSettings } from "../../run/run-directory.js";
import { runHolder } from "../../run/run-lock.js";
import { leaves } from "../../settings/diff.js";
import type { Origin } from "../../settings/origin.js";
import { originText } from "../../settings/origin.js";
import { valueText } from "../../settings/print.js";
import type { RunDetail, SeriesName } from "../api.js";
import type { RunLog } from "./run-log.js";
import { runStatus } from "./run-status.js";
import { summarizeRun } from "./summary.js";

export function runDetail(folder: string, id: string, log: RunLog): RunDetail {
  const { settings, notes } = settingsOf(folder);
  const status = runStatus(folder, log);
  const speed = log.series.get("tokens_per_second");
  return {
    summary: { ...summarizeRun(folder, id), status },
    settings,
    environment: log.start?.environment ?? {},
    notes: [...notes, ...logNotes(log, status)],
    warnings: log.warnings.map(({ step, message, code }) => ({ step: step ?? null, message, code })),
    samples: log.samples
      .slice(-400)
      .map(({ step, prompt, text, reference }) => ({ step, prompt, text, reference: reference ?? null })),
    checkpoints: log.checkpoints.map(({ step, path, size_bytes, time }) => ({
      step,
      path,
      sizeBytes: size_bytes ?? null,
      time,
    })),
    resumes: log.resumes.map(({ resumed_from_step, time, settings_changed }) => ({
      fromStep: resumed_from_step ?? 0,
      time,
      changed: settings_changed ?? [],
    })),
    error:
      log.end?.error === undefined
        ? null
        : { code: log.end.error.code ?? null, message: log.end.error.message },
    durationMs: log.end?.duration_ms ?? null,
    trainedTokens: log.trainedTokens,
    tokensPerSecond:
      speed === undefined || speed.length === 0
        ? null
        : median(
            Array.from({ length: Math.min(50, speed.length) }, (_, i) => speed.value(speed.length - 1 - i)),
          ),
    series: seriesNames(log),
    hasLineage: existsSync(join(folder, "lineage")),
    canStop: runHolder(folder).kind === "alive",
    canResume: status !== "running" && status !== "completed" && existsSync(join(folder, "settings.json")),
  };
}

function settingsOf(folder: string): { settings: RunDetail["settings"]; notes: string[] } {
  try {
    const { settings, provenance } = readRunSettings(folder);
    const flat = [...leaves(settings)].map(([key, value]) => {
      const origin = (provenance.origins[key] ?? { source: "default" }) as Origin;
      return {
        key,
        value: valueText(value),
        origin: originText(origin),
        isDefault: origin.source === "default",
      };
    });
    return { settings: flat, notes: [] };
  } catch (error) {
    return { settings: [], notes: [`The settings cannot be shown: ${(error as Error).message}`] };
  }
}

function logNotes(log: RunLog, status: string): string[] {
  const notes: string[] = [];
  if (status === "cut")
    notes.push(
      "No process writes this run and it never ended: it was cut off. What it wrote is shown; it can be resumed.",
    );
  if (status === "newer")
    notes.push("A newer Camelid wrote this run. What this version knows of it is shown.");
  if (status === "empty") notes.push("The run has settings and no event yet.");
  if (log.unknown.size > 0) {
    const kinds = [...log.unknown].map(([name, count]) => `${name} (${count})`).join(", ");
    notes.push(`Events of kinds this version does not know were passed over: ${kinds}.`);
  }
  for (const { line, reason } of log.brokenLines)
    notes.push(`Line ${line} of events.jsonl was passed over: ${reason}.`);
  if (log.brokenCount > log.brokenLines.length)
    notes.push(`${log.brokenCount} lines of events.jsonl could not be read.`);
  if (log.hasTail && status !== "running")
    notes.push("The last line of events.jsonl is not complete: it was cut.");
  return notes;
}

const FIRST = ["loss", "lr", "grad_norm", "tokens_per_second"];

function seriesNames(log: RunLog): SeriesName[] {
  const names = [...log.series].map(([key, { length }]) => ({ key, count: length }));
  const rank = ({ key }: SeriesName) =>
    FIRST.includes(key)
      ? FIRST.indexOf(key)
      : key.startsWith("source/")
        ? 10
        : key.startsWith("eval/")
          ? 11
          : 12;
  return names.sort((a, b) => rank(a) - rank(b));
}

function median(values: number[]): number | null {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length === 0 ? null : sorted[sorted.length >> 1]!;
}
