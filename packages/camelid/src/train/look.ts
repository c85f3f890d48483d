/** Looks at the model between two steps: when they are due, and how what was seen gets into the record. */
import type { NewEvent } from "../run/events.js";
import { ANSWERS } from "../run/preference-effects.js";
import type { Progress } from "../run/progress.js";
import type { Run } from "../run/run.js";
import { isDue } from "./checkpoint.js";

/** Where a run is when somebody may look at the model. */
export interface Moment {
  run: Run;
  /** Updates done. */
  step: number;
  totalSteps: number;
  progress: Progress;
}

/** Somebody with books of his own, who may be cut off by a request to stop: the benchmarks of `watchTasks`. */
export interface StepWatcher {
  observe(moment: Moment): Promise<void>;
  /** After a resume: what an interruption cut off at this step. */
  finish(moment: Moment): Promise<void>;
  /** Whether a look was cut off: the run is then not complete, and a resume goes on with it. */
  readonly cut: boolean;
}

type Sample = Omit<Extract<NewEvent, { event: "sample" }>, "event" | "step">;

/** What a recipe's own looks go through. */
export class Look {
  readonly #moment: Moment;

  constructor(moment: Moment) {
    this.#moment = moment;
  }

  /** Whether it is time for what is looked at every so many steps; before the first and after the last it always is. */
  isDue(everySteps: number | null): boolean {
    const { step, totalSteps } = this.#moment;
    return step === 0 || step === totalSteps || isDue(step, everySteps);
  }

  /** Records what was measured, as an `eval-end` event. */
  measured(name: string, result: { loss?: number; metrics?: Record<string, number> }): void {
    const { run, step } = this.#moment;
    run.log({ event: "eval-end", step, name, ...result });
  }

  /** Records what the model said, as `sample` events. */
  said(samples: readonly Sample[]): void {
    const { run, step } = this.#moment;
    for (const sample of samples) run.log({ event: "sample", step, ...sample });
  }

  /** Records what the model said to prompts that are watched, and how long it spoke. */
  answered({ samples, metrics }: { samples: readonly Sample[]; metrics: Record<string, number> }): void {
    this.said(samples);
    this.measured(ANSWERS, { metrics });
  }
}
