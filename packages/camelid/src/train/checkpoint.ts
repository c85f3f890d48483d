/**
 * What a run needs to go on as if it had never stopped. A checkpoint is a model folder that loads anywhere, and beside the
 * weights: `optimizer.safetensors` (moments, fp32 masters, step counts), `random.safetensors` (generator states) and
 * `manifest.json` (settings, data, machine, sampler cursor, checksums). It is complete or absent.
 */
import { join } from "node:path";
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { CheckpointError } from "../errors.js";
import { type CheckpointManifest, checkpointName, writeManifest } from "../run/checkpoint-folder.js";
import type { Run } from "../run/run.js";
import type { Adamw } from "./optim/adamw.js";

const OPTIMIZER = "optimizer.safetensors";
const RANDOM = "random.safetensors";

export interface TrainingState {
  /** Writes a model folder that loads anywhere. */
  save: (folder: string) => void;
  optimizer: Adamw;
  recipe: string;
  settings: { seed: number; keepCheckpoints: number | null };
  environment: CheckpointManifest["environment"];
  world?: { size: number; isMain: boolean };
  data: CheckpointManifest["data"];
  plan: { sequencesPerStep: number };
}

/** Whether `step` is one of every so many; `null` means never. */
export function isDue(step: number, every: number | null): boolean {
  return every !== null && step % every === 0;
}

/**
 * Writes `checkpoints/step-N` and then removes the oldest beyond `keepCheckpoints`.
 * @throws {TrainingError} `ERR_DISK_FULL`, `ERR_NOT_WRITABLE`; earlier checkpoints stay as they are
 */
export async function saveCheckpoint(run: Run, step: number, state: TrainingState): Promise<void> {
  const { optimizer, settings, environment } = state;
  // Of several ranks the main one writes, and the others give it what they hold of the optimizer's state.
  if (state.world?.isMain === false) return optimizer.saveState(undefined);
  const rowsPerStep = state.plan.sequencesPerStep;
  const name = checkpointName(step);
  let sizeBytes = 0;
  await run.writeFolder(name, async (folder) => {
    state.save(folder);
    optimizer.saveState((entries) => torch.writeSafetensorsFile(join(folder, OPTIMIZER), entries));
    saveRandomState(join(folder, RANDOM), String(environment.device));
    sizeBytes = await writeManifest(folder, {
      step,
      recipe: state.recipe,
      settings: { ...settings },
      environment,
      world: state.world?.size ?? 1,
      data: state.data,
      sampler: { seed: settings.seed, rows_per_step: rowsPerStep, rows_taken: step * rowsPerStep },
    });
  });
  run.log({ event: "checkpoint-saved", step, path: name, size_bytes: sizeBytes });
  if (settings.keepCheckpoints !== null) run.removeOldCheckpoints(settings.keepCheckpoints);
}

/**
 * Puts optimizer and random numbers where a checkpoint left them. (The weights were loaded from its folder, as any model is.)
 * @throws {CheckpointError} `ERR_CHECKPOINT_STATE` when the state is of other parameters
 */
export function restoreCheckpoint(folder: string, optimizer: Adamw): void {
  using _ = torch.tensorScope();
  const { tensors } = torch.readSafetensors(join(folder, OPTIMIZER));
  const wanted = optimizer.layout();
  const misfit = [...wanted].find(([name, { shape }]) => tensors.get(name)?.shape.join() !== shape.join());
  if (misfit !== undefined || tensors.size !== wanted.size) {
    throw new CheckpointError("ERR_CHECKPOINT_STATE", "the optimizer state is that of other parameters.", {
      where: `${join(folder, OPTIMIZER)}${misfit === undefined ? "" : `, tensor "${misfit[0]}"`}`,
      fix: "continue with the precision and the method that the run was started with.",
    });
  }
  optimizer.loadState(tensors);
  const random = torch.readSafetensors(join(folder, RANDOM)).tensors;
  for (const [device, state] of random) if (isHere(device)) torch.setRandomState(state, device);
}

function saveRandomState(path: string, device: string): void {
  using _ = torch.tensorScope();
  const states = new Map<string, Tensor>([["cpu", torch.getRandomState()]]);
  if (device !== "cpu") states.set(device, torch.getRandomState(device));
  torch.writeSafetensors(path, states);
}

function isHere(device: string): boolean {
  return torch.installation().devices.includes(device);
}
