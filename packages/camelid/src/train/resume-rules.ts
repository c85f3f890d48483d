/** What may differ when a run is continued: nothing that makes it another run. */
import { CheckpointError } from "../errors.js";
import type { CheckpointManifest } from "../run/checkpoint-folder.js";
import { differenceText, settingsDifferences } from "../settings/diff.js";

export interface ResumableSettings {
  out: string;
  model: string;
  microBatchSize: number;
  gradAccumSteps: number;
  lossReduction?: string;
}

/** These have no influence on the weights. (`data` and `onBad` do, but what comes of them is compared row by row.) */
const FREE = new Set(
  `out data onBad saveEverySteps keepCheckpoints evalData evalEverySteps samplePrompts answerPrompts sampleEverySteps maxNewTokens
   activationCheckpointing activationOffload preflight profile evalTasks evalTasksEverySteps evalTasksData evalTasksLimit evalTasksShots evalTasksProfile
   evalTasksOptions evalTasksJudges`.split(/\s+/),
);

/** The same step in exact arithmetic, summed in another order. */
const ROUNDING = new Set(["threads", "device", "shard", "packing", "sharePrompts", "reference"]);

/** How a step's rows are cut into micro-batches; free as long as the step keeps its rows. */
const SPLIT = new Set(["microBatchSize", "gradAccumSteps"]);

/**
 * @returns `changed`: every difference, for the record; `inexact`: those that change the last bits of the numbers
 * @throws {CheckpointError} `ERR_RESUME_SETTINGS`, naming all settings that would make it another run
 */
export function compareSettings(
  before: Readonly<Record<string, unknown>>,
  after: ResumableSettings,
): { changed: string[]; inexact: string[] } {
  // A knob that one of the two versions does not have has its default's meaning there.
  const differences = settingsDifferences(before, after).filter(
    (one) => one.before !== undefined && one.after !== undefined,
  );
  const rowsPerStep = Number(before.microBatchSize) * Number(before.gradAccumSteps);
  const sameRows =
    rowsPerStep === after.microBatchSize * after.gradAccumSteps && after.lossReduction !== "microbatch-mean";
  const isRounding = (key: string): boolean => ROUNDING.has(key) || (sameRows && SPLIT.has(key));
  const fixed = differences.filter(({ key }) => !FREE.has(key) && !isRounding(key));
  if (fixed.length > 0) {
    throw new CheckpointError(
      "ERR_RESUME_SETTINGS",
      `with these settings it would be another run: ${fixed.map(differenceText).join("; ")}.`,
      {
        where: after.out,
        fix: "leave them out: --resume takes all settings from the run; or start a new run with --model <checkpoint> and another --out.",
      },
    );
  }
  return {
    changed: differences.map(differenceText),
    inexact: differences.filter(({ key }) => isRounding(key) && !EXACT.includes(key)).map(differenceText),
  };
}

/** On the same of these, the same program gives the same bits. */
const EXACT = ["device", "threads", "libtorch", "cpu"];

/** @returns a warning when the machine or the versions are not those of the checkpoint */
export function compareEnvironment(
  { environment: before, world }: CheckpointManifest,
  environment: CheckpointManifest["environment"],
  inexactSettings: readonly string[],
  processes = 1,
): { code: string; message: string }[] {
  const differences = Object.keys({ ...before, ...environment })
    .filter((key) => before[key] !== environment[key])
    .map((key) => ({ key, text: `${key}: ${before[key] ?? "unknown"} -> ${environment[key] ?? "unknown"}` }));
  const texts = [...differences.map(({ text }) => text), ...inexactSettings];
  if (world !== processes) texts.push(`processes: ${world} -> ${processes}`);
  if (texts.length === 0) return [];
  const exact =
    inexactSettings.length === 0 &&
    world === processes &&
    !differences.some(({ key }) => EXACT.includes(key));
  return [
    exact
      ? { code: "RESUME_OTHER_VERSION", message: `since the checkpoint has changed: ${texts.join("; ")}` }
      : {
          code: "RESUME_NOT_EXACT",
          message: `what follows equals an unbroken run only up to rounding, because of ${texts.join("; ")}`,
        },
  ];
}
