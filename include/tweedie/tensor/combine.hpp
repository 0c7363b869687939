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

// Room for `Few` on the stack, which the usual passes need, or for more.
template <class T, std::size_t Few>
class few_or_many {
 public:
  explicit few_or_many(std::size_t count) {
    if (count > Few) many_.resize(count);
  }
  T* data() { return many_.empty() ? few_ : many_.data(); }

 private:
  T few_[Few];
  std::vector<T> many_;
};

// Arguments of one loop over memory: the columns that some rows of C read. A column's weights are
// `columns` apart, as in C.
template <storage_scalar S>
class read_columns {
 public:
  using A = arithmetic_t<S>;

  read_columns(std::size_t rows, std::size_t columns)
      : rows_(rows),
        columns_(columns),
        streams_(columns),
        blocks_(columns),
        weights_(rows * columns) {}

  void add(const S* stream, std::size_t offset, const double* weight) {
    if (put(weight)) streams_.data()[stream_count_++] = stream + offset;
  }
  // A block in the cache, already of the arithmetic type; behind all streams.
  void add_block(const A* block, const double* weight) {
    if constexpr (std::same_as<S, A>)
      add(block, 0, weight);
    else if (put(weight))
      blocks_.data()[block_count_++] = block;
  }

  weighed_columns<S> columns() {
    return {streams_.data(), blocks_.data(), weights_.data(), stream_count_, block_count_};
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
    A* const to = weights_.data() + (stream_count_ + block_count_) * rows_;
    for (std::size_t j = 0; j < rows_; ++j) {
      read = read || weight[j * columns_] != 0;
      to[j] = static_cast<A>(weight[j * columns_]);
    }
    return read;
  }

  static constexpr std::size_t few = 16;
  std::size_t rows_;
  std::size_t columns_;
  few_or_many<const S*, few> streams_;
  few_or_many<const A*, few> blocks_;
  few_or_many<A, outputs_at_once * few> weights_;
  std::size_t stream_count_ = 0;
  std::size_t block_count_ = 0;
};

// Whether rows [0, first) still read the memory of output j >= first. Outputs are written last to
// first, since the state usually comes first and is what the others read.
template <storage_scalar S>
bool read_later(std::size_t j, std::size_t first, std::span<S* const> outputs,
                std::span<const S* const> inputs, const double* weights, std::size_t columns) {
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k] != outputs[j]) continue;
    for (std::size_t row = 0; row < first; ++row)
      if (weights[row * columns + k] != 0) return true;
  }
  return false;
}

// Blocks of outputs behind the first outputs_at_once that wait for others to be written.
template <storage_scalar S>
struct held_blocks : few_or_many<S, 3 * block_size> {
  explicit held_blocks(std::size_t outputs)
      : few_or_many<S, 3 * block_size>(
            outputs > outputs_at_once ? (outputs - outputs_at_once) * block_size : 0) {}
};

// Elements [offset, offset + n) of Y = C (R, blocks); blocks are columns behind the streams and start
// at the first element. With more than outputs_at_once outputs, n <= block_size.
template <storage_scalar S>
void combine_block(std::span<S* const> outputs, std::span<const S* const> inputs,
                   std::span<const arithmetic_t<S>* const> blocks, std::span<const double> weights,
                   std::size_t offset, std::size_t n, held_blocks<S>& waiting) {
  S* const held = waiting.data();
  const std::size_t columns = inputs.size() + blocks.size();
  for (std::size_t end = outputs.size(); end > 0;) {
    const std::size_t rows = (end - 1) % outputs_at_once + 1;
    const std::size_t first = end - rows;
    const double* const weight = weights.data() + first * columns;
    read_columns<S> read(rows, columns);
    for (std::size_t k = 0; k < inputs.size(); ++k) read.add(inputs[k], offset, weight + k);
    for (std::size_t k = 0; k < blocks.size(); ++k)
      read.add_block(blocks[k], weight + inputs.size() + k);
    S* to[outputs_at_once];
    for (std::size_t j = 0; j < rows; ++j) {
      const bool waits = read_later(first + j, first, outputs, inputs, weights.data(), columns);
      to[j] =
          waits ? held + (first + j - outputs_at_once) * block_size : outputs[first + j] + offset;
    }
    read.write(to, n);
    end = first;
  }
  for (std::size_t j = outputs_at_once; j < outputs.size(); ++j) {
    const std::size_t first = j - j % outputs_at_once;
    if (read_later(j, first, outputs, inputs, weights.data(), columns))
      std::copy_n(held + (j - outputs_at_once) * block_size, n, outputs[j] + offset);
  }
}

// Elements [begin, end) of Y = C R.
template <storage_scalar S>
void combine_range(std::span<S* const> outputs, std::span<const S* const> inputs,
                   std::span<const double> weights, std::size_t begin, std::size_t end) {
  held_blocks<S> held(outputs.size());
  const std::size_t size = outputs.size() <= outputs_at_once ? end - begin : block_size;
  for (std::size_t i = begin; i < end; i += size)
    combine_block<S>(outputs, inputs, {}, weights, i, std::min(end - i, size), held);
}

inline void check_weights(const char* function, std::size_t outputs, std::size_t columns,
                          std::size_t weights) {
  if (weights != outputs * columns) {
    fail(function, "weights.size()", static_cast<double>(weights),
         "must be outputs x inputs = " + std::to_string(outputs) + " x " + std::to_string(columns));
  }
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
