/** Where a run begins: at step 0 in a new folder, or at the last sound checkpoint of a run that stopped. */
import { isAdapterFolder } from "../adapters/adapter-file.js";
import { CheckpointError } from "../errors.js";
import { readModelWeights } from "../model/load.js";
import { type Checkpoint, type CheckpointManifest, lastSoundCheckpoint } from "../run/checkpoint-folder.js";
import { readRun } from "../run/read-run.js";
import type { Replay } from "../run/replay-run.js";
import type { Run } from "../run/run.js";
import { checkOutputFolder, type OpenRunOptions } from "../run/run-directory.js";
import { restoreCheckpoint } from "./checkpoint.js";
import type { Adamw } from "./optim/adamw.js";
import { compareEnvironment, compareSettings, type ResumableSettings } from "./resume-rules.js";

export interface Start {
  /** Optimizer steps done before. */
  step: number;
  /** Where weights and tokenizer come from: the base model, or the checkpoint unless that holds an adapter only. */
  modelFolder: string;
  checkpoint: Checkpoint | undefined;
  /** What `openRun` has to know of it. */
  run: Pick<OpenRunOptions, "resume" | "resumedFromStep" | "settingsChanged" | "setAside">;
  /** What a person should know, in sentences, with a stable code each. */
  warnings: { code: string; message: string }[];
}

/**
 * Looks at the output folder before anything is loaded; nothing is written. With `resume`, the newest checkpoint whose files
 * are all there and unaltered is taken; a damaged one is named and passed over. A run that was stopped before its first
 * checkpoint starts over.
 * @throws {CheckpointError} `ERR_RUN_EXISTS` and others of `checkOutputFolder`; `ERR_RUN_NOT_FOUND`, `ERR_RUN_COMPLETE`,
 *   `ERR_CHECKPOINT_DAMAGED` when no checkpoint is sound, `ERR_RESUME_SETTINGS` when the settings are those of another run
 */
export async function findStart(
  settings: ResumableSettings,
  context: { resume: boolean; replay?: Replay; world?: { size: number } },
  environment: CheckpointManifest["environment"],
): Promise<Start> {
  if (context.replay === undefined && !context.resume) {
    checkOutputFolder(settings.out);
    return { step: 0, modelFolder: settings.model, checkpoint: undefined, run: {}, warnings: [] };
  }
  const before = await readRun(settings.out);
  if (context.replay === undefined && before.status === "completed") {
    throw new CheckpointError("ERR_RUN_COMPLETE", "this run is complete: there is nothing to resume.", {
      where: settings.out,
      fix: "to train further, start a new run from its result: --model <run>/final and another --out.",
    });
  }
  const { checkpoint, damaged } = await lastSoundCheckpoint(settings.out, context.replay?.step);
  if (checkpoint === undefined && damaged.length > 0 && context.replay === undefined)
    throw noneSound(damaged);
  const { changed, inexact } = compareSettings(checkpoint?.manifest.settings ?? before.settings, settings);
  const warnings = damaged.map(({ message, where }) => ({
    code: "CHECKPOINT_DAMAGED",
    message: `${where} was passed over: ${message}`,
  }));
  if (checkpoint !== undefined)
    warnings.push(...compareEnvironment(checkpoint.manifest, environment, inexact, context.world?.size));
  return {
    step: checkpoint?.manifest.step ?? 0,
    modelFolder:
      checkpoint === undefined || isAdapterFolder(checkpoint.path) ? settings.model : checkpoint.path,
    checkpoint,
    run: {
      resume: true,
      resumedFromStep: checkpoint?.manifest.step ?? 0,
      settingsChanged: changed,
      setAside: damaged.map(({ where }) => where!),
    },
    warnings,
  };
}

/** @throws {CheckpointError} `ERR_RESUME_DATA` when the rows are not those that the checkpoint was trained on */
export function checkSameData({ checkpoint }: Start, data: CheckpointManifest["data"]): void {
  const trained = checkpoint?.manifest.data;
  if (trained === undefined || trained.sha256 === data.sha256) return;
  const rows =
    trained.rows === data.rows
      ? `their ${data.rows} rows differ in content or order`
      : `${data.rows} rows instead of ${trained.rows}`;
  throw new CheckpointError("ERR_RESUME_DATA", `the data is not what this run was trained on: ${rows}.`, {
    where: `${data.file} (sha256 of its tokens ${data.sha256.slice(0, 12)}, before ${trained.sha256.slice(0, 12)} of ${trained.file})`,
    fix: "bring the data and the tokenizer back as they were, or start a new run: --model <checkpoint> and another --out.",
  });
}

/**
 * Gives the optimizer its state: from the checkpoint, or for a new run nothing but fp32 masters in the full precision of
 * the model's files.
 */
export function restore({ checkpoint, modelFolder }: Start, optimizer: Adamw): void {
  if (checkpoint !== undefined) restoreCheckpoint(checkpoint.path, optimizer);
  else optimizer.setMasters(readModelWeights(modelFolder));
}

/** Tells a resume and its warnings to people and to the record. */
export function announceStart({ step, checkpoint, run: { resume }, warnings }: Start, run: Run): string[] {
  for (const warning of warnings) run.log({ event: "warning-raised", step, ...warning });
  if (!resume) return [];
  const from =
    checkpoint === undefined ? "from its first step: no checkpoint was saved" : `after step ${step}`;
  return [`the run continues ${from}`, ...warnings.map(({ message }) => `warning: ${message}`)];
}

function noneSound(damaged: readonly CheckpointError[]): CheckpointError {
  return new CheckpointError("ERR_CHECKPOINT_DAMAGED", "no checkpoint of this run is sound.", {
    where: damaged.map(({ where, message }) => `${where}: ${message}`).join("\n         "),
    fix: "restore one of them from a copy, or start a new run in another --out.",
    cause: damaged[0],
  });
}
