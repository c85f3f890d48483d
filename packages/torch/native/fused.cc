// Fused elementwise kernels for the CPU, as operators of libtorch's own registry: namespace `camelid`.
//
// Each replaces a chain of ATen operators that would read and write the same memory several times; together such chains
// took over a third of a training step. Arithmetic is fp32 whatever the element type. CUDA has kernels of its own
// (cuda-fused.cc); other devices run the ATen chain.
// Every kernel has a plain TypeScript reference and a value-and-gradient test (src/fused.test.ts).
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "cuda-fused.h"
#include "lanes.h"

namespace camelid {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// --- rms_norm: x / sqrt(mean(x^2) + eps), rounded to the element type, times weight ---

template <typename T>
void rmsNormForward(const T* x, const T* weight, T* y, float* scales, int64_t rows, int64_t size, double eps) {
  at::parallel_for(0, rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const T* in = x + row * size;
      T* out = y + row * size;
      Floats squares = {};
      for (int64_t i = 0; i < size; i += kLanes) {
        const Floats values = next(in + i, size - i);
        squares = multiplyAdd(values, values, squares);
      }
      const float scale = 1.0f / std::sqrt(sumOf(squares) / static_cast<float>(size) + static_cast<float>(eps));
      scales[row] = scale;
      for (int64_t i = 0; i < size; i += kLanes) {
        const Floats hat = rounded<T>(next(in + i, size - i) * scale);
        putNext(hat * next(weight + i, size - i), out + i, size - i);
      }
    }
  });
}

constexpr int64_t kRowsPerBlock = 64;

// dx = scale * (g w - xhat mean(g w xhat)); dweight = sum over rows of g xhat. Rows are summed in blocks of fixed size and the
// blocks in order, so that the result does not depend on threads. A frozen weight has no sums (null).
template <typename T>
void rmsNormBackward(const T* grad, const T* x, const T* weight, const float* scales, T* gradX, float* blockSums,
                     int64_t rows, int64_t size) {
  const int64_t blocks = (rows + kRowsPerBlock - 1) / kRowsPerBlock;
  at::parallel_for(0, blocks, 1, [&](int64_t firstBlock, int64_t lastBlock) {
    for (int64_t block = firstBlock; block < lastBlock; block++) {
      float* sums = blockSums == nullptr ? nullptr : blockSums + block * size;
      const int64_t end = std::min(rows, (block + 1) * kRowsPerBlock);
      for (int64_t row = block * kRowsPerBlock; row < end; row++) {
        const T* g = grad + row * size;
        const T* in = x + row * size;
        T* out = gradX + row * size;
        const float scale = scales[row];
        Floats dots = {};
        for (int64_t i = 0; i < size; i += kLanes) {
          const Floats product = next(g + i, size - i) * (next(in + i, size - i) * scale);
          dots = multiplyAdd(product, next(weight + i, size - i), dots);
          if (sums != nullptr) putNext(next(sums + i, size - i) + product, sums + i, size - i);
        }
        const float mean = sumOf(dots) / static_cast<float>(size) * scale;
        for (int64_t i = 0; i < size; i += kLanes) {
          const Floats weighted = next(g + i, size - i) * next(weight + i, size - i);
          putNext(scale * (weighted - next(in + i, size - i) * mean), out + i, size - i);
        }
      }
    }
  });
}

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double eps) {
    const at::Tensor input = x.contiguous();
    const int64_t size = input.size(-1);
    const int64_t rows = input.numel() / std::max<int64_t>(size, 1);
    at::Tensor y = at::empty_like(input);
    at::Tensor scales = at::empty({rows}, input.options().dtype(at::kFloat));
    withElementType(input, [&](auto element) {
      using T = decltype(element);
      rmsNormForward(input.const_data_ptr<T>(), weight.const_data_ptr<T>(), y.mutable_data_ptr<T>(),
                     scales.mutable_data_ptr<float>(), rows, size, eps);
    });
    context->save_for_backward({input, weight, scales});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuseSecondBackward("rms_norm");
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &scales = saved[2];
    const at::Tensor grad = gradients[0].contiguous();
    const int64_t size = x.size(-1);
    const int64_t rows = scales.numel();
    at::Tensor gradX = at::empty_like(x);
    const bool isTrained = context->needs_input_grad(1);
    at::Tensor sums;
    if (isTrained) sums = at::zeros({(rows + kRowsPerBlock - 1) / kRowsPerBlock, size}, scales.options());
    withElementType(x, [&](auto element) {
      using T = decltype(element);
      rmsNormBackward(grad.const_data_ptr<T>(), x.const_data_ptr<T>(), weight.const_data_ptr<T>(),
                      scales.const_data_ptr<float>(), gradX.mutable_data_ptr<T>(),
                      isTrained ? sums.mutable_data_ptr<float>() : nullptr, rows, size);
    });
    return {gradX, isTrained ? sums.sum(0).to(weight.scalar_type()) : at::Tensor(), at::Tensor()};
  }
};

at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  TORCH_CHECK(weight.dim() == 1 && x.dim() >= 1 && x.size(-1) == weight.size(0), "rms_norm: weight ", weight.sizes(),
              " does not fit x ", x.sizes());
  if (const auto fused = cudaRmsNorm(x, weight, eps)) return *fused;
  if (isFusable(x) && isAlike(weight, x)) return RmsNorm::apply(x, weight.contiguous(), eps);
  const at::Tensor wide = x.to(at::kFloat);
  return (wide * (wide.pow(2).mean(-1, true) + eps).rsqrt()).to(x.scalar_type()) * weight;
}

// --- rope: dimensions i and i + size/2 of each head turn together by the token's angle ---

template <typename T>
void ropeKernel(const T* x, const float* cos, const float* sin, T* y, int64_t tokens, int64_t heads, int64_t size, float sign) {
  const int64_t half = size / 2;
  at::parallel_for(0, tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; token++) {
      const float* c = cos + token * half;
      const float* s = sin + token * half;
      for (int64_t head = 0; head < heads; head++) {
        const int64_t place = (token * heads + head) * size;
        turnHalves(x + place, c, s, y + place, half, sign);
      }
    }
  });
}

at::Tensor turn(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, float sign) {
  const at::Tensor input = x.contiguous();
  at::Tensor y = at::empty_like(input);
  withElementType(input, [&](auto element) {
    using T = decltype(element);
    ropeKernel(input.const_data_ptr<T>(), cos.const_data_ptr<float>(), sin.const_data_ptr<float>(), y.mutable_data_ptr<T>(),
               input.size(0), input.size(1), input.size(2), sign);
  });
  return y;
}

class Rope : public torch::autograd::Function<Rope> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return turn(x, cos, sin, 1.0f);
  }
  // A rotation's gradient turns back.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuseSecondBackward("rope");
    const auto saved = context->get_saved_variables();
    return {turn(gradients[0], saved[0], saved[1], -1.0f), at::Tensor(), at::Tensor()};
  }
};

at::Tensor rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  TORCH_CHECK(x.dim() == 3 && x.size(2) % 2 == 0 && cos.dim() == 2 && cos.size(0) == x.size(0) &&
                  cos.size(1) * 2 == x.size(2) && sin.sizes() == cos.sizes(),
              "rope: x ", x.sizes(), " needs cos and sin of shape [tokens, headDim / 2], got ", cos.sizes());
  if (const auto fused = cudaRope(x, cos, sin)) return *fused;
  if (isFusable(x) && cos.is_cpu() && cos.scalar_type() == at::kFloat && isAlike(sin, cos))
    return Rope::apply(x, cos.contiguous(), sin.contiguous());
  const at::Tensor c = cos.unsqueeze(1), s = sin.unsqueeze(1);
  const auto halves = x.to(at::kFloat).chunk(2, -1);
  return at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1).to(x.scalar_type());
}

// --- swiglu: silu(gate) * up ---

constexpr int64_t kValuesPerTask = 1 << 14;

template <typename T>
void swigluForward(const T* gate, const T* up, T* y, int64_t count) {
  at::parallel_for(0, count, kValuesPerTask, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes) {
      const Floats g = next(gate + i, end - i);
      putNext(g / (exponential(-g) + 1.0f) * next(up + i, end - i), y + i, end - i);
    }
  });
}

template <typename T>
void swigluBackward(const T* grad, const T* gate, const T* up, T* gradGate, T* gradUp, int64_t count) {
  at::parallel_for(0, count, kValuesPerTask, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes) {
      const Floats g = next(gate + i, end - i), d = next(grad + i, end - i);
      const Floats sigmoid = 1.0f / (exponential(-g) + 1.0f);
      putNext(d * g * sigmoid, gradUp + i, end - i);
      putNext(d * next(up + i, end - i) * sigmoid * (g * (1.0f - sigmoid) + 1.0f), gradGate + i, end - i);
    }
  });
}

class Swiglu : public torch::autograd::Function<Swiglu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    at::Tensor y = at::empty_like(gate);
    withElementType(gate, [&](auto element) {
      using T = decltype(element);
      swigluForward(gate.const_data_ptr<T>(), up.const_data_ptr<T>(), y.mutable_data_ptr<T>(), gate.numel());
    });
    context->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuseSecondBackward("swiglu");
    const auto saved = context->get_saved_variables();
    const at::Tensor grad = gradients[0].contiguous();
    at::Tensor gradGate = at::empty_like(saved[0]);
    at::Tensor gradUp = at::empty_like(saved[1]);
    withElementType(grad, [&](auto element) {
      using T = decltype(element);
      swigluBackward(grad.const_data_ptr<T>(), saved[0].const_data_ptr<T>(), saved[1].const_data_ptr<T>(),
                     gradGate.mutable_data_ptr<T>(), gradUp.mutable_data_ptr<T>(), grad.numel());
    });
    return {gradGate, gradUp};
  }
};

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  TORCH_CHECK(gate.sizes() == up.sizes(), "swiglu: gate ", gate.sizes(), " and up ", up.sizes(), " differ in shape");
  if (const auto fused = cudaSwiglu(gate, up)) return *fused;
  if (isFusable(gate) && isAlike(gate, up)) return Swiglu::apply(gate.contiguous(), up.contiguous());
  return at::silu(gate) * up;
}

// --- label_logps: log-probabilities of labels under logits; optionally the gradient takes the logits' place ---

// Per row: m = max, z = sum exp(x - m), logp = x[label] - m - log z. With upstream gradient u, each logit becomes
// u * (onehot(label) - exp(x - m) / z), rounded to the element type.
template <typename T>
void labelLogpsKernel(T* logits, const int64_t* labels, const float* upstream, float* logps, int64_t rows, int64_t size) {
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> exponentials(upstream == nullptr ? 0 : size);
    for (int64_t row = begin; row < end; row++) {
      T* x = logits + row * size;
      const int64_t label = labels[row];
      const float chosen = widen(x[label]);
      constexpr float nothing = -std::numeric_limits<float>::infinity();
      Floats largest = Floats{} + nothing;
      for (int64_t i = 0; i < size; i += kLanes) {
        const Floats values = next(x + i, size - i, nothing);
        largest = values > largest ? values : largest;
      }
      const float highest = largestOf(largest);
      Floats sums = {};
      for (int64_t i = 0; i < size; i += kLanes) {
        const Floats e = exponential(next(x + i, size - i, nothing) - highest);
        sums += e;
        if (upstream != nullptr) putNext(e, exponentials.data() + i, size - i);
      }
      const float sum = sumOf(sums);
      if (upstream != nullptr) {
        const float factor = -upstream[row] / sum;
        const float probability = exponentials[label] / sum;
        for (int64_t i = 0; i < size; i += kLanes)
          putNext(next(exponentials.data() + i, size - i) * factor, x + i, size - i);
        x[label] = narrowed<T>(upstream[row] * (1.0f - probability));
      }
      logps[row] = chosen - highest - std::log(sum);
    }
  });
}

at::Tensor labelLogps(at::Tensor logits, const at::Tensor& labels, const std::optional<at::Tensor>& upstream) {
  TORCH_CHECK(logits.dim() == 2 && labels.dim() == 1 && labels.size(0) == logits.size(0) && labels.scalar_type() == at::kLong,
              "label_logps: logits ", logits.sizes(), " need int64 labels of shape [rows], got ", labels.sizes());
  TORCH_CHECK(!logits.requires_grad(), "label_logps: logits must not require a gradient; it is computed here");
  if (const auto fused = cudaLabelLogps(logits, labels, upstream)) return *fused;
  if (isFusable(logits) && labels.is_cpu() && (!upstream || upstream->is_cpu())) {
    TORCH_CHECK(logits.is_contiguous(), "label_logps: logits must be contiguous");
    const auto [lowest, highest] = labels.numel() == 0 ? std::pair<int64_t, int64_t>{0, 0}
                                                       : std::pair{labels.min().item<int64_t>(), labels.max().item<int64_t>()};
    TORCH_CHECK(lowest >= 0 && highest < logits.size(1), "label_logps: labels must lie in [0, ", logits.size(1), ")");
    at::Tensor logps = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat));
    const at::Tensor indices = labels.contiguous();
    const at::Tensor gradients = upstream ? upstream->contiguous() : at::Tensor();
    TORCH_CHECK(!upstream || (gradients.scalar_type() == at::kFloat && gradients.sizes() == labels.sizes()),
                "label_logps: upstream must be fp32 of shape [rows]");
    withElementType(logits, [&](auto element) {
      using T = decltype(element);
      labelLogpsKernel(logits.mutable_data_ptr<T>(), indices.const_data_ptr<int64_t>(),
                       upstream ? gradients.const_data_ptr<float>() : nullptr, logps.mutable_data_ptr<float>(),
                       logits.size(0), logits.size(1));
    });
    return logps;
  }
  const at::Tensor wide = logits.to(at::kFloat).log_softmax(1);
  const at::Tensor column = labels.unsqueeze(1);
  const at::Tensor logps = wide.gather(1, column).squeeze(1);
  if (upstream) {
    const at::Tensor weights = upstream->unsqueeze(1);
    logits.copy_(wide.exp().mul(-weights).scatter_add_(1, column, weights));
  }
  return logps;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor", rmsNorm);
  library.def("rope(Tensor x, Tensor cos, Tensor sin) -> Tensor", rope);
  library.def("label_logps(Tensor(a!) logits, Tensor labels, Tensor? upstream=None) -> Tensor", labelLogps);
  library.def("swiglu(Tensor gate, Tensor up) -> Tensor", swiglu);
}

}  // namespace camelid
