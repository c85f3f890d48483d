/**
 * One line of the list of runs, from the head and the tail of its events and a few places between: the list must not
 * read gigabytes to show that they are there.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { readEvent } from "../../run/events.js";
import { readRunSettings } from "../../run/run-directory.js";
import type { AnyNumber, RunSummary } from "../api.js";
import { runStatus } from "./run-status.js";

const EDGE = 64 << 10;
const SPARKS = 48;
const SPARK_BYTES = 8 << 10;

export function summarizeRun(folder: string, id: string): RunSummary {
  const ends = readEnds(join(folder, "events.jsonl"));
  const { settings, recipe } = settingsOf(folder);
  const text = (key: string) => (typeof settings[key] === "string" ? (settings[key] as string) : null);
  return {
    id,
    recipe: recipe || ends.start?.recipe || "",
    status: runStatus(folder, ends),
    step: ends.step,
    totalSteps: ends.start?.total_steps ?? null,
    loss: ends.loss,
    startedAt: ends.start?.time ?? null,
    changedAt: ends.changedAt ?? statSync(folder).mtime.toISOString(),
    model: text("model"),
    data: text("data"),
    sparkline: ends.sparkline,
  };
}

export function anyNumber(value: number): AnyNumber {
  return Number.isFinite(value) ? value : (String(value) as AnyNumber);
}

function settingsOf(folder: string): { settings: Record<string, unknown>; recipe: string } {
  try {
    const { settings, provenance } = readRunSettings(folder);
    return { settings, recipe: provenance.recipe };
  } catch {
    return { settings: {}, recipe: "" };
  }
}

interface Ends extends Pick<Parameters<typeof runStatus>[1], "start" | "end" | "unknown" | "brokenCount"> {
  step: number;
  loss: AnyNumber | null;
  changedAt: string | null;
  sparkline: (number | null)[];
}

function readEnds(path: string): Ends {
  const ends: Ends = {
    start: undefined,
    end: undefined,
    unknown: new Map(),
    brokenCount: 0,
    step: 0,
    loss: null,
    changedAt: null,
    sparkline: [],
  };
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return ends;
  }
  try {
    const { size, mtime } = fstatSync(file);
    ends.changedAt = mtime.toISOString();
    const head = linesAt(file, 0, Math.min(size, EDGE));
    const tail = size > EDGE ? linesAt(file, size - EDGE, EDGE).slice(1) : [];
    for (const line of [...head, ...tail]) {
      const found = readEvent(line);
      if (found.kind === "unknown") ends.unknown.set(found.name, 1);
      if (found.kind === "broken") ends.brokenCount++;
      if (found.kind !== "event") continue;
      const { event } = found;
      if (event.event === "run-start") {
        ends.start = event;
        ends.end = undefined;
        if (event.resumed_from_step !== undefined) ends.step = event.resumed_from_step;
      } else if (event.event === "run-end") ends.end = event;
      else if (event.event === "step-end") {
        ends.step = event.step;
        ends.loss = anyNumber(event.loss);
      }
    }
    ends.sparkline = size <= EDGE ? lossesOf(head, SPARKS) : sampleLosses(file, size);
  } finally {
    closeSync(file);
  }
  return ends;
}

/** Complete lines of a stretch of the file; the first may lack its beginning. */
function linesAt(file: number, position: number, bytes: number): string[] {
  const buffer = Buffer.alloc(bytes);
  const read = readSync(file, buffer, 0, bytes, position);
  const lines = buffer.toString("utf8", 0, read).split("\n");
  lines.pop();
  return lines.filter((line) => line !== "");
}

function lossesOf(lines: readonly string[], most: number): (number | null)[] {
  const all = lines.flatMap((line) => {
    const loss = lossIn(line);
    return loss === undefined ? [] : [loss];
  });
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, i) => all[Math.floor(((i + 0.5) * all.length) / most)]!);
}

function sampleLosses(file: number, size: number): (number | null)[] {
  return Array.from({ length: SPARKS }, (_, i) => {
    const lines = linesAt(file, Math.floor((i * (size - SPARK_BYTES)) / SPARKS), SPARK_BYTES);
    return lines.map(lossIn).find((loss) => loss !== undefined);
  }).filter((loss) => loss !== undefined);
}

/** A number, null for NaN, undefined where the line tells no loss. Only a drawing hangs on it. */
function lossIn(line: string): number | null | undefined {
  const match = /"event":"step-end".*?"loss":("?)(-?[\w.+-]+)\1[,}]/.exec(line);
  if (match === null) return undefined;
  const value = Number(match[2]);
  return Number.isFinite(value) ? value : null;
}
