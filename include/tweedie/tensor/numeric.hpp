// The few functions losses are made of, stable at any argument, written once for floating-point
// numbers, forward-mode automatic differentiation (Eigen::AutoDiffScalar) and blocks of lanes.
//
// Loss kernels are functions of blocks (tensor/one_pass.hpp).
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>

#include "tweedie/tensor/block.hpp"
#include "tweedie/tensor/block_exponential.hpp"

namespace tweedie {

/// log(1 + e^x): x for large x, e^x for very negative x.
template <class S>
S softplus(const S& x);

/// 1 / (1 + e^-x).
template <class S>
S sigmoid(const S& x);

/// e^x - 1 - x, to full relative accuracy also near 0.
template <class S>
S exp_minus_linear(const S& x);

namespace detail {

template <class S>
concept differentiated = requires(const S& x) {
  x.value();
  x.derivatives();
};

template <class S>
S constant_like([[maybe_unused]] const S& x, double value) {
  if constexpr (lanes_of_numbers<S>) {
    return S(value);
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
template <class S>
S squared(const S& x) {
  return x * x;
}
template <class S>
S exponential(const S& x) {
  using std::exp;
  return exp(x);
}
template <class S>
S root_of(const S& x) {
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
  const S zero = constant_like(x, 0);
  return choose(x > zero, constant_like(x, 1), choose(x < zero, constant_like(x, -1), zero));
}
/// For blocks, 0 <= x <= 1.
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
  if constexpr (lanes_of_numbers<S>)
    return smaller(x, bound);
  else
    return choose(x < constant_like(x, bound), x, constant_like(x, bound));
}
template <class S>
S at_least(const S& x, double bound) {
  if constexpr (lanes_of_numbers<S>)
    return larger(x, bound);
  else
    return choose(x > constant_like(x, bound), x, constant_like(x, bound));
}

/// 1/k!
inline constexpr std::array<double, 15> inverse_factorials = [] {
  std::array<double, 15> out = {1};
  for (std::size_t k = 1; k < out.size(); ++k) out[k] = out[k - 1] / static_cast<double>(k);
  return out;
}();

}  // namespace detail

template <class S>
S softplus(const S& x) {
  if constexpr (detail::differentiated<S>) {  // also at 0, where its parts have corners
    return S(softplus(x.value()), x.derivatives() * sigmoid(x.value()));
  } else {
    return detail::at_least(x, 0) +
           detail::log_one_plus(detail::exponential(S(-detail::magnitude(x))));
  }
}

template <class S>
S sigmoid(const S& x) {
  const S e = detail::exponential(S(-detail::magnitude(x)));
  return detail::choose(x >= detail::constant_like(x, 0), detail::constant_like(x, 1), e) / (1 + e);
}

template <class S>
S exp_minus_linear(const S& x) {
  if constexpr (detail::lanes_of_numbers<S>) {
    return detail::expm1_minus(x);
  } else if constexpr (detail::differentiated<S>) {
    return S(exp_minus_linear(x.value()), x.derivatives() * std::expm1(x.value()));
  } else {
    // x^2/2! + ... + x^14/14! for |x| < 1/2; the next term is below 1e-16 of the first.
    S series = detail::constant_like(x, detail::inverse_factorials[14]);
    for (std::size_t k = 14; k-- > 2;) series = detail::inverse_factorials[k] + x * series;
    series = x * x * series;
    return detail::choose(detail::magnitude(x) < detail::constant_like(x, 0.5), series,
                          S(detail::exponential(x) - 1 - x));
  }
}

}  // namespace tweedie
