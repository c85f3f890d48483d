/** Attention over blocks against its formula in plain float64 numbers. */
import { describe, expect, test } from "vitest";
import type { Tensor } from "./index.js";
import * as torch from "./index.js";

torch.setNumThreads(1);

const BLOCK = 16;

interface Case {
  heads: number;
  kvHeads: number;
  size: number;
  window?: number;
}

/** Sequences in their blocks, filled call by call; `attend` returns what each new token gets. */
class Cache {
  readonly slabs: Tensor[];
  readonly #lengths = new Map<string, number>();
  readonly #tables: Record<string, number[]>;
  readonly #case: Case;

  constructor(case_: Case, tables: Record<string, number[]>, dtype: torch.DType, slabSizes = [3, 3, 2]) {
    this.#case = case_;
    this.#tables = tables;
    const lanes = Math.ceil(case_.size / 16) * 16;
    // NaN where nothing was written yet: a kernel that lets such a place through would show it.
    this.slabs = slabSizes.map((blocks) =>
      torch.full([blocks, 2, 2, case_.kvHeads, BLOCK * lanes], Number.NaN, { dtype }),
    );
  }

  attend(layer: number, rows: { name: string; q: Tensor; k: Tensor; v: Tensor }[], padding = 0): Tensor {
    const { heads, kvHeads, size, window = 0 } = this.#case;
    const numbers = rows.flatMap(({ name, q }) => [
      q.shape[0]!,
      this.#lengths.get(name) ?? 0,
      this.#tables[name]!.length,
    ]);
    const pad = (count: number): Tensor => torch.zeros([padding, count, size], { dtype: rows[0]!.q.dtype });
    const output = torch.pagedAttention(
      torch.cat([...rows.map(({ q }) => q), pad(heads)]),
      torch.cat([...rows.map(({ k }) => k), pad(kvHeads)]),
      torch.cat([...rows.map(({ v }) => v), pad(kvHeads)]),
      this.slabs,
      torch.tensor(Int32Array.from(numbers), { shape: [rows.length, 3] }),
      torch.tensor(Int32Array.from(rows.flatMap(({ name }) => this.#tables[name]!))),
      layer,
      window,
    );
    for (const { name, q } of rows) this.#lengths.set(name, (this.#lengths.get(name) ?? 0) + q.shape[0]!);
    return output;
  }
}

/** softmax(q k / sqrt(size)) v per token and head, in float64. @returns [tokens][heads][size], flat */
function formula(q: Tensor, k: Tensor, v: Tensor, { heads, kvHeads, size, window = 0 }: Case): number[] {
  const [Q, K, V] = [q, k, v].map((x) => Array.from(x.toTypedArray(), Number)) as [
    number[],
    number[],
    number[],
  ];
  const output: number[] = [];
  for (let token = 0; token < q.shape[0]!; token++) {
    const from = window > 0 ? Math.max(0, token - window + 1) : 0;
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor((head * kvHeads) / heads);
      const weights: number[] = [];
      for (let t = from; t <= token; t++) {
        let dot = 0;
        for (let d = 0; d < size; d++)
          dot += Q[(token * heads + head) * size + d]! * K[(t * kvHeads + kvHead) * size + d]!;
        weights.push(dot / Math.sqrt(size));
      }
      const highest = Math.max(...weights);
      const exponentials = weights.map((weight) => Math.exp(weight - highest));
      const sum = exponentials.reduce((a, b) => a + b, 0);
      for (let d = 0; d < size; d++) {
        output.push(
          exponentials.reduce(
            (total, e, i) => total + (e / sum) * V[((from + i) * kvHeads + kvHead) * size + d]!,
            0,
          ),
        );
      }
    }
  }
  return output;
}

const sequence = ({ heads, kvHeads, size }: Case, tokens: number, dtype: torch.DType) => ({
  q: torch.randn([tokens, heads, size]).to({ dtype }),
  k: torch.randn([tokens, kvHeads, size]).to({ dtype }),
  v: torch.randn([tokens, kvHeads, size]).to({ dtype }),
});
const part = ({ q, k, v }: { q: Tensor; k: Tensor; v: Tensor }, start: number, count: number) => ({
  q: q.narrow(0, start, count),
  k: k.narrow(0, start, count),
  v: v.narrow(0, start, count),
});
const numbers = (x: Tensor): number[] => Array.from(x.toTypedArray(), Number);
const furthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

const CASES: Case[] = [
  { heads: 4, kvHeads: 4, size: 8 },
  { heads: 4, kvHeads: 2, size: 64 },
  { heads: 7, kvHeads: 1, size: 80 },
  { heads: 2, kvHeads: 2, size: 32, window: 5 },
  { heads: 6, kvHeads: 2, size: 16, window: 17 },
];
const TABLES = { a: [6, 1, 4], b: [0, 7] };

describe.each(CASES)("$heads heads over $kvHeads, size $size, window $window", (case_) => {
  test.each(["float32", "bfloat16", "float64"] as const)("equals the formula in %s", (dtype) => {
    using _ = torch.tensorScope();
    torch.manualSeed(3);
    const [a, b] = [sequence(case_, 41, dtype), sequence(case_, 19, dtype)];
    // The ATen path, which float64 takes, knows one slab.
    const cache = new Cache(case_, TABLES, dtype, dtype === "float64" ? [8] : undefined);
    const got: { a: number[]; b: number[] } = { a: [], b: [] };
    const take = (output: Tensor, counts: [number, number]): void => {
      const [first, second] = output.split(counts) as [Tensor, Tensor];
      got.a.push(...numbers(first));
      got.b.push(...numbers(second));
    };
    const both = (atA: number, countA: number, atB: number, countB: number): void =>
      take(
        cache.attend(1, [
          { name: "a", ...part(a, atA, countA) },
          { name: "b", ...part(b, atB, countB) },
        ]),
        [countA, countB],
      );
    both(0, 23, 0, 1);
    both(23, 1, 1, 16);
    both(24, 16, 17, 1);
    both(40, 1, 18, 1);
    const tolerance = { float32: 2e-6, float64: 1e-12, bfloat16: 0.02 }[dtype];
    expect(furthest(got.a, formula(a.q, a.k, a.v, case_))).toBeLessThan(tolerance);
    expect(furthest(got.b, formula(b.q, b.k, b.v, case_))).toBeLessThan(tolerance);
  });

  test("gives a token the same bits whatever its neighbours, the cuts of its sequence, and the threads", () => {
    using _ = torch.tensorScope();
    torch.manualSeed(4);
    const [a, b] = [sequence(case_, 41, "float32"), sequence(case_, 19, "float32")];
    const whole = numbers(new Cache(case_, TABLES, "float32").attend(0, [{ name: "a", ...a }]));
    const cache = new Cache(case_, TABLES, "float32");
    torch.setNumThreads(3);
    const pieces: number[] = [];
    [9, 1, 1, 21, 9].reduce((at, count, i) => {
      const neighbours = i === 0 || i === 3 ? [{ name: "b", ...part(b, i * 4, 5) }] : [];
      const output = cache.attend(0, [...neighbours, { name: "a", ...part(a, at, count) }], i);
      const own = output.narrow(0, neighbours.length * 5, count);
      pieces.push(...numbers(own));
      return at + count;
    }, 0);
    torch.setNumThreads(1);
    expect(pieces).toEqual(whole);
  });
});

test("padding behind the rows comes back as zeros", () => {
  const case_ = CASES[0]!;
  const output = new Cache(case_, TABLES, "float32").attend(
    0,
    [{ name: "a", ...sequence(case_, 2, "float32") }],
    3,
  );
  expect(new Set(numbers(output.narrow(0, 2, 3)))).toEqual(new Set([0]));
});

test("tables that do not fit are errors", () => {
  const case_ = CASES[0]!;
  const short = new Cache(case_, { a: [1] }, "float32");
  expect(() => short.attend(0, [{ name: "a", ...sequence(case_, 17, "float32") }])).toThrow(
    /1 blocks for 17 tokens/,
  );
  const outside = new Cache(case_, { a: [8] }, "float32");
  expect(() => outside.attend(0, [{ name: "a", ...sequence(case_, 1, "float32") }])).toThrow(/no block 8/);
});

test("a query or key that is no number is seen, not weighed as nothing", () => {
  using _ = torch.tensorScope();
  const case_ = { heads: 1, kvHeads: 1, size: 16 };
  for (const [name, place, seenBy] of [
    ["q", 2, [2]],
    ["k", 1, [1, 2, 3]],
  ] as const) {
    torch.manualSeed(4);
    const given = sequence(case_, 4, "float32");
    given[name].narrow(0, place, 1).fill_(Number.NaN);
    const output = new Cache(case_, TABLES, "float32").attend(0, [{ name: "a", ...given }]);
    const isSeen = output.sum([2]).isnan().toArray().flat().map(Boolean);
    expect(isSeen).toEqual([0, 1, 2, 3].map((token) => (seenBy as readonly number[]).includes(token)));
  }
});
