// The few functions losses are made of, stable at any argument, written once for floating-point
// numbers, forward-mode automatic differentiation (Eigen::AutoDiffScalar) and blocks of lanes.
//
// A block is a short Eigen array of doubles. Loss kernels are functions of blocks; one_pass reads
// its inputs once, writes each gradient once and adds the values in double, in a fixed order.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <tuple>
#include <utility>

#include "tweedie/objective/normal_distribution.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

/// log(1 + e^x): x for large x, e^x for very negative x.
template <class S>
S softplus(const S& x);

/// 1 / (1 + e^-x).
template <class S>
S sigmoid(const S& x);

/// log(1 + x) - x for x > -1, to full relative accuracy also near 0.
template <class S>
S log1p_minus(const S& x);

/// e^x - 1 - x, to full relative accuracy also near 0.
template <class S>
S exp_minus_linear(const S& x);

/// Logarithm of the standard normal distribution function.
template <class S>
S log_normal_cdf(const S& x);

namespace detail {

/// Lanes a kernel works on at once.
inline constexpr std::size_t block_lanes = 128;
using block = Eigen::Array<double, Eigen::Dynamic, 1, Eigen::ColMajor, block_lanes, 1>;

template <class S>
concept differentiated = requires(const S& x) {
  x.value();
  x.derivatives();
}
&&!std::is_base_of_v<Eigen::EigenBase<S>, S>;

template <class S>
concept lanes_of_numbers = std::is_base_of_v<Eigen::EigenBase<S>, S>;

/// f(x) with derivative df(x), lifted to numbers, differentiated numbers and blocks.
template <class S, class F, class D>
S lift(const S& x, const F& f, const D& df) {
  if constexpr (lanes_of_numbers<S>) {
    return x.unaryExpr(f);
  } else if constexpr (differentiated<S>) {
    return S(f(x.value()), x.derivatives() * df(x.value()));
  } else {
    return static_cast<S>(f(static_cast<double>(x)));
  }
}

template <class S>
S constant_like([[maybe_unused]] const S& x, double value) {
  if constexpr (lanes_of_numbers<S>) {
    return S::Constant(x.size(), value);
  } else if constexpr (differentiated<S>) {
    S out = x;
    out.value() = value;
    out.derivatives().setZero();
    return out;
  } else {
    return static_cast<S>(value);
  }
}

template <class S>
S choose(bool condition, const S& yes, const S& no) {
  return condition ? yes : no;
}
template <class Condition, class S>
requires lanes_of_numbers<S> S choose(const Eigen::ArrayBase<Condition>& condition, const S& yes,
                                      const S& no) {
  return condition.select(yes, no);
}

template <class S>
S exponential(const S& x) {
  using std::exp;
  return exp(x);
}
template <class S>
S logarithm(const S& x) {
  using std::log;
  return log(x);
}
template <class S>
S square_root(const S& x) {
  using std::sqrt;
  return sqrt(x);
}
template <class S>
S magnitude(const S& x) {
  using std::abs;
  return abs(x);
}
/// sign(x), 0 at 0; a constant where it is differentiated.
template <class S>
S sign(const S& x) {
  return lift(
      x, [](double v) { return static_cast<double>((v > 0) - (v < 0)); },
      [](double) { return 0.0; });
}
template <class S>
S log_one_plus(const S& x) {
  if constexpr (differentiated<S>) {
    return S(std::log1p(x.value()), x.derivatives() / (1 + x.value()));
  } else {
    using std::log1p;
    return log1p(x);
  }
}
template <class S>
S exp_minus_one(const S& x) {
  if constexpr (differentiated<S>) {
    return S(std::expm1(x.value()), x.derivatives() * std::exp(x.value()));
  } else {
    using std::expm1;
    return expm1(x);
  }
}
/// The smaller of x and a bound that does not depend on anything differentiated.
template <class S>
S at_most(const S& x, double bound) {
  return choose(x < constant_like(x, bound), x, constant_like(x, bound));
}
template <class S>
S at_least(const S& x, double bound) {
  return choose(x > constant_like(x, bound), x, constant_like(x, bound));
}

inline double log1p_minus_value(double x) {
  if (std::abs(x) > 0.1) return std::log1p(x) - x;
  double sum = 0;
  for (int k = 20; k >= 2; --k) sum = (k % 2 == 0 ? -1.0 : 1.0) / k + x * sum;
  return sum * x * x;
}

template <class S>
block load_block(const S* from, Eigen::Index n) {
  return Eigen::Map<const Eigen::Array<S, Eigen::Dynamic, 1>>(from, n).template cast<double>();
}
template <class S>
void store_block(S* to, const block& values, double factor) {
  Eigen::Map<Eigen::Array<S, Eigen::Dynamic, 1>>(to, values.size()) =
      (values * factor).template cast<S>();
}

/// Adds kernel(inputs..., slopes...) over `count` elements, where the kernel returns a block of
/// values and fills one block of slopes per gradient; gradients, where not null, become
/// factor * slope. A gradient may overwrite an input. Returns factor * sum of the values.
template <class Kernel, class... Gradients, class... Inputs>
double one_pass(std::size_t count, double factor, const Kernel& kernel,
                std::tuple<Gradients*...> gradients, const Inputs*... inputs) {
  double sum = 0;
  std::array<block, sizeof...(Gradients)> slopes;
  for (std::size_t first = 0; first < count; first += block_lanes) {
    const auto n = static_cast<Eigen::Index>(std::min(block_lanes, count - first));
    for (block& s : slopes) s.resize(n);
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      const block values = kernel(load_block(inputs + first, n)..., slopes[K]...);
      sum += values.sum();
      (..., (std::get<K>(gradients) != nullptr
                 ? store_block(std::get<K>(gradients) + first, slopes[K], factor)
                 : void()));
    }
    (std::index_sequence_for<Gradients...>{});
  }
  return factor * sum;
}

}  // namespace detail

template <class S>
S softplus(const S& x) {
  return detail::at_least(x, 0) +
         detail::log_one_plus(detail::exponential(S(-detail::magnitude(x))));
}

template <class S>
S sigmoid(const S& x) {
  const S e = detail::exponential(S(-detail::magnitude(x)));
  return detail::choose(x >= detail::constant_like(x, 0), S(1 / (1 + e)), S(e / (1 + e)));
}

template <class S>
S log1p_minus(const S& x) {
  return detail::lift(x, detail::log1p_minus_value, [](double v) { return -v / (1 + v); });
}

template <class S>
S exp_minus_linear(const S& x) {
  if constexpr (detail::differentiated<S>) {
    return S(exp_minus_linear(x.value()), x.derivatives() * std::expm1(x.value()));
  } else {
    // x^2/2! + ... + x^15/15! for |x| < 1/2; the next term is below 1e-17 of the first.
    S series = detail::constant_like(x, 1.0 / 15);
    for (int k = 14; k >= 3; --k) series = (1 + x * series) / k;
    series = x * x * (1 + x * series) / 2;
    return detail::choose(detail::magnitude(x) < detail::constant_like(x, 0.5), series,
                          S(detail::exponential(x) - 1 - x));
  }
}

template <class S>
S log_normal_cdf(const S& x) {
  return detail::lift(
      x, [](double v) { return log_normal_cdf(v); }, normal_hazard);
}

}  // namespace tweedie
