/** Learning rates by optimizer step, as Hugging Face's `get_linear_schedule_with_warmup` and `get_cosine_schedule_with_warmup`. */
export interface ScheduleSettings {
  schedule: "linear" | "cosine" | "constant";
  learningRate: number;
  warmupRatio: number;
  totalSteps: number;
}

export type Schedule = ((step: number) => number) & { readonly warmupSteps: number };

/**
 * Rises from 0 over the first ceil(warmupRatio * totalSteps) steps, then falls to 0 in a line or half a cosine, or stays.
 * The first update of a run with warm-up has rate 0, and the one after the last would: both as in the references.
 * @returns rate of update `step`, counted from 1
 */
export function learningRateSchedule({
  schedule,
  learningRate,
  warmupRatio,
  totalSteps,
}: ScheduleSettings): Schedule {
  const warmupSteps = Math.ceil(warmupRatio * totalSteps);
  const rate = (step: number): number => {
    const done = step - 1;
    if (done < warmupSteps) return (learningRate * done) / warmupSteps;
    const left = Math.max(0, totalSteps - done) / Math.max(1, totalSteps - warmupSteps);
    switch (schedule) {
      case "linear":
        return learningRate * left;
      case "cosine":
        return learningRate * 0.5 * (1 + Math.cos(Math.PI * (1 - left)));
      case "constant":
        return learningRate;
    }
  };
  return Object.assign(rate, { warmupSteps });
}
