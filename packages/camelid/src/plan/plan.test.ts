/** One device: what is measured and counted, held against a run of the same model and against papers. */
import * as torch from "@camelid/torch";
import { expect, test } from "vitest";
import { initModel } from "../model/load.js";
import { accumulateSft } from "../train/accumulate.js";
import { LossMeter } from "../train/loss-meter.js";
import { adamw } from "../train/optim/adamw.js";
import { findHardware } from "./hardware.js";
import { at, fit } from "./measure.js";
import { planMemory } from "./memory.js";
import { blocksOf, trainedParameters } from "./parameters.js";
import { Planner, type PlanSettings } from "./plan.js";
import { countAdapters, countParameters, publishedShape, shapeNames, shapeOfPreset } from "./shapes.js";

const settings: PlanSettings = {
  ...{ precision: "fp32", lora: null, quantize: null, optimizer: "adamw", optimizerInBackward: false },
  ...{ betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, maxGradNorm: 1, activationCheckpointing: false },
  ...{ maxSeqLen: 256, microBatchSize: 4, gradAccumSteps: 2, packing: true, epochs: 1 },
  ...{ maxSteps: null, seed: 1, shard: "none" },
};
const small = {
  ...publishedShape("tinyllama-1.1b")!,
  ...{ vocabSize: 1000, hiddenSize: 128, intermediateSize: 352, numHiddenLayers: 6 },
  ...{ numAttentionHeads: 4, numKeyValueHeads: 2, headDim: 32 },
};
const here = findHardware("here")!;

test("four points give back the bilinear function that they lie on", () => {
  const truth = { fixed: 5, perLayer: 3, perToken: 0.5, perLayerToken: 0.25 };
  const points = [
    [1, 64],
    [1, 128],
    [2, 64],
    [2, 128],
  ].map(([layers, tokens]) => ({ layers: layers!, tokens: tokens!, value: at(truth, layers!, tokens!) }));
  expect(fit(points)).toEqual(truth);
});

const adapters = { rank: 8, alpha: 16, dropout: 0, rslora: false, targetModules: ["q_proj", "v_proj"] };

test.each([
  ["as they are", {}],
  ["activations computed again", { activationCheckpointing: true }],
  ["fp32 masters", { precision: "bf16-mixed" }],
  ["adapters", { lora: adapters }],
] as [string, Partial<PlanSettings>][])(
  "the peak of tensors is predicted within 10 %%: %s",
  async (_, changes) => {
    torch.setNumThreads(1);
    const changed = { ...settings, ...changes };
    const lengths = Array.from({ length: 64 }, (_, i) => 40 + ((i * 37) % 200));
    const planner = new Planner({
      ...{ config: small, settings: changed, recipe: "sft", hardware: here, rate: 0, data: { lengths } },
    });
    const { memory, shape } = planner.plan(1);

    const dtype = changed.precision === "fp32" ? "float32" : "bfloat16";
    const before = torch.memoryStats().liveBytes;
    using model = initModel(small, { dtype, trainable: changed.lora === null });
    model.activationCheckpointing = changed.activationCheckpointing;
    const { addLora } = await import("../adapters/lora.js");
    const parameters =
      changed.lora === null ? model.namedParameters() : addLora(model, changed.lora).namedParameters();
    using optimizer = adamw(parameters, { ...changed, masterWeights: changed.precision === "bf16-mixed" });
    using meter = new LossMeter(["x"], "cpu");
    const row = (length: number) => {
      const ids = new Int32Array(length).fill(7);
      return { id: "r", dataset: "x", inputIds: ids, labels: ids };
    };
    const rows = Array.from({ length: Math.floor(shape.fullestBatch / 125) }, () => row(125));
    torch.resetPeakMemory();
    for (let step = 0; step < 2; step++) {
      for (let batch = 0; batch < Math.round(shape.rankBatches); batch++)
        accumulateSft(model, rows, 1e-3, meter);
      using _norm = optimizer.update(1e-3, 1);
    }
    const measured = torch.memoryStats().peakBytes - before;
    expect(memory.peak / measured).toBeGreaterThan(0.9);
    expect(memory.peak / measured).toBeLessThan(1.1);
  },
);

test("what is trained is listed as the model names it, in its order", async () => {
  using model = initModel(small, { dtype: "bfloat16" });
  const listed = (parameters: ReadonlyMap<string, torch.Tensor>) =>
    [...parameters].map(([name, { numel, sizeBytes, dtype }]) => ({ name, numel, sizeBytes, dtype }));
  expect(trainedParameters(small, null, "bfloat16")).toEqual(listed(model.namedParameters()));
  const { addLora } = await import("../adapters/lora.js");
  const adapter = addLora(model, adapters);
  expect(trainedParameters(small, adapters, "bfloat16")).toEqual(listed(adapter.namedParameters()));
});

test("parameters of published shapes are those of their papers", () => {
  const billions = (name: string): number => countParameters(publishedShape(name)!).total / 1e9;
  expect(billions("llama-2-7b")).toBeCloseTo(6.738, 2);
  expect(billions("llama-2-13b")).toBeCloseTo(13.016, 2);
  expect(billions("llama-2-70b")).toBeCloseTo(68.977, 2);
  expect(billions("llama-3.1-8b")).toBeCloseTo(8.03, 2);
  // Rank 64 on all projections of Llama 2 7B, as QLoRA has it: 160 million.
  const modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
  expect(countAdapters(publishedShape("llama-2-7b")!, { rank: 64, targetModules: modules })).toBe(
    159_907_840,
  );
});

test("every preset names a shape that is known", async () => {
  const presets = [
    ...Object.keys((await import("../../../../recipes/sft.js")).presets),
    ...Object.keys((await import("../../../../recipes/dpo.js")).presets),
  ].filter((name) => /\d+b$/.test(name));
  expect(presets.length).toBeGreaterThan(15);
  for (const preset of presets) expect(shapeNames, preset).toContain(shapeOfPreset(preset));
});

test("a 4-bit base of 70 billion parameters takes 38 GB, and adapters' states little beside it", () => {
  const nothing = { fixed: 0, perLayer: 0, perToken: 0, perLayerToken: 0 };
  const config = publishedShape("llama-2-70b")!;
  const lora = { rank: 64, targetModules: ["q_proj"] };
  const plan = planMemory(
    {
      ...({ config, precision: "bf16", optimizerInBackward: false, lora } as const),
      ...({ quantize: { doubleQuant: true }, shard: "none", ranks: 1 } as const),
      ...{ rankBatches: 2, fullestBatch: 4096, weights: blocksOf(config, "bfloat16"), isLora: true },
      parameters: trainedParameters(config, lora, "bfloat16"),
    },
    { bytes: nothing, ms: nothing },
    { stateBytes: 8, extraBytes: 0, msPerMillion: 1 },
  );
  expect(plan.weights / 1e9).toBeGreaterThan(35.5);
  expect(plan.weights / 1e9).toBeLessThan(37.5);
  expect(plan.gradients + plan.optimizer).toBeLessThan(2e9);
});
