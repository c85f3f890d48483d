import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { listCheckpoints } from "camelid";
import { expect } from "vitest";
import { isTemporaryName } from "../../packages/camelid/src/run/atomic-write.js";
import { random } from "../tiny-model.js";
import { expectNothingHalf, traceOf, train } from "./training.js";

/** A run whose processes are killed again and again, until it is complete nevertheless. */
export interface KillOptions {
  /** Kills in all; when a run is complete before, another is begun. */
  kills: number;
  seed: number;
  /** A process dies at its n-th change of the disk, n drawn from 1 to this. */
  span: number;
  /** Flags of the run, without `--out`. */
  words: readonly string[];
  folder: string;
}

/**
 * Kills and continues; at every stop nothing half-written may have a name, and every run that gets to its end must equal the
 * unbroken one bit for bit.
 * @returns how many kills hit; how many of them in the middle of saving a checkpoint, and after a checkpoint to go back to;
 *   how many runs were completed in spite of them
 */
export async function killAndContinue({ kills, seed, span, words, folder }: KillOptions) {
  const reference = join(folder, "unbroken");
  const whole = await train([...words, "--out", reference]);
  expect(whole.code, whole.text).toBe(0);
  const expected = await traceOf(reference);

  const next = random(seed);
  const newRun = (): string => join(mkdtempSync(join(folder, "killed-")), "run");
  let out = newRun();
  let [done, inSaving, withCheckpoint, completed] = [0, 0, 0, 0];
  const compare = async (): Promise<void> => {
    expect(await traceOf(out)).toEqual(expected);
    completed++;
  };
  while (done < kills) {
    const at = 1 + Math.floor(next() * span);
    const started = existsSync(join(out, "settings.json"));
    const ended = await train(started ? ["sft", "--resume", "--out", out] : [...words, "--out", out], {
      FAULT_KILL_AT: at,
    });
    await expectNothingHalf(out);
    if (ended.signal === "SIGKILL") {
      done++;
      if (isSaving(out)) inSaving++;
      if (listCheckpoints(out).length > 0) withCheckpoint++;
      continue;
    }
    // Killed between its last event and its report, a run is complete all the same.
    const complete = ended.code === 0 || ended.text.includes("ERR_RUN_COMPLETE");
    expect(complete, ended.text).toBe(true);
    await compare();
    out = newRun();
  }
  if (existsSync(join(out, "settings.json"))) {
    const last = await train(["sft", "--resume", "--out", out]);
    expect(last.code === 0 || last.text.includes("ERR_RUN_COMPLETE"), last.text).toBe(true);
    await compare();
  }
  return { done, inSaving, withCheckpoint, completed };
}

function isSaving(run: string): boolean {
  const folder = join(run, "checkpoints");
  return existsSync(folder) && readdirSync(folder).some(isTemporaryName);
}
