/** The test of tests/faults/kill-points.test.ts over 1,000 points, in several precisions. About an hour. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { killAndContinue } from "../faults/kills.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

/** Fewer for a quick look: CAMELID_KILLS=100 npm run test:long */
const KILLS = Number(process.env.CAMELID_KILLS ?? 1000);

const root = mkdtempSync(join(tmpdir(), "camelid-kills-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
});

test.each(["fp32", "bf16", "bf16-mixed"])(
  "a run in %s that is killed again and again equals an unbroken one",
  async (precision) => {
    const flags = `--micro-batch-size 2 --grad-accum-steps 2 --epochs 2 --learning-rate 1e-2 --threads 1
      --save-every-steps 2 --precision ${precision}`;
    const words = ["sft", "--model", tiny.model, "--data", tiny.data, ...flags.split(/\s+/)];
    const kills = Math.ceil(KILLS / 3);
    const { done, inSaving, completed } = await killAndContinue({
      ...{ kills, seed: kills, span: 500, words },
      folder: mkdtempSync(join(root, `${precision}-`)),
    });
    expect(done).toBe(kills);
    console.log(
      `${precision}: ${done} kills, ${inSaving} of them while saving; ${completed} runs completed in spite of them`,
    );
  },
  7_200_000,
);
