/** The native kernels against the plain reference, bit for bit. */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { afterEach, describe, expect, test } from "vitest";
import { dequantizeNf4, dynamicMap, quantizeDynamic, quantizeNf4 as reference } from "./nf4-reference.js";
import { quantizeNf4 } from "./nf4-weight.js";

const DTYPES: DType[] = ["float32", "bfloat16", "float16"];
afterEach(() => torch.setNumThreads(1));

const random = (...shape: number[]): Tensor => {
  torch.manualSeed(5);
  return torch.randn(shape).mul(0.05);
};
const withOutlier = (): Tensor => {
  const x = random(20, 100);
  x.narrow(0, 3, 1).fill_(9);
  return x;
};
/** Every midpoint between two codes and its neighbours, for a block maximum of 1. */
const ties = (): Tensor => {
  const codes = [-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635];
  codes.push(-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725);
  codes.push(0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941);
  codes.push(0.7229568362236023, 1);
  const row = codes.slice(1).flatMap((code, i) => {
    const middle = Math.fround((codes[i]! + code) / 2);
    const bits = new Uint32Array(Float32Array.of(middle).buffer)[0]!;
    return [middle, ...new Float32Array(Uint32Array.of(bits - 1, bits + 1).buffer)];
  });
  return torch.tensor([[...row, ...new Array<number>(19).fill(1)]]);
};

const MATRICES: [string, () => Tensor][] = [
  ["random", () => random(96, 256)],
  ["rows that are no multiple of a block", () => random(7, 29)],
  ["an odd count", () => random(5, 13)],
  ["one value", () => torch.tensor([[-0.3]])],
  ["more than a block of maxima, cut short", () => random(311, 64)],
  ["outliers", withOutlier],
  ["a constant", () => torch.full([3, 64], -0.25)],
  ["zeros", () => torch.zeros([2, 65])],
  ["a block of zeros among others", () => torch.cat([random(2, 64), torch.zeros([1, 64]), random(1, 64)])],
  ["values half-way between codes", ties],
  ["numbers too small for a reciprocal", () => torch.full([1, 64], 1e-39)],
];

describe.each(MATRICES)("%s", (_name, make) => {
  test.each(DTYPES)("%s: codes, statistics and restored values are the reference's", (dtype) => {
    using _ = torch.tensorScope();
    const source = make().to({ dtype });
    const values = Float32Array.from(source.to({ dtype: "float32" }).toArray());
    for (const throughFp16 of [false, true]) {
      const expected = reference(values, source.shape, { throughFp16 });
      using weight = quantizeNf4(source, { doubleQuant: true, throughFp16 }, "w");
      expect(weight.packed.shape).toEqual([Math.ceil(values.length / 2), 1]);
      expect(weight.packed.toTypedArray()).toEqual(expected.packed);
      expect(weight.absmax.toTypedArray()).toEqual(expected.absmaxCodes);
      expect(weight.nested!.absmax.toTypedArray()).toEqual(expected.nestedAbsmax);
      expect(weight.nested!.offset).toBe(expected.offset);
      const restored = dequantizeNf4(expected);
      expect(weight.dequantize("float32").toTypedArray()).toEqual(restored);
      for (const rounded of DTYPES) {
        const once = torch.tensor(restored).view(source.shape).to({ dtype: rounded });
        expect(weight.dequantize(rounded).equal(once)).toBe(true);
      }
    }
  });

  test("without double quantisation the maxima are exact", () => {
    using _ = torch.tensorScope();
    const source = make();
    using weight = quantizeNf4(source, { doubleQuant: false, throughFp16: false }, "w");
    const flat = source.view([-1]).toArray().map(Math.abs);
    const maxima = Array.from(weight.absmax.toArray(), (_, block) =>
      Math.max(...flat.slice(block * 64, (block + 1) * 64)),
    );
    expect(weight.absmax.toArray()).toEqual(maxima);
    using codes = quantizeNf4(source, { doubleQuant: true, throughFp16: false }, "w");
    expect(weight.packed.equal(codes.packed)).toBe(true);
  });
});

test.each(MATRICES)(
  "the chains of operators that other devices run give the same bits: %s",
  (_name, make) => {
    using _ = torch.tensorScope();
    const [float, bfloat] = [6, 15]; // libtorch's numbers of dtypes
    for (const throughFp16 of [false, true]) {
      const source = make();
      const [packed, absmax] = torch.callOperator("camelid::nf4_quantize_chain", source, throughFp16) as [
        Tensor,
        Tensor,
      ];
      using weight = quantizeNf4(source, { doubleQuant: false, throughFp16 }, "w");
      expect(packed.equal(weight.packed)).toBe(true);
      expect(absmax.equal(weight.absmax)).toBe(true);
      using nested = quantizeNf4(source, { doubleQuant: true, throughFp16 }, "w");
      for (const [dtype, number] of [
        ["float32", float],
        ["bfloat16", bfloat],
      ] as const) {
        const restore = (...statistics: (Tensor | number | null)[]): unknown =>
          torch.callOperator("camelid::nf4_dequantize_chain", packed, ...statistics, source.shape, number);
        expect((restore(absmax, null, 0) as Tensor).equal(weight.dequantize(dtype))).toBe(true);
        const { absmax: codes, nested: second } = nested;
        expect(
          (restore(codes, second!.absmax, second!.offset) as Tensor).equal(nested.dequantize(dtype)),
        ).toBe(true);
      }
    }
  },
);

/** A row of blocks for each maximum 1 ... 2 in bf16: every value that is not too small for another code than zero's. */
const everyBf16 = (scale: number): Tensor => {
  const words = Array.from({ length: 128 }, (_, digits) => {
    const maximum = 0x3f80 + digits;
    const values = Array.from(
      { length: 2 * 1008 },
      (_, i) => maximum - (i >> 1) - 8 * (i >> 10) + ((i & 1) << 15),
    );
    return Array.from({ length: 32 }, (_, block) => [maximum, ...values.slice(63 * block, 63 * block + 63)]);
  });
  const bits = Uint32Array.from(words.flat(2), (word) => word << 16);
  const values = torch.tensor(new Float32Array(bits.buffer)).view([128, 2048]);
  return values.mul(scale).to({ dtype: "bfloat16" });
};

test.each([
  ["1", 1],
  ["2^-9", 2 ** -9],
  ["2^-10, which fp16 rounds", 2 ** -10],
  ["2^-20", 2 ** -20],
  ["2^15", 2 ** 15],
])("every bf16 value beside every maximum, scaled by %s, has the reference's code", (_name, scale) => {
  using _ = torch.tensorScope();
  const source = everyBf16(scale);
  const values = Float32Array.from(source.to({ dtype: "float32" }).toArray());
  for (const throughFp16 of [false, true]) {
    const expected = reference(values, source.shape, { throughFp16 });
    const [packed] = torch.nf4Quantize(source, throughFp16);
    expect(packed.toTypedArray()).toEqual(expected.packed);
  }
});

test("threads and results that go past the caches change nothing", () => {
  using _ = torch.tensorScope();
  const source = random(1500, 4096); // 24 MB in fp32
  const run = (threads: number): [Tensor, Tensor, Tensor] => {
    torch.setNumThreads(threads);
    using weight = quantizeNf4(source, { doubleQuant: true, throughFp16: false }, "w");
    return [weight.packed.clone(), weight.dequantize("float32"), weight.dequantize("bfloat16")];
  };
  const [one, two] = [run(1), run(2)];
  for (const [i, tensor] of one.entries()) expect(tensor.equal(two[i]!)).toBe(true);
  // A few rows alone are written through the caches.
  using part = quantizeNf4(source.narrow(0, 0, 64), { doubleQuant: false, throughFp16: false }, "w");
  using whole = quantizeNf4(source, { doubleQuant: false, throughFp16: false }, "w");
  expect(whole.dequantize("float32").narrow(0, 0, 64).equal(part.dequantize("float32"))).toBe(true);
});

test("the 8-bit code takes the nearest entry, signed and unsigned", () => {
  using _ = torch.tensorScope();
  torch.manualSeed(9);
  for (const signed of [true, false]) {
    const map = dynamicMap(signed);
    expect(torch.dynamicMap(signed).toTypedArray()).toEqual(map);
    // Magnitudes over ten decades, every entry, and both neighbours of every midpoint.
    const spread = torch.randn([4096]).mul(4).exp().mul(1e-6).clamp(0, 1).toArray();
    const near = Array.from(map.subarray(1), (value, i) => Math.fround((value + map[i]!) / 2));
    const around = near.flatMap((value) => [value, Math.fround(value * (1 + 1e-7)), value * (1 - 1e-7)]);
    const all = [...spread, ...map, ...around].map((value, i) => (signed && i % 2 === 1 ? -value : value));
    const values = Float32Array.from(all.map((value) => (signed ? value : Math.abs(value))));
    for (let i = 0; i < values.length; i += 256) values[i] = 1;
    const expected = quantizeDynamic(values, map);
    const [codes, absmax] = torch.dynamicQuantize(torch.tensor(values), 0, 256, signed);
    expect(codes.toTypedArray()).toEqual(expected.codes);
    expect(absmax.toTypedArray()).toEqual(expected.absmax);
  }
});

test("values that are no finite numbers are refused by the tensor's name", () => {
  using _ = torch.tensorScope();
  const settings = { doubleQuant: true, throughFp16: false };
  const bad = (value: number): Tensor => {
    const x = random(3, 64);
    x.narrow(0, 1, 1).narrow(1, 7, 1).fill_(value);
    return x;
  };
  expect(() => quantizeNf4(bad(Number.NaN), settings, "q_proj.weight")).toThrow(/not a number/);
  expect(() => quantizeNf4(bad(-Number.POSITIVE_INFINITY), settings, "w")).toThrow(/infinite/);
  expect(() => quantizeNf4(bad(70_000), { ...settings, throughFp16: true }, "w")).toThrow(/infinite/);
  quantizeNf4(bad(70_000), settings, "w")[Symbol.dispose]();
});

test("statistics of another matrix are refused", () => {
  using _ = torch.tensorScope();
  const [packed, absmax] = torch.nf4Quantize(random(4, 64));
  expect(() => torch.nf4Dequantize(packed, absmax, null, 0, [5, 64], "float32")).toThrow(/160 bytes/);
  expect(() => torch.nf4Dequantize(packed, absmax.narrow(0, 0, 3), null, 0, [4, 64], "float32")).toThrow(
    /4 block/,
  );
});
