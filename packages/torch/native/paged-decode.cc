// One new token of each sequence over keys and values in blocks: `camelid::paged_decode`. What `paged_attention` does for any rows, for the
// step that writing consists of, with shapes that do not depend on how long the sequences are: every table has the same length,
// and what a sequence does not have yet is masked. Tables and positions lie on the device, so the host reads nothing and the step
// can be recorded as a graph. The layout of slabs is that of paged-attention.cc.
#include <ATen/ATen.h>
#include <torch/library.h>

namespace camelid {

namespace {

constexpr int64_t kBlockTokens = 16;

// What blocks hold, as [rows, kvHeads, tokens, size]: one copy, whatever order the blocks have in the slab.
at::Tensor gather(const at::Tensor& tiles, const at::Tensor& tables) {
  const int64_t rows = tables.size(0), count = tables.size(1), kvHeads = tiles.size(1), size = tiles.size(3);
  at::Tensor gathered = at::empty({rows, kvHeads, count, kBlockTokens, size}, tiles.options());
  at::Tensor byBlock = gathered.permute({0, 2, 1, 3, 4});
  at::index_out(byBlock, tiles, {tables});
  return gathered.view({rows, kvHeads, count * kBlockTokens, size});
}

// query [rows, heads, size]; key, value [rows, kvHeads, size]; slab [blocks, layers, 2, kvHeads, 16 * lanes]; tables [rows, n] int64, what a
// sequence has no block for may name any; positions [rows] int64, of the new tokens. Rows that name the same block and position
// must bring the same key and value.
at::Tensor pagedDecode(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& slab,
                       const at::Tensor& tables, const at::Tensor& positions, int64_t layer, int64_t window) {
  TORCH_CHECK(query.dim() == 3 && key.dim() == 3 && slab.dim() == 5 && value.sizes() == key.sizes() &&
                  query.size(0) == key.size(0) && query.size(2) == key.size(2) && query.size(1) % key.size(1) == 0 &&
                  slab.size(2) == 2 && slab.size(3) == key.size(1) &&
                  slab.size(4) == (key.size(2) + 15) / 16 * 16 * kBlockTokens && layer >= 0 && layer < slab.size(1),
              "paged_decode: query ", query.sizes(), ", key ", key.sizes(), ", value ", value.sizes(), ", slab ", slab.sizes(),
              " and layer ", layer, " do not fit together");
  TORCH_CHECK(tables.dim() == 2 && positions.dim() == 1 && tables.size(0) == query.size(0) && positions.size(0) == query.size(0) &&
                  tables.scalar_type() == at::kLong && positions.scalar_type() == at::kLong,
              "paged_decode: ", query.size(0), " rows need tables [rows, blocks] and positions [rows], both int64");
  const int64_t rows = query.size(0), heads = query.size(1), size = query.size(2), kvHeads = key.size(1);
  const int64_t lanes = slab.size(4) / kBlockTokens, tokens = tables.size(1) * kBlockTokens;
  const at::Tensor own = slab.select(1, layer);
  const at::Tensor keys = own.select(1, 0).narrow(-1, 0, size * kBlockTokens).unflatten(-1, {size, kBlockTokens}).transpose(-1, -2);
  const at::Tensor values = own.select(1, 1).unflatten(-1, {kBlockTokens, lanes}).narrow(-1, 0, size);  // both [blocks, kvHeads, 16, size]

  const at::Tensor block = tables.gather(1, at::floor_divide(positions, kBlockTokens).unsqueeze(1)).squeeze(1);
  const at::Tensor slot = positions.remainder(kBlockTokens);
  keys.transpose(1, 2).index_put_({block, slot}, key);
  values.transpose(1, 2).index_put_({block, slot}, value);

  const at::Tensor places = at::arange(tokens, positions.options()).unsqueeze(0), now = positions.unsqueeze(1);
  at::Tensor seen = places <= now;
  if (window > 0) seen = seen.logical_and(places > now - window);
  // Query heads that share a key-value head stand as queries of one head.
  const at::Tensor q = query.reshape({rows, kvHeads, heads / kvHeads, size});
  const at::Tensor mask = seen.view({rows, 1, 1, tokens}).expand({rows, kvHeads, heads / kvHeads, tokens});
  return at::scaled_dot_product_attention(q, gather(keys, tables), gather(values, tables), mask).reshape({rows, heads, size});
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def(
      "paged_decode(Tensor query, Tensor key, Tensor value, Tensor(a!) slab, Tensor tables, Tensor positions, int layer, "
      "int window=0) -> Tensor",
      pagedDecode);
}

}  // namespace camelid
