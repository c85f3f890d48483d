/**
 * One call of every operator in the table, by hand where the answer is obvious and else against what PyTorch answers
 * (fixtures/operators.py). Broadcasting, dtypes, overloads, defaults, tuples and in-place forms among them.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FUNCTIONS, METHODS } from "./codegen/op-table.js";
import { expectClose } from "./fixtures/expect-close.js";
import { OPERATORS } from "./generated/operators.js";
import * as torch from "./index.js";
import { Tensor } from "./index.js";
import { native } from "./native.js";

type Stored = { dtype: string; shape: number[]; values: (number | string)[] } | boolean | Stored[];
const stored = JSON.parse(
  readFileSync(new URL("fixtures/operators.json", import.meta.url), "utf8"),
) as Record<string, Stored>;

const T = torch.tensor;
const a = T([
  [0.5, -1.25, 2],
  [3, -0.75, 0.25],
]);
const b = T([
  [1.5, 0.5, -2],
  [-1, 2, 4],
]);
const p = T([
  [0.5, 1.25, 2],
  [3, 0.75, 0.25],
]);
const row = T([1, 2, 3]);
const i = T(
  [
    [5, -7, 3],
    [8, 2, -4],
  ],
  { dtype: "int64" },
);
const j = T(
  [
    [2, 3, 2],
    [3, 5, 3],
  ],
  { dtype: "int64" },
);
const mask = T([
  [true, false, true],
  [false, false, true],
]);
const batch = torch.arange(0, 12, 1, { dtype: "float32" }).div(10).view([2, 2, 3]);
const idx = T([1, 0], { dtype: "int64" });
const idx2 = T(
  [
    [0, 2, 1],
    [1, 0, 2],
  ],
  { dtype: "int64" },
);
const zeros = () => torch.zeros([2, 3]);
const seeded = <R>(body: () => R): R => {
  torch.manualSeed(7);
  return body();
};

const calls: Record<string, () => unknown> = {
  add: () => a.add(b, { alpha: 2 }),
  "add:number": () => a.add(1.5),
  "add:broadcast": () => a.add(row),
  add_: () => a.clone().add_(b),
  "add:int": () => i.add(2),
  "add:int-float": () => i.add(1.5),
  "add:bf16": () => a.to({ dtype: "bfloat16" }).add(b.to({ dtype: "bfloat16" })),
  "add:bf16-fp32": () => a.to({ dtype: "bfloat16" }).add(b),
  "add:fp16": () => a.to({ dtype: "float16" }).add(b.to({ dtype: "float16" })),
  "add:fp64": () => a.to({ dtype: "float64" }).add(b.to({ dtype: "float64" })),
  "add:bool": () => mask.add(mask),
  "add:int8": () => i.to({ dtype: "int8" }).add(j.to({ dtype: "int8" })),
  "add:uint8-wraps": () => j.to({ dtype: "uint8" }).add(254),
  "add:int16": () => i.to({ dtype: "int16" }).add(j.to({ dtype: "int16" })),
  "add:int32": () => i.to({ dtype: "int32" }).add(j.to({ dtype: "int32" })),
  "add:int32-int64": () => i.to({ dtype: "int32" }).add(j),
  sub: () => a.sub(b),
  sub_: () => a.clone().sub_(b),
  mul: () => a.mul(row),
  mul_: () => a.clone().mul_(2),
  div: () => a.div(b),
  "div:ints": () => i.div(j),
  div_: () => a.clone().div_(4),
  remainder: () => i.remainder(j),
  "remainder:number": () => a.remainder(0.75),
  pow: () => p.pow(b),
  "pow:number": () => a.pow(2),
  neg: () => a.neg(),
  abs: () => a.abs(),
  sign: () => a.sign(),
  exp: () => a.exp(),
  log: () => p.log(),
  log1p: () => p.log1p(),
  sqrt: () => p.sqrt(),
  rsqrt: () => p.rsqrt(),
  reciprocal: () => a.reciprocal(),
  sin: () => a.sin(),
  cos: () => a.cos(),
  tanh: () => a.tanh(),
  sigmoid: () => a.sigmoid(),
  floor: () => a.floor(),
  round: () => T([0.5, 1.5, 2.5, -0.5]).round(),
  clamp: () => a.clamp(-1, 1),
  "clamp:max": () => a.clamp(null, 0.25),
  clamp_: () => a.clone().clamp_(0),
  lerp_: () => a.clone().lerp_(b, 0.25),
  "lerp_:tensor": () => a.clone().lerp_(b, p),
  addcmul_: () => a.clone().addcmul_(b, p, { value: 0.5 }),
  addcdiv_: () => a.clone().addcdiv_(b, p, { value: -1 }),
  eq: () => i.eq(j),
  "eq:number": () => i.eq(3),
  ne: () => i.ne(j),
  lt: () => a.lt(b),
  le: () => a.le(0.5),
  gt: () => a.gt(b),
  ge: () => i.ge(3),
  maximum: () => a.maximum(b),
  minimum: () => a.minimum(b),
  logicalNot: () => mask.logicalNot(),
  logicalAnd: () => mask.logicalAnd(i.gt(0)),
  logicalOr: () => mask.logicalOr(i.gt(0)),
  bitwiseAnd: () => i.bitwiseAnd(j),
  isnan: () => T([1, Number.NaN]).isnan(),
  isfinite: () => T([1, Number.POSITIVE_INFINITY]).isfinite(),
  equal: () => a.equal(a.clone()),
  "equal:not": () => a.equal(b),
  allclose: () => a.allclose(a.add(1e-9)),
  sum: () => a.sum(),
  "sum:dims": () => batch.sum([0, 2], true),
  "sum:bf16-in-fp32": () => a.to({ dtype: "bfloat16" }).sum([0], false, { dtype: "float32" }),
  "sum:bool": () => mask.sum(),
  mean: () => a.mean([1]),
  prod: () => a.prod(),
  var: () => a.var([0]),
  std: () => a.std([1], { correction: 0 }),
  amax: () => a.amax([1]),
  amin: () => batch.amin([0, 1]),
  argmax: () => a.argmax(),
  "argmax:dim": () => a.argmax(1, true),
  argmin: () => a.argmin(0),
  any: () => mask.any(),
  all: () => mask.all(),
  cumsum: () => i.cumsum(1),
  logsumexp: () => a.logsumexp([1]),
  softmax: () => a.softmax(-1),
  "softmax:bf16-in-fp32": () => a.to({ dtype: "bfloat16" }).softmax(-1, "float32"),
  logSoftmax: () => a.logSoftmax(0),
  topk: () => a.topk(2),
  sort: () => a.sort(1, true),
  argsort: () => a.argsort(),
  multinomial: () => seeded(() => p.multinomial(2)),
  norm: () => a.norm(),
  "norm:dims": () => a.norm(1, [1]),
  matmul: () => a.matmul(b.t()),
  "matmul:batch": () => batch.matmul(b.t()),
  mm: () => a.mm(b.t()),
  addmm_: () => torch.ones([2, 2]).addmm_(a, b.t(), { beta: 0.5, alpha: 2 }),
  bmm: () => batch.bmm(batch.transpose(1, 2)),
  view: () => a.view([3, 2]),
  reshape: () => a.t().reshape([6]),
  flatten: () => batch.flatten(1),
  unflatten: () => a.flatten().unflatten(0, [3, 2]),
  permute: () => batch.permute([2, 0, 1]),
  transpose: () => batch.transpose(0, 2),
  t: () => a.t(),
  contiguous: () => a.t().contiguous(),
  expand: () => row.expand([2, 3]),
  expandAs: () => row.expandAs(a),
  repeat: () => row.repeat([2, 2]),
  repeatInterleave: () => row.repeatInterleave(2),
  squeeze: () => row.view([1, 3]).squeeze(0),
  unsqueeze: () => row.unsqueeze(1),
  narrow: () => a.narrow(1, 1, 2),
  slice: () => batch.slice(2, 0, 3, 2),
  select: () => a.select(0, 1),
  split: () => a.split([1, 2], 1),
  chunk: () => batch.chunk(2, 1),
  unbind: () => a.unbind(),
  gather: () => a.gather(1, idx2),
  indexSelect: () => a.indexSelect(0, idx),
  index: () => batch.index([idx, null, idx]),
  indexCopy_: () => zeros().indexCopy_(0, idx, a),
  indexAdd_: () => a.clone().indexAdd_(0, idx, b, { alpha: 2 }),
  scatter_: () => zeros().scatter_(1, idx2, a),
  "scatter_:number": () => zeros().scatter_(1, idx.view([2, 1]), 9),
  scatterAdd_: () => a.clone().scatterAdd_(1, idx2, b),
  maskedFill: () => a.maskedFill(mask, -1),
  maskedFill_: () => a.clone().maskedFill_(mask, T(7)),
  maskedSelect: () => a.maskedSelect(mask),
  nonzero: () => mask.nonzero(),
  tril: () => a.tril(),
  triu: () => a.triu(1),
  flip: () => a.flip([1]),
  roll: () => a.roll([1], [1]),
  to: () => a.to({ dtype: "int32" }),
  "to:bf16": () => T([1.00390625, 1.01171875, 3.4e38, -0.1]).to({ dtype: "bfloat16" }),
  "to:fp16": () => T([1e-8, 65504, 70000]).to({ dtype: "float16" }),
  clone: () => a.clone(),
  detach: () => a.detach(),
  copy_: () => torch.zeros([2, 3], { dtype: "int32" }).copy_(a),
  fill_: () => a.clone().fill_(3),
  zero_: () => a.clone().zero_(),
  normal_: () => seeded(() => torch.zeros([5]).normal_(1, 2)),
  uniform_: () => seeded(() => torch.zeros([5]).uniform_(-1, 1)),
  bernoulli_: () => seeded(() => torch.zeros([9]).bernoulli_(0.3)),
  exponential_: () => seeded(() => torch.zeros([5]).exponential_(2)),
  empty: () => torch.empty([0, 3]),
  zeros: () => torch.zeros([2, 1], { dtype: "bfloat16" }),
  ones: () => torch.ones([2]),
  full: () => torch.full([2], 1),
  "full:int": () => torch.full([2], 7, { dtype: "int64" }),
  zerosLike: () => torch.zerosLike(i),
  onesLike: () => torch.onesLike(a, { dtype: "bool" }),
  emptyLike: () => torch.emptyLike(torch.empty([0, 2], { dtype: "int8" })),
  fullLike: () => torch.fullLike(a, 2),
  arange: () => torch.arange(1, 9, 3),
  "arange:floats": () => torch.arange(0, 1, 0.25),
  eye: () => torch.eye(2),
  rand: () => seeded(() => torch.rand([3])),
  randn: () => seeded(() => torch.randn([3])),
  randint: () => seeded(() => torch.randint(-5, 5, [4])),
  randperm: () => seeded(() => torch.randperm(6)),
  cat: () => torch.cat([a, b], 1),
  stack: () => torch.stack([a, b]),
  where: () => torch.where(mask, a, b),
  "where:number": () => torch.where(mask, a, 0.5),
  einsum: () => torch.einsum("ij,kj->ik", [a, b]),
  outer: () => torch.outer(row, idx.to({ dtype: "float32" })),
  linear: () => torch.linear(a, b, T([1, -1])),
  embedding: () => torch.embedding(batch.flatten(0, 1), idx2),
  dropout: () => seeded(() => torch.dropout(torch.ones([8]), 0.5, true)),
  relu: () => torch.relu(a),
  silu: () => torch.silu(a),
  gelu: () => torch.gelu(a),
  "gelu:tanh": () => torch.gelu(a, { approximate: "tanh" }),
  softplus: () => torch.softplus(a),
  logSigmoid: () => torch.logSigmoid(T([-100, 0, 2])),
  rmsNorm: () => torch.rmsNorm(a, [3], row, 1e-5),
  layerNorm: () => torch.layerNorm(a, [3], row, T([0, 1, 0]), 1e-5),
  crossEntropyLoss: () => torch.crossEntropyLoss(a, T([2, -100], { dtype: "int64" })),
  nllLoss: () => torch.nllLoss(a.logSoftmax(1), T([0, 1], { dtype: "int64" }), null, 0),
  mseLoss: () => torch.mseLoss(a, b),
  scaledDotProductAttention: () => torch.scaledDotProductAttention(batch, batch, batch, null, 0, true),
  "scaledDotProductAttention:gqa": () =>
    torch.scaledDotProductAttention(
      batch.view([1, 2, 2, 3]),
      batch.narrow(0, 0, 1).view([1, 1, 2, 3]),
      batch.narrow(0, 1, 1).view([1, 1, 2, 3]),
      null,
      0,
      false,
      { scale: 0.5, enableGqa: true },
    ),
  fusedAdamw_: () => {
    const [weight, average, square] = [a.clone(), zeros(), zeros()];
    const settings = {
      lr: 0.1,
      beta1: 0.9,
      beta2: 0.99,
      weightDecay: 0.01,
      eps: 1e-8,
      amsgrad: false,
      maximize: false,
    };
    torch.fusedAdamw_([weight], [b], [average], [square], [], [T(1)], settings);
    return [weight, average, square];
  },
  foreachNorm: () => torch.foreachNorm([a, b]),
  foreachMul_: () => {
    const tensors = [a.clone(), b.clone()];
    torch.foreachMul_(tensors, T(0.5));
    return tensors;
  },
};

function expectStored(actual: unknown, expected: Stored): void {
  if (Array.isArray(expected)) {
    expect(Array.isArray(actual) && actual.length).toBe(expected.length);
    expected.forEach((item, k) => {
      expectStored((actual as unknown[])[k], item);
    });
    return;
  }
  if (typeof expected === "boolean") {
    expect(actual).toBe(expected);
    return;
  }
  const result = actual as Tensor;
  expect(result.dtype).toBe(expected.dtype);
  expect([...result.shape]).toEqual(expected.shape);
  const numbers = expected.values.map((value) =>
    value === "inf" ? Number.POSITIVE_INFINITY : Number(value),
  );
  const exact = expected.dtype !== "float32" && expected.dtype !== "float64";
  expectClose(result, numbers, exact ? { relative: 0, absolute: 0 } : { relative: 2e-6, absolute: 1e-7 });
}

describe("every operator answers as PyTorch does", () => {
  test.each(Object.keys(stored))("%s", (name) => {
    torch.tensorScope(() => expectStored(calls[name]!(), stored[name]!));
  });
});

test("no line of the table is left out here, and none is missing in libtorch", () => {
  // Kernels of our own (camelid::) have no twin in PyTorch; their values are tested beside them.
  const table = [...METHODS, ...FUNCTIONS]
    .filter(({ overloads }) => !overloads[0]!.startsWith("camelid::"))
    .map(({ name }) => name);
  const called = new Set(Object.keys(calls).map((key) => key.split(":")[0]!));
  expect(table.filter((name) => !called.has(name))).toEqual([]);
  expect(Object.keys(calls).filter((key) => !(key in stored))).toEqual([]);
  for (const { name } of METHODS) expect(Tensor.prototype, name).toHaveProperty(name);
  for (const { name } of FUNCTIONS) expect(torch, name).toHaveProperty(name);
  expect(OPERATORS.filter((name) => native.schemaOf(name) === null)).toEqual([]);
});

describe("by hand", () => {
  test("broadcasting a column over a row makes a matrix", () => {
    using sum = T([[10], [20]]).add(T([1, 2, 3]));
    expect(sum.shape).toEqual([2, 3]);
    expect(sum.toArray()).toEqual([11, 12, 13, 21, 22, 23]);
  });

  test("in-place forms change and return the tensor itself, views included", () => {
    using x = T([1, 2, 3]);
    using tail = x.narrow(0, 1, 2);
    expect(tail.mul_(10)).toBe(tail);
    expect(x.toArray()).toEqual([1, 20, 30]);
  });

  test("bfloat16 rounds to nearest even: 1 + 2^-8 falls to 1, 1 + 3 * 2^-8 rises to 1 + 2^-6", () => {
    using rounded = T([1 + 2 ** -8, 1 + 3 * 2 ** -8], { dtype: "bfloat16" });
    expect(rounded.toArray()).toEqual([1, 1 + 2 ** -6]);
  });

  test("int64 keeps what float64 cannot hold, and float64 what float32 cannot", () => {
    using big = T(new BigInt64Array([2n ** 62n + 1n]));
    expect(big.toTypedArray()).toEqual(new BigInt64Array([2n ** 62n + 1n]));
    expect(T(0.1, { dtype: "float64" }).item()).toBe(0.1);
    expect(T([16777217], { dtype: "int64" }).item()).toBe(16777217);
  });

  test("minus zero stays minus zero", () => {
    expect(1 / T([1]).mul(-0).item()).toBe(Number.NEGATIVE_INFINITY);
  });

  test("shapes, dtypes and reads of every dtype come back as they went in", () => {
    for (const dtype of [
      "float32",
      "float64",
      "bfloat16",
      "float16",
      "int64",
      "int32",
      "int16",
      "int8",
      "uint8",
    ] as const) {
      using x = T(
        [
          [1, 0],
          [2, 3],
        ],
        { dtype },
      );
      expect(x.dtype).toBe(dtype);
      expect(x.shape).toEqual([2, 2]);
      expect(x.toArray()).toEqual([1, 0, 2, 3]);
      expect(x.t().toArray()).toEqual([1, 2, 0, 3]);
      expect(x.sizeBytes).toBe(4 * torch.elementSize(dtype));
    }
    expect(mask.toArray()).toEqual([1, 0, 1, 0, 0, 1]);
  });

  test("bytes make a tensor, from memory shared between threads too", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(16), 4, 8);
    shared.set(new Uint8Array(new Float32Array([1.5, -2]).buffer));
    expect(torch.fromBytes(shared, [2], "float32").toArray()).toEqual([1.5, -2]);
    expect(torch.fromBytes(shared, [2], "float32").toBytes()).toEqual(new Uint8Array(shared));
  });
});

describe("callOperator reaches what the table leaves out", () => {
  test("several results, defaults, and strings of any length", () => {
    const [values, indices] = torch.callOperator("aten::cummax", T([1, 3, 2]), 0) as [Tensor, Tensor];
    expect(values.toArray()).toEqual([1, 3, 3]);
    expect(indices.toArray()).toEqual([0, 1, 1]);
    const padding = " ".repeat(300);
    const product = torch.callOperator("aten::einsum", `i${padding},i->`, [row, row]) as Tensor;
    expect(product.item()).toBe(14);
  });

  test("an in-place operator returns its tensor, an out operator its out tensor", () => {
    const x = T([-1, 2]);
    expect(torch.callOperator("aten::relu_", x)).toBe(x);
    const out = T([0, 0]);
    expect(torch.callOperator("aten::add.out", x, row.narrow(0, 0, 2), 1, out)).toBe(out);
    expect(out.toArray()).toEqual([1, 4]);
    expect(x.toArray()).toEqual([0, 2]);
  });

  test("numbers and booleans come back as such", () => {
    expect(torch.callOperator("aten::is_nonzero", T([3]))).toBe(true);
    expect(torch.callOperator("aten::item", T([2.5]))).toBe(2.5);
  });
});
