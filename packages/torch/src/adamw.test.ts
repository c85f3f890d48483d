/** AdamW's kernel over lists of tensors; its numbers against PyTorch's are in tests/parity/optim.test.ts. */
import { afterEach, expect, test } from "vitest";
import type { Tensor } from "./index.js";
import * as torch from "./index.js";

torch.setNumThreads(1);
afterEach(() => torch.setNumThreads(1));

/** Two sizes that end inside a block, and one that has several. */
const SIZES = [7, 16_385, 40_000];

interface Lists {
  weights: Tensor[];
  gradients: Tensor[];
  means: Tensor[];
  squares: Tensor[];
  rounded: Tensor[];
  steps: Tensor[];
}

function lists(dtype: torch.DType, gradientDtype: torch.DType): Lists {
  torch.manualSeed(1);
  const random = (to: torch.DType) => SIZES.map((size) => torch.randn([size]).to({ dtype: to }));
  return {
    weights: random(dtype),
    gradients: random("bfloat16").map((gradient) => gradient.to({ dtype: gradientDtype })),
    means: random(dtype),
    squares: random(dtype).map((square) => square.pow(2)),
    rounded: random("bfloat16"),
    steps: SIZES.map((_, i) => torch.full([], i + 1)),
  };
}

function update({ weights, gradients, means, squares, rounded, steps }: Lists, clip?: Tensor): number[][] {
  torch.adamw_(weights, gradients, means, squares, rounded, steps, clip, 0.1, 0.9, 0.95, 0.01, 1e-8);
  return [weights, means, squares].map((list) => list.flatMap((tensor) => tensor.toArray() as number[]));
}

test("bf16 gradients of fp32 weights give what the same gradients in fp32 do, and the rounded weights lie beside them", () => {
  using _ = torch.tensorScope();
  const narrow = lists("float32", "bfloat16");
  expect(update(narrow)).toEqual(update(lists("float32", "float32")));
  narrow.rounded.forEach((tensor, i) => {
    expect(tensor.toArray()).toEqual(narrow.weights[i]!.to({ dtype: "bfloat16" }).toArray());
  });
});

test("a clip factor scales gradients as they are read, and leaves them as they are", () => {
  using _ = torch.tensorScope();
  const clipped = lists("float32", "float32");
  const before = clipped.gradients.map((gradient) => gradient.toArray());
  const scaled = lists("float32", "float32");
  scaled.gradients = scaled.gradients.map((gradient) => gradient.mul(0.25));
  expect(update(clipped, torch.full([], 0.25))).toEqual(update(scaled));
  expect(clipped.gradients.map((gradient) => gradient.toArray())).toEqual(before);
});

test("threads change no bit of weights, moments and norm", () => {
  using _ = torch.tensorScope();
  const run = (threads: number) => {
    torch.setNumThreads(threads);
    const given = { ...lists("bfloat16", "bfloat16"), rounded: [] };
    return [torch.gradientNorm(given.gradients).item(), update(given)];
  };
  expect(run(3)).toEqual(run(1));
});

test("the norm of a list is that of all its numbers in one", () => {
  using _ = torch.tensorScope();
  torch.manualSeed(2);
  for (const dtype of ["float32", "bfloat16"] as const) {
    const tensors = SIZES.map((size) => torch.randn([size]).to({ dtype }));
    const expected = torch.cat(tensors).to({ dtype: "float64" }).norm().item();
    expect(torch.gradientNorm(tensors).item() / expected).toBeCloseTo(1, 6);
  }
  expect(torch.gradientNorm([]).item()).toBe(0);
  expect(torch.gradientNorm([torch.full([3], Number.NaN)]).item()).toBeNaN();
});

test("lists that do not fit together are errors", () => {
  using _ = torch.tensorScope();
  const given = lists("float32", "float32");
  expect(() => update({ ...given, means: given.means.slice(1) })).toThrow(/different lengths/);
  expect(() => update({ ...given, gradients: [...given.gradients].reverse() })).toThrow(/of one shape/);
  expect(() => update({ ...given, rounded: given.weights })).toThrow(/must be bf16/);
});
