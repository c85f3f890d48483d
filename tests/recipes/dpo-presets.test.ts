/**
 * The preference presets against the papers' tables, typed here from appendix B of the Tulu 2 paper, the Tulu 2.5 paper and the
 * published commands of Tulu 3: a slip in a preset does not repeat itself here.
 */
import { describe, expect, test } from "vitest";
import { settings } from "../../recipes/dpo.js";
import { dpoPresets } from "../../recipes/presets/dpo.js";

//   preset            loss      beta  learning rate  epochs  pairs a step  length  decay  warm-up  schedule  betas      clip
const TABLE = `
  tulu2-dpo-7b         dpo       0.1   5e-7           3       32            8192    0      0.1      linear    0.9 0.95   1
  tulu2-dpo-13b        dpo       0.1   5e-7           3       32            8192    0      0.1      linear    0.9 0.95   1
  tulu2-dpo-70b        dpo       0.1   5e-7           3       32            8192    0      0.1      linear    0.9 0.95   1
  tulu2.5-dpo-13b      dpo       0.1   5e-7           3       32            4096    0      0.1      linear    0.9 0.95   1
  tulu3-dpo-8b         dpo-norm  5     5e-7           1       128           2048    0      0.1      linear    0.9 0.999  none
  tulu3-dpo-70b        dpo-norm  5     2e-7           1       128           2048    0      0.1      linear    0.9 0.999  none
  tulu3-dpo-405b       dpo-norm  5     2e-7           1       256           2048    0      0.1      linear    0.9 0.999  none
`;

const rows = TABLE.trim()
  .split("\n")
  .map((line) => line.trim().split(/\s+/));

test("every published run has its preset", () => {
  const published = Object.keys(dpoPresets).filter((name) => /tulu/.test(name));
  expect(published.sort()).toEqual(rows.map(([name]) => name!).sort());
});

describe.each(rows)("%s", (name, ...cells) => {
  const preset = dpoPresets[name as keyof typeof dpoPresets]();

  test("has the values of its table", () => {
    const { lossType, schedule, betas, maxGradNorm } = preset;
    const { beta, learningRate, epochs, maxSeqLen, weightDecay, warmupRatio } = preset;
    const pairsAStep = preset.microBatchSize * preset.gradAccumSteps;
    expect(lossType).toBe(cells[0]);
    expect([beta, learningRate, epochs, pairsAStep, maxSeqLen, weightDecay, warmupRatio]).toEqual(
      cells.slice(1, 8).map(Number),
    );
    expect([schedule, ...betas.map(String), maxGradNorm === null ? "none" : String(maxGradNorm)]).toEqual(
      cells.slice(8, 12),
    );
  });

  test("trains every weight in bf16 over fp32 masters against what the model said before, no label smoothed", () => {
    expect(preset).toMatchObject({
      ...{ eps: 1e-8, precision: "bf16-mixed", lora: null, labelSmoothing: 0 },
      ...{ reference: "stored", maxSteps: null },
    });
  });

  test("is a complete set of settings", () => {
    const places = { model: "m", data: "d", out: "o" };
    expect(settings.parse({ ...preset, ...places })).toEqual({ ...preset, ...places });
  });
});
