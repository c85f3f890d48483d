import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { expect, test } from "vitest";
import { openRun } from "../run/run-directory.js";
import { isDue, restoreCheckpoint, saveCheckpoint } from "./checkpoint.js";
import { adamw } from "./optim/adamw.js";

const adamSettings = { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 } as const;

/** A checkpoint of one weight of the given size, after one update. */
async function saved(size: number): Promise<string> {
  const out = join(mkdtempSync(join(tmpdir(), "camelid-checkpoint-")), "run");
  const weight = torch.ones([size]);
  weight.requiresGrad = true;
  using optimizer = adamw(new Map([["w", weight]]), adamSettings);
  torch.tensorScope(() => weight.sum().backward());
  optimizer.update(0.1, null).dispose();
  using run = openRun(out, { recipe: "test", settings: {} });
  await saveCheckpoint(run, 1, {
    save: () => {},
    optimizer,
    recipe: "test",
    settings: { seed: 1, keepCheckpoints: null },
    environment: { device: "cpu" },
    data: { file: "rows", rows: 1, sha256: "" },
    plan: { sequencesPerStep: 1 },
  });
  run.end("interrupted");
  weight.dispose();
  return join(out, "checkpoints", "step-1");
}

function restoreInto(folder: string, size: number): { step: number; state: number[] } {
  const weight = torch.ones([size]);
  weight.requiresGrad = true;
  using optimizer = adamw(new Map([["w", weight]]), adamSettings);
  try {
    restoreCheckpoint(folder, optimizer);
    return {
      step: optimizer.step,
      state: [...optimizer.state().values()].flatMap((tensor) => tensor.toArray()),
    };
  } finally {
    weight.dispose();
  }
}

const draw = (): number => torch.tensorScope(() => torch.rand([1]).item());

test("the stream of random numbers goes on where it was", async () => {
  torch.manualSeed(11);
  draw();
  const folder = await saved(4);
  const next = [draw(), draw()];
  torch.manualSeed(99);
  restoreInto(folder, 4);
  expect([draw(), draw()]).toEqual(next);
});

test("moments and step counts come back, and no tensor stays behind", async () => {
  const before = torch.memoryStats().liveTensors;
  const folder = await saved(2);
  // After one gradient of ones: mean 0.1, variance 0.001, one step.
  const { step, state } = restoreInto(folder, 2);
  expect(step).toBe(1);
  expect(state.map((value) => Number(value.toPrecision(6)))).toEqual([0.1, 0.1, 0.001, 0.001, 1]);
  expect(torch.memoryStats().liveTensors).toBe(before);
});

test("the state of other parameters is refused, by name", async () => {
  const folder = await saved(4);
  expect(() => restoreInto(folder, 5)).toThrow(
    expect.objectContaining({
      code: "ERR_CHECKPOINT_STATE",
      where: expect.stringContaining('tensor "exp_avg.w"'),
    }),
  );
});

test("every so many steps is due, never when it is off", () => {
  expect([1, 2, 3, 4].filter((step) => isDue(step, 2))).toEqual([2, 4]);
  expect([1, 2].some((step) => isDue(step, null))).toBe(false);
});
