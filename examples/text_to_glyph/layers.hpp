// What the networks are built of. Features stand before positions, N x C x positions: a linear map of
// features is a convolution of size 1, which is ten times as fast as a matrix product where LibTorch was
// built without a tuned BLAS, as Debian's is.
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tweedie/conditioning/embedding.hpp"

namespace glyphs {

namespace nn = torch::nn;

inline nn::Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t size = 3,
                              std::int64_t stride = 1) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, size).padding(size / 2).stride(stride));
}
inline nn::Conv1d map_of_features(std::int64_t in, std::int64_t out) {
  return nn::Conv1d(nn::Conv1dOptions(in, out, 1));
}
inline nn::GroupNorm normalisation(std::int64_t features) { return nn::GroupNorm(8, features); }

// The layer gives zeros until it has learnt something else: what it is added to starts unchanged.
template <class Layer>
Layer zeroed(Layer layer) {
  const torch::NoGradGuard no_gradients;
  for (torch::Tensor& p : layer->parameters()) p.zero_();
  return layer;
}

// h + f(h), told the time.
class residual_block : public nn::Module {
 public:
  residual_block(std::int64_t in, std::int64_t out, std::int64_t time = 0)
      : before_(register_module("before", normalisation(in))),
        first_(register_module("first", convolution(in, out))),
        between_(register_module("between", normalisation(out))),
        second_(register_module("second", zeroed(convolution(out, out)))) {
    if (time > 0) told_ = register_module("told", nn::Linear(time, out));
    if (in != out) skip_ = register_module("skip", convolution(in, out, 1));
  }

  torch::Tensor forward(const torch::Tensor& h, const torch::Tensor& time = {}) {
    torch::Tensor f = first_(torch::silu(before_(h)));
    if (!told_.is_empty()) f = f + told_(time).unsqueeze(2).unsqueeze(3);
    return (skip_.is_empty() ? h : skip_(h)) + second_(torch::silu(between_(f)));
  }

 protected:
  FORWARD_HAS_DEFAULT_ARGS({1, nn::AnyValue(torch::Tensor())})

 private:
  nn::GroupNorm before_;
  nn::Conv2d first_;
  nn::GroupNorm between_;
  nn::Conv2d second_;
  nn::Linear told_{nullptr};
  nn::Conv2d skip_{nullptr};
};

// softmax(Q^T K / sqrt(d)) V over features before positions; `heads` share the features.
inline torch::Tensor attention(const torch::Tensor& queries, const torch::Tensor& keys,
                               const torch::Tensor& values, std::int64_t heads) {
  const std::int64_t items = queries.size(0), features = queries.size(1), n = queries.size(2);
  const auto split = [&](const torch::Tensor& t) {
    return t.reshape({items * heads, features / heads, t.size(2)});
  };
  const torch::Tensor scores = torch::bmm(split(queries).transpose(1, 2), split(keys)) /
                               std::sqrt(static_cast<double>(features / heads));
  const torch::Tensor out = torch::bmm(split(values), torch::softmax(scores, 2).transpose(1, 2));
  return out.reshape({items, features, n});
}

// sin and cos of the times, N -> N x dimension (tweedie/conditioning/embedding.hpp).
inline torch::Tensor embedded_times(const std::vector<double>& times, int dimension) {
  const auto frequencies =
      tweedie::embedding_frequencies(dimension, tweedie::embedding_form::adm, 1000);
  torch::Tensor out = torch::empty({static_cast<std::int64_t>(times.size()), dimension});
  for (std::size_t i = 0; i < times.size(); ++i)
    tweedie::embed_time<float>(times[i], frequencies, tweedie::embedding_form::adm,
                               {out.data_ptr<float>() + i * static_cast<std::size_t>(dimension),
                                static_cast<std::size_t>(dimension)});
  return out;
}

}  // namespace glyphs
