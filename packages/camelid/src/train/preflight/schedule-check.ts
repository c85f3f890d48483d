import type { Check } from "../../run/checks.js";
import type { Schedule, ScheduleSettings } from "../optim/schedules.js";

/**
 * The learning rate begins, peaks and ends where the settings say, within the run's own steps. A schedule that is made for
 * another number of steps, or moved on more than once a step, fails.
 */
export function scheduleCheck(
  rate: Schedule,
  { schedule, learningRate, endLearningRate = 0, warmupRatio, totalSteps }: ScheduleSettings,
): Check {
  const name = "schedule";
  const { warmupSteps } = rate;
  const planned = Math.ceil(warmupRatio * totalSteps);
  const after = schedule === "constant" ? learningRate : endLearningRate;
  const checkpoints = [
    { what: "the first step", is: rate(1), planned: planned > 0 ? 0 : learningRate },
    { what: `step ${planned + 1}, after warm-up`, is: rate(planned + 1), planned: learningRate },
    { what: "the step that would come next", is: rate(totalSteps + 1), planned: after },
  ].slice(0, planned < totalSteps ? 3 : 1);
  const wrong = checkpoints.find((point) => Math.abs(point.is - point.planned) > 1e-6 * learningRate);
  if (wrong !== undefined) {
    const detail = `the rate of ${wrong.what} is ${number(wrong.is)}, planned ${number(wrong.planned)}`;
    const fix = "make the schedule from the run's own totalSteps, and ask it for each optimizer step once.";
    return { name, status: "fail", detail, fix };
  }
  const detail =
    `${schedule}, first ${number(rate(1))}, peak ${number(learningRate)} at step ${warmupSteps + 1}, ` +
    `last ${number(rate(totalSteps))} at step ${totalSteps}`;
  if (planned >= totalSteps) {
    return {
      name,
      status: "warn",
      detail: `all ${totalSteps} steps are warm-up, the last has rate ${number(rate(totalSteps))} of ${number(learningRate)}`,
      fix: "lower warmupRatio, or train for more steps.",
    };
  }
  return { name, status: "ok", detail };
}

/** Three digits are enough to recognise a rate. */
const number = (value: number): string => (value === 0 ? "0" : value.toExponential(2).replace(/\.?0+e/, "e"));
