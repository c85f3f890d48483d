// camelid-pairs.mjs MODEL PAIRS [copy] [single] [twice]: the steps of recipes/dpo.ts on real pairs, timed. `copy` keeps a frozen
// model beside the trained one, `single` takes pair by pair, `twice` computes each prompt for both answers.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  accumulateDpo,
  adamw,
  loadModel,
  loadTokenizer,
  PairMeter,
  pairBatches,
  pairLogps,
  readPairRows,
  storedReference,
} from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { peakBytes } from "../sft/peak.mjs";

const [folder, file, ...flags] = process.argv.slice(2);
const [steps, warmUp, perStep, maxSeqLen, threads] = [
  "STEPS",
  "WARM_UP",
  "PAIRS",
  "MAX_TOKENS",
  "THREADS",
].map((name) => Number(process.env[`BENCH_${name}`]));
const packing = !flags.includes("single");
const settings = {
  ...{ beta: 0.1, lossType: "dpo", labelSmoothing: 0, maxSeqLen, packing },
  ...{ microBatchSize: packing ? perStep : 1, sharePrompts: !flags.includes("twice") },
};
torch.setNumThreads(threads);
const tokenizer = await loadTokenizer(folder);
const { pairs, fingerprint } = await readPairRows(file, tokenizer, { maxSeqLen, onBad: "error" });

const cache = mkdtempSync(join(tmpdir(), "camelid-bench-cache-"));
let referenceSeconds = 0;
let reference;
if (flags.includes("copy")) {
  const frozen = loadModel(folder, { dtype: "bfloat16" });
  reference = { logps: (some) => torch.noGrad(() => pairLogps(frozen, some, settings)) };
} else {
  const started = performance.now();
  const { signal } = new AbortController();
  const options = { ...settings, dtype: "bfloat16", device: "cpu", signal, cache };
  reference = await storedReference(folder, { pairs, fingerprint }, options);
  referenceSeconds = (performance.now() - started) / 1000;
}
rmSync(cache, { recursive: true, force: true });

const model = loadModel(folder, { dtype: "bfloat16", trainable: true });
const optimizer = adamw(model.namedParameters(), { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
const meter = new PairMeter("cpu");
const losses = [];
let started = 0;
for (let step = 0; step < warmUp + steps; step++) {
  if (step === warmUp) started = performance.now();
  const taken = pairs.slice(step * perStep, (step + 1) * perStep);
  for (const batch of pairBatches(taken, settings)) {
    accumulateDpo(model, batch, reference, 1 / perStep, settings, meter);
  }
  optimizer.update(1e-5, 1).dispose();
  const { loss } = meter.take();
  if (step === 0 || step === warmUp + steps - 1) losses.push(loss);
}
const pairsPerSecond = (steps * perStep * 1000) / (performance.now() - started);
console.log(JSON.stringify({ pairsPerSecond, referenceSeconds, peakBytes: peakBytes(), losses }));
