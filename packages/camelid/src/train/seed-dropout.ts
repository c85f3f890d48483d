import { createHash } from "node:crypto";
import * as torch from "@camelid/torch";
import type { World } from "../parallel/world.js";

/**
 * Of several ranks each drops other elements, and a run that goes on drops those it would have dropped: random numbers begin anew
 * at every step, from seed, step and rank. One process alone goes through one sequence, which its checkpoints hold.
 */
export function seedDropout(
  step: number,
  { seed, lora }: { seed: number; lora: { dropout: number } | null },
  world: Pick<World, "rank" | "size">,
): void {
  if (world.size === 1 || lora === null || lora.dropout === 0) return;
  // Neighbouring seeds must not give related numbers; generators take 32 bits.
  torch.manualSeed(createHash("sha256").update(`${seed} ${step} ${world.rank}`).digest().readUInt32LE(0));
}
