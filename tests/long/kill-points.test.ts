/**
 * The test of tests/faults/kill-points.test.ts over 1,000 points, in every precision: about an hour on one core. It may be
 * stopped at any time and goes on where it was (done-work.ts).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { killAndContinue } from "../faults/kills.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { DoneWork, MINUTES, say } from "./done-work.js";

/** Fewer for a quick look: CAMELID_KILLS=100 npm run test:long */
const KILLS = Number(process.env.CAMELID_KILLS ?? 1000);
const KILLS_PER_PIECE = 20;
const PRECISIONS = ["fp32", "bf16", "bf16-mixed"];

const root = mkdtempSync(join(tmpdir(), "camelid-kills-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
});

interface Piece {
  number: number;
  precision: string;
  done: number;
  inSaving: number;
  withCheckpoint: number;
  completed: number;
}

test(`runs that are killed at ${KILLS} points equal unbroken ones`, {
  timeout: 24 * 3_600_000,
}, async (context) => {
  const work = new DoneWork<Piece>("kill-points");
  const sum = (key: "done" | "inSaving" | "withCheckpoint" | "completed"): number =>
    work.pieces.reduce((total, piece) => total + piece[key], 0);
  const began = performance.now();
  const before = sum("done");
  if (before > 0) say(`kill points: ${before} of ${KILLS} were done before`);
  while (sum("done") < KILLS) {
    const minutes = (performance.now() - began) / 60_000;
    if (minutes > MINUTES) {
      say(`kill points: stopped after ${minutes.toFixed(0)} minutes with ${sum("done")} of ${KILLS}`);
      context.skip(`${sum("done")} of ${KILLS} so far, none failed; run it again to go on`);
    }
    const number = work.pieces.length;
    const precision = PRECISIONS[number % PRECISIONS.length]!;
    const flags = `--micro-batch-size 2 --grad-accum-steps 2 --epochs 2 --learning-rate 1e-2 --threads 1
      --save-every-steps 2 --precision ${precision}`;
    const words = ["sft", "--model", tiny.model, "--data", tiny.data, ...flags.split(/\s+/)];
    const folder = mkdtempSync(join(root, `${precision}-`));
    const kills = Math.min(KILLS_PER_PIECE, KILLS - sum("done"));
    work.add({
      ...{ number, precision },
      ...(await killAndContinue({ kills, seed: 1000 + number, span: 500, words, folder })),
    });
    rmSync(folder, { recursive: true, force: true });
    const left = ((KILLS - sum("done")) * (performance.now() - began)) / (sum("done") - before) / 60_000;
    say(
      `kill points: ${sum("done")} of ${KILLS} (${sum("inSaving")} while saving, ${sum("completed")} runs completed all the same), about ${left.toFixed(0)} minutes left`,
    );
  }
  expect(sum("inSaving"), "killed while saving").toBeGreaterThan(KILLS / 4);
  expect(sum("withCheckpoint"), "killed with a checkpoint to go back to").toBeGreaterThan(KILLS / 4);
});
