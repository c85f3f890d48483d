/** `kill -9` at any moment of training and of saving loses nothing but the steps since the last checkpoint. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { killAndContinue } from "./kills.js";
import { builtProgram } from "./training.js";

const root = mkdtempSync(join(tmpdir(), "camelid-kills-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
});

describe.skipIf(!existsSync(builtProgram))("a run that is killed again and again", () => {
  test("equals an unbroken one, over 20 random points of training and saving", async () => {
    const flags =
      "--micro-batch-size 2 --grad-accum-steps 2 --learning-rate 1e-2 --threads 1 --save-every-steps 2";
    const words = ["sft", "--model", tiny.model, "--data", tiny.data, ...flags.split(" ")];
    // A checkpoint takes about 130 changes of the disk, the two steps before it 4.
    const { done, inSaving, withCheckpoint, completed } = await killAndContinue({
      ...{ kills: 20, seed: 20, span: 500, words },
      folder: root,
    });
    expect(done).toBe(20);
    expect(inSaving, "killed while saving").toBeGreaterThan(10);
    expect(withCheckpoint, "killed with a checkpoint to go back to").toBeGreaterThan(10);
    expect(completed).toBeGreaterThan(1);
  }, 300_000);
});
