// speed.mjs [--device cuda:0] [--sizes "1b 7b"] [--steps 8] [--out F]: training steps at real shapes, random weights, bf16.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { scaledNll } from "../../packages/camelid/dist/nn/log-probs.js";
import { packRows } from "../../packages/camelid/dist/nn/packed-rows.js";
import { varlenKernel } from "../../packages/camelid/dist/nn/varlen-attention.js";
import { adamw } from "../../packages/camelid/dist/train/optim/adamw.js";
import * as torch from "../../packages/torch/dist/index.js";
import { isRecomputed, randomModel } from "./random-model.mjs";

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cuda:0" },
    sizes: { type: "string", default: "1b 7b" },
    steps: { type: "string", default: "8" },
    out: { type: "string" },
  },
});
const { device } = values;
const STEPS = Number(values.steps);
const WARM_UP = 2;

const isTiny = (size) => size === "tiny";

/** Rows of a batch: all as long as each other, or as conversations are - many short ones, some long. */
const batches = (size) =>
  isTiny(size)
    ? { "4 x 64": [64, 64, 64, 64], mixed: [5, 90, 33, 128] }
    : {
        "4 x 2048": [2048, 2048, 2048, 2048],
        "41 rows of 20 to 1,400, 8,192 tokens": mixedLengths(8192),
      };

function mixedLengths(total) {
  const lengths = [];
  let left = total;
  for (let i = 0; left > 0; i++) {
    const length = Math.min(left, [20, 60, 110, 180, 60, 300, 90, 700, 150, 1400][i % 10] - (i % 7));
    lengths.push(length);
    left -= length;
  }
  return lengths;
}

/** FLOP/s of one large bf16 matrix product, the best of several. */
function measuredPeak() {
  const n = device === "cpu" ? 1024 : 8192;
  const [a, b] = [0, 1].map(() => torch.randn([n, n], { device }).to({ dtype: "bfloat16" }));
  let best = 0;
  for (let round = 0; round < 6; round++) {
    const started = performance.now();
    torch.tensorScope(() => {
      for (let i = 0; i < 4; i++) a.matmul(b);
      torch.synchronize(device);
    });
    best = Math.max(best, (4 * 2 * n ** 3 * 1000) / (performance.now() - started));
  }
  return best;
}

function flopsOfStep(model, lengths) {
  const { hiddenSize, numHiddenLayers } = model.config;
  let weights = model.headWeight.numel;
  for (const linear of model.linears()) weights += linear.inFeatures * linear.outFeatures;
  const tokens = lengths.reduce((a, b) => a + b, 0);
  const pairs = lengths.reduce((sum, length) => sum + length ** 2 / 2, 0);
  return 6 * weights * tokens + 12 * pairs * hiddenSize * numHiddenLayers;
}

function measure(size) {
  const model = randomModel(size, device);
  const recompute = isRecomputed(size);
  const vocabulary = model.config.vocabSize;
  model.activationCheckpointing = recompute;
  const parameters = model.namedParameters();
  for (const parameter of parameters.values()) parameter.requiresGrad = true;
  const optimizer = adamw(parameters, { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0 });
  const count = [...parameters.values()].reduce((sum, { numel }) => sum + numel, 0);
  const results = Object.entries(batches(size)).map(([name, lengths]) => {
    const rows = lengths.map((length) =>
      torch.tensorScope(() => torch.randint(4, vocabulary, [length]).toArray()),
    );
    const tokens = lengths.reduce((a, b) => a + b, 0);
    const times = [];
    const losses = [];
    for (let step = 0; step < WARM_UP + STEPS; step++) {
      const started = performance.now();
      losses.push(oneStep(model, optimizer, rows));
      torch.synchronize(device);
      if (step >= WARM_UP) times.push(performance.now() - started);
    }
    times.sort((a, b) => a - b);
    const seconds = times[times.length >> 1] / 1000;
    const result = {
      ...{ size, parameters: count, batch: name, rows: rows.length, tokens, recompute },
      millisecondsPerStep: seconds * 1000,
      fastest: times[0],
      slowest: times.at(-1),
      tokensPerSecond: tokens / seconds,
      shareOfPeak: flopsOfStep(model, lengths) / seconds / peak,
      peakBytes: torch.memoryStats(device).peakBytes,
      losses: [losses[0], losses.at(-1)],
    };
    console.log(
      `${size} ${name}: ${result.tokensPerSecond.toFixed(0)} tokens/s, ${(100 * result.shareOfPeak).toFixed(1)} % of the peak of matrix products`,
    );
    return result;
  });
  optimizer[Symbol.dispose]();
  model[Symbol.dispose]();
  return results;
}

function oneStep(model, optimizer, rows) {
  const loss = torch.tensorScope(() => {
    const places = [];
    let at = 0;
    for (const row of rows) {
      for (let i = 0; i + 1 < row.length; i++) places.push(at + i);
      at += row.length;
    }
    const positions = torch.tensor(places, { dtype: "int64", device });
    const labels = torch.tensor(
      rows.flatMap((row) => row.slice(1)),
      { dtype: "int64", device },
    );
    const states = model.hiddenStates(packRows(rows, device)).indexSelect(0, positions);
    const { loss } = scaledNll(states, model.headWeight, labels, 1 / labels.numel);
    loss.backward();
    return loss;
  });
  optimizer.update(1e-5, 1).dispose();
  const value = loss.item();
  loss.dispose();
  return value;
}

const peak = measuredPeak();
console.log(`peak of bf16 matrix products: ${(peak / 1e12).toFixed(1)} TFLOP/s`);
const results = [];
for (const size of values.sizes.split(/\s+/)) {
  try {
    results.push(...measure(size));
  } catch (error) {
    console.error(`${size}: ${error.message}`);
    results.push({ size, error: error.message });
    process.exitCode = 1;
  }
  torch.emptyCache();
}
/** As the driver calls it: `camelid plan --measured` compares it with the device that it plans for. */
function gpuName() {
  if (!device.startsWith("cuda")) return undefined;
  const id = device.split(":")[1] ?? "0";
  const { status, stdout } = spawnSync(
    "nvidia-smi",
    [`--id=${id}`, "--query-gpu=name", "--format=csv,noheader"],
    {
      encoding: "utf8",
    },
  );
  return status === 0 ? stdout.trim() : undefined;
}

const output = {
  device,
  gpu: gpuName(),
  ...torch.installation(),
  peakFlops: peak,
  attention: varlenKernel(device, "bfloat16", 64) ?? "row by row",
  results,
};
if (values.out) writeFileSync(values.out, `${JSON.stringify(output, null, 2)}\n`);
