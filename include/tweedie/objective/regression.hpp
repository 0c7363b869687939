// The regression loss of every diffusion and flow model, per item, with its gradient in one pass.
//
//   value_i = weight_i * reduce_j rho(gain_i (output_ij - target_ij)),
//   gradient_ij = d value_i / d output_ij
//
// output and target are of one prediction kind, a row of the (x0, z) plane. With gain != 1 the
// error is measured in another kind: at a fixed state all errors are proportional,
// Delta to = gain * Delta from (schedule/prediction.hpp). Weights come from objective/weighting.hpp
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

#include "tweedie/objective/batch.hpp"
#include "tweedie/objective/numeric.hpp"
#include "tweedie/objective/one_pass.hpp"
#include "tweedie/schedule/prediction.hpp"

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

template <class Metric>
concept regression_metric = elementwise_metric<Metric> || norm_metric<Metric>;

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

template <class Metric, class O, class T, class G>
double regression_item(const O* output, const T* target, std::size_t n, item_factors f,
                       const Metric& metric, double reduced, G* gradient) {
  const double factor = f.weight * reduced;
  const double gain = f.gain;
  if constexpr (requires { Metric::values_in_double; }) {
    return factor *
           one_pass(
               n,
               [=](const auto& y, const auto& t, auto& slope) {
                 const auto r = gain * (y - t);
                 slope = metric.slope(r);
                 return metric.value(gain * (for_values<Metric>(y) - for_values<Metric>(t)));
               },
               std::tuple(scaled_gradient<G>{gradient, factor * gain}), output, target);
  } else if constexpr (elementwise_metric<Metric>) {
    return factor * one_pass_in<double>(
                        n,
                        [gain, &metric](const auto& y, const auto& t, auto& slope) {
                          const auto r = gain * (y - t);
                          slope = r.each([&](double v) { return metric.slope(v); });
                          return r.each([&](double v) { return metric.value(v); });
                        },
                        std::tuple(scaled_gradient<G>{gradient, factor * gain}), output, target);
  } else {
    const double q =
        gain * gain *
        one_pass(
            n, [](const auto& y, const auto& t) { return squared(widened(y) - widened(t)); },
            std::tuple<>(), output, target);
    if (gradient != nullptr)
      one_pass(
          n, [](const auto& y, const auto& t, auto& slope) { slope = y - t; },
          std::tuple(scaled_gradient<G>{
              gradient, factor * 2 * gain * gain * metric.slope_of_squared_norm(q)}),
          output, target);
    return factor * metric.value_of_squared_norm(q);
  }
}

template <class Factors, class Output, class Target, class Metric, class G>
std::vector<double> regression_items(const Output& output, const Target& target,
                                     const Factors& factors, const Metric& metric, reduction how,
                                     G* gradient) {
  const std::size_t items = checked_items("regression", output);
  require_same_batch("regression", "target", output, target);
  const std::size_t n = item_size(output);
  const double reduced = items == 0 ? 0 : reduction_factor(how, n);
  for (std::size_t i = 0; i < items; ++i) {
    const item_factors f = factors(i);
    require(std::isfinite(f.weight), "regression", "weight", f.weight, "valid: finite");
    require(std::isfinite(f.gain), "regression", "gain", f.gain, "valid: finite");
  }
  std::vector<double> values(items);
  for (std::size_t i = 0; i < items; ++i)
    values[i] = regression_item(elements(output).data() + i * n, elements(target).data() + i * n, n,
                                factors(i), metric, reduced,
                                gradient == nullptr ? nullptr : gradient + i * n);
  return values;
}

}  // namespace detail

template <tensor_like Output, tensor_like Target, regression_metric Metric,
          writable_tensor Gradient>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const item_factors> factors, const Metric& metric,
                               reduction how, Gradient&& gradient) {
  detail::require_same_batch("regression", "gradient", output, gradient);
  detail::require_per_item("regression", "factors", factors.size(),
                           traits_of<Output>::items(output));
  return detail::regression_items(
      output, target, [&](std::size_t i) { return factors[i]; }, metric, how,
      elements(gradient).data());
}

template <tensor_like Output, tensor_like Target, regression_metric Metric,
          writable_tensor Gradient>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const double> weights, const Metric& metric, reduction how,
                               Gradient&& gradient) {
  detail::require_same_batch("regression", "gradient", output, gradient);
  detail::require_per_item("regression", "weights", weights.size(),
                           traits_of<Output>::items(output));
  return detail::regression_items(
      output, target,
      [&](std::size_t i) {
        return item_factors{weights[i], 1};
      },
      metric, how, elements(gradient).data());
}

template <tensor_like Output, tensor_like Target, regression_metric Metric>
std::vector<double> regression(const Output& output, const Target& target,
                               std::span<const double> weights, const Metric& metric,
                               reduction how) {
  detail::require_per_item("regression", "weights", weights.size(),
                           traits_of<Output>::items(output));
  return detail::regression_items(
      output, target,
      [&](std::size_t i) {
        return item_factors{weights[i], 1};
      },
      metric, how, static_cast<scalar_t<Output>*>(nullptr));
}

}  // namespace tweedie
