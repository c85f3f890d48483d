// camelid-dense.mjs MODEL: forward, backward and AdamW on 4 x 512 random tokens, every token trained.
import { adamw, loadModel, packRows, scaledNll } from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { peakBytes } from "./peak.mjs";

const steps = Number(process.env.BENCH_STEPS);
torch.setNumThreads(Number(process.env.BENCH_THREADS));
torch.manualSeed(0);
const model = loadModel(process.argv[2], { dtype: "bfloat16", trainable: true });
const optimizer = adamw(model.namedParameters(), { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
const ids = torch.randint(0, model.config.vocabSize, [4, 512]).toArray();
const rows = [0, 1, 2, 3].map((row) => ids.slice(row * 512, row * 512 + 512));
const places = torch.tensor(
  rows.flatMap((_, row) => Array.from({ length: 511 }, (_, i) => row * 512 + i)),
  { dtype: "int64" },
);
const labels = torch.tensor(
  rows.flatMap((row) => row.slice(1)),
  { dtype: "int64" },
);

const losses = [];
let started = 0;
const warmUp = 3;
for (let step = 0; step < warmUp + steps; step++) {
  if (step === warmUp) started = performance.now();
  const loss = torch.tensorScope(() => {
    const hidden = model.hiddenStates(packRows(rows, "cpu")).indexSelect(0, places);
    const { loss } = scaledNll(hidden, model.headWeight, labels, 1 / labels.numel);
    loss.backward();
    return loss;
  });
  optimizer.update(1e-4, null).dispose();
  if (step === 0 || step === warmUp + steps - 1) losses.push(loss.item());
  loss.dispose();
}
const tokensPerSecond = (steps * 2048 * 1000) / (performance.now() - started);
console.log(JSON.stringify({ tokensPerSecond, peakBytes: peakBytes(), losses }));
