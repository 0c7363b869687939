// Guided outputs: the weights of a rule found and applied, for whoever owns the loop. A run applies
// rules by itself (solve/sampling.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/guidance/rule.hpp"
#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/pivoted_gram.hpp"

namespace tweedie {

namespace detail {

/// Weights of one item's streams, elements [first, first + length) of each row: of the guided output
/// and of what is remembered, which is empty for rules without memory. `gram` is (rows + 1)^2 scratch.
/// \throws std::invalid_argument, in the name of `function`, for weights that are not finite and, if
///   the rule reads outputs, outputs that are not.
template <storage_scalar S, guidance_rule Rule>
void item_weights(const char* function, const Rule& rule, const guidance_point& point,
                  std::span<const S* const> rows, std::size_t first, std::size_t length,
                  std::span<double> gram, std::span<double> guided, std::span<double> remembered) {
  const bool reads = needs_gram(rule);
  stream_gram matrix(gram, rows.size() + 1);
  if (reads) {
    // Outputs count from the conditional one, the state as the x0 estimate; `guided` is free until below.
    const std::size_t outputs = rule.branches(), pivot = outputs > 1 ? 1 : 0;
    std::fill(guided.begin(), guided.end(), 0.0);
    std::fill_n(guided.begin(), outputs, -1.0);
    guided[pivot] = 0;
    if (reads_state(rule) && point.clean.x != 0 && std::isfinite(point.clean.y / point.clean.x))
      guided.back() = point.clean.y / point.clean.x;
    if (reads_clean_only(rule) &&
        estimates_gram<S>(rows, outputs, pivot, guided, point.clean.x, point.clean.y, first, length,
                          gram.first(rows.size() * rows.size()))) {
      matrix = stream_gram::of_estimates(gram.first(rows.size() * rows.size()), rows.size());
    } else {
      pivoted_gram<S>(rows, pivot, guided, first, length, gram);
    }
  }
  std::fill(guided.begin(), guided.end(), 0.0);
  std::fill(remembered.begin(), remembered.end(), 0.0);
  rule.weights(point, matrix, guided, remembered);
  for (const std::span<double> weights : {guided, remembered})
    for (std::size_t k = 0; k < weights.size(); ++k) {
      require(std::isfinite(weights[k]), function, "guidance weight", weights[k],
              "valid: finite; is every output that the rule reads?");
      if (!reads || weights[k] == 0 || k >= matrix.streams()) continue;
      const double square = matrix(k, k);
      require(std::isfinite(square), function, "square of an output", square,
              "valid: outputs that are finite");
    }
}

}  // namespace detail

/// Applies a rule to the outputs of one run, for whoever owns the loop: holds what the rule remembers
/// and allocates at construction only. A copy continues on its own.
template <storage_scalar S, guidance_rule Rule>
class guided_outputs {
 public:
  /// For outputs of `size` elements in `items` items.
  /// \throws std::invalid_argument unless items divides size and the rule has a branch, and for
  ///   rules that read the state, which only a run has.
  guided_outputs(Rule rule, std::size_t size, std::size_t items = 1)
      : rule_(std::move(rule)), size_(size), items_(items), branches_(rule_.branches()) {
    constexpr const char* name = "guided_outputs";
    detail::require(items > 0 && size % items == 0, name, "items", static_cast<double>(items),
                    "valid: divides the size");
    detail::require(branches_ > 0, name, "branches", 0, "valid: at least 1");
    detail::require(
        !reads_state(rule_), name, "reads_state", 1,
        "valid: rules on outputs alone; outputs that are x0 estimates need no on_clean");
    if (remembers(rule_)) memory_.resize(size);
    const std::size_t streams = branches_ + (memory_.empty() ? 0 : 1);
    rows_.resize(streams);
    item_rows_.resize(streams);
    weights_.resize(2 * streams);
    gram_.resize((streams + 1) * (streams + 1));
  }

  /// Writes the guided output, which may be one of the outputs, and updates what is remembered.
  /// \throws std::invalid_argument for other numbers or sizes than at construction, weights that are
  ///   not finite and, if the rule reads outputs, outputs that are not; nothing of that item is
  ///   written then.
  void operator()(guidance_point point, std::span<const S* const> outputs, std::span<S> guided) {
    constexpr const char* name = "guided_outputs";
    detail::require(outputs.size() == branches_, name, "outputs",
                    static_cast<double>(outputs.size()), "valid: one per branch of the rule");
    detail::require(guided.size() == size_, name, "guided.size()",
                    static_cast<double>(guided.size()), "valid: the size at construction");
    std::copy(outputs.begin(), outputs.end(), rows_.begin());
    if (!memory_.empty()) rows_.back() = memory_.data();
    const std::size_t streams = rows_.size(), length = size_ / items_;
    const std::span<double> now = std::span(weights_).first(streams);
    const std::span<double> later = std::span(weights_).last(memory_.empty() ? 0 : streams);
    for (std::size_t item = 0; item < items_; ++item) {
      const std::size_t first = item * length;
      point.item = item;
      detail::item_weights<S>(name, rule_, point, rows_, first, length, gram_, now, later);
      for (std::size_t k = 0; k < streams; ++k) item_rows_[k] = rows_[k] + first;
      S* const to[2] = {guided.data() + first, memory_.data() + (memory_.empty() ? 0 : first)};
      combine<S>(std::span(to).first(memory_.empty() ? 1 : 2), item_rows_,
                 std::span(weights_).first(memory_.empty() ? streams : 2 * streams), length);
    }
  }

  /// What is remembered, empty for rules without memory; write it to resume.
  std::span<S> remembered() { return memory_; }
  std::span<const S> remembered() const { return memory_; }
  /// Forgets, as at the start of a run.
  void restart() { std::fill(memory_.begin(), memory_.end(), S(0)); }

  const Rule& rule() const { return rule_; }

 private:
  Rule rule_;
  std::size_t size_, items_, branches_;
  std::vector<S> memory_;
  std::vector<const S*> rows_, item_rows_;
  std::vector<double> weights_;  // of the guided output, then of what is remembered
  std::vector<double> gram_;
};

}  // namespace tweedie
