// One run of a loaded sampler with recorded noise, with everything worth comparing kept.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "tweedie/interop/huggingface/loaded_sampler.hpp"

namespace reference {

using tensor = std::vector<double>;

struct trace {
  std::vector<tensor> states;     ///< state at each evaluation, before input scaling
  std::vector<tensor> inputs;     ///< what the network was shown
  std::vector<double> times;      ///< what the network was told
  std::vector<tensor> outputs;    ///< what it answered
  std::vector<tensor> variances;  ///< its second output; empty tensors if it has none
  std::vector<tensor> previews;   ///< what the reference returns next to the sample
  std::vector<tensor> marks;      ///< the sample after each step, Langevin corrections included
  tensor result;
  std::size_t noises_used = 0;
};

struct network {
  /// (input, time) -> output
  std::function<tensor(std::span<const double>, double)> output;
  /// Second output (learned variances); empty if the network has none.
  std::function<tensor(std::span<const double>)> variance;
};

/// Picture and mask of inpainting; empty otherwise.
struct inpainting {
  tensor original;
  tensor mask;
};

/// Runs `sampler` from x, a batch of `items`.
/// \throws std::runtime_error if more noises are wanted than there are
trace run(const tweedie::huggingface::loaded_sampler& sampler, const tensor& x, std::size_t items,
          const network& model, const std::vector<tensor>& noises, const inpainting& known = {});

}  // namespace reference
