/** Our own kernels against the same formulas in plain ATen operators: values and gradients, fp32 and bf16. */
import { describe, expect, test } from "vitest";
import type { Tensor } from "./index.js";
import * as torch from "./index.js";

torch.setNumThreads(1);

type Inputs = readonly Tensor[];
type Formula = (...inputs: Tensor[]) => Tensor;

/** Output and gradients of every input, for one upstream gradient; computed in `dtype`, returned in fp32. */
function evaluate(formula: Formula, inputs: Inputs, dtype: torch.DType): Tensor[] {
  const leaves = inputs.map((input) => {
    const leaf = input.to({ dtype }).detach().clone();
    leaf.requiresGrad = true;
    return leaf;
  });
  const output = formula(...leaves);
  torch.manualSeed(7);
  output.backward(torch.randn(output.shape).to({ dtype: output.dtype }));
  return [output, ...leaves.map((leaf) => leaf.grad!)].map((tensor) =>
    tensor.detach().to({ dtype: "float32" }),
  );
}

function largestDifference(ours: Tensor[], reference: Tensor[]): number {
  return Math.max(...ours.map((tensor, i) => tensor.sub(reference[i]!).abs().amax().item()));
}

/** fp32 agrees to rounding; bf16 is no further from the fp32 truth than ATen's own bf16 chain, give or take half. */
function expectSame(fused: Formula, plain: Formula, inputs: Inputs): void {
  using _ = torch.tensorScope();
  const truth = evaluate(plain, inputs, "float32");
  expect(largestDifference(evaluate(fused, inputs, "float32"), truth)).toBeLessThan(2e-5);
  const rounded = inputs.map((input) => input.to({ dtype: "bfloat16" }).to({ dtype: "float32" }));
  const roundedTruth = evaluate(plain, rounded, "float32");
  const allowed = largestDifference(evaluate(plain, rounded, "bfloat16"), roundedTruth);
  expect(largestDifference(evaluate(fused, rounded, "bfloat16"), roundedTruth)).toBeLessThan(
    1.5 * allowed + 0.02,
  );
}

const random = (...shape: number[]): Tensor => torch.randn(shape);

test("RMSNorm equals its formula, for sizes that fill no vector and rows that fill no block", () => {
  torch.manualSeed(1);
  const plain: Formula = (x, weight) => x!.mul(x!.pow(2).mean([-1], true).add(1e-5).rsqrt()).mul(weight!);
  for (const [rows, size] of [
    [1, 8],
    [67, 33],
    [130, 64],
  ] as const) {
    expectSame((x, weight) => torch.fusedRmsNorm(x!, weight!, 1e-5), plain, [
      random(rows, size),
      random(size),
    ]);
  }
});

test("RMSNorm's weight gradient does not depend on the number of threads", () => {
  using _ = torch.tensorScope();
  torch.manualSeed(2);
  const inputs = [random(300, 48), random(48)];
  const once = evaluate((x, w) => torch.fusedRmsNorm(x!, w!, 1e-6), inputs, "float32");
  torch.setNumThreads(3);
  const again = evaluate((x, w) => torch.fusedRmsNorm(x!, w!, 1e-6), inputs, "float32");
  torch.setNumThreads(1);
  expect(again.map((tensor) => tensor.toArray())).toEqual(once.map((tensor) => tensor.toArray()));
});

test("rotary embedding equals its formula, and its gradient turns back", () => {
  torch.manualSeed(3);
  const angles = torch.outer(torch.arange(0, 9, 1, { dtype: "float32" }), torch.rand([6]));
  const [cos, sin] = [angles.cos(), angles.sin()];
  const plain: Formula = (x) => {
    const [c, s] = [torch.cat([cos, cos], 1), torch.cat([sin, sin], 1)].map((t) =>
      t.unsqueeze(1).to({ dtype: x!.dtype }),
    );
    const [first, second] = x!.chunk(2, -1);
    return x!.mul(c!).add(torch.cat([second!.neg(), first!], -1).mul(s!));
  };
  expectSame((x) => torch.fusedRope(x!, cos, sin), plain, [random(9, 3, 12)]);
});

test("SwiGLU equals its formula, at large and small gates too", () => {
  torch.manualSeed(4);
  const plain: Formula = (gate, up) => torch.silu(gate!).mul(up!);
  expectSame((gate, up) => torch.fusedSwiglu(gate!, up!), plain, [random(5, 37).mul(8), random(5, 37)]);
  const extreme = torch.tensor([-200, -88, 0, 88, 200]);
  const values = torch.fusedSwiglu(extreme, torch.onesLike(extreme)).toArray();
  expect(values.slice(2)).toEqual([0, 88, 200]);
  expect(Math.abs(values[0]!)).toBeLessThan(1e-30);
});

describe("attention inside rows", () => {
  const plain =
    (lengths: readonly number[], window = Number.POSITIVE_INFINITY): Formula =>
    (query, key, value) => {
      const groups = query!.shape[1]! / key!.shape[1]!;
      const wide = [query!, key!.repeatInterleave(groups, 1), value!.repeatInterleave(groups, 1)];
      const [q, k, v] = wide.map((x) => x.split(lengths)) as [Tensor[], Tensor[], Tensor[]];
      return torch.cat(
        q.map((row, i) => {
          const [a, b, c] = [row, k[i]!, v[i]!].map((x) => x.transpose(0, 1)) as [Tensor, Tensor, Tensor];
          const scores = a.matmul(b.transpose(1, 2)).div(Math.sqrt(a.shape[2]!));
          const square = torch.ones([a.shape[1]!, a.shape[1]!], { dtype: "bool" });
          const past = window < a.shape[1]! ? square.tril(-window) : square.logicalNot();
          const unseen = square.triu(1).logicalOr(past);
          return scores.maskedFill(unseen, Number.NEGATIVE_INFINITY).softmax(-1).matmul(c).transpose(0, 1);
        }),
      );
    };

  test("equals its formula, with as many key-value heads and with fewer", () => {
    torch.manualSeed(5);
    const lengths = [5, 1, 18];
    for (const kvHeads of [4, 2, 1]) {
      const inputs = [random(24, 4, 8), random(24, kvHeads, 8), random(24, kvHeads, 8)];
      expectSame((q, k, v) => torch.packedAttention(q!, k!, v!, lengths), plain(lengths), inputs);
    }
  });

  test("equals its formula for rows of several blocks of queries, the last one short", () => {
    torch.manualSeed(7);
    const lengths = [600, 256, 257];
    for (const kvHeads of [2, 1]) {
      const inputs = [random(1113, 2, 8), random(1113, kvHeads, 8), random(1113, kvHeads, 8)];
      expectSame((q, k, v) => torch.packedAttention(q!, k!, v!, lengths), plain(lengths), inputs);
    }
  });

  test("equals its formula for head sizes that fill no vector, or several", () => {
    torch.manualSeed(9);
    for (const size of [6, 20, 80, 128]) {
      const inputs = [random(70, 2, size), random(70, 1, size), random(70, 1, size)];
      expectSame((q, k, v) => torch.packedAttention(q!, k!, v!, [3, 67]), plain([3, 67]), inputs);
    }
  });

  test("a window hides what lies further back, within a tile of keys and over several", () => {
    torch.manualSeed(10);
    const lengths = [200, 40, 65];
    for (const window of [1, 3, 64, 100]) {
      const inputs = [random(305, 2, 8), random(305, 1, 8), random(305, 1, 8)];
      const ours: Formula = (q, k, v) => torch.packedAttention(q!, k!, v!, lengths, window);
      expectSame(ours, plain(lengths, window), inputs);
    }
  });

  test("queries and keys turned on the way in, gradients on the way out: as by rotary embedding before it", () => {
    torch.manualSeed(11);
    const lengths = [30, 70];
    const angles = torch.outer(torch.arange(0, 100, 1, { dtype: "float32" }), torch.rand([8]));
    const [cos, sin] = [angles.cos(), angles.sin()];
    const turned: Formula = (q, k, v) =>
      plain(lengths)(torch.fusedRope(q!, cos, sin), torch.fusedRope(k!, cos, sin), v!);
    const ours: Formula = (q, k, v) => torch.packedAttention(q!, k!, v!, lengths, undefined, cos, sin);
    expectSame(ours, turned, [random(100, 4, 16), random(100, 2, 16), random(100, 2, 16)]);
  });

  test("threads change no bit, with shared keys and without", () => {
    using _ = torch.tensorScope();
    torch.manualSeed(12);
    const lengths = [5, 130, 65];
    for (const kvHeads of [4, 2]) {
      const inputs = [random(200, 4, 16), random(200, kvHeads, 16), random(200, kvHeads, 16)];
      const run = (threads: number) => {
        torch.setNumThreads(threads);
        const results = evaluate((q, k, v) => torch.packedAttention(q!, k!, v!, lengths), inputs, "bfloat16");
        torch.setNumThreads(1);
        return results.map((tensor) => tensor.toArray());
      };
      expect(run(3)).toEqual(run(1));
    }
  });

  test("slices of a joint projection are read in place", () => {
    torch.manualSeed(13);
    const joint: Formula = (x) => {
      const [q, k, v] = x!.split([4, 2, 2], 1) as [Tensor, Tensor, Tensor];
      return torch.packedAttention(q, k, v, [9, 11]);
    };
    const cut: Formula = (x) => plain([9, 11])(...(x!.split([4, 2, 2], 1) as Tensor[]));
    expectSame(joint, cut, [random(20, 8, 8)]);
  });

  test("a window of nothing, and tables of other tokens, are errors", () => {
    const x = random(6, 2, 4);
    const table = random(5, 2);
    expect(() => torch.packedAttention(x, x, x, [6], 0)).toThrow(/a window of 0 tokens/);
    expect(() => torch.packedAttention(x, x, x, [6], undefined, table, table)).toThrow(/tables must be/);
  });

  test("a token that is no number is seen by those after it, forward and backward, and by no other row", () => {
    using _ = torch.tensorScope();
    torch.manualSeed(14);
    for (const place of [0, 1, 2]) {
      const inputs = [random(80, 2, 20), random(80, 1, 20), random(80, 1, 20)];
      inputs[place]!.narrow(0, 20, 1).fill_(Number.NaN);
      const results = evaluate((q, k, v) => torch.packedAttention(q!, k!, v!, [12, 68]), inputs, "bfloat16");
      results.forEach((result, i) => {
        const isSeen = !(place === 2 && i === 3); // values have no part in their own gradient
        expect(result.narrow(0, 0, 12).isfinite().all().item()).not.toBe(0);
        expect(result.narrow(0, 12, 68).isnan().any().item()).toBe(isSeen ? 1 : 0);
      });
      const seeing = results[0]!.narrow(0, 20, place === 0 ? 1 : 60);
      expect(seeing.isnan().all().item()).not.toBe(0);
    }
  });

  test("scores of any size are weighed by their differences", () => {
    using _ = torch.tensorScope();
    for (const size of [1e4, 1e15]) {
      const query = torch.full([3, 1, 16], size);
      const key = torch.cat([1, 3, 2].map((x) => torch.full([1, 1, 16], x)));
      const value = torch.cat([5, 6, 7].map((x) => torch.full([1, 1, 16], x)));
      expect(torch.packedAttention(query, key, value, [3]).amax([1, 2]).toArray()).toEqual([5, 6, 6]);
    }
  });

  test("rows without a token, and nothing but such, are no work", () => {
    using _ = torch.tensorScope();
    const x = random(3, 2, 8);
    const whole = torch.packedAttention(x, x, x, [3]).toArray();
    expect(torch.packedAttention(x, x, x, [0, 3, 0]).toArray()).toEqual(whole);
    expect(torch.packedAttention(x.narrow(0, 0, 0), x.narrow(0, 0, 0), x.narrow(0, 0, 0), [0]).shape).toEqual(
      [0, 2, 8],
    );
  });

  test("a changed row leaves its neighbours bit-identical", () => {
    using _ = torch.tensorScope();
    torch.manualSeed(6);
    const [q, k, v] = [random(12, 2, 8), random(12, 2, 8), random(12, 2, 8)] as const;
    const before = torch.packedAttention(q, k, v, [4, 8]).narrow(0, 4, 8).toArray();
    for (const tensor of [q, k, v]) tensor.narrow(0, 0, 4).fill_(9);
    expect(torch.packedAttention(q, k, v, [4, 8]).narrow(0, 4, 8).toArray()).toEqual(before);
  });

  test("lengths that do not sum to the tokens are an error", () => {
    const x = random(6, 2, 4);
    expect(() => torch.packedAttention(x, x, x, [2, 3])).toThrow(/do not fit together/);
    expect(() => torch.packedAttention(x, x, x, [-2, 8])).toThrow(/do not fit together/);
    const none = x.narrow(1, 0, 0);
    expect(() => torch.packedAttention(x, none, none, [6])).toThrow(/do not fit together/);
  });
});

describe("log-probabilities of labels", () => {
  const labels = torch.tensor([0, 6, 3, 3], { dtype: "int64" });

  test("equal log-softmax, also when logits share a large offset", () => {
    using _ = torch.tensorScope();
    torch.manualSeed(8);
    for (const offset of [0, 3e4]) {
      const logits = random(4, 7).add(offset);
      const expected = logits
        .to({ dtype: "float64" })
        .logSoftmax(1)
        .gather(1, labels.unsqueeze(1))
        .squeeze(1);
      const difference = torch.labelLogps_(logits.clone(), labels).to({ dtype: "float64" }).sub(expected);
      expect(difference.abs().amax().item()).toBeLessThan(2e-6);
    }
  });

  test("leave the gradient in the logits' place", () => {
    using _ = torch.tensorScope();
    torch.manualSeed(9);
    const logits = random(4, 7);
    const upstream = random(4);
    const leaf = logits.clone();
    leaf.requiresGrad = true;
    leaf.logSoftmax(1).gather(1, labels.unsqueeze(1)).squeeze(1).backward(upstream);
    torch.labelLogps_(logits, labels, upstream);
    expect(logits.sub(leaf.grad!).abs().amax().item()).toBeLessThan(1e-6);
  });

  test("a label outside the vocabulary is an error", () => {
    const logits = random(1, 7);
    for (const label of [-1, 7]) {
      expect(() => torch.labelLogps_(logits, torch.tensor([label], { dtype: "int64" }))).toThrow(
        /labels must lie/,
      );
    }
  });
});

test("a gradient of our kernels that is to be differentiated again is an error", () => {
  const formulas: Formula[] = [
    (x) => torch.fusedRmsNorm(x!, torch.ones([8]), 1e-5),
    (x) => torch.fusedSwiglu(x!, x!),
    (x) => torch.fusedRope(x!, torch.ones([3, 4]), torch.ones([3, 4])),
    (x) => torch.packedAttention(x!, x!, x!, [3]),
  ];
  for (const formula of formulas) {
    using _ = torch.tensorScope();
    const x = random(3, 2, 8);
    x.requiresGrad = true;
    expect(() => torch.grad([formula(x).sum()], [x], { createGraph: true })).toThrow(
      /cannot be differentiated again/,
    );
  }
});
