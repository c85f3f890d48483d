/** Where the time goes: every operator with its start and duration, as a table or as a trace for Perfetto. */
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

/** Records everything that runs while `body` does. */
export async function profile<T>(body: () => Promise<T> | T): Promise<{ result: T; events: ProfileEvent[] }> {
  native.startProfile();
  let recorded: { names: string[]; events: Float64Array } = { names: [], events: new Float64Array() };
  let result: T;
  try {
    result = await body();
  } finally {
    recorded = native.stopProfile();
  }
  return { result, events: withSelfTimes(recorded) };
}

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

/** The trace-event JSON that https://ui.perfetto.dev and chrome://tracing open. */
export function chromeTrace(events: readonly ProfileEvent[]): string {
  const first = events.reduce(
    (earliest, { startUs }) => Math.min(earliest, startUs),
    Number.POSITIVE_INFINITY,
  );
  const traceEvents = events.map(({ name, thread, startUs, durationUs }) => ({
    name,
    cat: "operator",
    ph: "X",
    pid: 1,
    tid: thread,
    ts: startUs - first,
    dur: durationUs,
  }));
  return JSON.stringify({ traceEvents, displayTimeUnit: "ms" });
}
