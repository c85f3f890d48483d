/** NF4 and 8-bit AdamW on the emulated GPU (see cuda-kernels.test.ts): bit for bit the CPU's, whose own reference is in TypeScript. */
import { beforeAll, describe, expect, test } from "vitest";
import { emulated, installEmulator } from "./fixtures/emulate-cuda.js";
import type { DType, Tensor } from "./index.js";
import * as torch from "./index.js";

beforeAll(() => {
  torch.setNumThreads(1);
  installEmulator();
});

const random = (...shape: number[]): Tensor => {
  torch.manualSeed(5);
  return torch.randn(shape);
};
/** Every value half-way between two codes and its neighbours, in a block whose maximum is 1. */
function ties(): Tensor {
  const codes = torch.tensor(Uint8Array.from({ length: 8 }, (_, i) => ((2 * i) << 4) | (2 * i + 1)));
  const values = torch.nf4Dequantize(codes, torch.ones([1]), null, 0, [16], "float32").toArray();
  const middles = values.slice(1).map((value, i) => Math.fround((value + values[i]!) / 2));
  const around = middles.flatMap((x) => [
    x,
    Math.fround(x + Math.abs(x) * 6e-8),
    Math.fround(x - Math.abs(x) * 6e-8),
  ]);
  return torch.tensor([1, ...around, ...Array(18).fill(0)]);
}

/** Bit for bit: NaN and the sign of zero count. */
const isSame = (a: Tensor, b: Tensor): boolean => Buffer.from(a.toBytes()).equals(Buffer.from(b.toBytes()));

const CASES: [string, () => Tensor][] = [
  ["random values", () => random(33, 100)],
  ["an odd count", () => random(4097)],
  ["one value", () => random(1)],
  ["a constant", () => torch.full([130], -0.25)],
  ["zeros", () => torch.zeros([64])],
  ["values too small for a reciprocal", () => torch.full([64], 1e-40)],
  ["ties between codes", ties],
];

describe.each(["float32", "bfloat16", "float16"] as DType[])("NF4 in %s", (dtype) => {
  test.each(CASES)("%s have the CPU's codes and maxima", (_, make) => {
    using _scope = torch.tensorScope();
    const values = make().to({ dtype });
    for (const throughFp16 of [false, true]) {
      const expected = torch.nf4Quantize(values, throughFp16);
      const ours = emulated(() => torch.nf4Quantize(values, throughFp16));
      for (const [i, tensor] of ours.entries()) expect(isSame(tensor, expected[i]!)).toBe(true);
    }
  });

  test("the maximum of a block with NaN is NaN, with infinity infinity: what refuses such weights looks there", () => {
    using _scope = torch.tensorScope();
    const values = torch
      .tensor([Number.NaN, ...Array(63).fill(1), Number.NEGATIVE_INFINITY, 2])
      .to({ dtype });
    const [, absmax] = emulated(() => torch.nf4Quantize(values));
    expect(absmax!.toArray()).toEqual([Number.NaN, Number.POSITIVE_INFINITY]);
  });

  test.each([1, 63, 64, 2048, 64 * 256 * 2 + 77])("%i values are restored as on the CPU", (count) => {
    using _ = torch.tensorScope();
    const [packed, absmax] = torch.nf4Quantize(random(count));
    const offset = absmax.mean().item();
    const [codes, nested] = torch.dynamicQuantize(absmax, offset, 256, true);
    const restore = (): Tensor[] => [
      torch.nf4Dequantize(packed, absmax, null, 0, [count], dtype),
      torch.nf4Dequantize(packed, codes, nested, offset, [count], dtype),
    ];
    const expected = restore();
    for (const [i, tensor] of emulated(restore).entries()) expect(isSame(tensor, expected[i]!)).toBe(true);
  });
});

describe.each([
  ["float32", 2e-6],
  ["bfloat16", 2 ** -7],
  ["float16", 2 ** -10],
] as [DType, number][])("a product with NF4 codes in %s", (dtype, limit) => {
  test.each([
    [1, 64, 3],
    [2, 1056, 5],
    [3, 32, 4],
    [7, 2080, 9],
  ])(
    "of %i rows of %i with %i outputs is that with the restored matrix, before its rounding",
    (rows, size, outputs) => {
      using _ = torch.tensorScope();
      const [packed, absmax] = torch.nf4Quantize(random(outputs, size));
      const offset = absmax.mean().item();
      const [codes, nested] = torch.dynamicQuantize(absmax, offset, 256, true);
      const x = torch.randn([rows, size]).to({ dtype });
      const bias = torch.randn([outputs]).to({ dtype });
      const both: [Tensor, Tensor | null, number][] = [
        [absmax, null, 0],
        [codes, nested, offset],
      ];
      for (const statistics of both) {
        const matrix = torch.nf4Dequantize(packed, ...statistics, [outputs, size], "float32");
        const wide = { dtype: "float64" } as const;
        for (const b of [null, bias]) {
          const expected = torch.linear(x.to(wide), matrix.to(wide), b?.to(wide));
          const ours = emulated(() => torch.nf4Linear(x, packed, ...statistics, outputs, b)).to(wide);
          expect(ours.shape).toEqual([rows, outputs]);
          const far = ours.sub(expected).abs().amax().item() / expected.abs().amax().item();
          expect(far).toBeLessThan(limit);
        }
      }
    },
  );
});

test("nine rows, and a row length that cuts across codes, are multiplied with the restored matrix", () => {
  using _ = torch.tensorScope();
  for (const [rows, size] of [
    [9, 64],
    [1, 40],
  ] as const) {
    const [packed, absmax] = torch.nf4Quantize(random(4, size));
    const x = torch.randn([rows, size]);
    const matrix = torch.nf4Dequantize(packed, absmax, null, 0, [4, size], "float32");
    const ours = emulated(() => torch.nf4Linear(x, packed, absmax, null, 0, 4));
    expect(isSame(ours, torch.linear(x, matrix))).toBe(true);
  }
});

interface Adam {
  weight: Tensor;
  codes: [Tensor, Tensor];
  scales: [Tensor, Tensor];
}

function start(count: number, dtype: DType): Adam {
  const blocks = Math.ceil(count / 256);
  return {
    weight: random(count).to({ dtype }),
    codes: [torch.full([count], 127, { dtype: "uint8" }), torch.zeros([count], { dtype: "uint8" })],
    scales: [torch.zeros([blocks]), torch.zeros([blocks])],
  };
}

/** Gradients of very different size, a block of nothing, a jump. */
function gradient(count: number, step: number, dtype: DType): Tensor {
  torch.manualSeed(100 + step);
  const sizes = torch.arange(0, count).to({ dtype: "float32" }).remainder(61).mul(-0.4).exp();
  const all = torch
    .randn([count])
    .mul(sizes)
    .mul(step === 4 ? 50 : 1);
  if (count > 600) all.narrow(0, 256, 256).zero_();
  return all.to({ dtype });
}

const arguments_ = ({ weight, codes, scales }: Adam, grad: Tensor, step: number) =>
  [
    weight,
    grad,
    codes[0],
    scales[0],
    codes[1],
    scales[1],
    torch.full([], step),
    1e-2,
    0.9,
    0.95,
    0.1,
    1e-8,
  ] as const;
const tensors = ({ weight, codes, scales }: Adam): Tensor[] => [weight, ...codes, ...scales];

describe.each([
  ["float32", "float32"],
  ["float32", "bfloat16"],
  ["bfloat16", "float32"],
  ["bfloat16", "bfloat16"],
] as [DType, DType][])("8-bit AdamW, %s weights, %s gradients", (weights, gradients) => {
  test.each([256, 1, 1024 + 300, 20_003])(
    "%i weights go as on the CPU, bit for bit, for 6 steps",
    (count) => {
      using _ = torch.tensorScope();
      const [cpu, gpu] = [start(count, weights), start(count, weights)];
      for (let step = 1; step <= 6; step++) {
        const grad = gradient(count, step, gradients);
        torch.adamw8bit_(...arguments_(cpu, grad, step));
        emulated(() => torch.adamw8bit_(...arguments_(gpu, grad, step)));
        for (const [i, tensor] of tensors(gpu).entries())
          expect(isSame(tensor, tensors(cpu)[i]!), `step ${step}, tensor ${i}`).toBe(true);
      }
    },
  );

  test("the chain of libtorch's operators, for when kernels cannot be compiled, does the same but for last places", () => {
    using _ = torch.tensorScope();
    const [kernel, chain] = [start(1000, weights), start(1000, weights)];
    for (let step = 1; step <= 4; step++) {
      const grad = gradient(1000, step, gradients);
      torch.adamw8bit_(...arguments_(kernel, grad, step));
      torch.callOperator("camelid::adamw_8bit_chain", ...arguments_(chain, grad, step), null);
    }
    const far = chain.weight
      .to({ dtype: "float64" })
      .sub(kernel.weight.to({ dtype: "float64" }))
      .abs()
      .amax()
      .item();
    expect(far).toBeLessThan(weights === "float32" ? 2e-6 : 2 ** -7);
    for (const i of [0, 1] as const) {
      const others = chain.codes[i].ne(kernel.codes[i]).sum().item();
      expect(others).toBeLessThan(10); // of 1,000: a last place of a moment decides between two codes now and then
      expect(chain.scales[i].allclose(kernel.scales[i], 1e-5)).toBeTruthy();
    }
  });

  test("a gradient that is not finite changes nothing", () => {
    using _ = torch.tensorScope();
    const grad = torch.full([700], Number.NaN, { dtype: gradients });
    const before = start(700, weights);
    const ways: ((adam: Adam) => void)[] = [
      (adam) => torch.adamw8bit_(...arguments_(adam, grad, 1), torch.ones([])),
      (adam) => emulated(() => torch.adamw8bit_(...arguments_(adam, grad, 1), torch.ones([]))),
      (adam) => torch.callOperator("camelid::adamw_8bit_chain", ...arguments_(adam, grad, 1), torch.ones([])),
    ];
    for (const way of ways) {
      const adam = start(700, weights);
      way(adam);
      for (const [i, tensor] of tensors(adam).entries()) expect(tensor.equal(tensors(before)[i]!)).toBe(true);
    }
  });
});

test("the code of every border between two 8-bit codes, and of its neighbours, is the CPU's", () => {
  using _ = torch.tensorScope();
  for (const isSigned of [true, false]) {
    const map = torch.dynamicMap(isSigned).toArray();
    // Moments of a first step are the gradient (its square) up to a factor that cancels against the block's largest.
    const middles = map.slice(1).map((value, i) => (value + map[i]!) / 2);
    const around = middles.flatMap((x) => [x, x * (1 + 1e-7), x * (1 - 1e-7)]);
    const values = isSigned ? around : around.map(Math.sqrt);
    const blocks: number[] = [];
    for (let i = 0; i < values.length; i += 255) {
      const block = values.slice(i, i + 255);
      blocks.push(...block, ...Array(255 - block.length).fill(0), 1);
    }
    const grad = torch.tensor(blocks);
    const [cpu, gpu] = [start(blocks.length, "float32"), start(blocks.length, "float32")];
    torch.adamw8bit_(...arguments_(cpu, grad, 1));
    emulated(() => torch.adamw8bit_(...arguments_(gpu, grad, 1)));
    for (const [i, tensor] of tensors(gpu).entries()) expect(isSame(tensor, tensors(cpu)[i]!)).toBe(true);
  }
});
