/**
 * One training step of LoRA and QLoRA against one of full training: the same model, the same rows, the same optimizer, taking
 * turns. Time is the best of several steps; memory is the peak of live tensors in one step, measured from before the model
 * was loaded. The goal: LoRA takes at most 0.75 of a full step.
 *
 *     node benchmarks/adapters/lora-step.mjs [--size 41m|tiny] [--threads 4] [--rounds 5] [--tokens 4096] [--rank 16] [--clock wall|cpu]
 *
 * `--model` takes a folder's model instead of a random one, `--only` some of the methods by name, and `--json` prints one line of
 * JSON for other scripts. `--clock cpu` counts processor time, which other programs on the machine disturb less; best with one thread.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  accumulateSft,
  adamw,
  addLora,
  initModel,
  LossMeter,
  loadModel,
  parseConfig,
  saveModel,
} from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { madeRows } from "./made-rows.mjs";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "41m" },
    threads: { type: "string", default: "4" },
    rounds: { type: "string", default: "5" },
    tokens: { type: "string", default: "4096" },
    rank: { type: "string", default: "16" },
    clock: { type: "string", default: "wall" },
    model: { type: "string" },
    only: { type: "string", multiple: true },
    json: { type: "boolean", default: false },
  },
});
const [threads, rounds, tokens, rank] = ["threads", "rounds", "tokens", "rank"].map((key) =>
  Number(values[key]),
);
const now = () => (values.clock === "cpu" ? process.cpuUsage().user / 1000 : performance.now());
torch.setNumThreads(threads);
torch.manualSeed(1);
const sizes = {
  tiny: {
    vocab_size: 2000,
    hidden_size: 256,
    intermediate_size: 704,
    num_hidden_layers: 2,
    num_attention_heads: 4,
  },
  "41m": {
    vocab_size: 16000,
    hidden_size: 512,
    intermediate_size: 1408,
    num_hidden_layers: 8,
    num_attention_heads: 8,
  },
};
const root = mkdtempSync(join(tmpdir(), "camelid-lora-step-"));
const folder = values.model ?? join(root, "model");
const config = parseConfig(
  values.model === undefined
    ? { model_type: "llama", max_position_embeddings: 2048, ...sizes[values.size] }
    : JSON.parse(readFileSync(join(folder, "config.json"), "utf8")),
);
if (values.model === undefined) {
  const model = initModel(config, { dtype: "bfloat16" });
  saveModel(model, folder);
  model[Symbol.dispose]();
}

const rows = madeRows(tokens, config.vocabSize);
const scale = 1 / rows.reduce((sum, { labels }) => sum + labels.filter((label) => label !== -100).length, 0);

const targetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
const lora = { rank, alpha: 2 * rank, dropout: 0, targetModules };
const quantize = { doubleQuant: true, throughFp16: false };
const settings = { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, masterWeights: true };
const inBackward = { optimizerInBackward: true };
const methods = {
  full: { trainable: true },
  "full, 8-bit moments": { trainable: true, adamw: { optimizer: "adamw-8bit" } },
  "full, in backward": { trainable: true, adamw: inBackward, maxGradNorm: null },
  "full, in backward, 8-bit": {
    trainable: true,
    adamw: { ...inBackward, optimizer: "adamw-8bit" },
    maxGradNorm: null,
  },
  LoRA: { lora },
  QLoRA: { lora, quantize },
};

/** The steps of recipes/sft.ts. Memory belongs to one method at a time, so each is loaded, stepped and freed in each round. */
function measure({ trainable = false, lora, quantize = null, maxGradNorm = 1, adamw: choice = {} }, best) {
  const before = torch.memoryStats().liveBytes;
  const model = loadModel(folder, { dtype: "bfloat16", trainable, quantize });
  const parameters = lora === undefined ? model.namedParameters() : addLora(model, lora).namedParameters();
  const optimizer = adamw(parameters, { ...settings, ...choice });
  const meter = new LossMeter(["made"], "cpu");
  torch.resetPeakMemory();
  for (let step = 0; step < 2; step++) {
    const started = now();
    optimizer.begin(1e-4);
    accumulateSft(model, rows, scale, meter);
    optimizer.update(1e-4, maxGradNorm).dispose();
    meter.take();
    if (step > 0) best.milliseconds = Math.min(best.milliseconds, now() - started);
  }
  best.peak = torch.memoryStats().peakBytes - before;
  for (const thing of [optimizer, meter, model]) thing[Symbol.dispose]();
}

const wanted = Object.keys(methods).filter((name) => values.only?.includes(name) ?? true);
const results = new Map(wanted.map((name) => [name, { milliseconds: Number.POSITIVE_INFINITY }]));
for (let round = 0; round < rounds; round++) for (const [name, best] of results) measure(methods[name], best);
rmSync(root, { recursive: true });
if (values.json) {
  console.log(JSON.stringify(Object.fromEntries(results)));
  process.exit();
}

const full = results.get("full");
console.log(
  `${values.size}, bf16 with fp32 masters, ${tokens} tokens in ${rows.length} rows, ${threads} threads, ${values.clock} time\n`,
);
console.log("| step | ms | of full | peak MB | of full |\n|---|---:|---:|---:|---:|");
for (const [name, { milliseconds, peak }] of results) {
  const ratios = [milliseconds / full.milliseconds, peak / full.peak].map((ratio) => ratio.toFixed(2));
  console.log(
    `| ${name} | ${milliseconds.toFixed(0)} | ${ratios[0]} | ${(peak / 1e6).toFixed(0)} | ${ratios[1]} |`,
  );
}
