import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { PackedRows } from "./packed-rows.js";
import { applyRope, type RopeTables } from "./rope.js";
import { varlenAttention } from "./varlen-attention.js";

/**
 * Causal attention inside each row of a packed stretch. With fewer key-value heads than query heads, query head h reads
 * key-value head floor(h * kvHeads / heads). No work is spent on masked pairs of rows: on CUDA one kernel knows the rows'
 * borders, on a CPU ours does; elsewhere rows are attended one by one.
 * @param query  [tokens, heads, headDim]
 * @param key    [tokens, kvHeads, headDim]
 * @param value  [tokens, kvHeads, headDim]
 * @param rows   tokens of each row, and which of them share their beginnings
 * @param window how many tokens back a token sees, itself included; everything when left out
 * @param rope   rotary angles of the tokens, when queries and keys have not been turned yet
 * @returns [tokens, heads, headDim]
 */
export function packedAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { lengths, branches, borders }: Pick<PackedRows, "lengths" | "branches" | "borders">,
  window = Number.POSITIVE_INFINITY,
  rope?: RopeTables,
): Tensor {
  if (branches === undefined && canFuse(query)) {
    const width = Number.isFinite(window) ? window : undefined;
    return torch.packedAttention(query, key, value, lengths, width, rope?.cos, rope?.sin);
  }
  const [q, k] = rope === undefined ? [query, key] : [applyRope(query, rope), applyRope(key, rope)];
  if (branches !== undefined) return branchedAttention(q, k, value, branches, window);
  const together = varlenAttention(q, k, value, lengths, { borders, window });
  if (together !== undefined) return together;
  // One node for all rows: of a slice for each, the backward pass would make a stretch of zeros as long as all of them.
  const [queries, keys, values] = [q, k, value].map((x) => x.split(lengths)) as [
    Tensor[],
    Tensor[],
    Tensor[],
  ];
  return torch.cat(queries.map((row, i) => causal(row, keys[i]!, values[i]!, window)));
}

const canFuse = ({ device, dtype }: Tensor): boolean =>
  device === "cpu" && (dtype === "bfloat16" || dtype === "float32");

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
  const mask = length > window ? bandMask(length, window, query) : null;
  const enableGqa = query.shape[1] !== key.shape[1];
  return tokens(
    torch.scaledDotProductAttention(heads(query), heads(key), heads(value), mask, 0, mask === null, {
      enableGqa,
    }),
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
