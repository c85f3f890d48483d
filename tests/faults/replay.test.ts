/** A recorded step can be computed again, to the last bit, without touching the run. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isEqual, replayStep } from "../../packages/camelid/src/cli/replay.js";
import * as recipe from "../../recipes/sft.js";
import { writeTinyModel } from "../tiny-model.js";
import { builtProgram, folderHashes, train } from "./training.js";

const root = mkdtempSync(join(tmpdir(), "camelid-replay-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const out = join(root, "run");

describe.skipIf(!existsSync(builtProgram))("replay", () => {
  beforeAll(async () => {
    const { model, data } = await writeTinyModel(join(root, "tiny"), { rows: 24 });
    const flags = "--micro-batch-size 2 --grad-accum-steps 2 --epochs 2 --learning-rate 1e-2 --threads 1";
    const saving = "--precision bf16-mixed --save-every-steps 5 --keep-checkpoints 1";
    const words = ["--model", model, "--data", data, "--out", out];
    // Killed within its seventh step or later: the run goes on at step 5, in another process.
    await train(["sft", ...words, ...flags.split(" "), ...saving.split(" ")], { FAULT_KILL_AT: 180 });
    const ended = await train(["sft", "--resume", "--out", out]);
    expect(ended.code, ended.text).toBe(0);
    expect(ended.text).toContain("the run continues after step 5");
  });

  test("gives the recorded numbers, from the base model and from a checkpoint, and writes nothing", async () => {
    const before = folderHashes(out);
    for (const [step, from] of [
      [1, 0],
      [4, 0],
      [10, 0],
      [11, 10],
      [12, 10],
    ] as const) {
      const result = await replayStep(out, { step, recipe });
      expect(result.numbers.map(({ name }) => name).slice(0, 2)).toEqual(["loss", "grad_norm"]);
      expect(
        result.numbers.filter((pair) => !isEqual(pair)),
        `step ${step}`,
      ).toEqual([]);
      expect(result).toMatchObject({ from, firstDifference: undefined, warnings: [] });
    }
    expect(folderHashes(out)).toEqual(before);
  });

  test("exits with 1 when a number differs in its last bit, and names the first step that differs", async () => {
    const same = await train(["replay", out, "--step", "9"]);
    expect(same.code, same.text).toBe(0);
    expect(same.text).toContain("equal to the last bit");

    const events = join(out, "events.jsonl");
    const recorded = readFileSync(events, "utf8");
    const lines = recorded.split("\n").map((line) => {
      if (!line.includes('"step-end"') || !line.includes('"step":8,')) return line;
      const event = JSON.parse(line);
      return JSON.stringify({ ...event, grad_norm: event.grad_norm * (1 + 2 ** -52) });
    });
    writeFileSync(events, lines.join("\n"));
    const altered = await train(["replay", out, "--step", "8"]);
    const later = await train(["replay", out, "--step", "9"]);
    writeFileSync(events, recorded);
    expect(altered.code, altered.text).toBe(1);
    expect(altered.text).toMatch(/grad_norm .* DIFFERENT/);
    expect(altered.text).toMatch(/loss .* equal/);
    expect(later.code).toBe(0);
    expect(later.text).toContain("the first step that differs is 8");
  });

  test("says which steps there are when there is no such step", async () => {
    await expect(replayStep(out, { step: 13, recipe })).rejects.toMatchObject({
      code: "ERR_STEP_NOT_RECORDED",
      message: "the run has steps 1 to 12, not 13.",
    });
  });
});
