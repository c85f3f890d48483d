// kernels.mjs [--device cuda:0] [--out F]: each CUDA kernel of ours against libtorch's operators on the same inputs: numbers, time, and
// bytes that have to move as a share of what a copy moves. Exit code 1 when numbers differ by more than is allowed.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import * as torch from "../../packages/torch/dist/index.js";

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cuda:0" },
    out: { type: "string" },
    rounds: { type: "string", default: "20" },
  },
});
const { device } = values;
const isGpu = device.startsWith("cuda");
const dtype = "bfloat16";
// 4,096 tokens of a 7B model; without a GPU a sketch of it, so that the script itself can be tried.
const [TOKENS, HIDDEN, INNER, VOCAB] = isGpu ? [4096, 4096, 11008, 32_000] : [64, 256, 512, 1000];
const LOGIT_ROWS = isGpu ? 1024 : 32;
const WEIGHTS = isGpu ? HIDDEN * INNER : 1 << 16;
torch.manualSeed(0);
torch.useCudaKernels(true);

const random = (shape, type = dtype) => torch.randn(shape, { device }).to({ dtype: type });
const leaf = (tensor) => {
  const own = tensor.detach();
  own.requiresGrad = true;
  return own;
};
/** Output and gradients. */
function passes(formula, inputs) {
  const leaves = inputs.map(leaf);
  const output = formula(...leaves);
  return [output, ...torch.grad([output], leaves, { gradOutputs: [torch.onesLike(output)] })];
}

const x = random([TOKENS, HIDDEN]);
const norm = random([HIDDEN]);
const [gate, up] = [random([TOKENS, INNER]), random([TOKENS, INNER])];
const heads = random([TOKENS, HIDDEN / 128, 128]);
const angles = torch.outer(torch.arange(0, TOKENS, 1, { dtype: "float32" }), torch.rand([64])).to({ device });
const [cos, sin] = [angles.cos(), angles.sin()];
const logits = random([LOGIT_ROWS, VOCAB]);
const labels = torch.randint(0, VOCAB, [LOGIT_ROWS]).to({ device });
const upstream = torch.full([LOGIT_ROWS], -1 / LOGIT_ROWS, { device });
const matrix = random([WEIGHTS / HIDDEN, HIDDEN]);
const [packed, absmax] = torch.nf4Quantize(matrix);
const restore = () => torch.nf4Dequantize(packed, absmax, null, 0, matrix.shape, dtype);
const adam = {
  weight: matrix.to({ dtype: "float32" }),
  grad: random(matrix.shape),
  means: torch.full([WEIGHTS], 127, { dtype: "uint8", device }),
  squares: torch.zeros([WEIGHTS], { dtype: "uint8", device }),
  scales: [0, 1].map(() => torch.zeros([Math.ceil(WEIGHTS / 256)], { device })),
  step: torch.ones([], { device }),
};
const adamStep = ({ weight, grad, means, squares, scales, step }) =>
  torch.adamw8bit_(weight, grad, means, scales[0], squares, scales[1], step, 1e-3, 0.9, 0.95, 0, 1e-8);
const decode = (rows) => {
  const input = random([rows, HIDDEN]);
  return {
    run: () => torch.nf4Linear(input, packed, absmax, null, 0, WEIGHTS / HIDDEN),
    bytes: WEIGHTS / 2 + WEIGHTS / 16,
    limit: 2 ** -5,
  };
};

/** What is run, the bytes that cannot be avoided, and the largest difference allowed, relative to the largest value. */
const CASES = {
  "RMSNorm forward": { run: () => torch.fusedRmsNorm(x, norm, 1e-5), bytes: 4 * x.numel, limit: 2 ** -7 },
  "RMSNorm forward and backward": {
    run: () => passes((a, w) => torch.fusedRmsNorm(a, w, 1e-5), [x, norm]),
    bytes: 10 * x.numel,
    limit: 2 ** -5,
  },
  "rotary embedding": { run: () => torch.fusedRope(heads, cos, sin), bytes: 4 * heads.numel, limit: 2 ** -7 },
  "SwiGLU forward": { run: () => torch.fusedSwiglu(gate, up), bytes: 6 * gate.numel, limit: 2 ** -6 },
  "SwiGLU forward and backward": {
    run: () => passes(torch.fusedSwiglu, [gate, up]),
    bytes: 16 * gate.numel,
    limit: 2 ** -5,
  },
  "log-probabilities": { run: () => torch.labelLogps_(logits, labels), bytes: 2 * logits.numel, limit: 1e-5 },
  "log-probabilities and their gradient": {
    // The gradient takes the logits' place: a copy of them is part of both.
    run: () => {
      const own = logits.clone();
      return [torch.labelLogps_(own, labels, upstream), own];
    },
    bytes: (6 + 4) * logits.numel,
    limit: 2 ** -7,
  },
  "NF4, quantise": { run: () => torch.nf4Quantize(matrix), bytes: 2.5625 * WEIGHTS, limit: 0 },
  "NF4, restore": { run: restore, bytes: 2.5625 * WEIGHTS, limit: 0 },
  "NF4, product with 1 row": decode(1),
  "NF4, product with 8 rows": decode(8),
  "8-bit AdamW": {
    run: () => adamStep(adam),
    // Twice from the same state: a step from the last one's result would compare two histories.
    result: () => {
      const own = {
        ...adam,
        weight: adam.weight.clone(),
        means: adam.means.clone(),
        squares: adam.squares.clone(),
      };
      own.scales = adam.scales.map((scale) => scale.clone());
      for (let i = 0; i < 2; i++) adamStep(own);
      return [own.weight, ...own.scales];
    },
    bytes: (4 + 4 + 2 + 4) * WEIGHTS,
    limit: 1e-5,
  },
};

function distance(a, b) {
  return torch.tensorScope(() => {
    const [p, q] = [a, b].map((t) => t.detach().to({ dtype: "float32" }));
    return p.sub(q).abs().amax().item() / (q.abs().amax().item() + 1e-30);
  });
}
const list = (result) => (Array.isArray(result) ? result : [result]);

/** Milliseconds of one call, the median of rounds of ten. */
function time(run) {
  const times = [];
  for (let round = 0; round < Number(values.rounds) + 2; round++) {
    torch.synchronize(device);
    const started = performance.now();
    for (let i = 0; i < 10; i++) torch.tensorScope(() => void run());
    torch.synchronize(device);
    if (round >= 2) times.push((performance.now() - started) / 10);
  }
  return times.sort((a, b) => a - b)[times.length >> 1];
}

const source = torch.empty([isGpu ? 1 << 29 : 1 << 22], { dtype: "uint8", device });
const target = torch.emptyLike(source);
const copyRate = (2 * source.numel) / time(() => target.copy_(source)); // bytes a millisecond
const results = Object.entries(CASES).map(([name, { run, result: evaluate = run, bytes, limit }]) => {
  const ours = torch.tensorScope(() => {
    torch.useCudaKernels(false);
    const chain = list(evaluate());
    torch.useCudaKernels(true);
    return Math.max(0, ...list(evaluate()).map((tensor, i) => distance(tensor, chain[i])));
  });
  // In turn, so that both meet the same clocks.
  const milliseconds = time(run);
  torch.useCudaKernels(false);
  const chainMilliseconds = time(run);
  torch.useCudaKernels(true);
  const shareOfCopy = bytes / milliseconds / copyRate;
  const result = {
    name,
    milliseconds,
    chainMilliseconds,
    shareOfCopy,
    difference: ours,
    limit,
    passed: ours <= limit,
  };
  console.log(
    `${result.passed ? "ok  " : "FAIL"} ${name.padEnd(38)} ${milliseconds.toFixed(3)} ms, operators ${chainMilliseconds.toFixed(3)} ms; ${(100 * shareOfCopy).toFixed(0)} % of a copy; difference ${ours.toExponential(1)}`,
  );
  return result;
});
const { problem } = torch.cudaKernels();
if (isGpu && problem !== undefined) console.error(`our kernels were not used: ${problem}`);
const output = { device, ...torch.installation(), problem, copyBytesPerSecond: copyRate * 1000, results };
if (values.out) writeFileSync(values.out, `${JSON.stringify(output, null, 2)}\n`);
if (results.some(({ passed }) => !passed) || (isGpu && problem !== undefined)) process.exitCode = 1;
