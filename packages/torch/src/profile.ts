/** Where the time goes: every operator with its start and duration, as a table or as a trace for Perfetto. */
import type { Device } from "./dtype.js";
import { native } from "./native.js";

export interface ProfileEvent {
  /** "aten::linear", "AddmmBackward0" */
  name: string;
  thread: number;
  /** Microseconds since some fixed moment. */
  startUs: number;
  durationUs: number;
  /** Without the operators that it called. */
  selfUs: number;
}

/** What a recording holds. `spans` are the stretches that the program itself named. */
export interface Recorded {
  events: ProfileEvent[];
  spans: ProfileEvent[];
}

/** Records everything that runs while `body` does. */
export async function profile<T>(body: () => Promise<T> | T): Promise<Recorded & { result: T }> {
  const recording = startProfile();
  try {
    const result = await body();
    return { result, ...recording.stop() };
  } finally {
    recording[Symbol.dispose]();
  }
}

/** A recording that is going on; `stop` ends it, and disposing does so when nobody has. */
export interface Recording extends Disposable {
  stop(): Recorded;
}

interface OpenRecording {
  device: Device;
  spans: ProfileEvent[];
  /** Time spent in spans inside each span that is open, the outermost first. */
  inner: number[];
}

let open: OpenRecording | undefined;

/**
 * Begins to record: {@link profile} for what no single function encloses, such as one turn of a loop. One at a time.
 * @param device where the work is done; spans wait for it, so that what they started counts as theirs
 */
export function startProfile(device: Device = "cpu"): Recording {
  native.startProfile();
  const mine: OpenRecording = { device, spans: [], inner: [] };
  open = mine;
  const stop = (): Recorded => {
    if (open !== mine) return { events: [], spans: mine.spans };
    open = undefined;
    return { events: withSelfTimes(native.stopProfile()), spans: mine.spans };
  };
  return { stop, [Symbol.dispose]: () => void stop() };
}

/** Names a stretch of a recording, for tables and traces. Where nothing is recorded it only calls `body`. */
export function span<T>(name: string, body: () => T): T {
  const recording = open;
  if (recording === undefined) return body();
  const wait = (): void => {
    if (recording.device !== "cpu") native.synchronize(recording.device);
  };
  wait();
  const startUs = nowUs();
  recording.inner.push(0);
  try {
    return body();
  } finally {
    wait();
    const durationUs = nowUs() - startUs;
    const selfUs = durationUs - recording.inner.pop()!;
    const outer = recording.inner.length - 1;
    if (outer >= 0) recording.inner[outer]! += durationUs;
    recording.spans.push({ name, thread: 0, startUs, durationUs, selfUs });
  }
}

/** The clock of the native side. */
const nowUs = (): number => Number(process.hrtime.bigint()) / 1000;

/** An operator ends after those it called: going through ends in order, children are the latest that began later. */
function withSelfTimes({ names, events }: { names: string[]; events: Float64Array }): ProfileEvent[] {
  const finished: ProfileEvent[] = [];
  const open = new Map<number, ProfileEvent[]>();
  for (let i = 0; i < events.length; i += 4) {
    const [name, thread, startUs, durationUs] = events.subarray(i, i + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const event = { name: names[name]!, thread, startUs, durationUs, selfUs: durationUs };
    const siblings = open.get(thread) ?? [];
    for (let last = siblings.at(-1); last !== undefined && last.startUs >= startUs; last = siblings.at(-1)) {
      event.selfUs -= last.durationUs;
      siblings.pop();
    }
    siblings.push(event);
    open.set(thread, siblings);
    finished.push(event);
  }
  return finished;
}

export interface OperatorCost {
  name: string;
  calls: number;
  selfUs: number;
  /** Of all recorded self time. */
  share: number;
}

/** Operators by the time spent in themselves, the costliest first. */
export function operatorCosts(events: readonly ProfileEvent[]): OperatorCost[] {
  const costs = new Map<string, { calls: number; selfUs: number }>();
  let total = 0;
  for (const { name, selfUs } of events) {
    const cost = costs.get(name) ?? { calls: 0, selfUs: 0 };
    cost.calls++;
    cost.selfUs += selfUs;
    total += selfUs;
    costs.set(name, cost);
  }
  return [...costs]
    .map(([name, cost]) => ({ name, ...cost, share: cost.selfUs / total }))
    .sort((a, b) => b.selfUs - a.selfUs);
}

/**
 * The trace-event JSON that https://ui.perfetto.dev and chrome://tracing open.
 * @param spans shown on a track of their own, above the operators
 */
export function chromeTrace(events: readonly ProfileEvent[], spans: readonly ProfileEvent[] = []): string {
  let first = Number.POSITIVE_INFINITY;
  for (const { startUs } of [...events, ...spans]) first = Math.min(first, startUs);
  const complete = (category: string) => (event: ProfileEvent) => ({
    name: event.name,
    cat: category,
    ph: "X",
    pid: 1,
    tid: event.thread,
    ts: event.startUs - first,
    dur: event.durationUs,
  });
  const trackName = { name: "thread_name", ph: "M", pid: 1, tid: 0, args: { name: "spans" } };
  const traceEvents = [trackName, ...spans.map(complete("span")), ...events.map(complete("operator"))];
  return JSON.stringify({ traceEvents, displayTimeUnit: "ms" });
}
