/** The arithmetic of a run, worked out before it starts and shown in words. */
import { SettingsError } from "../errors.js";

export interface StepPlanSettings {
  microBatchSize: number;
  gradAccumSteps: number;
  epochs: number;
  maxSteps: number | null;
}

export interface StepPlan {
  numRows: number;
  /** Rows per optimizer step: microBatchSize * gradAccumSteps. */
  sequencesPerStep: number;
  totalSteps: number;
  /** Passes over the data after `totalSteps`. */
  epochs: number;
}

/**
 * Steps are cut from the endless sequence of epochs, so only the rows that do not fill the very last step are left over.
 * @throws {SettingsError} when there are fewer rows than one step takes
 */
export function planSteps(numRows: number, settings: StepPlanSettings): StepPlan {
  const sequencesPerStep = settings.microBatchSize * settings.gradAccumSteps;
  if (numRows * settings.epochs < sequencesPerStep) {
    throw new SettingsError(
      "ERR_TOO_FEW_ROWS",
      `${numRows} rows do not fill one step of ${sequencesPerStep}.`,
      {
        where: "microBatchSize, gradAccumSteps, epochs",
        fix: "use smaller batches, more epochs or more rows.",
      },
    );
  }
  const fromEpochs = Math.floor((numRows * settings.epochs) / sequencesPerStep);
  const totalSteps = settings.maxSteps ?? fromEpochs;
  return { numRows, sequencesPerStep, totalSteps, epochs: (totalSteps * sequencesPerStep) / numRows };
}

/** Two or three lines for people, each under 80 columns. */
export function describePlan(plan: StepPlan, settings: StepPlanSettings): string {
  const { numRows, sequencesPerStep, totalSteps } = plan;
  const rows = numRows.toLocaleString("en");
  const leftOver = numRows * settings.epochs - totalSteps * sequencesPerStep;
  const lines = [
    `${settings.microBatchSize} rows x ${settings.gradAccumSteps} micro-batches = ${sequencesPerStep} rows a step`,
    `${totalSteps.toLocaleString("en")} steps over ${rows} rows = ${plan.epochs.toFixed(2)} epochs`,
  ];
  if (settings.maxSteps === null && leftOver >= 1) {
    lines.push(`${Math.floor(leftOver)} rows of the last epoch do not fill a step and are left over`);
  }
  return lines.join("\n");
}
