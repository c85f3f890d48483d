/**
 * Attention inside rows, forward and backward: our kernel beside libtorch's, row after row, in turn; processor time, best of several.
 *
 *     node benchmarks/speed/attention.mjs [--threads 1] [--rounds 8]
 */
import { parseArgs } from "node:util";
import * as torch from "../../packages/torch/dist/index.js";

const { values } = parseArgs({
  options: { threads: { type: "string", default: "1" }, rounds: { type: "string", default: "8" } },
});
torch.setNumThreads(Number(values.threads));
torch.manualSeed(0);

/** heads, key-value heads, head size, tokens of a row, rows */
const SHAPES = [
  [12, 12, 64, 512, 4],
  [8, 8, 64, 171, 24],
  [8, 8, 64, 2048, 1],
  [16, 8, 128, 700, 2],
  [14, 2, 64, 1024, 2],
];

/** [tokens, heads, size] -> [1, heads, tokens, size] */
const headsFirst = (x) => x.transpose(0, 1).unsqueeze(0);

function libtorch(query, key, value, lengths) {
  const [q, k, v] = [query, key, value].map((x) => x.split(lengths));
  const rows = q.map((row, i) => {
    const inputs = [row, k[i], v[i]].map(headsFirst);
    const enableGqa = query.shape[1] !== key.shape[1];
    return torch
      .scaledDotProductAttention(...inputs, null, 0, true, { enableGqa })
      .squeeze(0)
      .transpose(0, 1);
  });
  return torch.cat(rows);
}

function measure([heads, kvHeads, size, length, rows], dtype) {
  const lengths = Array(rows).fill(length);
  const inputs = [heads, kvHeads, kvHeads].map((count) => {
    const x = torch.randn([length * rows, count, size]).to({ dtype });
    x.requiresGrad = true;
    return x;
  });
  const upstream = torch.randn([length * rows, heads, size]).to({ dtype });
  const best = { ours: Number.POSITIVE_INFINITY, libtorch: Number.POSITIVE_INFINITY };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, attend] of [
      ["ours", torch.packedAttention],
      ["libtorch", libtorch],
    ]) {
      const started = process.cpuUsage();
      torch.tensorScope(() => attend(...inputs, lengths).backward(upstream));
      const { user, system } = process.cpuUsage(started);
      best[name] = Math.min(best[name], (user + system) / 1000);
      for (const input of inputs) input.grad = undefined;
    }
  }
  return best;
}

console.log(
  "| heads | head size | rows | dtype | ours | libtorch | libtorch takes |\n|---|---:|---:|---|---:|---:|---:|",
);
for (const shape of SHAPES) {
  for (const dtype of ["bfloat16", "float32"]) {
    const { ours, libtorch: theirs } = torch.tensorScope(() => measure(shape, dtype));
    const [heads, kvHeads, size, length, rows] = shape;
    console.log(
      `| ${heads} over ${kvHeads} | ${size} | ${rows} x ${length} | ${dtype} | ${ours.toFixed(1)} ms | ${theirs.toFixed(1)} ms | ${(theirs / ours).toFixed(1)}x |`,
    );
  }
}
