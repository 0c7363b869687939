// The weights with which the passes of a run read the network's outputs: constants, or what a guidance
// rule finds for every item at every evaluation (guidance/rule.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/guidance/guided_outputs.hpp"
#include "tweedie/solve/run_parts.hpp"

namespace tweedie::detail {

template <storage_scalar S>
class stream_weights {
 public:
  stream_weights(const run_parts<S>& parts, std::size_t items)
      : items_(items), streams_(parts.streams()) {
    const bool ruled = parts.guidance && parts.guidance->rule;
    remembers_ = ruled && parts.guidance->memory;
    rows_.push_back(1);
    rows_.insert(rows_.end(), parts.branch_weights.begin(), parts.branch_weights.end());
    rows_.resize((ruled ? std::max<std::size_t>(items, 1) : 1) * width(), 1);
    if (!ruled) return;
    found_.resize(width() - 1);
    gram_.resize((streams_ + 1) * (streams_ + 1));
  }

  std::size_t streams() const { return streams_; }
  /// Of the first item: 1, the weights of the streams, and if guidance remembers their weights in what is
  /// remembered from now on.
  std::span<const double> first() const { return std::span(rows_).first(width()); }
  /// Whether all items have the weights of the first.
  bool uniform() const { return uniform_; }
  /// Changes whenever a weight does.
  std::size_t version() const { return version_; }
  void set(std::span<const double> weights) {
    for (std::size_t k = 0; k < weights.size(); ++k) rows_[k + 1] = weights[k];
    outdate();
  }
  void outdate() { ++version_; }

  /// f(first, count, row) for runs of items with the same weights, row as `first()`.
  template <class F>
  void by_items(const F& f) const {
    if (uniform_) return f(std::size_t{0}, items_, rows_.data());
    for (std::size_t i = 0; i < items_; ++i) f(i, std::size_t{1}, rows_.data() + i * width());
  }

  bool remembers() const { return remembers_; }

  /// Finds the weights of all items for these streams of items of `length` elements.
  /// \throws std::invalid_argument where a weight is not finite.
  void find(const erased_guidance<S>& rule, guidance_point at, std::span<const S* const> streams,
            std::size_t length) {
    uniform_ = true;
    const std::span<double> now = std::span(found_).first(streams_);
    const std::span<double> later = std::span(found_).subspan(streams_);
    for (at.item = 0; at.item < items_; ++at.item) {
      item_weights<S>("sampling", rule, at, streams, at.item * length, length, gram_, now, later);
      const auto row = rows_.begin() + static_cast<std::ptrdiff_t>(at.item * width() + 1);
      if (!std::equal(found_.begin(), found_.end(), row)) {
        std::copy(found_.begin(), found_.end(), row);
        outdate();  // at once: the next item may throw
      }
      uniform_ = uniform_ && std::equal(found_.begin(), found_.end(), rows_.begin() + 1);
    }
  }

 private:
  std::size_t width() const { return 1 + (remembers_ ? 2 : 1) * streams_; }

  std::size_t items_;
  std::size_t streams_;
  bool remembers_ = false;
  std::vector<double> rows_;
  bool uniform_ = true;
  std::size_t version_ = 1;
  std::vector<double> gram_, found_;  // of one item
};

}  // namespace tweedie::detail
