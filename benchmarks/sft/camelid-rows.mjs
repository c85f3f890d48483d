// camelid-rows.mjs MODEL ROWS: the steps of recipes/sft.ts on real rows, timed.
import {
  accumulateSft,
  adamw,
  LossMeter,
  loadModel,
  loadTokenizer,
  lossScales,
  microBatches,
  readTrainRows,
} from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { peakBytes } from "./peak.mjs";

const [folder, file] = process.argv.slice(2);
const steps = Number(process.env.BENCH_STEPS);
torch.setNumThreads(Number(process.env.BENCH_THREADS));
const tokenizer = await loadTokenizer(folder);
const data = await readTrainRows(file, tokenizer, { maxSeqLen: 1024, onBad: "skip" });
const model = loadModel(folder, { dtype: "bfloat16", trainable: true });
const optimizer = adamw(model.namedParameters(), { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
const meter = new LossMeter(data.sources, "cpu");
const plan = { microBatchSize: 8, maxSeqLen: 1024, packing: true };

const losses = [];
let tokens = 0;
let started = 0;
const warmUp = 4;
for (let step = 0; step < warmUp + steps; step++) {
  if (step === warmUp) {
    started = performance.now();
    tokens = 0;
  }
  const rows = data.rows.slice(step * 8, step * 8 + 8);
  const lengths = rows.map((row) => row.inputIds.length);
  const batches = microBatches(lengths, plan).map((places) => places.map((place) => rows[place]));
  const scales = lossScales(batches, "token-mean");
  batches.forEach((batch, i) => {
    accumulateSft(model, batch, scales[i], meter);
  });
  optimizer.update(1e-4, 1).dispose();
  tokens += lengths.reduce((a, b) => a + b, 0);
  const { loss } = meter.take();
  if (step === 0 || step === warmUp + steps - 1) losses.push(loss);
}
const tokensPerSecond = (tokens * 1000) / (performance.now() - started);
console.log(JSON.stringify({ tokensPerSecond, peakBytes: peakBytes(), losses }));
