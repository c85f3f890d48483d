/**
 * The events of one run, followed as they are written. Each call reads only what was appended since the last one. A line that
 * is not finished waits for its end; a file that shrank (a new run in the same folder) is read from the start.
 *
 * A run of 100,000 steps has 100,000 lines of one shape, so `step-end` takes a short way around the schema; whatever looks
 * unusual goes through `readEvent` like every other event.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type RunEvent, readEvent, type StepEnd } from "../../run/events.js";
import { Series } from "./series.js";

type Of<K extends RunEvent["event"]> = Extract<RunEvent, { event: K }>;

const PIECE = 1 << 20;
/** What a request may wait for the server while it reads a long run. */
const SLICE_MS = 25;

export class RunLog {
  series = new Map<string, Series>();
  start: Of<"run-start"> | undefined;
  end: Of<"run-end"> | undefined;
  samples: Of<"sample">[] = [];
  warnings: Of<"warning-raised">[] = [];
  checkpoints: Of<"checkpoint-saved">[] = [];
  resumes: Of<"run-start">[] = [];
  trainedTokens = 0;
  /** Events of kinds this version does not know, by name. */
  unknown = new Map<string, number>();
  brokenLines: { line: number; reason: string }[] = [];
  brokenCount = 0;
  /** What follows the last line end: being written, or cut. */
  hasTail = false;
  /** How much of the file has been read, to 1. */
  readShare = 1;
  #catching = false;
  #position = 0;
  #inode = 0;
  #lines = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(readonly path: string) {}

  /** Changes when there is news. */
  get version(): string {
    return `${this.#inode}-${this.#position}`;
  }

  get lastStep(): number {
    const loss = this.series.get("loss");
    return loss === undefined || loss.length === 0 ? 0 : loss.step(loss.length - 1);
  }

  get firstStep(): number {
    const loss = this.series.get("loss");
    return loss === undefined || loss.length === 0 ? 0 : loss.step(0);
  }

  /**
   * Reads what is new, for about so long: a long run takes seconds to read, and the first of it can be shown meanwhile. A file
   * that is not there has no events.
   */
  update(budgetMs = Number.POSITIVE_INFINITY): void {
    const deadline = performance.now() + budgetMs;
    let file: number;
    try {
      file = openSync(this.path, "r");
    } catch {
      return;
    }
    try {
      const { size, ino } = fstatSync(file);
      if (size < this.#position || (this.#inode !== 0 && ino !== this.#inode)) this.#reset();
      this.#inode = ino;
      const buffer = Buffer.allocUnsafe(Math.min(PIECE, Math.max(0, size - this.#position)));
      while (this.#position < size && performance.now() < deadline) {
        const read = readSync(file, buffer, 0, buffer.length, this.#position);
        if (read === 0) break;
        this.#position += read;
        this.#take(buffer.subarray(0, read));
      }
      this.readShare = size === 0 ? 1 : this.#position / size;
      this.hasTail = this.#rest.length > 0;
    } finally {
      closeSync(file);
    }
  }

  get isCatchingUp(): boolean {
    return this.#catching;
  }

  /** Reads the rest, with pauses in which requests are answered. */
  catchUp(): void {
    if (this.#catching || this.readShare === 1) return;
    this.#catching = true;
    const on = () => {
      this.update(SLICE_MS);
      this.#catching = this.readShare < 1;
      if (this.#catching) setImmediate(on);
    };
    setImmediate(on);
  }

  #take(piece: Buffer): void {
    let from = 0;
    for (let at = piece.indexOf(0x0a); at !== -1; at = piece.indexOf(0x0a, from)) {
      const line =
        this.#rest.length === 0
          ? piece.toString("utf8", from, at)
          : Buffer.concat([this.#rest, piece.subarray(from, at)]).toString("utf8");
      if (this.#rest.length > 0) this.#rest = Buffer.alloc(0);
      this.#line(line);
      from = at + 1;
    }
    if (from < piece.length) this.#rest = Buffer.concat([this.#rest, piece.subarray(from)]);
  }

  #line(line: string): void {
    this.#lines++;
    if (line === "") return;
    if (line.startsWith('{"event":"step-end"')) {
      const step = plainStep(line);
      if (step !== undefined) {
        this.#step(step);
        return;
      }
    }
    const found = readEvent(line);
    if (found.kind === "event") this.#event(found.event);
    else if (found.kind === "unknown") this.unknown.set(found.name, (this.unknown.get(found.name) ?? 0) + 1);
    else {
      this.brokenCount++;
      if (this.brokenLines.length < 5) this.brokenLines.push({ line: this.#lines, reason: found.reason });
    }
  }

  #event(event: RunEvent): void {
    switch (event.event) {
      case "run-start":
        if (event.resumed_from_step !== undefined) this.#resume(event, event.resumed_from_step);
        this.start = event;
        this.end = undefined;
        break;
      case "step-end":
        this.#step(event);
        break;
      case "eval-end":
        if (event.loss !== undefined) this.#push(`eval/${event.name}`, event.step, event.loss);
        for (const [name, value] of Object.entries(event.metrics ?? {}))
          this.#push(`eval/${event.name}/${name}`, event.step, value);
        break;
      case "checkpoint-saved":
        this.checkpoints.push(event);
        break;
      case "sample":
        this.samples.push(event);
        break;
      case "warning-raised":
        this.warnings.push(event);
        break;
      case "run-end":
        this.end = event;
        break;
      default: // a profile of a step: `report.html` draws it
    }
  }

  #step(event: Omit<StepEnd, "event" | "time">): void {
    const { step } = event;
    this.#push("loss", step, event.loss);
    this.#push("lr", step, event.lr);
    this.#push("grad_norm", step, event.grad_norm);
    this.#push("tokens_per_second", step, event.tokens_per_second);
    this.#push("epoch", step, event.epoch);
    this.#push("trained_tokens", step, event.trained_tokens);
    if (Number.isFinite(event.trained_tokens)) this.trainedTokens += event.trained_tokens;
    for (const name in event.sources) this.#push(`source/${name}`, step, event.sources[name]!.loss);
    for (const name in event.metrics) this.#push(name, step, event.metrics[name]!);
  }

  /** What had been written about later steps never happened. */
  #resume(event: Of<"run-start">, from: number): void {
    this.resumes.push(event);
    const kept = from > 0 ? from : -1;
    for (const series of this.series.values()) series.cutAfter(kept);
    this.samples = this.samples.filter(({ step }) => step <= kept);
    this.checkpoints = this.checkpoints.filter(({ step }) => step <= kept);
    this.warnings = this.warnings.filter(({ step }) => step === undefined || step <= kept);
    const tokens = this.series.get("trained_tokens");
    this.trainedTokens = 0;
    for (let i = 0; i < (tokens?.length ?? 0); i++) {
      const value = tokens!.value(i);
      if (Number.isFinite(value)) this.trainedTokens += value;
    }
  }

  #push(key: string, step: number, value: number): void {
    let series = this.series.get(key);
    if (series === undefined) {
      series = new Series();
      this.series.set(key, series);
    }
    series.push(step, value);
  }

  #reset(): void {
    Object.assign(this, new RunLog(this.path));
    this.#position = 0;
    this.#lines = 0;
    this.#rest = Buffer.alloc(0);
  }
}

/** A step whose every number is a plain number; undefined sends the line to the schema. */
function plainStep(line: string): Omit<StepEnd, "event" | "time"> | undefined {
  let value: StepEnd;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { step, epoch, loss, lr, grad_norm, trained_tokens, tokens_per_second, sources, metrics } = value;
  if (!Number.isSafeInteger(step) || step < 0) return undefined;
  for (const number of [epoch, loss, lr, grad_norm, trained_tokens, tokens_per_second]) {
    if (typeof number !== "number") return undefined;
  }
  for (const name in sources) if (typeof sources[name]?.loss !== "number") return undefined;
  for (const name in metrics) if (typeof metrics[name] !== "number") return undefined;
  return value;
}
