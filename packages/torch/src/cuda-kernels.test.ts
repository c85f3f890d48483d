/**
 * CUDA kernels without a GPU: the same sources, compiled by g++ and run on the CPU thread by thread (fixtures/cuda-emulator.cc), started
 * by the same code that starts them on a GPU, against the CPU kernels. And NVRTC, where there is one, compiles them for GPUs.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { emulated, installEmulator, type ThreadOrder } from "./fixtures/emulate-cuda.js";
import type { DType, Tensor } from "./index.js";
import * as torch from "./index.js";

beforeAll(() => {
  torch.setNumThreads(1);
  installEmulator();
});

type Formula = (...inputs: Tensor[]) => Tensor;

/** Output and gradients of every input, for one upstream gradient. */
function evaluate(formula: Formula, inputs: readonly Tensor[]): Tensor[] {
  const leaves = inputs.map((input) => {
    const leaf = input.detach().clone();
    leaf.requiresGrad = true;
    return leaf;
  });
  const output = formula(...leaves);
  torch.manualSeed(7);
  output.backward(torch.randn(output.shape).to({ dtype: output.dtype }));
  return [output.detach(), ...leaves.map((leaf) => leaf.grad!)];
}

/** Largest difference relative to the reference's largest magnitude. */
function distance(ours: Tensor, reference: Tensor): number {
  const [a, b] = [ours, reference].map((x) => x.to({ dtype: "float64" })) as [Tensor, Tensor];
  expect(ours.shape).toEqual(reference.shape);
  expect(ours.dtype).toBe(reference.dtype);
  return a.sub(b).abs().amax().item() / (b.abs().amax().item() + 1e-30);
}

/** fp32 to its rounding; elsewhere one last place of the largest value. */
const TOLERANCE: Record<string, number> = { float32: 2e-6, bfloat16: 2 ** -7, float16: 2 ** -10 };
const DTYPES: DType[] = ["float32", "bfloat16", "float16"];
/** The CPU has no kernels for fp16: its reference is fp32 arithmetic on the same numbers, rounded. */
const onCpu = (formula: Formula, inputs: readonly Tensor[], dtype: DType): Tensor[] =>
  dtype === "float16"
    ? evaluate(
        formula,
        inputs.map((x) => x.to({ dtype: "float32" })),
      ).map((x) => x.to({ dtype }))
    : evaluate(formula, inputs);

function expectSame(formula: Formula, inputs: readonly Tensor[], dtype: DType): void {
  using _ = torch.tensorScope();
  const typed = inputs.map((input) => input.to({ dtype }));
  const expected = onCpu(formula, typed, dtype);
  const ours = emulated(() => evaluate(formula, typed));
  for (const [i, tensor] of ours.entries())
    expect(distance(tensor, expected[i]!), `result ${i}`).toBeLessThan(TOLERANCE[dtype]!);
}

const random = (...shape: number[]): Tensor => torch.randn(shape);

describe.each(DTYPES)("in %s", (dtype) => {
  test.each([
    [1, 8],
    [67, 33],
    [270, 1040], // more rows than blocks of threads, a row of more than one turn
    [0, 16],
  ])("RMSNorm of %i rows of %i equals the CPU's", (rows, size) => {
    torch.manualSeed(1);
    const formula: Formula = (x, weight) => torch.fusedRmsNorm(x!, weight!, 1e-5);
    if (rows > 0) return expectSame(formula, [random(rows, size), random(size)], dtype);
    using _ = torch.tensorScope();
    const none = emulated(() => formula(random(0, size).to({ dtype }), random(size).to({ dtype })));
    expect(none.shape).toEqual([0, size]);
  });
  test.each([
    [9, 3, 12],
    [5, 4, 128],
    [2, 1, 256],
  ])(
    "rotary embedding of %i tokens, %i heads of %i equals the CPU's, and turns back",
    (tokens, heads, size) => {
      torch.manualSeed(3);
      const angles = torch.outer(torch.arange(0, tokens, 1, { dtype: "float32" }), torch.rand([size / 2]));
      const [cos, sin] = [angles.cos(), angles.sin()];
      expectSame((x) => torch.fusedRope(x!, cos, sin), [random(tokens, heads, size)], dtype);
    },
  );

  test.each([1, 37, 4096])("SwiGLU of %i elements equals the CPU's", (count) => {
    torch.manualSeed(4);
    expectSame((gate, up) => torch.fusedSwiglu(gate!, up!), [random(count).mul(8), random(count)], dtype);
  });

  test.each([1, 7, 999, 4104])(
    "log-probabilities over %i logits and their gradient equal the CPU's",
    (size) => {
      using _ = torch.tensorScope();
      torch.manualSeed(5);
      const logits = random(5, size).mul(4).to({ dtype });
      const labels = torch.tensor([0, size - 1, size >> 1, 0, size - 1], { dtype: "int64" });
      const upstream = random(5);
      const run = (own: Tensor): Tensor[] => [
        torch.labelLogps_(own.clone(), labels),
        torch.labelLogps_(own, labels, upstream),
        own,
      ];
      const [plain, withGradient, gradient] = emulated(() => run(logits.clone()));
      const wide = logits.to({ dtype: "float32" });
      const [, expected, expectedGradient] = run(wide);
      expect(distance(plain!, expected!)).toBeLessThan(2e-6);
      expect(withGradient!.equal(plain!)).toBe(true);
      expect(distance(gradient!, expectedGradient!.to({ dtype }))).toBeLessThan(TOLERANCE[dtype]!);
    },
  );

  test("a view that begins where 16 bytes cannot be read at once gives the same numbers, and its neighbours stay", () => {
    using _ = torch.tensorScope();
    torch.manualSeed(6);
    const whole = random(3 * 64 + 2).to({ dtype });
    const inside = (x: Tensor): Tensor => x.narrow(0, 1, 3 * 64);
    const weight = random(64).to({ dtype });
    const norm = (x: Tensor): Tensor => torch.fusedRmsNorm(x.view([3, 64]), weight, 1e-5);
    const logits = (x: Tensor): Tensor =>
      torch.labelLogps_(x.view([3, 64]), torch.tensor([1, 2, 3], { dtype: "int64" }), torch.ones([3]));
    emulated(() => {
      for (const body of [norm, logits]) {
        const [shifted, straight] = [whole.clone(), inside(whole).clone()];
        // Sums have another order.
        expect(distance(body(inside(shifted)), body(straight))).toBeLessThan(TOLERANCE[dtype]!);
        expect(distance(inside(shifted), straight)).toBeLessThan(TOLERANCE[dtype]!);
        for (const place of [0, whole.numel - 1])
          expect(shifted.narrow(0, place, 1).equal(whole.narrow(0, place, 1))).toBe(true);
      }
    });
  });
});

test("results do not depend on the order in which threads run", () => {
  using _ = torch.tensorScope();
  torch.manualSeed(8);
  const inputs = [random(40, 520), random(520)];
  const logits = random(3, 2000);
  const labels = torch.tensor([5, 0, 1999], { dtype: "int64" });
  const run = (order: ThreadOrder): number[][] =>
    emulated(() => {
      const own = logits.clone();
      const logps = torch.labelLogps_(own, labels, torch.ones([3]));
      const norm = evaluate((x, w) => torch.fusedRmsNorm(x!, w!, 1e-6), inputs);
      return [...norm, logps, own].map((x) => x.toArray());
    }, order);
  const forward = run("forward");
  expect(run("backward")).toEqual(forward);
  expect(run("shuffled")).toEqual(forward);
});

test("masked logits take no part, and a label outside of the row makes its row NaN and no other", () => {
  using _ = torch.tensorScope();
  const logits = torch.tensor([
    [1, Number.NEGATIVE_INFINITY, 2, 3],
    [0, 0, 0, 0],
  ]);
  emulated(() => {
    const logps = torch.labelLogps_(logits.clone(), torch.tensor([2, 1], { dtype: "int64" })).toArray();
    expect(logps[0]).toBeCloseTo(2 - Math.log(Math.exp(1) + Math.exp(2) + Math.exp(3)), 6);
    expect(logps[1]).toBeCloseTo(-Math.log(4), 6);
    const own = logits.clone();
    const broken = torch
      .labelLogps_(own, torch.tensor([4, 1], { dtype: "int64" }), torch.ones([2]))
      .toArray();
    expect(broken[0]).toBeNaN();
    expect(own.narrow(0, 0, 1).isnan().all().item()).toBeTruthy();
    expect(own.narrow(0, 1, 1).isfinite().all().item()).toBeTruthy();
    expect(broken[1]).toBeCloseTo(-Math.log(4), 6);
  });
});
