import { SettingsError } from "../../errors.js";

/** Learning rates by optimizer step, as Hugging Face's `get_linear_schedule_with_warmup` and `get_cosine_schedule_with_warmup`. */
export interface ScheduleSettings {
  schedule: "linear" | "cosine" | "constant";
  learningRate: number;
  /** Where a line or a half cosine ends; 0 when left out. */
  endLearningRate?: number;
  warmupRatio: number;
  totalSteps: number;
}

export type Schedule = ((step: number) => number) & { readonly warmupSteps: number };

/**
 * Rises from 0 over the first ceil(warmupRatio * totalSteps) steps, then falls to `endLearningRate` in a line or half a cosine, or stays.
 * The first update of a run with warm-up has rate 0, and the one after the last would have the last rate: both as in the references.
 * @returns rate of update `step`, counted from 1
 * @throws {SettingsError} `ERR_END_RATE` when the end is not below the peak, or a constant rate is to have one
 */
export function learningRateSchedule({
  schedule,
  learningRate,
  endLearningRate = 0,
  warmupRatio,
  totalSteps,
}: ScheduleSettings): Schedule {
  checkEnd(schedule, learningRate, endLearningRate);
  const warmupSteps = Math.ceil(warmupRatio * totalSteps);
  const rate = (step: number): number => {
    const done = step - 1;
    if (done < warmupSteps) return (learningRate * done) / warmupSteps;
    const left = Math.max(0, totalSteps - done) / Math.max(1, totalSteps - warmupSteps);
    switch (schedule) {
      case "linear":
        return endLearningRate + (learningRate - endLearningRate) * left;
      case "cosine":
        return (
          endLearningRate + (learningRate - endLearningRate) * 0.5 * (1 + Math.cos(Math.PI * (1 - left)))
        );
      case "constant":
        return learningRate;
    }
  };
  return Object.assign(rate, { warmupSteps });
}

function checkEnd(schedule: ScheduleSettings["schedule"], peak: number, end: number): void {
  if (end === 0 || (schedule !== "constant" && end < peak)) return;
  throw new SettingsError(
    "ERR_END_RATE",
    schedule === "constant"
      ? "a constant learning rate has no other end."
      : `the learning rate would not fall: it peaks at ${peak} and ends at ${end}.`,
    { where: "endLearningRate, schedule", fix: "leave endLearningRate out, or set it below learningRate." },
  );
}
