/** The setting `profile`: one step of a run measured by phase and by operator. */
import type { Device, ProfileEvent, Recorded, Recording } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { StepProfiled } from "../run/events.js";
import { profileText } from "../run/profile-text.js";
import type { Progress } from "../run/progress.js";
import type { Run } from "../run/run.js";

export interface StepProfiler extends Disposable {
  /** To be called when a step begins. */
  begin(step: number): void;
  /** To be called when it is over: the table of the step that was measured is printed between two progress lines. */
  end(step: number, tokens: number, progress: Progress): void;
}

/** Steps of a process that are not typical: memory is claimed, kernels are chosen. */
const WARM_UP_STEPS = 2;

/**
 * Measures one step: the third of this process, or its last where it has fewer. Phases are the spans that the training code
 * names (`torch.span`): data, pack, forward, loss, backward, clip, optimizer, log. The numbers go to `events.jsonl` and from there
 * to the report, every single call to a trace file that https://ui.perfetto.dev opens.
 * @returns undefined when nothing is to be measured
 */
export function stepProfiler(
  settings: { profile: boolean },
  { start, total }: { start: number; total: number },
  run: Run,
  device: Device,
): StepProfiler | undefined {
  if (!settings.profile) return undefined;
  const measured = Math.min(start + 1 + WARM_UP_STEPS, total);
  let recording: Recording | undefined;
  let begunUs = 0;
  return {
    begin(step) {
      if (step !== measured) return;
      recording = torch.startProfile(device);
      begunUs = performance.now() * 1000;
    },
    end(step, tokens, progress) {
      if (recording === undefined) return;
      const durationUs = performance.now() * 1000 - begunUs;
      const recorded = recording.stop();
      recording = undefined;
      const trace = `profile-step-${step}.trace.json`;
      run.writeFile(trace, torch.chromeTrace(recorded.events, recorded.spans));
      const profile = {
        event: "step-profiled",
        step,
        tokens,
        device,
        trace,
        ...costs(recorded, durationUs),
      } as const;
      run.log(profile);
      progress.print(profileText(profile));
    },
    [Symbol.dispose]: () => recording?.[Symbol.dispose](),
  };
}

type Costs = Pick<StepProfiled, "duration_ms" | "phases" | "operators">;

/** Sums by phase, and by operator within its phase; what no span encloses is the phase `other`. */
export function costs({ events, spans }: Recorded, durationUs: number): Costs {
  const phases = new Map<string, number>();
  for (const { name, selfUs } of spans) phases.set(name, (phases.get(name) ?? 0) + selfUs);
  const named = spans.reduce((sum, { selfUs }) => sum + selfUs, 0);
  phases.set("other", Math.max(0, durationUs - named));

  const phaseOf = phaseFinder(spans);
  const operators = new Map<string, StepProfiled["operators"][number]>();
  for (const event of events) {
    const phase = phaseOf(event);
    const key = `${phase} ${event.name}`;
    const sum = operators.get(key) ?? { name: event.name, phase, calls: 0, ms: 0 };
    sum.calls++;
    sum.ms += event.selfUs / 1000;
    operators.set(key, sum);
  }
  return {
    duration_ms: durationUs / 1000,
    phases: [...phases].map(([name, us]) => ({ name, ms: us / 1000 })),
    operators: [...operators.values()].sort((a, b) => b.ms - a.ms),
  };
}

/** The innermost span in which an operator began. */
function phaseFinder(spans: readonly ProfileEvent[]): (event: ProfileEvent) => string {
  const byStart = [...spans].sort((a, b) => a.startUs - b.startUs || b.durationUs - a.durationUs);
  return ({ startUs }) => {
    let [low, high] = [0, byStart.length]; // byStart[0, low) began before the event
    while (low < high) {
      const middle = (low + high) >> 1;
      if (byStart[middle]!.startUs <= startUs) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1; i >= 0; i--) {
      const span = byStart[i]!;
      if (span.startUs + span.durationUs >= startUs) return span.name;
    }
    return "other";
  };
}
