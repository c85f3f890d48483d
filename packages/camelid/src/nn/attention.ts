import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { PackedRows } from "./packed-rows.js";
import { varlenAttention } from "./varlen-attention.js";

/**
 * Causal attention inside each row of a packed stretch. With fewer key-value heads than query heads, query head h reads
 * key-value head floor(h * kvHeads / heads). No work is spent on masked pairs of rows: on CUDA one kernel knows the rows'
 * borders, elsewhere rows are attended one by one.
 * @param query  [tokens, heads, headDim]
 * @param key    [tokens, kvHeads, headDim]
 * @param value  [tokens, kvHeads, headDim]
 * @param rows   tokens of each row, and which of them share their beginnings
 * @param window how many tokens back a token sees, itself included; everything when left out
 * @returns [tokens, heads, headDim]
 */
export function packedAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { lengths, branches, borders }: Pick<PackedRows, "lengths" | "branches" | "borders">,
  window = Number.POSITIVE_INFINITY,
): Tensor {
  if (branches !== undefined) return branchedAttention(query, key, value, branches, window);
  const together = varlenAttention(query, key, value, lengths, { borders, window });
  if (together !== undefined) return together;
  const runs = attentionRuns(lengths, canFuse(query), window);
  const counts = runs.map((run) => run.reduce((sum, length) => sum + length, 0));
  // One node for all rows: of a slice for each, the backward pass would make a stretch of zeros as long as all of them.
  const pieces = [query, key, value].map((x) => (runs.length === 1 ? [x] : x.split(counts)));
  const parts = runs.map((run, i) => {
    const [q, k, v] = pieces.map((piece) => piece[i]!) as [Tensor, Tensor, Tensor];
    return run.length > 1 ? torch.packedAttention(q, k, v, run) : causal(q, k, v, window);
  });
  return parts.length === 1 ? parts[0]! : torch.cat(parts);
}

/** Up to this length our bf16 kernel is faster than libtorch's on a CPU: 3 times at 170 tokens, as fast near 1,000. */
const LONGEST_FUSED_ROW = 512;

const canFuse = (x: Tensor): boolean => x.device === "cpu" && x.dtype === "bfloat16";

/** Neighbouring short rows go through the fused kernel together; every other row goes alone. */
function attentionRuns(lengths: readonly number[], fuse: boolean, window: number): number[][] {
  const runs: number[][] = [];
  let open: number[] | undefined;
  for (const length of lengths) {
    const isShort = fuse && length <= Math.min(LONGEST_FUSED_ROW, window);
    if (isShort && open !== undefined) {
      open.push(length);
      continue;
    }
    const run = [length];
    runs.push(run);
    open = isShort ? run : undefined;
  }
  return runs;
}

/** Rows with shared beginnings are attended as the plain rows they stand for; every beginning is kept once of the result. */
function branchedAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  branches: NonNullable<PackedRows["branches"]>,
  window: number,
): Tensor {
  const pieces: { start: number; prefix: number; at: number; rest: number; isFirst: boolean }[] = [];
  let at = 0;
  for (const { prefix, rests } of branches) {
    const start = at;
    at += prefix;
    rests.forEach((rest, i) => {
      pieces.push({ start, prefix, at, rest, isFirst: i === 0 });
      at += rest;
    });
  }
  const [q, k, v] = [query, key, value].map((x) =>
    torch.cat(pieces.flatMap((p) => [x.narrow(0, p.start, p.prefix), x.narrow(0, p.at, p.rest)])),
  ) as [Tensor, Tensor, Tensor];
  const lengths = pieces.map(({ prefix, rest }) => prefix + rest);
  const rows = packedAttention(q, k, v, { lengths }, window).split(lengths);
  return torch.cat(
    rows.map((row, i) => (pieces[i]!.isFirst ? row : row.narrow(0, pieces[i]!.prefix, pieces[i]!.rest))),
  );
}

/** One row alone. */
function causal(query: Tensor, key: Tensor, value: Tensor, window: number): Tensor {
  const length = query.shape[0]!;
  if (length > window) return masked(query, key, value, bandMask(length, window, query));
  if (canFuse(query) && length <= LONGEST_FUSED_ROW)
    return torch.packedAttention(query, key, value, [length]);
  return tokens(
    torch.scaledDotProductAttention(heads(query), heads(key), heads(value), null, 0, true, {
      enableGqa: query.shape[1] !== key.shape[1],
    }),
  );
}

/** @param mask [queries, keys] bool, true = attend */
function masked(query: Tensor, key: Tensor, value: Tensor, mask: Tensor): Tensor {
  const enableGqa = query.shape[1] !== key.shape[1];
  return tokens(
    torch.scaledDotProductAttention(heads(query), heads(key), heads(value), mask, 0, false, { enableGqa }),
  );
}

/** [length, length] bool, true = attend: what came before, and no further back than the window. */
function bandMask(length: number, window: number, like: Tensor): Tensor {
  return torch
    .ones([length, length], { dtype: "bool", device: like.device })
    .tril()
    .triu(1 - window);
}

/** [tokens, heads, headDim] -> [1, heads, tokens, headDim] */
const heads = (x: Tensor): Tensor => x.transpose(0, 1).unsqueeze(0);
const tokens = (x: Tensor): Tensor => x.squeeze(0).transpose(0, 1);
