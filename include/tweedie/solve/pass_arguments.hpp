// The arguments of one traversal of memory (tensor/fused_pass.hpp) for a pass of a run.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/solve/prepared_pass.hpp"
#include "tweedie/solve/run_memory.hpp"
#include "tweedie/solve/run_parts.hpp"
#include "tweedie/tensor/fused_pass.hpp"

namespace tweedie::detail {

// Lengthens `arguments` to `count`; never shortens them.
template <class Element>
void make_room(std::vector<Element>& arguments, std::size_t count) {
  if (arguments.size() < count) arguments.resize(count);
}

// What a fused_pass points to. Allocates in `make_room` only.
template <storage_scalar S>
class pass_arguments {
 public:
  // Room for `p`, beside that for earlier ones.
  void make_room(const prepared_pass<S>& p) {
    detail::make_room(inputs_, p.inputs.size());
    detail::make_room(outputs_, p.outputs.size());
    detail::make_room(weights_, p.weights.size());
    detail::make_room(head_, p.inputs.size());
    detail::make_room(draws_, p.draws.size());
  }

  // Draw number k of a pass; its scale, if any, from the first element of the first item on.
  void set_draw(std::size_t k, const pass_draw<S>& draw) { draws_[k] = draw; }

  // `p` on items [first, first + count), for weights of the streams as `stream_weights` gives them and one
  // key an item where draws are made inside. Holds until the next call.
  fused_pass<S> on_items(const prepared_pass<S>& p, const run_memory<S>& memory,
                         std::size_t item_size, std::size_t first, std::size_t count,
                         const double* given, const run_parts<S>& parts,
                         std::span<const noise_key> keys) {
    const std::size_t inputs = p.inputs.size();
    const std::size_t outputs = p.outputs.size();
    const std::size_t columns = p.weights.size() / outputs;
    const std::size_t offset = first * item_size;
    std::copy(p.weights.begin(), p.weights.end(), weights_.begin());
    std::copy(p.head.begin(), p.head.end(), head_.begin());
    for (std::size_t i = 0; i < inputs; ++i) {
      inputs_[i] = memory[p.inputs[i].place] + offset;
      for (std::size_t j = 0; j < outputs; ++j)
        weights_[j * columns + i] = p.weight(j, i, columns, given);
      if (!p.head.empty()) head_[i] *= given[p.inputs[i].factor];
    }
    for (std::size_t j = 0; j < outputs; ++j) outputs_[j] = memory[p.outputs[j]] + offset;

    fused_pass<S> work;
    work.items = count;
    work.item_size = item_size;
    work.outputs = std::span<S* const>(outputs_).first(outputs);
    work.inputs = std::span<const S* const>(inputs_).first(inputs);
    work.weights = std::span<const double>(weights_).first(outputs * columns);
    if (!p.head.empty())
      work.head = {std::span<const double>(head_).first(p.head.size()), parts.clipped->low,
                   parts.clipped->high};
    if (parts.key && !p.draws.empty()) {
      for (std::size_t k = 0; k < p.draws.size(); ++k) {
        placed_[k] = draws_[k];
        if (placed_[k].scale) placed_[k].scale += offset;
      }
      work.draws = std::span<const pass_draw<S>>(placed_).first(p.draws.size());
      work.item_keys = keys.subspan(first, count);
    }
    return work;
  }

 private:
  std::vector<const S*> inputs_;
  std::vector<S*> outputs_;
  std::vector<double> weights_;
  std::vector<double> head_;
  std::vector<pass_draw<S>> draws_;
  pass_draw<S> placed_[fused_pass<S>::most_draws];
};

}  // namespace tweedie::detail
