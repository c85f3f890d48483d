import { toJsonLine } from "./json-numbers.js";

/** A live line, plain lines for a pipe or a log, JSON lines for a program, or nothing. */
export type OutputMode = "terminal" | "lines" | "json" | "silent";

/** Where text goes; `process.stdout` and `process.stderr` are two. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The mode for a command: JSON if asked for, else what `sink` can show. */
export function outputMode(json: boolean, sink: TextSink = process.stderr): OutputMode {
  if (json) return "json";
  return sink.isTTY && process.env.TERM !== "dumb" ? "terminal" : "lines";
}

export interface ProgressOptions {
  /** What is going on, one word or two: `sft`, `tokenise`. */
  label: string;
  /** What is counted, in the singular: `step`, `row`. */
  unit: string;
  /** Unknown totals have a rate but no ETA. */
  total?: number;
  /** What is done already: the step of the checkpoint that a run continues from. */
  start?: number;
  mode: OutputMode;
  /** Standard error for people, standard output for `json`, unless given. */
  sink?: TextSink;
  /** Milliseconds; for tests. */
  now?: () => number;
}

/** Widest line; narrower terminals get less. */
const maxWidth = 80;
/** How often each mode may write, in ms: an eye follows 10 a second; a log of an hour should stay readable. */
const interval = { terminal: 100, lines: 10_000, json: 1000 };
/** The rate is taken over the last half minute or so: early, slow steps stop counting. */
const rateWindowMs = 30_000;
const markEveryMs = 500;

/**
 * Shows how far a long command is. Call `update` as often as convenient; it writes at a rate that suits the mode,
 * and always the first and the last state.
 *
 *     using progress = new Progress({ label: "sft", unit: "step", total, mode: context.output });
 *     progress.update(step, { loss: loss.toFixed(3) });
 */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #sink: TextSink;
  readonly #now: () => number;
  readonly #marks: { done: number; time: number }[];
  #done: number;
  #time: number;
  #details: Readonly<Record<string, string | number>> = {};
  #lastWrite = Number.NEGATIVE_INFINITY;
  #unwritten = false;
  #lineShown = false;
  #ended = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#sink = options.sink ?? (options.mode === "json" ? process.stdout : process.stderr);
    this.#now = options.now ?? (() => performance.now());
    this.#done = options.start ?? 0;
    this.#time = this.#now();
    this.#marks = [{ done: this.#done, time: this.#time }];
  }

  /**
   * @param done how many units are done, those before `start` included
   * @param details short values to show beside: `{ loss: "1.234" }`
   */
  update(done: number, details: Readonly<Record<string, string | number>> = {}): void {
    const time = this.#now();
    this.#done = done;
    this.#details = details;
    if (time - this.#marks.at(-1)!.time >= markEveryMs) this.#marks.push({ done, time });
    while (this.#marks.length > 1 && time - this.#marks[1]!.time > rateWindowMs) this.#marks.shift();
    this.#time = time;
    if (this.#options.mode === "silent") return;
    this.#unwritten = true;
    if (time - this.#lastWrite >= interval[this.#options.mode]) this.#write(time);
  }

  /** Prints a line of text; the live line moves below it. In `json` mode it goes to standard error. */
  print(text: string): void {
    if (this.#options.mode === "silent") return;
    if (this.#options.mode === "json") {
      process.stderr.write(`${text}\n`);
      return;
    }
    this.#clear();
    this.#sink.write(`${text}\n`);
    if (this.#options.mode === "terminal" && !this.#ended && this.#done > 0) this.#write(this.#now());
  }

  /** Writes the last state and leaves the line. */
  end(): void {
    if (this.#ended) return;
    if (this.#unwritten) this.#write(this.#now());
    if (this.#lineShown) this.#sink.write("\n");
    this.#ended = true;
  }

  [Symbol.dispose](): void {
    this.end();
  }

  /** Units a second over the last half minute; 0 while unknown. */
  get rate(): number {
    const oldest = this.#marks[0]!;
    const elapsedMs = this.#time - oldest.time;
    return elapsedMs > 0 ? ((this.#done - oldest.done) * 1000) / elapsedMs : 0;
  }

  #write(time: number): void {
    this.#lastWrite = time;
    this.#unwritten = false;
    const { label, unit, total, mode } = this.#options;
    const { rate } = this;
    const etaSeconds = total !== undefined && rate > 0 ? Math.max(0, total - this.#done) / rate : undefined;
    if (mode === "json") {
      const state = {
        event: "progress",
        label,
        unit,
        done: this.#done,
        ...(total === undefined ? {} : { total }),
      };
      const eta = etaSeconds === undefined ? {} : { eta_s: Math.round(etaSeconds) };
      this.#sink.write(
        `${toJsonLine({ ...state, rate: Number(rate.toPrecision(4)), ...eta, ...this.#details })}\n`,
      );
      return;
    }
    const width = Math.min(maxWidth, this.#sink.columns || maxWidth) - 1; // a full last column would wrap; some report 0
    const line = progressLine(
      { label, unit, total, done: this.#done, rate, etaSeconds, details: this.#details },
      width,
      mode === "terminal",
    );
    this.#clear();
    this.#sink.write(mode === "terminal" ? line : `${line}\n`);
    this.#lineShown = mode === "terminal";
  }

  #clear(): void {
    if (this.#lineShown) this.#sink.write("\r\u001B[2K");
    this.#lineShown = false;
  }
}

interface ProgressState {
  label: string;
  unit: string;
  total: number | undefined;
  done: number;
  rate: number;
  etaSeconds: number | undefined;
  details: Readonly<Record<string, string | number>>;
}

/** What matters most comes first and is never dropped: count, ETA, rate; then details, then the bar, as room allows. */
function progressLine(state: ProgressState, width: number, withBar: boolean): string {
  const { label, unit, total, done, rate, etaSeconds, details } = state;
  const count =
    total === undefined ? `${grouped(done)} ${unit}s` : `${grouped(done)}/${grouped(total)} ${unit}s`;
  const parts = [label, count];
  if (rate > 0) parts.push(rateText(rate, unit));
  if (etaSeconds !== undefined && done < (total ?? 0)) parts.push(`ETA ${durationText(etaSeconds)}`);
  for (const [name, value] of Object.entries(details)) {
    const part = `${name} ${value}`;
    if ([...parts, part].join("  ").length <= width) parts.push(part);
  }
  const room = width - parts.join("  ").length - 2;
  if (withBar && total !== undefined && room >= 5) {
    const cells = Math.min(20, room);
    const full = Math.min(cells, Math.round((cells * done) / Math.max(1, total)));
    parts.splice(1, 0, "━".repeat(full) + "╌".repeat(cells - full));
  }
  return parts.join("  ").slice(0, width);
}

/** `3.2 steps/s`; below one a second, `4.1 s/step`. */
export function rateText(rate: number, unit: string): string {
  const short = (value: number) => (value >= 100 ? grouped(Math.round(value)) : value.toPrecision(2));
  return rate >= 1 ? `${short(rate)} ${unit}s/s` : `${short(1 / rate)} s/${unit}`;
}

/** `0:07`, `12:30`, `3:05:00`, `2d 04:10`. */
export function durationText(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days}d ${two(hours)}:${two(minutes)}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** `1,234,567`, whatever the user's locale, so that logs look the same everywhere. */
function grouped(value: number): string {
  return value.toLocaleString("en-US");
}
