/**
 * The presets of KTO and of reward models against a table typed here from the papers, the authors' configuration files and the
 * published command: a slip in a preset does not repeat itself here.
 */
import { describe, expect, test } from "vitest";
import * as kto from "../../recipes/kto.js";
import { ktoPresets } from "../../recipes/presets/kto.js";
import { rewardPresets } from "../../recipes/presets/reward.js";
import * as reward from "../../recipes/reward.js";

//   preset              learning rate  epochs  a step  length  decay  warm-up  schedule  betas      eps   clip  seed
const TABLE = `
  kto                    5e-6           1       32      1024    0.01   0.04     constant  0.9 0.999  1e-8  5     1
  tulu2.5-reward-13b     1e-5           1       512     4096    0      0.03     linear    0.9 0.95   1e-8  1     42
  tulu3-reward-8b        3e-6           1       256     2048    0.01   0        linear    0.9 0.999  1e-5  none  1
`;
const rows = TABLE.trim()
  .split("\n")
  .map((line) => line.trim().split(/\s+/));
const presets = { ...rewardPresets, kto: ktoPresets.kto };

describe.each(rows)("%s", (name, ...cells) => {
  const preset = presets[name as "kto"]();

  test("has the values of its table", () => {
    const { learningRate, epochs, maxSeqLen, weightDecay, warmupRatio, schedule } = preset;
    const { betas, eps, maxGradNorm, seed } = preset;
    const rowsAStep = preset.microBatchSize * preset.gradAccumSteps;
    expect([learningRate, epochs, rowsAStep, maxSeqLen, weightDecay, warmupRatio]).toEqual(
      cells.slice(0, 6).map(Number),
    );
    const clip = maxGradNorm === null ? "none" : String(maxGradNorm);
    expect([schedule, ...betas.map(String), String(Number(eps)), clip, String(seed)]).toEqual([
      ...[cells[6], cells[7], cells[8], String(Number(cells[9])), cells[10], cells[11]],
    ]);
  });

  test("trains every weight in bf16 over fp32 masters", () => {
    expect(preset).toMatchObject({ precision: "bf16-mixed", lora: null, quantize: null, maxSteps: null });
  });
});

test("KTO weighs both kinds alike at beta 0.1 against stored numbers", () => {
  expect(ktoPresets.kto()).toMatchObject({
    ...{ beta: 0.1, desirableWeight: 1, undesirableWeight: 1, reference: "stored" },
  });
});

test("a constant rate of 0.04 of UltraFeedback's steps warms up for 150 of them, give or take three", () => {
  const steps = Math.floor((2 * 61_135) / 32);
  expect(Math.abs(Math.ceil(0.04 * steps) - 150)).toBeLessThanOrEqual(3);
});

test("the rate of Tulu 2.5's reward model ends at a tenth, all others at 0", () => {
  const ends = Object.entries(presets).map(([name, preset]) => [name, preset().endLearningRate]);
  expect(Object.fromEntries(ends)).toEqual({
    ...{ kto: 0, "tulu3-reward-8b": 0, lora: 0, tiny: 0, "tulu2.5-reward-13b": 1e-6 },
  });
});

test("pairs of reward models that are too long are left out, as the papers did", () => {
  for (const preset of Object.values(rewardPresets)) expect(preset().onBad).toBe("skip");
});

const places = { model: "m", data: "d", out: "o" };
test.each([
  ...Object.entries(ktoPresets).map(([name, preset]) => [`kto ${name}`, kto.settings, preset()] as const),
  ...Object.entries(rewardPresets).map(
    ([name, preset]) => [`reward ${name}`, reward.settings, preset()] as const,
  ),
])("%s is a complete set of settings", (_name, settings, preset) => {
  expect(settings.parse({ ...preset, ...places })).toEqual({ ...preset, ...places });
});
