// AdamW whose moments are kept in 8 bits (Dettmers et al. 2022, https://arxiv.org/abs/2110.02861), in the arithmetic of
// ../adamw8bit.cc: codes relative to the largest magnitude of each block of 256 are restored, updated in fp32 and stored again.
//
// A warp has a block, a lane eight of its weights: largest magnitudes are found by shuffles alone. With fp32 masters and bf16
// gradients 14 bytes a weight move through DRAM. Five exact divisions and roots and two new codes are some two hundred instructions, where
// an H100 has about 120 in that time: expect half of its bandwidth, a few milliseconds for a billion weights.
#include "elements.cuh"

constexpr int kBlock = 256, kEach = 8;

// The 256 values of a code in rising order, and `borders`: half-way between neighbours, with infinities around them.
struct Code {
  float values[256];
  float borders[257];
};

INLINE void loadCode(Code& code, const float* table) {
  for (int i = threadIdx.x; i < 256; i += blockDim.x) code.values[i] = table[i];
  for (int i = threadIdx.x; i < 257; i += blockDim.x) code.borders[i] = table[256 + i];
}

// Where the entries of each power of ten begin, and how densely they lie: evenly, twice as many as in the power below. So the
// place of a magnitude is a line in each, `slope * magnitude + first`.
struct Power {
  float slope, first;
};

template <bool isSigned>
INLINE void loadPowers(Power (&powers)[7]) {
  if (threadIdx.x >= 7) return;
  const int entries = (isSigned ? 1 : 2) << threadIdx.x, below = isSigned ? 127 + entries : entries - 1;  // zero counts
  float slope = static_cast<float>(entries) / 0.9f;
  for (int i = threadIdx.x; i < 6; i++) slope *= 10;
  powers[threadIdx.x] = {slope, static_cast<float>(below) - static_cast<float>(entries) / 9.0f};
}

// The nearest entry; of two equally near ones the lower. The line finds it but for one, whatever the last places of the logarithm
// are; the borders on both sides decide.
template <bool isSigned>
INLINE uint8 nearest(const Code& code, const Power (&powers)[7], float value) {
  const float magnitude = fabsf(value);
  const int power = static_cast<int>(fmaxf(__log2f(magnitude) * 0.30103f + 7.0f, 0.0f));  // 10^(power - 7) lies below
  const Power line = powers[power < 6 ? power : 6];
  int guess = min(static_cast<int>(line.slope * magnitude + line.first), 254);
  if (isSigned && value < 0) guess = 254 - guess;  // there is no -1
  return static_cast<uint8>(guess + (value > code.borders[guess + 1]) - (value <= code.borders[guess]));
}

struct Step {
  float lr, beta1, beta2, eps, keep;  // keep = 1 - lr * weight decay
  double exactBeta1, exactBeta2;
};

template <typename W, typename G>
INLINE void update(W* weight, const G* grad, uint8* meanCodes, float* meanScales, uint8* squareCodes, float* squareScales,
                   const float* tables, const float* stepNumber, const float* isBroken, int64 count, const Step& s) {
  if (isBroken != nullptr && *isBroken != 0) return;
  __shared__ Code means, squares;
  __shared__ Power powersOfMeans[7], powersOfSquares[7];
  __shared__ float correction1, rootOfCorrection2;
  loadCode(means, tables);
  loadCode(squares, tables + 513);
  loadPowers<true>(powersOfMeans);
  loadPowers<false>(powersOfSquares);
  if (threadIdx.x == 0) {
    correction1 = static_cast<float>(1 - pow(s.exactBeta1, static_cast<double>(*stepNumber)));
    rootOfCorrection2 = static_cast<float>(sqrt(1 - pow(s.exactBeta2, static_cast<double>(*stepNumber))));
  }
  __syncthreads();
  const bool isWide = isAligned(weight) && isAligned(grad) && isAligned(meanCodes) && isAligned(squareCodes);
  const int64 warps = blockDim.x / 32, blocks = (count + kBlock - 1) / kBlock;
  const int lane = threadIdx.x % 32;
  for (int64 block = blockIdx.x * warps + threadIdx.x / 32; block < blocks; block += gridDim.x * warps) {
    const int64 at = block * kBlock + lane * kEach;
    const bool isWhole = isWide && at + kEach <= count;
    const float meanScale = meanScales[block], squareScale = squareScales[block];
    Together<uint8, 16> codes;  // eight of the means, eight of the squares
    float w[kEach], m[kEach], v[kEach];
    if (isWhole) {
      const uint2 eightMeans = *reinterpret_cast<const uint2*>(meanCodes + at);
      const uint2 eightSquares = *reinterpret_cast<const uint2*>(squareCodes + at);
      codes.wide[0] = {eightMeans.x, eightMeans.y, eightSquares.x, eightSquares.y};
      load<kEach>(grad + at, m);
      load<kEach>(weight + at, w);
    } else {
#pragma unroll
      for (int i = 0; i < kEach; i++) {
        const bool isThere = at + i < count;
        codes.values[i] = isThere ? meanCodes[at + i] : 127;  // the codes of zero
        codes.values[kEach + i] = isThere ? squareCodes[at + i] : 0;
        m[i] = isThere ? widen(grad[at + i]) : 0.0f;
        w[i] = isThere ? widen(weight[at + i]) : 0.0f;
      }
    }
    float largestMean = 0, largestSquare = 0;
#pragma unroll
    for (int i = 0; i < kEach; i++) {
      const float gradient = m[i];
      m[i] = means.values[codes.values[i]] * meanScale * s.beta1 + gradient * (1.0f - s.beta1);
      v[i] = squares.values[codes.values[kEach + i]] * squareScale * s.beta2 + gradient * gradient * (1.0f - s.beta2);
      largestMean = fmaxf(largestMean, fabsf(m[i]));
      largestSquare = fmaxf(largestSquare, v[i]);
      const float denominator = sqrtf(v[i]) / rootOfCorrection2 + s.eps;
      w[i] = w[i] * s.keep - s.lr / correction1 * (m[i] / denominator);
    }
    largestMean = warpMaximum(largestMean);
    largestSquare = warpMaximum(largestSquare);
    if (lane == 0) {
      meanScales[block] = largestMean;
      squareScales[block] = largestSquare;
    }
#pragma unroll
    for (int i = 0; i < kEach; i++) {
      codes.values[i] = nearest<true>(means, powersOfMeans, largestMean > 0 ? m[i] / largestMean : 0.0f);
      codes.values[kEach + i] = nearest<false>(squares, powersOfSquares, largestSquare > 0 ? v[i] / largestSquare : 0.0f);
    }
    if (isWhole) {
      store<kEach>(weight + at, w);
      *reinterpret_cast<uint2*>(meanCodes + at) = {codes.wide[0].x, codes.wide[0].y};
      *reinterpret_cast<uint2*>(squareCodes + at) = {codes.wide[0].z, codes.wide[0].w};
    } else {
      for (int i = 0; i < kEach && at + i < count; i++) {
        weight[at + i] = narrowed<W>(w[i]);
        meanCodes[at + i] = codes.values[i];
        squareCodes[at + i] = codes.values[kEach + i];
      }
    }
  }
}

#define KERNEL(name, W, G)                                                                                                \
  extern "C" __global__ void adamw_8bit_##name(W* weight, const G* grad, uint8* meanCodes, float* meanScales,             \
                                               uint8* squareCodes, float* squareScales, const float* tables,              \
                                               const float* stepNumber, const float* isBroken, int64 count, float lr,     \
                                               double beta1, double beta2, float eps, float keep) {                       \
    update<W, G>(weight, grad, meanCodes, meanScales, squareCodes, squareScales, tables, stepNumber, isBroken, count,     \
                 {lr, static_cast<float>(beta1), static_cast<float>(beta2), eps, keep, beta1, beta2});                    \
  }

KERNEL(f32_f32, float, float)
KERNEL(f32_bf16, float, Bfloat16)
KERNEL(bf16_f32, Bfloat16, float)
KERNEL(bf16_bf16, Bfloat16, Bfloat16)
