// Attention over keys and values kept in blocks: `camelid::paged_attention`.
//
// A slab holds blocks of 16 tokens, [blocks, layers, 2, kvHeads, 16 * lanes] with lanes = headDim rounded up to 16. Inside a block
// the keys of a head lie transposed, [headDim][16], so that one vector holds a dimension of 16 tokens and scores need no sums
// across lanes; values lie as [16][lanes]. A row is a sequence with its new tokens; its blocks may lie anywhere, and other
// rows may share them.
//
// What a token gets depends on its own sequence alone, bit by bit: neither the other rows, nor the number of threads, nor how
// its sequence was cut into calls changes the order in which anything is added up.
#include <torch/library.h>

#include <atomic>
#include <cstring>
#include <vector>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "kernels.h"

namespace camelid {

namespace {

constexpr int64_t kBlockTokens = 16;
// Query vectors that share a key-value head are worked on together, up to about this many: keys stay in the cache meanwhile.
constexpr int64_t kVectorsPerTask = 32;

// --- sixteen floats at a time; the compiler splits them where registers are shorter ---

using Lanes = float __attribute__((vector_size(64)));
using Words = uint32_t __attribute__((vector_size(64)));
using Halves = uint16_t __attribute__((vector_size(32)));

CAMELID_INLINE Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}
CAMELID_INLINE Lanes load(const c10::BFloat16* from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof(halves));
  return std::bit_cast<Lanes>(__builtin_convertvector(halves, Words) << 16);
}
CAMELID_INLINE void store(float* to, Lanes lanes) { std::memcpy(to, &lanes, sizeof(lanes)); }

CAMELID_INLINE Lanes multiplyAdd(float a, Lanes b, Lanes c) {
#if defined(__AVX512F__)
  return std::bit_cast<Lanes>(_mm512_fmadd_ps(_mm512_set1_ps(a), std::bit_cast<__m512>(b), std::bit_cast<__m512>(c)));
#else
  return a * b + c;
#endif
}

// --- where a token of a layer and head lies ---

template <typename T>
struct Pool {
  std::vector<T*> slabs;
  int64_t slabBlocks, layers, kvHeads, size, lanes;

  T* at(int64_t block, int64_t layer, int64_t part, int64_t head) const {
    const int64_t place = (((block % slabBlocks) * layers + layer) * 2 + part) * kvHeads + head;
    return slabs[block / slabBlocks] + place * kBlockTokens * lanes;
  }
};

struct Row {
  int64_t firstQuery, count, position;
  const int32_t* blocks;
};

// Blocks lie scattered, which hides the next one from the processor's own prefetching: it is asked for while this one is used.
template <typename T>
CAMELID_INLINE void prefetch(const T* tile, int64_t elements) {
  for (int64_t i = 0; i < elements; i += 64 / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(tile + i);
}

template <typename T>
void storeTokens(const Pool<T>& pool, const std::vector<Row>& rows, const T* key, const T* value, int64_t layer) {
  for (const Row& row : rows) {
    at::parallel_for(0, row.count, kRowsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t position = row.position + i;
        const int64_t block = row.blocks[position / kBlockTokens], slot = position % kBlockTokens;
        for (int64_t head = 0; head < pool.kvHeads; head++) {
          const int64_t from = ((row.firstQuery + i) * pool.kvHeads + head) * pool.size;
          T* keys = pool.at(block, layer, 0, head);
          for (int64_t d = 0; d < pool.size; d++) keys[d * kBlockTokens + slot] = key[from + d];
          std::copy_n(value + from, pool.size, pool.at(block, layer, 1, head) + slot * pool.lanes);
        }
      }
    });
  }
}

// Scores of Q query vectors [Q, size] against the 16 tokens of a block. Two sums, of even and odd dimensions.
template <int Q, typename T>
CAMELID_INLINE void blockScores(const float* query, const T* keys, int64_t size, float* scores, int64_t stride) {
  Lanes even[Q] = {}, odd[Q] = {};
  for (int64_t d = 0; d < size; d += 2) {
    const Lanes first = load(keys + d * kBlockTokens), second = load(keys + (d + 1) * kBlockTokens);
#pragma GCC unroll 4
    for (int i = 0; i < Q; i++) {
      even[i] = multiplyAdd(query[i * size + d], first, even[i]);
      odd[i] = multiplyAdd(query[i * size + d + 1], second, odd[i]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < Q; i++) store(scores + i * stride, even[i] + odd[i]);
}

// Sums of values weighted by the probabilities of Q vectors, for 16 * C dimensions: out [Q, lanes].
template <int Q, int C, typename T>
CAMELID_INLINE void weighValues(const Pool<T>& pool, const Row& row, int64_t layer, int64_t head, int64_t firstToken,
                                int64_t endToken, const float* probabilities, int64_t stride, int64_t dimension, float* out) {
  Lanes sums[Q][C] = {};
  for (int64_t token = firstToken; token < endToken; token += kBlockTokens) {
    const T* values = pool.at(row.blocks[token / kBlockTokens], layer, 1, head) + dimension;
    const int64_t count = std::min(kBlockTokens, endToken - token);
    if (dimension == 0 && token + kBlockTokens < endToken)
      prefetch(pool.at(row.blocks[token / kBlockTokens + 1], layer, 1, head), kBlockTokens * pool.lanes);
    for (int64_t t = 0; t < count; t++) {
      Lanes value[C];
#pragma GCC unroll 4
      for (int c = 0; c < C; c++) value[c] = load(values + t * pool.lanes + c * kBlockTokens);
#pragma GCC unroll 4
      for (int i = 0; i < Q; i++) {
        const float p = probabilities[i * stride + token - firstToken + t];
#pragma GCC unroll 4
        for (int c = 0; c < C; c++) sums[i][c] = multiplyAdd(p, value[c], sums[i][c]);
      }
    }
  }
  for (int i = 0; i < Q; i++) {
    for (int c = 0; c < C; c++) store(out + i * pool.lanes + dimension + c * kBlockTokens, sums[i][c]);
  }
}

template <int Q, typename T>
void weighAllValues(const Pool<T>& pool, const Row& row, int64_t layer, int64_t head, int64_t firstToken, int64_t endToken,
                    const float* probabilities, int64_t stride, float* out) {
  int64_t dimension = 0;
  for (; dimension + 64 <= pool.lanes; dimension += 64)
    weighValues<Q, 4>(pool, row, layer, head, firstToken, endToken, probabilities, stride, dimension, out);
  for (; dimension < pool.lanes; dimension += 16)
    weighValues<Q, 1>(pool, row, layer, head, firstToken, endToken, probabilities, stride, dimension, out);
}

// Calls body<4>, then <2> and <1>, over `count` vectors.
template <typename Body>
CAMELID_INLINE void inGroups(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) body(std::integral_constant<int, 4>(), i);
  if (i + 2 <= count) {
    body(std::integral_constant<int, 2>(), i);
    i += 2;
  }
  if (i < count) body(std::integral_constant<int, 1>(), i);
}

// In place: scores of tokens from ... to (both in) become exp of what they are below the highest; the rest of the stretch 0.
// @returns 1 / sum
float softmaxWeights(float* scores, int64_t stretch, int64_t from, int64_t to, float scale) {
  float highest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : highest)
  for (int64_t t = from; t <= to; t++) highest = std::max(highest, scores[t]);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t t = from; t <= to; t++) sum += scores[t] = fastExp((scores[t] - highest) * scale);
  std::fill(scores, scores + from, 0.0f);
  std::fill(scores + to + 1, scores + stretch, 0.0f);
  return 1.0f / sum;
}

// Some tokens of a row, and the query heads of one key-value head.
template <typename T>
void attendTask(const Pool<T>& pool, const Row& row, const T* query, T* output, int64_t heads, int64_t layer, int64_t head,
                int64_t begin, int64_t end, int64_t window) {
  const int64_t groups = heads / pool.kvHeads, vectors = (end - begin) * groups, size = pool.size;
  const float scale = 1.0f / std::sqrt(static_cast<float>(size));
  const int64_t endToken = row.position + end;  // nothing from here on is seen
  const auto firstSeen = [&](int64_t position) { return window > 0 ? std::max<int64_t>(0, position - window + 1) : 0; };
  const int64_t firstToken = firstSeen(row.position + begin) / kBlockTokens * kBlockTokens;
  const int64_t stretch = (endToken - firstToken + kBlockTokens - 1) / kBlockTokens * kBlockTokens;

  thread_local std::vector<float> queries, scores, sums;
  queries.resize(vectors * size);
  scores.resize(vectors * stretch);
  sums.resize(vectors * pool.lanes);
  const auto offset = [&](int64_t vector) {  // of query and output
    return ((row.firstQuery + begin + vector / groups) * heads + head * groups + vector % groups) * size;
  };
  for (int64_t v = 0; v < vectors; v++) {
    for (int64_t d = 0; d < size; d++) queries[v * size + d] = widen(query[offset(v) + d]);
  }
  for (int64_t token = firstToken; token < endToken; token += kBlockTokens) {
    const T* keys = pool.at(row.blocks[token / kBlockTokens], layer, 0, head);
    if (token + kBlockTokens < endToken)
      prefetch(pool.at(row.blocks[token / kBlockTokens + 1], layer, 0, head), size * kBlockTokens);
    inGroups(vectors, [&](auto q, int64_t v) {
      blockScores<q()>(&queries[v * size], keys, size, &scores[v * stretch + token - firstToken], stretch);
    });
  }
  std::vector<float> shares(vectors);
  for (int64_t v = 0; v < vectors; v++) {
    const int64_t position = row.position + begin + v / groups;
    shares[v] = softmaxWeights(&scores[v * stretch], stretch, firstSeen(position) - firstToken, position - firstToken, scale);
  }
  inGroups(vectors, [&](auto q, int64_t v) {
    weighAllValues<q()>(pool, row, layer, head, firstToken, endToken, &scores[v * stretch], stretch, &sums[v * pool.lanes]);
  });
  for (int64_t v = 0; v < vectors; v++) {
    for (int64_t d = 0; d < size; d++) output[offset(v) + d] = narrowed<T>(sums[v * pool.lanes + d] * shares[v]);
  }
}

template <typename T>
void attendTokens(const Pool<T>& pool, const std::vector<Row>& rows, const T* query, T* output, int64_t heads, int64_t layer,
                  int64_t window) {
  struct Task {
    const Row* row;
    int64_t head, begin, end;
  };
  const int64_t step = std::max<int64_t>(1, kVectorsPerTask / (heads / pool.kvHeads));
  std::vector<Task> tasks;
  for (const Row& row : rows) {
    for (int64_t begin = 0; begin < row.count; begin += step) {
      for (int64_t head = 0; head < pool.kvHeads; head++)
        tasks.push_back({&row, head, begin, std::min(row.count, begin + step)});
    }
  }
  // Rows differ in length: whoever is done takes the next task.
  std::atomic<size_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    for (size_t i = next++; i < tasks.size(); i = next++) {
      const Task& task = tasks[i];
      attendTask(pool, *task.row, query, output, heads, layer, task.head, task.begin, task.end, window);
    }
  });
}

// --- other devices and types: the same blocks, through ATen; one slab only ---

at::Tensor attendWithAten(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& slab,
                          const std::vector<Row>& rows, int64_t layer, int64_t window) {
  const int64_t kvHeads = key.size(1), size = key.size(2), lanes = slab.size(4) / kBlockTokens;
  const at::Tensor own = slab.select(1, layer);  // [blocks, 2, kvHeads, 16 * lanes]
  const at::Tensor keys =
      own.select(1, 0).narrow(-1, 0, size * kBlockTokens).unflatten(-1, {size, kBlockTokens});         // [blocks, kvHeads, size, 16]
  const at::Tensor values = own.select(1, 1).unflatten(-1, {kBlockTokens, lanes}).narrow(-1, 0, size);  // [blocks, kvHeads, 16, size]
  at::Tensor output = at::zeros_like(query);
  for (const Row& row : rows) {
    const int64_t total = row.position + row.count, count = (total + kBlockTokens - 1) / kBlockTokens;
    const at::Tensor blocks =
        at::from_blob(const_cast<int32_t*>(row.blocks), {count}, at::kInt).to(at::kLong).to(query.device());
    const at::Tensor positions = at::arange(row.position, total, blocks.options());
    const at::Tensor block = blocks.index_select(0, at::floor_divide(positions, kBlockTokens));
    const at::Tensor slot = positions.remainder(kBlockTokens);
    keys.permute({0, 3, 1, 2}).index_put_({block, slot}, key.narrow(0, row.firstQuery, row.count));
    values.permute({0, 2, 1, 3}).index_put_({block, slot}, value.narrow(0, row.firstQuery, row.count));
    const at::Tensor k = keys.index_select(0, blocks).permute({1, 0, 3, 2}).reshape({kvHeads, -1, size}).narrow(1, 0, total);
    const at::Tensor v = values.index_select(0, blocks).permute({1, 0, 2, 3}).reshape({kvHeads, -1, size}).narrow(1, 0, total);
    at::Tensor seen = at::ones({row.count, total}, query.options().dtype(at::kBool)).tril(row.position);
    if (window > 0) seen = seen.triu(row.position - window + 1);
    const at::Tensor q = query.narrow(0, row.firstQuery, row.count).transpose(0, 1).unsqueeze(0);
    const at::Tensor attended = at::scaled_dot_product_attention(q, k.unsqueeze(0), v.unsqueeze(0), seen, 0.0, false,
                                                                 std::nullopt, query.size(1) != kvHeads);
    output.narrow(0, row.firstQuery, row.count).copy_(attended.squeeze(0).transpose(0, 1));
  }
  return output;
}

// Rows as the caller describes them, held against queries, tables and slabs.
std::vector<Row> readRows(const at::Tensor& rows, const at::Tensor& blocks, int64_t tokens, int64_t numBlocks) {
  TORCH_CHECK(rows.is_cpu() && rows.scalar_type() == at::kInt && rows.dim() == 2 && rows.size(1) == 3 && rows.is_contiguous(),
              "paged_attention: rows must be int32 [rows, 3] on the CPU: new tokens, position of the first, blocks");
  TORCH_CHECK(blocks.is_cpu() && blocks.scalar_type() == at::kInt && blocks.dim() == 1 && blocks.is_contiguous(),
              "paged_attention: blocks must be int32 on the CPU");
  const int32_t* row = rows.const_data_ptr<int32_t>();
  const int32_t* table = blocks.const_data_ptr<int32_t>();
  for (int64_t i = 0; i < blocks.numel(); i++) {
    TORCH_CHECK(table[i] >= 0 && table[i] < numBlocks, "paged_attention: there is no block ", table[i]);
  }
  std::vector<Row> all;
  int64_t query = 0, used = 0;
  for (int64_t i = 0; i < rows.size(0); i++, row += 3) {
    TORCH_CHECK(row[0] >= 0 && row[1] >= 0 && row[2] * kBlockTokens >= row[0] + row[1], "paged_attention: row ", i, " has ",
                row[2], " blocks for ", row[0] + row[1], " tokens");
    all.push_back({query, row[0], row[1], table + used});
    query += row[0];
    used += row[2];
  }
  TORCH_CHECK(query <= tokens && used == blocks.numel(), "paged_attention: rows of ", query, " tokens and ", used,
              " blocks do not fit ", tokens, " queries and ", blocks.numel(), " blocks");
  return all;
}

at::Tensor pagedAttention(const at::Tensor& query_, const at::Tensor& key_, const at::Tensor& value_, at::TensorList slabs,
                          const at::Tensor& rows_, const at::Tensor& blocks, int64_t layer, int64_t window) {
  TORCH_CHECK(!slabs.empty() && slabs[0].dim() == 5, "paged_attention: slabs must be [blocks, layers, 2, kvHeads, 16 * lanes]");
  const at::Tensor query = query_.contiguous(), key = key_.contiguous(), value = value_.contiguous();
  const at::Tensor& slab = slabs[0];
  TORCH_CHECK(query.dim() == 3 && key.dim() == 3 && value.sizes() == key.sizes() && query.size(0) == key.size(0) &&
                  query.size(2) == key.size(2) && query.size(1) % key.size(1) == 0 && slab.size(2) == 2 &&
                  slab.size(3) == key.size(1) && slab.size(4) == (key.size(2) + 15) / 16 * 16 * kBlockTokens && layer >= 0 &&
                  layer < slab.size(1) && query.size(2) % 2 == 0,
              "paged_attention: query ", query.sizes(), ", key ", key.sizes(), ", value ", value.sizes(), ", slab ",
              slab.sizes(), " and layer ", layer, " do not fit together");
  int64_t numBlocks = 0;
  for (size_t i = 0; i < slabs.size(); i++) {
    TORCH_CHECK(slabs[i].is_contiguous() && slabs[i].scalar_type() == query.scalar_type() &&
                    slabs[i].device() == query.device() && slabs[i].sizes().slice(1) == slab.sizes().slice(1) &&
                    (i + 1 == slabs.size() ? slabs[i].size(0) <= slab.size(0) : slabs[i].size(0) == slab.size(0)),
                "paged_attention: slabs must be alike, only the last may be shorter");
    numBlocks += slabs[i].size(0);
  }
  const std::vector<Row> rows = readRows(rows_, blocks, query.size(0), numBlocks);
  if (!isFusable(query) || key.scalar_type() != query.scalar_type() || value.scalar_type() != query.scalar_type()) {
    TORCH_CHECK(slabs.size() == 1, "paged_attention: one slab only on this device or with this type");
    return attendWithAten(query, key, value, slab, rows, layer, window);
  }
  at::Tensor output = at::empty_like(query);
  withElementType(query, [&](auto element) {
    using T = decltype(element);
    Pool<T> pool{{}, slab.size(0), slab.size(1), key.size(1), key.size(2), slab.size(4) / kBlockTokens};
    for (const at::Tensor& part : slabs) pool.slabs.push_back(part.mutable_data_ptr<T>());
    storeTokens(pool, rows, key.const_data_ptr<T>(), value.const_data_ptr<T>(), layer);
    attendTokens(pool, rows, query.const_data_ptr<T>(), output.mutable_data_ptr<T>(), query.size(1), layer, window);
  });
  // Queries of no row are padding.
  const int64_t covered = rows.empty() ? 0 : rows.back().firstQuery + rows.back().count;
  if (covered < query.size(0)) output.narrow(0, covered, query.size(0) - covered).zero_();
  return output;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def(
      "paged_attention(Tensor query, Tensor key, Tensor value, Tensor(a!)[] slabs, Tensor rows, Tensor blocks, int layer, "
      "int window=0) -> Tensor",
      pagedAttention);
}

}  // namespace camelid
