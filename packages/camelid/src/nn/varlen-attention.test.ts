/**
 * The CUDA kernels cannot run here; what surrounds them can. A stand-in with the operators' own signature computes on the CPU
 * from the arguments that a kernel would get, and has to give what attention row by row gives, gradients included.
 * benchmarks/cuda does the same comparison with the kernels themselves.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { describe, expect, test } from "vitest";
import { packedAttention } from "./attention.js";
import { rowBorders, type VarlenKernel, varlenAttention, varlenKernel } from "./varlen-attention.js";

const LENGTHS = [5, 1, 7, 3];
const TOKENS = 16;
const HEAD_DIM = 8;

/** What both operators promise, from their own arguments: rows by borders, causal, windows to the left. */
function standIn(seen: unknown[][]) {
  return (name: string, ...args: unknown[]): unknown => {
    seen.push([name, ...args]);
    const isFlash = name === "aten::_flash_attention_forward";
    const [q, k, v] = (args as Tensor[]).slice(0, 3).map((x) => (isFlash ? x : x.squeeze(0))) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const rest = isFlash ? args.slice(3) : args.slice(4);
    const [borders, sameBorders, longest, sameLongest, dropout, causal] = rest as [
      Tensor,
      Tensor,
      number,
      number,
      number,
      unknown,
    ];
    for (const x of [q, k, v]) expect(x.isContiguous).toBe(true);
    expect(borders.dtype).toBe("int32");
    expect(sameBorders).toBe(borders);
    expect([sameLongest, dropout, Number(causal)]).toEqual([longest, 0, 1]);
    const left = isFlash ? (args[11] as number | undefined) : undefined;
    const at = borders.toArray();
    const rows = at.slice(1).map((end, row) => {
      const length = end - at[row]!;
      expect(length).toBeLessThanOrEqual(longest);
      const groups = q.shape[1]! / k.shape[1]!;
      const heads = (x: Tensor, times: number): Tensor => {
        const part = x.narrow(0, at[row]!, length).transpose(0, 1);
        const each = Array.from({ length: part.shape[0]! }, (_, h) =>
          Array<Tensor>(times).fill(part.narrow(0, h, 1)),
        );
        return torch.cat(each.flat());
      };
      const scores = heads(q, 1)
        .matmul(heads(k, groups).transpose(1, 2))
        .mul(1 / Math.sqrt(q.shape[2]!));
      let allowed = torch.ones([length, length]).tril();
      if (left !== undefined) allowed = allowed.triu(-left);
      const masked = scores.add(allowed.log());
      return masked.softmax(-1).matmul(heads(v, groups)).transpose(0, 1);
    });
    const output = torch.cat(rows);
    return [isFlash ? output : output.unsqueeze(0), undefined];
  };
}

function random(heads: number): Tensor {
  const x = torch.randn([TOKENS, heads, HEAD_DIM]);
  x.requiresGrad = true;
  return x;
}

function largestDifference(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().amax().item();
}

const cases: { kernel: VarlenKernel; heads: number; kvHeads: number; window: number }[] = [
  { kernel: "flash", heads: 4, kvHeads: 4, window: Number.POSITIVE_INFINITY },
  { kernel: "flash", heads: 4, kvHeads: 2, window: Number.POSITIVE_INFINITY },
  { kernel: "flash", heads: 4, kvHeads: 1, window: 3 },
  { kernel: "efficient", heads: 4, kvHeads: 4, window: Number.POSITIVE_INFINITY },
  { kernel: "efficient", heads: 4, kvHeads: 2, window: Number.POSITIVE_INFINITY },
];

describe.each(cases)(
  "$kernel, $heads heads over $kvHeads, window $window",
  ({ kernel, heads, kvHeads, window }) => {
    test("gets arguments from which values and gradients of row-by-row attention follow", () => {
      using _ = torch.tensorScope();
      torch.manualSeed(1);
      const inputs = [random(heads), random(kvHeads), random(kvHeads)] as const;
      const weights = torch.randn([TOKENS, heads, HEAD_DIM]);
      const seen: unknown[][] = [];
      const call = standIn(seen) as typeof torch.callOperator;
      const ours = varlenAttention(...inputs, LENGTHS, { kernel, window, call })!;
      const expected = packedAttention(...inputs, { lengths: LENGTHS }, window);
      expect(seen).toHaveLength(1);
      expect(ours.shape).toEqual(expected.shape);
      expect(largestDifference(ours, expected)).toBeLessThan(1e-5);
      const gradients = (output: Tensor) =>
        torch.grad([output.mul(weights).sum()], inputs, { retainGraph: true });
      const wanted = gradients(expected);
      gradients(ours).forEach((gradient, i) => {
        expect(largestDifference(gradient!, wanted[i]!)).toBeLessThan(1e-5);
      });
    });
  },
);

test("borders are where rows begin, and the end of the last", () => {
  using borders = rowBorders(LENGTHS, "cpu");
  expect(borders.dtype).toBe("int32");
  expect(borders.toArray()).toEqual([0, 5, 6, 13, 16]);
});

test("the memory-efficient kernel keeps what the backward pass needs only where there is one", () => {
  using _ = torch.tensorScope();
  const x = random(2);
  const keeps = (): unknown => {
    const seen: unknown[][] = [];
    varlenAttention(x, x, x, LENGTHS, {
      kernel: "efficient",
      call: standIn(seen) as typeof torch.callOperator,
    });
    return seen[0]![11];
  };
  expect(keeps()).toBe(true);
  expect(torch.noGrad(keeps)).toBe(false);
});

test("a window in fp32 is left to attention row by row, and so is everything off CUDA", () => {
  using _ = torch.tensorScope();
  const x = random(2);
  expect(varlenAttention(x, x, x, LENGTHS, { kernel: "efficient", window: 3 })).toBeUndefined();
  expect(varlenAttention(x, x, x, LENGTHS)).toBeUndefined();
  expect(varlenKernel("cpu", "bfloat16", 64)).toBeUndefined();
});

test("libtorch's operators take the arguments in this order", async () => {
  const { schemaOf } = (await import("../../../torch/src/native.js")).native;
  const names = (operator: string): string[] =>
    [...schemaOf(operator)!.matchAll(/[ (](\w+)(?:=[^,)]+)?[,)]/g)].map((match) => match[1]!);
  expect(names("aten::_flash_attention_forward").slice(0, 13).join(" ")).toBe(
    "query key value cum_seq_q cum_seq_k max_q max_k dropout_p is_causal return_debug_mask scale window_size_left window_size_right",
  );
  expect(names("aten::_efficient_attention_forward").slice(0, 11).join(" ")).toBe(
    "query key value bias cu_seqlens_q cu_seqlens_k max_seqlen_q max_seqlen_k dropout_p custom_mask_type compute_log_sumexp",
  );
});
