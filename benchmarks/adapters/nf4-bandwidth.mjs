/**
 * NF4 on the CPU against memory: bytes read and written per second, as a share of what copying, filling and reading reach in
 * the same run. Each figure is the best of several rounds, and the kinds take turns, so that a busy moment hits all alike.
 *
 *     node benchmarks/adapters/nf4-bandwidth.mjs [--threads 4] [--rows 4096] [--columns 11008] [--rounds 15]
 *
 * The default matrix is an MLP projection of a 7B model: 90 MB in bf16, more than the caches hold.
 */
import { parseArgs } from "node:util";
import * as torch from "../../packages/torch/dist/index.js";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "4" },
    rows: { type: "string", default: "4096" },
    columns: { type: "string", default: "11008" },
    rounds: { type: "string", default: "15" },
  },
});
const [threads, rows, columns, rounds] = ["threads", "rows", "columns", "rounds"].map((key) =>
  Number(values[key]),
);
const count = rows * columns;
torch.setNumThreads(threads);
torch.manualSeed(1);

const source = torch.randn([rows, columns]).mul(0.02);
const half = source.to({ dtype: "bfloat16" });
const halfTarget = torch.zeros([rows, columns], { dtype: "bfloat16" });
const [packed, absmax] = torch.nf4Quantize(half);
const offset = Math.fround(absmax.mean().item());
const [codes, nested] = torch.dynamicQuantize(absmax, offset, 256, true);
const packedBytes = count / 2;
const statistics = count / 64; // with double quantisation: one byte a block

/** Bytes that have to move, and what moves them. */
const kinds = {
  "copy (bf16)": [4 * count, () => halfTarget.copy_(half)],
  "fill (bf16)": [2 * count, () => halfTarget.zero_()],
  "read (bf16 maximum)": [2 * count, () => half.amax()],
  "quantise bf16": [2 * count + packedBytes + 4 * statistics, () => torch.nf4Quantize(half)],
  "quantise bf16 through fp16": [
    2 * count + packedBytes + 4 * statistics,
    () => torch.nf4Quantize(half, true),
  ],
  "quantise fp32": [4 * count + packedBytes + 4 * statistics, () => torch.nf4Quantize(source)],
  "second quantisation of the maxima": [
    5 * statistics,
    () => torch.dynamicQuantize(absmax, offset, 256, true),
  ],
  "de-quantise to bf16": [
    2 * count + packedBytes + statistics,
    () => torch.nf4Dequantize(packed, codes, nested, offset, [rows, columns], "bfloat16"),
  ],
  "de-quantise to fp32": [
    4 * count + packedBytes + statistics,
    () => torch.nf4Dequantize(packed, codes, nested, offset, [rows, columns], "float32"),
  ],
};

const best = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, Number.POSITIVE_INFINITY]));
for (let round = 0; round < rounds; round++) {
  for (const [kind, [, run]] of Object.entries(kinds)) {
    const milliseconds = torch.tensorScope(() => {
      const started = performance.now();
      run();
      return performance.now() - started;
    });
    best[kind] = Math.min(best[kind], milliseconds);
  }
}

const rate = (kind) => kinds[kind][0] / best[kind] / 1e6; // GB/s
const copy = rate("copy (bf16)");
const { cpuCapability, version } = torch.installation();
console.log(`${rows} x ${columns}, ${threads} threads, libtorch ${version}, ${cpuCapability}\n`);
console.log("| what | ms | GB/s | of copy |\n|---|---:|---:|---:|");
for (const kind of Object.keys(kinds)) {
  const share = `${((100 * rate(kind)) / copy).toFixed(0)} %`;
  console.log(`| ${kind} | ${best[kind].toFixed(2)} | ${rate(kind).toFixed(1)} | ${share} |`);
}
