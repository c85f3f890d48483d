import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import {
  type EvalEnd,
  type ReadEvent,
  type RunEvent,
  readEvent,
  type Sample,
  type StepEnd,
} from "./events.js";
import { type Provenance, readRunSettings } from "./run-directory.js";

/** A run as its folder tells it, at the moment of reading. */
export interface RunRecord {
  readonly path: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly provenance: Provenance;
  /** `unfinished`: no `run-end` yet; it is running, or it was killed. */
  readonly status: "empty" | "unfinished" | "completed" | "interrupted" | "failed";
  /** Everything that could be read, in the order written. */
  readonly events: readonly RunEvent[];
  /** One entry for each step: where a resume went back, the later one counts. In order of steps. */
  readonly steps: readonly StepEnd[];
  readonly evals: readonly EvalEnd[];
  readonly samples: readonly Sample[];
  /** What a reader should tell: events of a newer version, lines that were cut. Sentences. */
  readonly notes: readonly string[];
}

/**
 * Reads a run folder: complete, being written, cut in the middle of a line, or without a single event.
 * @throws {CheckpointError} when there is no run at all
 */
export async function readRun(path: string): Promise<RunRecord> {
  const { settings, provenance } = readRunSettings(path);
  const { events, notes } = await readEvents(join(path, "events.jsonl"));
  const last = events.findLast(({ event }) => event === "run-end" || event === "run-start");
  const live = withoutVoidSteps(events);
  const ofKind = <K extends RunEvent["event"]>(kind: K) =>
    live.filter((event): event is Extract<RunEvent, { event: K }> => event.event === kind);
  return {
    path,
    settings,
    provenance,
    status: last === undefined ? "empty" : last.event === "run-end" ? last.status : "unfinished",
    events,
    steps: ofKind("step-end"),
    evals: ofKind("eval-end"),
    samples: ofKind("sample"),
    notes,
  };
}

/** Reads an events file, telling what it could not use. A file that is not there has no events. */
export async function readEvents(path: string): Promise<{ events: RunEvent[]; notes: string[] }> {
  const events: RunEvent[] = [];
  const unknown = new Map<string, number>();
  const notes: string[] = [];
  const lines = splitLines(await readBytes(path));
  for (const [i, line] of lines.entries()) {
    if (line === "") continue;
    const found: ReadEvent = readEvent(line);
    if (found.kind === "event") events.push(found.event);
    else if (found.kind === "unknown") unknown.set(found.name, (unknown.get(found.name) ?? 0) + 1);
    else if (i === lines.length - 1)
      notes.push("The last line is not complete: it is being written, or was cut.");
    else notes.push(`Line ${i + 1} of events.jsonl was skipped (${found.reason}).`);
  }
  if (unknown.size > 0) {
    const kinds = [...unknown].map(([name, count]) => `${name} (${count})`).join(", ");
    notes.push(
      `Events of kinds this version does not know were skipped: ${kinds}. A newer Camelid wrote them.`,
    );
  }
  return { events, notes };
}

/** After a resume from step N, what had been written about later steps never happened. */
function withoutVoidSteps(events: readonly RunEvent[]): RunEvent[] {
  const live: RunEvent[] = [];
  for (const event of events) {
    if (event.event === "run-start" && event.resumed_from_step !== undefined) {
      const from = event.resumed_from_step;
      // A run that starts over also looks again at the model before its first step.
      const kept = live.filter(
        (earlier) => !("step" in earlier) || (from > 0 && (earlier.step ?? 0) <= from),
      );
      live.splice(0, live.length, ...kept);
    }
    live.push(event);
  }
  return live;
}

/** Splits at line feeds only: text in events may hold other characters that some readers take for line ends. */
function splitLines(bytes: Buffer): string[] {
  const lines: string[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(0x0a, start);
    lines.push(bytes.toString("utf8", start, end < 0 ? bytes.length : end));
    start = end < 0 ? bytes.length : end + 1;
  }
  return lines;
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw new CheckpointError("ERR_RUN_UNREADABLE", "the events of the run cannot be read.", {
      where: path,
      fix: "check that the file is a regular file and that you may read it.",
      cause,
    });
  }
}
