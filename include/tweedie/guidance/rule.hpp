// Guidance as a function of one small matrix: a rule gives, for every item of a batch, the weights
// of a linear combination of the network's outputs and of one stream it may remember.
//
//   guided   = sum_b g_b y_b + g_k m         y_0 ... y_(k-1) the outputs (branches), m remembered
//   m       <- sum_b r_b y_b + r_k m
//
// The weights depend on where the run stands and on the Gram matrix of [y_0 ... y_(k-1), m, 1]: norms,
// angles, means and deviations of whatever the streams combine to. Nearly every published rule is of
// this form: one reading of the streams for the matrix, and the step's own pass combines. By convention
// branch 0 is the unconditional output and branch 1 the conditional one. A run takes a rule where it
// takes branch weights:
//
//   sampling s(plan, network, x, rescaled{adaptive_projected{7.5}, 0.7}, gaussian_noise{1});
//   while (s.next()) { unconditional(s.input(), s.output(0)); conditional(s.input(), s.output(1)); }
//
// Rules are values and nest: `rescaled{adaptive_projected{7.5}, 0.7}` first projects, then rescales.
// What is no combination of whole streams is a mixer (guidance/frequency.hpp, guidance/regional.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/schedule/prediction.hpp"

namespace tweedie {

/// Where a run stands when it guides: the level, step `step` of `steps` counted from 0, the item of
/// the batch (a frame of a video, say), and the x0 estimate clean.x * state + clean.y * output.
struct guidance_point {
  node at{};
  std::size_t step = 0;
  std::size_t steps = 1;
  std::size_t item = 0;
  state_output clean{0, 1};
};

/// Inner products of one item's streams: the outputs, what is remembered, the state where a rule
/// reads it; the last row is ones.
class stream_gram {
 public:
  /// `values` is width x width; width = streams + 1.
  stream_gram(std::span<const double> values, std::size_t width)
      : values_(values), width_(width), streams_(width - 1) {}

  /// Of streams that are x0 estimates already: `of_clean` changes nothing.
  static stream_gram of_estimates(std::span<const double> values, std::size_t width) {
    stream_gram out(values, width);
    out.estimates_ = true;
    return out;
  }

  /// The same with the first `outputs` streams y_b seen as clean.x * state + clean.y * y_b; the state
  /// is the last stream, and no longer one of the streams.
  stream_gram of_clean(std::size_t outputs, state_output clean) const {
    stream_gram out = *this;
    if (estimates_) return out;
    out.streams_ = streams_ - 1;
    out.seen_ = outputs;
    out.clean_ = clean;
    return out;
  }

  double operator()(std::size_t i, std::size_t j) const {
    const std::size_t a = row(i), b = row(j), x = width_ - 2;
    if (seen_ == 0) return value(a, b);
    const state_output p = i < seen_ ? clean_ : state_output{0, 1};
    const state_output q = j < seen_ ? clean_ : state_output{0, 1};
    return p.y * q.y * value(a, b) + p.x * q.y * value(x, b) + p.y * q.x * value(a, x) +
           p.x * q.x * value(x, x);
  }
  double sum(std::size_t i) const { return (*this)(streams_, i); }
  std::size_t streams() const { return streams_; }

  /// Inner product of two combinations. Streams without weight are not read: they may be stale.
  double inner(std::span<const double> a, std::span<const double> b) const {
    double total = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; a[i] != 0 && j < b.size(); ++j)
        if (b[j] != 0) total += a[i] * b[j] * (*this)(i, j);
    return total;
  }
  double square(std::span<const double> a) const { return (std::max)(0.0, inner(a, a)); }

  /// Variance of a combination over its elements. Less than 64 roundings of its mean square counts
  /// as 0: a constant has no spread.
  double variance(std::span<const double> a) const {
    const double n = value(width_ - 1, width_ - 1);
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
  std::size_t row(std::size_t i) const { return i == streams_ ? width_ - 1 : i; }
  double value(std::size_t a, std::size_t b) const { return values_[a * width_ + b]; }

  std::span<const double> values_;
  std::size_t width_;
  std::size_t streams_;
  std::size_t seen_ = 0;  // outputs seen as x0 estimates
  bool estimates_ = false;
  state_output clean_{0, 1};
};

/// A rule: `branches()` outputs in; `weights(point, gram, guided, remembered)` writes weights over
/// the streams into spans that come filled with 0 (`remembered` is empty for rules without memory).
/// Optional members: `bool needs_gram() const`, without which the rule is not shown a matrix;
/// `bool remembers() const`, with which there is one stream more, of zeros at the start of a run; and
/// `bool reads_state() const`, with which the state is the last stream; and `bool reads_clean_only() const` for rules that
/// read it and look at the matrix by `of_clean` alone, which takes fewer sums.
template <class R>
concept guidance_rule = std::copy_constructible<R> &&
    requires(const R& rule, const guidance_point& point, const stream_gram& gram,
             std::span<double> weights) {
  { rule.branches() } -> std::convertible_to<std::size_t>;
  rule.weights(point, gram, weights, weights);
};

/// What a rule's optional members answer, false without them.
template <guidance_rule R>
bool needs_gram(const R& rule) {
  if constexpr (requires { rule.needs_gram(); })
    return rule.needs_gram();
  else
    return false;
}

/// \copydoc needs_gram
template <guidance_rule R>
bool remembers(const R& rule) {
  if constexpr (requires { rule.remembers(); })
    return rule.remembers();
  else
    return false;
}

/// \copydoc needs_gram
template <guidance_rule R>
bool reads_state(const R& rule) {
  if constexpr (requires { rule.reads_state(); })
    return rule.reads_state();
  else
    return false;
}

/// \copydoc needs_gram
template <guidance_rule R>
bool reads_clean_only(const R& rule) {
  if constexpr (requires { rule.reads_clean_only(); })
    return rule.reads_clean_only();
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
  bool reads_state() const { return tweedie::reads_state(f(guidance_point{})); }
  bool reads_clean_only() const { return tweedie::reads_clean_only(f(guidance_point{})); }
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
  bool reads_state() const { return tweedie::reads_state(rule); }
  bool reads_clean_only() const { return tweedie::reads_clean_only(rule); }
  void weights(const guidance_point& point, const stream_gram& gram, std::span<double> guided,
               std::span<double> remembered) const {
    if (where(point)) return rule.weights(point, gram, guided, remembered);
    guided[1] = 1;
    if (!remembered.empty()) remembered[branches()] = 1;
  }
};
template <class R, class Where>
only_where(R, Where) -> only_where<R, Where>;

/// `rule` applied to the x0 estimates D_b = c_x x + c_y y_b that outputs stand for, as papers state
/// norm limits, projections and rescaling, whatever the network predicts: with the guided estimate
/// sum_b g_b D_b + g_m m the guided output is
///
///   sum_b g_b y_b + (g_m / c_y) m + (sum_b g_b - 1) (c_x / c_y) x.
///
/// It is `rule` itself where weights sum to 1 and depend on no matrix. Fails at levels where outputs
/// determine no x0.
template <guidance_rule R>
struct on_clean {
  R rule;

  std::size_t branches() const { return rule.branches(); }
  bool needs_gram() const { return tweedie::needs_gram(rule); }
  bool remembers() const { return tweedie::remembers(rule); }
  bool reads_state() const { return true; }
  bool reads_clean_only() const { return !tweedie::reads_state(rule); }
  void weights(const guidance_point& point, const stream_gram& gram, std::span<double> guided,
               std::span<double> remembered) const {
    const std::size_t outputs = branches(), streams = guided.size() - 1;
    const state_output clean = point.clean;
    const auto later = remembered.first(remembered.empty() ? 0 : streams);
    rule.weights(point, gram.of_clean(outputs, clean), guided.first(streams), later);
    double excess = -1;
    for (std::size_t b = 0; b < outputs; ++b) excess += guided[b];
    guided[streams] = excess == 0 || clean.x == 0 ? 0 : excess * clean.x / clean.y;
    if (later.empty()) return;
    guided[outputs] /= clean.y;
    for (std::size_t b = 0; b < outputs; ++b) {
      remembered[streams] += later[b] * clean.x;
      later[b] *= clean.y;
    }
  }
};
template <class R>
on_clean(R) -> on_clean<R>;

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

}  // namespace tweedie
