import { SettingsError } from "../errors.js";
import type { World } from "../parallel/world.js";
import { checkInBackward } from "./optim/adamw.js";

/** What a recipe may look at between two steps, where it has such settings. */
export interface LookSettings {
  sampleEverySteps?: number | null;
  samplePrompts?: string | null;
  answerPrompts?: number | null;
  evalTasks?: readonly string[] | null;
  evalTasksEverySteps?: number | null;
}

/**
 * Refuses to be asked for looks at nothing.
 * @throws {SettingsError} `ERR_NOTHING_TO_LOOK_AT`
 */
export function checkLooks(settings: LookSettings): void {
  const { sampleEverySteps, samplePrompts, answerPrompts, evalTasks, evalTasksEverySteps } = settings;
  const nothing = (every: string, needed: string): SettingsError =>
    new SettingsError("ERR_NOTHING_TO_LOOK_AT", `${every} is given, and nothing to look at then.`, {
      where: every,
      fix: `give ${needed} too, or leave it out.`,
    });
  if (sampleEverySteps != null && samplePrompts == null && answerPrompts == null)
    throw nothing("sampleEverySteps", "samplePrompts");
  if (evalTasksEverySteps != null && evalTasks == null) throw nothing("evalTasksEverySteps", "evalTasks");
}

export interface MethodSettings {
  lora: object | null;
  quantize: object | null;
  optimizerInBackward: boolean;
  maxGradNorm: number | null;
  gradAccumSteps: number;
}

/**
 * Refuses combinations of settings that could not all be honoured, before anything is read.
 * @throws {SettingsError} `ERR_QUANTIZE_NEEDS_LORA`; `ERR_IN_BACKWARD_CLIP`, `ERR_IN_BACKWARD_ACCUMULATION`, `ERR_IN_BACKWARD_RANKS`
 */
export function checkMethod(settings: MethodSettings, world?: Pick<World, "size">): void {
  if (settings.quantize !== null && settings.lora === null) {
    throw new SettingsError(
      "ERR_QUANTIZE_NEEDS_LORA",
      "4-bit weights cannot be trained themselves, only adapters on them.",
      { where: "quantize, lora", fix: "add adapters (--lora-rank 64), or leave quantize out." },
    );
  }
  checkInBackward(settings);
  if (settings.optimizerInBackward && world !== undefined && world.size > 1) {
    throw new SettingsError(
      "ERR_IN_BACKWARD_RANKS",
      "optimizerInBackward works on one process: gradients of several are summed before an update.",
      { where: `optimizerInBackward, ${world.size} processes`, fix: "leave one of them out." },
    );
  }
}
