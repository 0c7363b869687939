// Guidance as a function of one small matrix: a rule gives, for every item of a batch, the weights
// of a linear combination of the network's outputs and of one stream it may remember.
//
//   guided   = sum_b g_b y_b + g_k m         y_0 ... y_(k-1) the outputs (branches), m remembered
//   m       <- sum_b r_b y_b + r_k m
//
// The weights depend on where the run stands and on the Gram matrix of [y_0 ... y_(k-1), m, 1]: norms,
// angles, means and deviations of whatever the streams combine to. Nearly every published rule is of
// this form: one reading of the streams for the matrix, one pass to combine. By convention branch 0 is
// the unconditional output and branch 1 the conditional one. In a run, guide into its one output:
//
//   guided_outputs<float, decltype(rule)> guide(rule, size, items);
//   while (s.next()) { network both ways; guide({s.at(), s.steps_done(), n}, outputs, output); }
//
// with `output` the elements of s.output(). Rules without a matrix are branch weights of the run too.
//
// Rules are values and nest: `rescaled{adaptive_projected{7.5}, 0.7}` first projects, then rescales.
// What is no combination of whole streams is a mixer (guidance/frequency.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/schedule/schedule.hpp"
#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/gram.hpp"

namespace tweedie {

/// Where a run stands when it guides: the level, step `step` of `steps` counted from 0, and the
/// item of the batch (a frame of a video, say).
struct guidance_point {
  node at{};
  std::size_t step = 0;
  std::size_t steps = 1;
  std::size_t item = 0;
};

/// Inner products of one item's streams; stream k is remembered, the last row is ones.
class stream_gram {
 public:
  /// `values` is width x width; width = streams + 1.
  stream_gram(std::span<const double> values, std::size_t width) : values_(values), width_(width) {}

  double operator()(std::size_t i, std::size_t j) const { return values_[i * width_ + j]; }
  double sum(std::size_t i) const { return (*this)(width_ - 1, i); }
  std::size_t streams() const { return width_ - 1; }

  /// Inner product of two combinations. Streams without weight are not read: they may be stale.
  double inner(std::span<const double> a, std::span<const double> b) const {
    double total = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; a[i] != 0 && j < b.size(); ++j)
        if (b[j] != 0) total += a[i] * b[j] * (*this)(i, j);
    return total;
  }
  double square(std::span<const double> a) const { return std::max(0.0, inner(a, a)); }

  /// Variance of a combination over its elements. Less than 64 roundings of its mean square counts
  /// as 0: a constant has no spread.
  double variance(std::span<const double> a) const {
    const double n = (*this)(width_ - 1, width_ - 1);
    double total = 0, magnitude = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i] == 0) continue;
      total += a[i] * sum(i);
      magnitude += std::abs(a[i]) * std::sqrt((*this)(i, i) / n);
    }
    const double v = square(a) / n - total / n * (total / n);
    return v > 64 * 0x1p-52 * magnitude * magnitude ? v : 0;
  }

 private:
  std::span<const double> values_;
  std::size_t width_;
};

/// A rule: `branches()` outputs in; `weights(point, gram, guided, remembered)` writes weights over
/// the streams into spans that come filled with 0 (`remembered` is empty for rules without memory).
/// Optional members: `bool needs_gram() const`, without which the rule is not shown a matrix, and
/// `bool remembers() const`, with which there is one stream more, of zeros at the start of a run.
template <class R>
concept guidance_rule = std::copy_constructible<R> &&
    requires(const R& rule, const guidance_point& point, const stream_gram& gram,
             std::span<double> weights) {
  { rule.branches() } -> std::convertible_to<std::size_t>;
  rule.weights(point, gram, weights, weights);
};

template <guidance_rule R>
bool needs_gram(const R& rule) {
  if constexpr (requires { rule.needs_gram(); })
    return rule.needs_gram();
  else
    return false;
}
template <guidance_rule R>
bool remembers(const R& rule) {
  if constexpr (requires { rule.remembers(); })
    return rule.remembers();
  else
    return false;
}

/// Constant weights, one per output: the simplest rule.
struct branch_weights {
  std::vector<double> values;

  std::size_t branches() const { return values.size(); }
  void weights(const guidance_point&, const stream_gram&, std::span<double> guided,
               std::span<double>) const {
    std::copy(values.begin(), values.end(), guided.begin());
  }
};

/// A rule of where the run stands: `f(const guidance_point&)` gives the rule for there, always of one
/// type, number of branches and memory. Scales that depend on the level (limited intervals, ramps),
/// the step, or the item (frames; a batch of different scales).
template <class F>
struct varying {
  F f;

  std::size_t branches() const { return f(guidance_point{}).branches(); }
  bool needs_gram() const { return tweedie::needs_gram(f(guidance_point{})); }
  bool remembers() const { return tweedie::remembers(f(guidance_point{})); }
  void weights(const guidance_point& point, const stream_gram& gram, std::span<double> guided,
               std::span<double> remembered) const {
    f(point).weights(point, gram, guided, remembered);
  }
};
template <class F>
varying(F) -> varying<F>;

/// `rule` where `where(const guidance_point&)` holds, elsewhere the conditional output; memory is
/// kept as it is there.
template <guidance_rule R, class Where>
struct only_where {
  R rule;
  Where where;

  std::size_t branches() const { return rule.branches(); }
  bool needs_gram() const { return tweedie::needs_gram(rule); }
  bool remembers() const { return tweedie::remembers(rule); }
  void weights(const guidance_point& point, const stream_gram& gram, std::span<double> guided,
               std::span<double> remembered) const {
    if (where(point)) return rule.weights(point, gram, guided, remembered);
    guided[1] = 1;
    if (!remembered.empty()) remembered.back() = 1;
  }
};
template <class R, class Where>
only_where(R, Where) -> only_where<R, Where>;

/// Noise levels sigma/alpha in (low, high]: limited interval guidance (Kynkaanniemi et al. 2024).
struct level_interval {
  double low = 0;
  double high = INFINITY;
  bool operator()(const guidance_point& p) const {
    const double level = p.at.level.sigma / p.at.level.alpha;
    return level > low && level <= high;
  }
};

/// Steps floor(start N) <= step < floor(stop N) of N.
struct step_interval {
  double start = 0;
  double stop = 1;
  bool operator()(const guidance_point& p) const {
    const auto n = static_cast<double>(p.steps), s = static_cast<double>(p.step);
    return std::floor(start * n) <= s && s < std::floor(stop * n);
  }
};

/// Applies a rule to the outputs of one run, for whoever owns the loop: holds what the rule remembers
/// and allocates at construction only. A copy continues on its own.
template <storage_scalar S, guidance_rule Rule>
class guided_outputs {
 public:
  /// For outputs of `size` elements in `items` items.
  /// \throws std::invalid_argument unless items divides size and the rule has a branch.
  guided_outputs(Rule rule, std::size_t size, std::size_t items = 1)
      : rule_(std::move(rule)), size_(size), items_(items), branches_(rule_.branches()) {
    constexpr const char* name = "guided_outputs";
    detail::require(items > 0 && size % items == 0, name, "items", static_cast<double>(items),
                    "valid: divides the size");
    detail::require(branches_ > 0, name, "branches", 0, "valid: at least 1");
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
    const bool reads = needs_gram(rule_);
    for (std::size_t item = 0; item < items_; ++item) {
      const std::size_t first = item * length;
      if (reads) gram_with_ones<S>(rows_, first, length, gram_);
      std::fill(weights_.begin(), weights_.end(), 0.0);
      point.item = item;
      rule_.weights(point, stream_gram(gram_, streams + 1), now, later);
      for (std::size_t k = 0; k < weights_.size(); ++k) {
        detail::require(std::isfinite(weights_[k]), name, "weight", weights_[k],
                        "valid: finite; is every output that the rule reads?");
        const std::size_t stream = k % streams;
        if (reads && weights_[k] != 0)
          detail::require(std::isfinite(gram_[stream * (streams + 2)]), name, "square of an output",
                          gram_[stream * (streams + 2)], "valid: outputs that are finite");
      }
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
