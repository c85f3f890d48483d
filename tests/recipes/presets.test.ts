/**
 * The presets against the papers' tables, typed here from appendix B of the Tulu 2 paper, the defaults of its code, and the
 * published commands of Tulu 3: a slip in a preset does not repeat itself here.
 */
import { describe, expect, test } from "vitest";
import { sftPresets } from "../../recipes/presets/sft.js";
import { settings } from "../../recipes/sft.js";

//   preset            learning rate  epochs  rows a step  length  decay  warm-up  schedule  betas         clip  seed
const TABLE = `
  tulu2-7b             2e-5           2       128          8192    0      0.03     linear    0.9 0.95      1     42
  tulu2-13b            2e-5           2       128          8192    0      0.03     linear    0.9 0.95      1     42
  tulu2-70b            1e-5           2       128          8192    0      0.03     linear    0.9 0.95      1     42
  codetulu2-7b         2e-5           2       128          8192    0      0.03     linear    0.9 0.95      1     42
  codetulu2-13b        2e-5           2       128          8192    0      0.03     linear    0.9 0.95      1     42
  codetulu2-34b        2e-5           2       128          8192    0      0.03     linear    0.9 0.95      1     42
  tulu2-qlora-7b       1e-4           5       128          4096    0      0.03     linear    0.9 0.999     none  42
  tulu2-qlora-13b      1e-4           5       128          4096    0      0.03     linear    0.9 0.999     none  42
  tulu2-qlora-70b      1e-4           5       128          4096    0      0.03     linear    0.9 0.999     none  42
  tulu3-8b             5e-6           2       128          4096    0      0.03     linear    0.9 0.999     none  123
  tulu3-70b            2e-6           2       128          4096    0      0.03     linear    0.9 0.999     none  456
`;

const rows = TABLE.trim()
  .split("\n")
  .map((line) => line.trim().split(/\s+/));

test("every published run has its preset", () => {
  const published = Object.keys(sftPresets).filter((name) => /tulu/.test(name));
  expect(published.sort()).toEqual(rows.map(([name]) => name!).sort());
});

describe.each(rows)("%s", (name, ...cells) => {
  const preset = sftPresets[name as keyof typeof sftPresets]();

  test("has the values of its table", () => {
    const { learningRate, epochs, maxSeqLen, weightDecay, warmupRatio, schedule, betas, maxGradNorm, seed } =
      preset;
    const rowsAStep = preset.microBatchSize * preset.gradAccumSteps;
    expect([learningRate, epochs, rowsAStep, maxSeqLen, weightDecay, warmupRatio]).toEqual(
      cells.slice(0, 6).map(Number),
    );
    expect([schedule, ...betas.map(String), maxGradNorm === null ? "none" : String(maxGradNorm)]).toEqual(
      cells.slice(6, 10),
    );
    expect(seed).toBe(Number(cells[10]));
  });

  const lora = {
    rank: 64,
    alpha: 16,
    dropout: 0.1,
    rslora: false,
    targetModules: "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split(" "),
  };
  const method = name.includes("qlora")
    ? { lora, quantize: { type: "nf4", doubleQuant: true, throughFp16: true } }
    : { lora: null, quantize: null };

  test("trains every weight, or adapters on 4 bits, in bf16 over fp32 masters; AdamW with eps 1e-8, every token weighing the same", () => {
    expect(preset).toMatchObject({
      ...method,
      eps: 1e-8,
      precision: "bf16-mixed",
      optimizer: "adamw",
      optimizerInBackward: false,
      lossReduction: "token-mean",
    });
    expect(preset.maxSteps).toBeNull();
  });

  test("is a complete set of settings", () => {
    const parsed = settings.parse({ ...preset, model: "m", data: "d", out: "o" });
    expect(parsed).toEqual({ ...preset, model: "m", data: "d", out: "o" });
  });
});
