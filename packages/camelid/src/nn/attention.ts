import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/**
 * Causal attention inside each row of a packed stretch. With fewer key-value heads than query heads, query head h reads
 * key-value head floor(h * kvHeads / heads). Rows are attended one by one, so no work is spent on masked pairs of rows.
 * @param query  [tokens, heads, headDim]
 * @param key    [tokens, kvHeads, headDim]
 * @param value  [tokens, kvHeads, headDim]
 * @param lengths tokens of each row
 * @returns [tokens, heads, headDim]
 */
export function packedAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  lengths: readonly number[],
): Tensor {
  const enableGqa = query.shape[1] !== key.shape[1];
  const attend = (q: Tensor, k: Tensor, v: Tensor): Tensor =>
    torch.scaledDotProductAttention(heads(q), heads(k), heads(v), null, 0, true, { enableGqa });
  if (lengths.length === 1) return tokens(attend(query, key, value));
  const [queries, keys, values] = [query, key, value].map((x) => x.split(lengths)) as [
    Tensor[],
    Tensor[],
    Tensor[],
  ];
  return torch.cat(queries.map((q, row) => tokens(attend(q, keys[row]!, values[row]!))));
}

/**
 * Attention of new tokens over everything a cache holds of their own sequence, themselves included.
 * @param query [newTokens, heads, headDim]
 * @param keys  [cachedTokens, kvHeads, headDim], the last `newTokens` of them from this call
 */
export function cachedAttention(query: Tensor, keys: Tensor, values: Tensor): Tensor {
  const [newTokens, queryHeads] = query.shape as [number, number];
  const enableGqa = queryHeads !== keys.shape[1];
  const cached = keys.shape[0]! - newTokens;
  // A lone token sees everything; the first stretch is plainly causal; only a continuation needs a mask of its own.
  const mask = cached === 0 || newTokens === 1 ? null : causalMask(newTokens, cached, query);
  const isCausal = cached === 0 && newTokens > 1;
  return tokens(
    torch.scaledDotProductAttention(heads(query), heads(keys), heads(values), mask, 0, isCausal, {
      enableGqa,
    }),
  );
}

/** [newTokens, cached + newTokens] bool, true = attend */
function causalMask(newTokens: number, cached: number, like: Tensor): Tensor {
  return torch.ones([newTokens, cached + newTokens], { dtype: "bool", device: like.device }).tril(cached);
}

/** [tokens, heads, headDim] -> [1, heads, tokens, headDim] */
const heads = (x: Tensor): Tensor => x.transpose(0, 1).unsqueeze(0);
const tokens = (x: Tensor): Tensor => x.squeeze(0).transpose(0, 1);
