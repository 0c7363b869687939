// The regression loss of every diffusion and flow model, per item, with its gradient in one pass.
//
//   value_i = weight_i * reduce_j rho(gain_i (output_ij - target_ij)),
//   gradient_ij = d value_i / d output_ij
//
// output and target are of one prediction kind, a row of the (x0, z) plane. With gain != 1 the
// error is measured in another kind: at a fixed state all errors are proportional,
// Delta to = gain * Delta from (schedule/prediction.hpp). Weights come from training/weighting.hpp
// or from a training batch; dividing them by the number of items makes the gradient that of the
// mean over the batch.
//
//   metric             rho(r)                                  source
//   squared            r^2                                     Ho et al. 2020, eq. 14
//   absolute           |r|                                     Saharia et al. 2022 (Palette)
//   huber              r^2/2 for |r| <= c, else c (|r| - c/2)  Huber 1964
//   pseudo_huber       sqrt(r^2 + c^2) - c, per element
//   norm_pseudo_huber  sqrt(|r|^2 + c^2) - c of the item       Song and Dhariwal 2024, eq. 8
// Reads two tensors, writes one; the norm metric reads them a second time. Gradients are made in the
// arithmetic of the tensors, values in double, those of pseudo_huber too where the tensors are double.
#pragma once

#include <cmath>
#include <vector>

#include "tweedie/schedule/prediction.hpp"
#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

/// Value and slope of a metric at a residual. A metric that also takes blocks of numbers has a member
/// `values_in_double`: whether the values of float tensors are computed in double.
template <class Metric>
concept elementwise_metric = requires(const Metric& m, double r) {
  { m.value(r) } -> std::convertible_to<double>;
  { m.slope(r) } -> std::convertible_to<double>;
};

/// Value and slope, as functions of the squared norm of an item's residual.
template <class Metric>
concept norm_metric = requires(const Metric& m, double squared_norm) {
  { m.value_of_squared_norm(squared_norm) } -> std::convertible_to<double>;
  { m.slope_of_squared_norm(squared_norm) } -> std::convertible_to<double>;
};

/// What `regression` takes: a metric of elements, or of an item's norm.
template <class Metric>
concept regression_metric = elementwise_metric<Metric> || norm_metric<Metric>;

/// r^2.
struct squared_error {
  static constexpr bool values_in_double = true;
  template <class S>
  S value(const S& r) const {
    return r * r;
  }
  template <class S>
  S slope(const S& r) const {
    return 2 * r;
  }
};

/// Slope 0 at residual 0.
struct absolute_error {
  static constexpr bool values_in_double = true;
  template <class S>
  S value(const S& r) const {
    return detail::magnitude(r);
  }
  template <class S>
  S slope(const S& r) const {
    return detail::sign(r);
  }
};

/// r^2/2 for |r| <= c, else c (|r| - c/2) (Huber 1964).
struct huber_error {
  static constexpr bool values_in_double = true;
  explicit huber_error(double c) : c_(c) {
    detail::require(c > 0, "huber_error", "c", c, "valid: c > 0");
  }
  template <class S>
  S value(const S& r) const {
    const S size = detail::magnitude(r);
    const S inner = detail::at_most(size, c_);
    return inner * (size - inner / 2);
  }
  template <class S>
  S slope(const S& r) const {
    return detail::at_least(detail::at_most(r, c_), -c_);
  }

 private:
  double c_;
};

/// Beyond `linear` times c it is |r| - c, to all digits, where the square of r/c need not be a number.
struct pseudo_huber_error {
  static constexpr bool values_in_double = false;
  explicit pseudo_huber_error(double c) : c_(c), inverse_(1 / c) {
    detail::require(c > 0, "pseudo_huber_error", "c", c, "valid: c > 0");
  }
  template <class S>
  S value(const S& r) const {
    const S u = S(r * inverse_), held = within(u);
    const S square = held * held;
    return c_ * (square / (detail::root_of(S(square + 1)) + 1) + detail::magnitude(S(u - held)));
  }
  template <class S>
  S slope(const S& r) const {
    const S u = S(r * inverse_), held = within(u);
    const S square = held * held;
    return held / detail::root_of(S(square + 1));
  }

 private:
  template <class S>
  static S within(const S& u) {
    return detail::at_least(detail::at_most(u, linear), -linear);
  }

  static constexpr double linear = 1e9;
  double c_;
  double inverse_;
};

/// Acts on the norm of the whole item. The paper takes c = 0.00054 sqrt(d).
struct norm_pseudo_huber_error {
  explicit norm_pseudo_huber_error(double c) : c_(c) {
    detail::require(c > 0, "norm_pseudo_huber_error", "c", c, "valid: c > 0");
  }
  double value_of_squared_norm(double q) const { return q / (std::sqrt(q + c_ * c_) + c_); }
  double slope_of_squared_norm(double q) const { return 0.5 / std::sqrt(q + c_ * c_); }

 private:
  double c_;
};

/// c = 0.00054 sqrt(d) (Song and Dhariwal 2024, section 3.3).
inline norm_pseudo_huber_error improved_consistency_metric(std::size_t dimensions) {
  return norm_pseudo_huber_error(0.00054 * std::sqrt(static_cast<double>(dimensions)));
}

/// Factors of one item.
struct item_factors {
  double weight = 1;
  double gain = 1;
};

/// Per-item values; `gradient` receives their derivatives. It may be the output itself.
/// \throws std::invalid_argument for sizes that differ, and weights or gains that are not finite.
template <tensor_like Output, tensor_like Target, regression_metric Metric,
          writable_tensor Gradient>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const item_factors> factors, const Metric& metric,
                               reduction how, Gradient&& gradient);

/// With weights and the error measured in the kind of the network.
template <tensor_like Output, tensor_like Target, regression_metric Metric,
          writable_tensor Gradient>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const double> weights, const Metric& metric, reduction how,
                               Gradient&& gradient);

/// Values alone.
template <tensor_like Output, tensor_like Target, regression_metric Metric>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const double> weights, const Metric& metric,
                               reduction how);

/// Factor from errors of kind `from` to errors of kind `to` at a fixed state, |l_to / l_from|.
inline double residual_gain(signal_noise level, plane_row from, plane_row to) {
  return std::abs(convert(level, from, to).y);
}

namespace detail {

template <class Factors, class Output, class Target, class Metric, class G>
std::vector<double> regression_items(const Output& output, const Target& target,
                                     std::span<const Factors> factors, const Metric& metric,
                                     reduction how, const named_tensor<G>& gradient) {
  constexpr const char* name = "regression";
  const auto factors_of = [&](std::size_t i) {
    if constexpr (std::same_as<Factors, item_factors>)
      return factors[i];
    else
      return item_factors{factors[i], 1};
  };
  require_per_item(name, "factors", factors.size(), traits_of<Output>::items(output));
  for (std::size_t i = 0; i < factors.size(); ++i) {
    require(std::isfinite(factors_of(i).weight), name, "weight", factors_of(i).weight,
            "valid: finite");
    require(std::isfinite(factors_of(i).gain), name, "gain", factors_of(i).gain, "valid: finite");
  }
  const auto value = [&](std::size_t i, std::size_t n, const auto* y, const auto* t, G* to) {
    const double gain = factors_of(i).gain;
    const double factor = factors_of(i).weight * reduction_factor(how, n);
    if constexpr (elementwise_metric<Metric>) {
      using A = std::conditional_t < requires { Metric::values_in_double; }
      , common_arithmetic<G, scalar_t<Output>, scalar_t<Target>>, double > ;
      const auto kernel = [gain, metric](const auto& a, const auto& b, auto& slope) {
        const auto r = gain * (a - b);
        if constexpr (requires { Metric::values_in_double; }) {
          slope = metric.slope(r);
          return metric.value(gain * (for_values<Metric>(a) - for_values<Metric>(b)));
        } else {
          slope = r.each([&](double v) { return metric.slope(v); });
          return r.each([&](double v) { return metric.value(v); });
        }
      };
      return factor *
             one_pass_in<A>(n, kernel, std::tuple(scaled_gradient<G>{to, factor * gain}), y, t);
    } else {
      const double q =
          gain * gain *
          one_pass(
              n, [](const auto& a, const auto& b) { return squared(widened(a) - widened(b)); },
              std::tuple<>(), y, t);
      if (to != nullptr)
        one_pass(
            n, [](const auto& a, const auto& b, auto& slope) { slope = a - b; },
            std::tuple(
                scaled_gradient<G>{to, factor * 2 * gain * gain * metric.slope_of_squared_norm(q)}),
            y, t);
      return factor * metric.value_of_squared_norm(q);
    }
  };
  return each_item(name, value, named("output", output), named("target", target), gradient);
}

}  // namespace detail

template <tensor_like Output, tensor_like Target, regression_metric Metric,
          writable_tensor Gradient>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const item_factors> factors, const Metric& metric,
                               reduction how, Gradient&& gradient) {
  return detail::regression_items(output, target, factors, metric, how,
                                  detail::named("gradient", gradient));
}

template <tensor_like Output, tensor_like Target, regression_metric Metric,
          writable_tensor Gradient>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const double> weights, const Metric& metric, reduction how,
                               Gradient&& gradient) {
  return detail::regression_items(output, target, weights, metric, how,
                                  detail::named("gradient", gradient));
}

template <tensor_like Output, tensor_like Target, regression_metric Metric>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const double> weights, const Metric& metric,
                               reduction how) {
  return detail::regression_items(output, target, weights, metric, how,
                                  detail::named_tensor<scalar_t<Output>>{});
}

}  // namespace tweedie
