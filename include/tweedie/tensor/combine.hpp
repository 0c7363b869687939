// Linear combinations of tensors in one pass: Y = C R, the outputs Y and inputs R being rows.
//
//   y_j = sum_k C(j, k) r_k
//
// Every input is read once and every output written once, for several outputs at a time, so that
// the cost is that of moving (inputs + outputs) * n scalars. An output may be the same memory as
// any input. An input whose weights are all 0 is not read, so that infinities and stale memory
// there do no harm. Weights are doubles, rounded once to the arithmetic type; storage scalars are rounded
// once on writing.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/storage.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie {

// Weights are row-major: outputs x inputs. All streams have n elements.
template <storage_scalar S>
void combine(std::span<S* const> outputs, std::span<const S* const> inputs,
             std::span<const double> weights, std::size_t n);

namespace detail {

// Elements of a stream that are kept in the first-level cache between the stages of a pass.
inline constexpr std::size_t block_size = 1024;

// One row of Y = C R over at most block_size elements (any number of elements while there are at
// most terms_at_once terms, all of them streams).
template <storage_scalar S>
class row_sum {
 public:
  using A = arithmetic_t<S>;

  explicit row_sum(std::size_t n) : n_(n) {}

  void add(const S* stream, double weight) {
    if (weight == 0) return;
    if (stream_count_ == terms_at_once) spill();
    streams_[stream_count_++] = {stream, static_cast<A>(weight)};
  }

  // A block in the cache, already of the arithmetic type.
  void add_block(const A* values, double weight) {
    if constexpr (std::same_as<S, A>) {
      add(values, weight);
    } else if (weight != 0) {
      if (block_count_ == terms_at_once - 1) spill_blocks();
      blocks_[block_count_++] = {values, static_cast<A>(weight)};
    }
  }

  template <storage_scalar D>
  void write(D* to) {
    if (!spilled_ && block_count_ == 0) {
      return weigh(to, std::span<const term<S>>(streams_, stream_count_), n_);
    }
    if (stream_count_ > 0) spill();
    if (spilled_) blocks_[block_count_++] = {partial_, A(1)};
    weigh(to, std::span<const term<A>>(blocks_, block_count_), n_);
  }

 private:
  void spill() {
    spill_terms(std::span<const term<S>>(streams_, stream_count_));
    stream_count_ = 0;
  }
  void spill_blocks() {
    spill_terms(std::span<const term<A>>(blocks_, block_count_));
    block_count_ = 0;
  }
  template <class T>
  void spill_terms(std::span<const term<T>> terms) {
    if (spilled_) {
      weigh<into::accumulate>(partial_, terms, n_);
    } else {
      weigh(partial_, terms, n_);
    }
    spilled_ = true;
  }

  std::size_t n_;
  std::size_t stream_count_ = 0;
  std::size_t block_count_ = 0;
  bool spilled_ = false;
  term<S> streams_[terms_at_once];
  term<A> blocks_[terms_at_once];
  A partial_[block_size];
};

// Whether an output later in the order of writing still reads the memory of output j. Outputs are
// written last to first, since the state usually comes first and is what the others read.
template <storage_scalar S>
bool read_later(std::size_t j, std::span<S* const> outputs, std::span<const S* const> inputs,
                std::span<const double> weights, std::size_t columns) {
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k] != outputs[j]) continue;
    for (std::size_t row = 0; row < j; ++row) {
      if (weights[row * columns + k] != 0) return true;
    }
  }
  return false;
}

// Writes rows [offset, offset + n) of a few outputs that share a few streams in one sweep; tells
// whether it could.
template <storage_scalar S>
bool combine_at_once(std::span<S* const> outputs, std::span<const S* const> inputs,
                     std::span<const arithmetic_t<S>* const> blocks,
                     std::span<const double> weights, std::size_t offset, std::size_t n) {
  if (outputs.size() < 2 || outputs.size() > outputs_at_once) return false;
  if (!std::same_as<S, arithmetic_t<S>> && !blocks.empty()) return false;
  const std::size_t columns = inputs.size() + blocks.size();
  const S* from[shared_terms_at_once];
  S* to[outputs_at_once];
  arithmetic_t<S> shared[shared_terms_at_once * outputs_at_once];
  std::size_t streams = 0;
  for (std::size_t k = 0; k < columns; ++k) {
    bool read = false;
    for (std::size_t j = 0; j < outputs.size(); ++j) read |= weights[j * columns + k] != 0;
    if (!read) continue;
    if (streams == shared_terms_at_once) return false;
    if (k < inputs.size()) {
      from[streams] = inputs[k] + offset;
    } else if constexpr (std::same_as<S, arithmetic_t<S>>) {
      from[streams] = blocks[k - inputs.size()];
    }
    for (std::size_t j = 0; j < outputs.size(); ++j)
      shared[streams * outputs.size() + j] = static_cast<arithmetic_t<S>>(weights[j * columns + k]);
    ++streams;
  }
  if (streams == 0) return false;
  for (std::size_t j = 0; j < outputs.size(); ++j) to[j] = outputs[j] + offset;
  weigh_rows_for<S>(outputs.size(), streams)(to, from, shared, n);
  return true;
}

// Rows [offset, offset + n) of Y = C (R, blocks), n <= block_size; blocks are columns behind the
// streams and start at the first element. `held` has room for outputs.size() - 1 blocks.
template <storage_scalar S>
void combine_block(std::span<S* const> outputs, std::span<const S* const> inputs,
                   std::span<const arithmetic_t<S>* const> blocks, std::span<const double> weights,
                   std::size_t offset, std::size_t n, S* held) {
  if (combine_at_once(outputs, inputs, blocks, weights, offset, n)) return;
  const std::size_t columns = inputs.size() + blocks.size();
  S* next_held = held;
  for (std::size_t j = outputs.size(); j-- > 0;) {
    const double* row = weights.data() + j * columns;
    row_sum<S> sum(n);
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      if (row[k] != 0) sum.add(inputs[k] + offset, row[k]);
    }
    for (std::size_t k = 0; k < blocks.size(); ++k) {
      sum.add_block(blocks[k], row[inputs.size() + k]);
    }
    if (j > 0 && read_later(j, outputs, inputs, weights, columns)) {
      sum.write(next_held);
      next_held += block_size;
    } else {
      sum.write(outputs[j] + offset);
    }
  }
  next_held = held;
  for (std::size_t j = outputs.size(); j-- > 1;) {
    if (!read_later(j, outputs, inputs, weights, columns)) continue;
    std::copy_n(next_held, n, outputs[j] + offset);
    next_held += block_size;
  }
}

// Room for the outputs of a block that have to wait; on the stack for the usual few.
template <storage_scalar S>
class held_blocks {
 public:
  explicit held_blocks(std::size_t outputs) {
    if (outputs > few) many_.resize((outputs - 1) * block_size);
  }
  S* data() { return many_.empty() ? few_ : many_.data(); }

 private:
  static constexpr std::size_t few = 4;
  S few_[(few - 1) * block_size];
  std::vector<S> many_;
};

inline void check_weights(const char* function, std::size_t outputs, std::size_t columns,
                          std::size_t weights) {
  if (weights != outputs * columns) {
    fail(function, "weights.size()", static_cast<double>(weights),
         "must be outputs x inputs = " + std::to_string(outputs) + " x " + std::to_string(columns));
  }
}

}  // namespace detail

template <storage_scalar S>
void combine(std::span<S* const> outputs, std::span<const S* const> inputs,
             std::span<const double> weights, std::size_t n) {
  detail::check_weights("combine", outputs.size(), inputs.size(), weights.size());
  if (outputs.size() == 1 && inputs.size() <= detail::terms_at_once) {
    detail::row_sum<S> sum(n);
    for (std::size_t k = 0; k < inputs.size(); ++k) sum.add(inputs[k], weights[k]);
    return sum.write(outputs[0]);
  }
  if (detail::combine_at_once<S>(outputs, inputs, {}, weights, 0, n)) return;
  detail::held_blocks<S> held(outputs.size());
  for (std::size_t i = 0; i < n; i += detail::block_size) {
    detail::combine_block<S>(outputs, inputs, {}, weights, i, std::min(n - i, detail::block_size),
                             held.data());
  }
}

}  // namespace tweedie
