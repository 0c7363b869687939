// Linear combinations of tensors in one pass: Y = C R, the outputs Y and inputs R being rows.
//
//   y_j = sum_k C(j, k) r_k
//
// Every input is read once and every output written once, for several outputs at a time, so that
// the cost is that of moving (inputs + outputs) * n scalars. An output may be the same memory as
// any input. An input whose weights are all 0 is not read, so that infinities and stale memory
// there do no harm. Weights are doubles, rounded once to the arithmetic type; storage scalars are rounded
// once on writing. One to three outputs of at most 20 inputs; lower (program/lower.hpp) splits wider
// passes.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/storage.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie {

// Weights are row-major: outputs x inputs. All streams have n elements.
template <storage_scalar S>
void combine(std::span<S* const> outputs, std::span<const S* const> inputs,
             std::span<const double> weights, std::size_t n);

// The same as a value, for a batch of items that follow each other.
template <storage_scalar S>
struct summed_pass {
  std::size_t items = 1;
  std::size_t item_size = 0;
  std::span<S* const> outputs;
  std::span<const S* const> inputs;
  std::span<const double> weights;

  std::size_t size() const { return items * item_size; }
};

// Elements [begin, end) of the items, one after the other.
struct element_range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Any cut of the elements into ranges gives the same bits, as long as an input that is also an
// output is cut the same way.
template <storage_scalar S>
void apply(const summed_pass<S>& pass, element_range range);

namespace detail {

// Elements of a stream that are kept in the first-level cache between the stages of a pass.
inline constexpr std::size_t block_size = 1024;

// Streams, head and draws that one loop reads at most.
inline constexpr std::size_t most_columns = 20;

// Arguments of one loop over memory: the columns that some rows of C read. A column's weights are
// `columns` apart, as in C.
template <storage_scalar S>
class read_columns {
 public:
  using A = arithmetic_t<S>;

  read_columns(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns) {}

  void add(const S* stream, std::size_t offset, const double* weight) {
    if (put(weight)) streams_[stream_count_++] = stream + offset;
  }
  // A block in the cache, already of the arithmetic type; behind all streams.
  void add_block(const A* block, const double* weight) {
    if constexpr (std::same_as<S, A>)
      add(block, 0, weight);
    else if (put(weight))
      blocks_[block_count_++] = block;
  }

  weighed_columns<S> columns() {
    return {streams_, blocks_, weights_, stream_count_, block_count_};
  }

  // Sums of n elements of the columns, one for each row; 0 if there are no columns.
  template <storage_scalar D>
  void write(D* const* to, std::size_t n) {
    if (stream_count_ + block_count_ == 0) {
      for (std::size_t j = 0; j < rows_; ++j) std::fill_n(to[j], n, D(0));
      return;
    }
    weigh_loop_for<D, S>(rows_, stream_count_, block_count_)(to, columns(), 0, n);
  }

 private:
  // Takes over the column's weights, unless no row reads it.
  bool put(const double* weight) {
    bool read = false;
    A* const to = weights_ + (stream_count_ + block_count_) * rows_;
    for (std::size_t j = 0; j < rows_; ++j) {
      read = read || weight[j * columns_] != 0;
      to[j] = static_cast<A>(weight[j * columns_]);
    }
    return read;
  }

  std::size_t rows_;
  std::size_t columns_;
  const S* streams_[most_columns];
  const A* blocks_[most_columns];
  A weights_[outputs_at_once * most_columns];
  std::size_t stream_count_ = 0;
  std::size_t block_count_ = 0;
};

// Elements [offset, offset + n) of Y = C (R, blocks); blocks are columns behind the streams and start
// at the first element.
template <storage_scalar S>
void combine_block(std::span<S* const> outputs, std::span<const S* const> inputs,
                   std::span<const arithmetic_t<S>* const> blocks, std::span<const double> weights,
                   std::size_t offset, std::size_t n) {
  if (outputs.empty()) return;
  read_columns<S> read(outputs.size(), inputs.size() + blocks.size());
  for (std::size_t k = 0; k < inputs.size(); ++k) read.add(inputs[k], offset, &weights[k]);
  for (std::size_t k = 0; k < blocks.size(); ++k)
    read.add_block(blocks[k], &weights[inputs.size() + k]);
  S* to[outputs_at_once];
  for (std::size_t j = 0; j < outputs.size(); ++j) to[j] = outputs[j] + offset;
  read.write(to, n);
}

// Elements [begin, end) of Y = C R.
template <storage_scalar S>
void combine_range(std::span<S* const> outputs, std::span<const S* const> inputs,
                   std::span<const double> weights, std::size_t begin, std::size_t end) {
  if constexpr (kernels_elsewhere)
    kernels<S>().combine(reinterpret_cast<void* const*>(outputs.data()), outputs.size(),
                         reinterpret_cast<const void* const*>(inputs.data()), inputs.size(),
                         weights.data(), begin, end);
  else
    combine_block<S>(outputs, inputs, {}, weights, begin, end - begin);
}

inline void check_weights(const char* function, std::size_t outputs, std::size_t columns,
                          std::size_t weights) {
  if (weights != outputs * columns) {
    fail(function, "weights.size()", static_cast<double>(weights),
         "must be outputs x inputs = " + std::to_string(outputs) + " x " + std::to_string(columns));
  }
  if (outputs > outputs_at_once)
    fail(function, "outputs", static_cast<double>(outputs),
         "valid: at most " + std::to_string(outputs_at_once));
  if (columns > most_columns)
    fail(function, "inputs", static_cast<double>(columns),
         "valid: at most " + std::to_string(most_columns));
}

inline void check_range(const char* function, element_range range, std::size_t size) {
  if (range.begin > range.end || range.end > size) {
    fail(function, "range.end", static_cast<double>(range.end),
         "valid is begin to items x item_size = " + std::to_string(size));
  }
}

}  // namespace detail

template <storage_scalar S>
void combine(std::span<S* const> outputs, std::span<const S* const> inputs,
             std::span<const double> weights, std::size_t n) {
  detail::check_weights("combine", outputs.size(), inputs.size(), weights.size());
  detail::combine_range(outputs, inputs, weights, 0, n);
}

template <storage_scalar S>
void apply(const summed_pass<S>& pass, element_range range) {
  detail::check_weights("apply", pass.outputs.size(), pass.inputs.size(), pass.weights.size());
  detail::check_range("apply", range, pass.size());
  detail::combine_range(pass.outputs, pass.inputs, pass.weights, range.begin, range.end);
}

}  // namespace tweedie
