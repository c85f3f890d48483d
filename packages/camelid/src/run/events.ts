import { z } from "zod";
import { anyNumber } from "./json-numbers.js";

/**
 * What a run writes to `events.jsonl`, one JSON object a line, and what the progress line, the report and the
 * Studio read. Fields are only ever added. Readers pass over fields and whole events they do not
 * know ({@link readEvent}), so an older reader copes with a newer run, and says so.
 */

/** Raised only when a reader of the old number would be wrong about what it reads. */
export const eventsFormat = 1;

/** ISO 8601, UTC. */
const time = z.iso.datetime();
/** Optimizer updates done, so the first `step-end` says 1. */
const step = z.int().min(0);
const metrics = z.record(z.string(), anyNumber);

const runStart = z.object({
  event: z.literal("run-start"),
  time,
  format: z.int(),
  recipe: z.string(),
  /** Optimizer steps planned for the whole run. */
  total_steps: z.int().optional(),
  /** Set when the run continues from this checkpoint: later steps written before are void. */
  resumed_from_step: step.optional(),
  /** What differs from the settings before the resume, each as `key: before -> after`. */
  settings_changed: z.array(z.string()).optional(),
  /** Versions and machine: node, camelid, libtorch, cpu, threads, device ... */
  environment: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

const stepEnd = z.object({
  event: z.literal("step-end"),
  time,
  step,
  /** Passes over the data so far, with its fraction. */
  epoch: anyNumber,
  /** Nats per trained token, over the whole optimizer step. */
  loss: anyNumber,
  /** The learning rate this step used. */
  lr: anyNumber,
  /** Global norm before clipping. */
  grad_norm: anyNumber,
  /** Trained tokens in this step. */
  trained_tokens: anyNumber,
  /** Real (not padding) tokens through the model each second, trained or not. */
  tokens_per_second: anyNumber,
  sources: z.record(z.string(), z.object({ loss: anyNumber, trained_tokens: anyNumber })).optional(),
  /** What a method adds: `rewards/chosen`, `logps/rejected`, `updates/unchanged_share` ... */
  metrics: metrics.optional(),
});

const evalEnd = z.object({
  event: z.literal("eval-end"),
  time,
  step,
  /** What was evaluated: `held-out`, a task. */
  name: z.string(),
  loss: anyNumber.optional(),
  metrics: metrics.optional(),
});

const checkpointSaved = z.object({
  event: z.literal("checkpoint-saved"),
  time,
  step,
  /** Relative to the run folder: `checkpoints/step-200`, `final`. */
  path: z.string(),
  size_bytes: z.number().optional(),
});

const sample = z.object({
  event: z.literal("sample"),
  time,
  step,
  prompt: z.string(),
  text: z.string(),
  finish_reason: z.enum(["stop", "length"]).optional(),
  /** The answer the data has, where there is one. */
  reference: z.string().optional(),
});

/** One step measured in detail: the setting `profile`. */
const stepProfiled = z.object({
  event: z.literal("step-profiled"),
  time,
  step,
  duration_ms: z.number(),
  /** Real tokens of the step. */
  tokens: z.number(),
  device: z.string(),
  /** Every call, as a trace-event file of the run folder. */
  trace: z.string(),
  /** Milliseconds of each part of the step, parts of a part taken out; together `duration_ms`. */
  phases: z.array(z.object({ name: z.string(), ms: z.number() })),
  /** Milliseconds that operators took themselves, by the phase in which they were called; the costliest first. */
  operators: z.array(z.object({ name: z.string(), phase: z.string(), calls: z.number(), ms: z.number() })),
});

/** Where the memory went, at the end of a run. */
const memoryMeasured = z.object({
  event: z.literal("memory-measured"),
  time,
  step,
  /** The most that the process had in memory. */
  peak_bytes: z.number(),
  /** They add up to the peak; `unexplained` may be below zero. */
  parts: z.array(z.object({ name: z.string(), bytes: z.number() })),
});

/** Something a person should know that does not stop the run: rows cut, updates lost to rounding. */
const warningRaised = z.object({
  event: z.literal("warning-raised"),
  time,
  code: z.string(),
  message: z.string(),
  step: step.optional(),
});

const runEnd = z.object({
  event: z.literal("run-end"),
  time,
  status: z.enum(["completed", "interrupted", "failed"]),
  /** The last step done. */
  step,
  duration_ms: z.number().optional(),
  /** Of a failed run. */
  error: z.object({ code: z.string().optional(), message: z.string() }).optional(),
});

const runEvent = z.discriminatedUnion("event", [
  runStart,
  stepEnd,
  evalEnd,
  checkpointSaved,
  sample,
  stepProfiled,
  memoryMeasured,
  warningRaised,
  runEnd,
]);

export type RunEvent = z.output<typeof runEvent>;
export type StepEnd = z.output<typeof stepEnd>;
export type EvalEnd = z.output<typeof evalEnd>;
export type StepProfiled = z.output<typeof stepProfiled>;
export type MemoryMeasured = z.output<typeof memoryMeasured>;
export type MemoryPart = MemoryMeasured["parts"][number];
export type Sample = z.output<typeof sample>;

/** An event to be written; `time` is added by the writer. */
export type NewEvent = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, "time"> : never) : never;

export type ReadEvent =
  | { kind: "event"; event: RunEvent }
  /** A kind of event this version does not know: written by a newer one. */
  | { kind: "unknown"; name: string }
  | { kind: "broken"; reason: string };

const known = new Set(runEvent.options.map((option) => option.shape.event.value as string));

/** Reads one line. Never throws: a run that is being written, or was cut, must stay readable. */
export function readEvent(line: string): ReadEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { kind: "broken", reason: "not complete JSON" };
  }
  const name = (value as { event?: unknown } | null)?.event;
  if (typeof name === "string" && !known.has(name)) return { kind: "unknown", name };
  const parsed = runEvent.safeParse(value);
  if (parsed.success) return { kind: "event", event: parsed.data };
  const issue = parsed.error.issues[0]!;
  return { kind: "broken", reason: `${issue.path.join(".") || "line"}: ${issue.message}` };
}
