import { SettingsError } from "../errors.js";
import type { World } from "../parallel/world.js";
import { checkInBackward } from "./optim/adamw.js";

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
