// The variational bound of a chain, term by term, with gradients to the network's outputs.
//
//   -log p(x0) <= L_T + sum L_{t-1} + L_0                          (Ho et al. 2020, eq. 5)
//   L_T     = KL(q(x_T | x0) || N(0, s^2 I))
//   L_{t-1} = KL(q(x_s | x_t, x0) || N(mu, e^l I))                 Gaussian against Gaussian
//   L_0     = -log p(x0 | x_1), a decoder of discrete data         (eq. 13, objective/decoder.hpp)
//
// Steps, means and variances of the model: objective/bound_steps.hpp. Values are in nats, or what the
// reduction says; a term reads its tensors once. Terms of learned variances are computed in the tensors'
// arithmetic.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "tweedie/objective/bound_steps.hpp"
#include "tweedie/objective/decoder.hpp"
#include "tweedie/process/log1p_minus.hpp"
#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

/// L_{t-1} or L_0 per item, for fixed variances, with the gradient to the output. `x0` is read by
/// last steps only. What the decoder throws, here and below, it throws before anything is written.
template <tensor_like Output, tensor_like Target, tensor_like Data, bin_decoder Decoder,
          writable_tensor Gradient>
std::vector<double> bound_terms(const Output& output, const Target& target, const Data& x0,
                                std::span<const bound_item> items, const Decoder& decoder,
                                reduction how, Gradient&& gradient);

/// The same for learned variances, with the gradients to both outputs.
template <tensor_like Output, tensor_like Variance, tensor_like Target, tensor_like Data,
          bin_decoder Decoder, writable_tensor Gradient, writable_tensor VarianceGradient>
std::vector<double> learned_variance_bound_terms(const Output& output, const Variance& variance,
                                                 const Target& target, const Data& x0,
                                                 std::span<const bound_item> items,
                                                 const Decoder& decoder, reduction how,
                                                 Gradient&& gradient,
                                                 VarianceGradient&& variance_gradient);

/// The terms as a guide for the variance alone (Nichol and Dhariwal 2021, section 3.1): the output
/// is held fixed ("stop-gradient"), only the gradient to the variance output is written. L_hybrid
/// is `regression` of the output plus 0.001 times this.
template <tensor_like Output, tensor_like Variance, tensor_like Target, tensor_like Data,
          bin_decoder Decoder, writable_tensor VarianceGradient>
std::vector<double> variance_bound_terms(const Output& output, const Variance& variance,
                                         const Target& target, const Data& x0,
                                         std::span<const bound_item> items, const Decoder& decoder,
                                         reduction how, VarianceGradient&& variance_gradient);

/// L_T per item: KL(N(alpha x0, sigma^2 I) || N(0, s^2 I)), s = sqrt(alpha^2 + sigma^2) for unit
/// data variance, so s = 1 for variance-preserving chains. No parameter of a model enters.
template <tensor_like Data>
std::vector<double> prior_terms(const Data& x0, signal_noise terminal, double prior_deviation,
                                reduction how) {
  constexpr const char* name = "prior_terms";
  detail::require(terminal.sigma > 0, name, "sigma", terminal.sigma, "valid: sigma > 0");
  detail::require(prior_deviation > 0, name, "prior_deviation", prior_deviation,
                  "valid: prior_deviation > 0");
  const std::size_t n = item_size(x0);
  const double scale = 1 / (prior_deviation * prior_deviation);
  // sigma^2/s^2 - 1, without cancellation where alpha^2 + sigma^2 = s^2 and sigma is near s.
  const double norm = std::hypot(terminal.alpha, terminal.sigma);
  const bool matched = std::abs(norm - prior_deviation) <= 1e-14 * prior_deviation;
  const double excess =
      matched && terminal.alpha < terminal.sigma
          ? -terminal.alpha * terminal.alpha * scale
          : (terminal.sigma - prior_deviation) * (terminal.sigma + prior_deviation) * scale;
  const double ratio = terminal.sigma / prior_deviation;
  const double variance_part =
      ratio < 0.5 ? excess / 2 - std::log(ratio) : -log1p_minus(excess) / 2;
  const double mean_factor = terminal.alpha * terminal.alpha * scale / 2;
  const auto squares = [](const auto& x) { return detail::squared(detail::widened(x)); };
  std::vector<double> values = detail::per_item(
      name, how, detail::item_kernel{squares, mean_factor}, std::tuple(detail::named("x0", x0)));
  for (double& value : values)
    value += reduction_factor(how, n) * static_cast<double>(n) * variance_part;
  return values;
}

namespace detail {

/// The bins of an item at its last step. `variance` may be null for fixed variances.
template <class O, class V, class T, class D, class Decoder>
std::vector<bin_likelihood> decoded(std::size_t n, const O* output, const V* variance,
                                    const T* target, const D* x0, const bound_item& item,
                                    const Decoder& decoder) {
  std::vector<bin_likelihood> bins(n);
  for (std::size_t j = 0; j < n; ++j) {
    const double v = variance == nullptr ? 0 : static_cast<double>(variance[j]);
    const auto x = static_cast<double>(x0[j]);
    const double mean =
        x + item.gain * (static_cast<double>(output[j]) - static_cast<double>(target[j]));
    bins[j] = decoder(x, mean, (item.log_variance.offset + item.log_variance.slope * v) / 2);
  }
  return bins;
}

/// v may be null for fixed variances; null gradients are not written. `bins` are those of last steps.
template <class O, class V, class T, class G, class H>
double bound_term(std::size_t n, const O* output, const V* variance, const T* target,
                  std::span<const bin_likelihood> bins, const bound_item& item, double factor,
                  G* gradient, H* variance_gradient) {
  const double offset = item.log_variance.offset;
  const double slope = item.log_variance.slope;
  const double gain = item.gain;
  if (item.step.last) {
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const bin_likelihood& p = bins[j];
      sum -= p.log_probability;
      if (gradient != nullptr) gradient[j] = static_cast<G>(-factor * gain * p.mean_slope);
      if (variance_gradient != nullptr)
        variance_gradient[j] = static_cast<H>(-factor * slope / 2 * p.log_scale_slope);
    }
    return factor * sum;
  }
  const double log_v = item.step.posterior_log_variance;
  if (variance == nullptr) {
    const double curvature = gain * gain * std::exp(-offset);
    const double squares = one_pass(
        n,
        [](const auto& y, const auto& t, auto& dy) {
          dy = y - t;
          return squared(widened(y) - widened(t));
        },
        std::tuple(scaled_gradient<G>{gradient, factor * curvature}), output, target);
    return factor / 2 *
           (curvature * squares + static_cast<double>(n) * exp_minus_linear(log_v - offset));
  }
  // With d = log v_q - l: twice the divergence is e^d - 1 - d + (mu - mu_q)^2 e^-l, and
  // (mu - mu_q)^2 e^-l = w^2 e^d for w = gain e^(-log v_q / 2) (y - y*).
  using A = common_arithmetic<O, std::remove_const_t<V>, T, G, H>;
  const double whitening = gain * std::exp(-log_v / 2);
  const double constant = log_v - offset;
  const auto rounded = static_cast<double>(static_cast<A>(constant));
  return factor / 2 *
         one_pass(
             n,
             [=](const auto& y, const auto& v, const auto& t, auto& dy, auto& dv) {
               // The rounding of the constant is made good after the larger numbers cancelled.
               const block<A> d = (rounded - slope * v) + (constant - rounded);
               const block<A> w = whitening * (y - t);
               dy = w * exponential(d);
               const block<A> square = w * dy;
               dv = exp_minus_one(d) + square;
               return exp_minus_linear(d) + square;
             },
             std::tuple(scaled_gradient<G>{gradient, factor * whitening},
                        scaled_gradient<H>{variance_gradient, -0.5 * slope * factor}),
             output, variance, target);
}

template <class Output, class V, class Target, class Data, class Decoder, class G, class H>
std::vector<double> bound_terms_of(const char* name, const Output& output,
                                   const named_tensor<V>& variance, const Target& target,
                                   const Data& x0, std::span<const bound_item> items,
                                   const Decoder& decoder, reduction how,
                                   const named_tensor<G>& gradient,
                                   const named_tensor<H>& variance_gradient) {
  require_per_item(name, "items", items.size(), traits_of<Output>::items(output));
  for (const bound_item& item : items)
    if (variance.data == nullptr && item.log_variance.slope != 0)
      fail(name, "the items have learned variances; pass the variance output");
  // The decoder may refuse its data: all of it is decoded before any gradient is written.
  std::vector<std::vector<bin_likelihood>> bins(items.size());
  const auto decode = [&](std::size_t i, std::size_t n, const auto* y, const auto* t, const auto* x,
                          const auto* v, G*, H*) {
    if (items[i].step.last) bins[i] = decoded(n, y, v, t, x, items[i], decoder);
    return 0.0;
  };
  const auto value = [&](std::size_t i, std::size_t n, const auto* y, const auto* t, const auto*,
                         const auto* v, G* to, H* variance_to) {
    return bound_term(n, y, v, t, bins[i], items[i], reduction_factor(how, n), to, variance_to);
  };
  const auto over_items = [&](const auto& f) {
    return each_item(name, f, named("output", output), named("target", target), named("x0", x0),
                     variance, gradient, variance_gradient);
  };
  over_items(decode);
  return over_items(value);
}

}  // namespace detail

template <tensor_like Output, tensor_like Target, tensor_like Data, bin_decoder Decoder,
          writable_tensor Gradient>
std::vector<double> bound_terms(const Output& output, const Target& target, const Data& x0,
                                std::span<const bound_item> items, const Decoder& decoder,
                                reduction how, Gradient&& gradient) {
  const detail::named_tensor<scalar_t<Output>> none;
  return detail::bound_terms_of("bound_terms", output, none, target, x0, items, decoder, how,
                                detail::named("gradient", gradient), none);
}

template <tensor_like Output, tensor_like Variance, tensor_like Target, tensor_like Data,
          bin_decoder Decoder, writable_tensor Gradient, writable_tensor VarianceGradient>
std::vector<double> learned_variance_bound_terms(const Output& output, const Variance& variance,
                                                 const Target& target, const Data& x0,
                                                 std::span<const bound_item> items,
                                                 const Decoder& decoder, reduction how,
                                                 Gradient&& gradient,
                                                 VarianceGradient&& variance_gradient) {
  return detail::bound_terms_of("learned_variance_bound_terms", output,
                                detail::named("variance", variance), target, x0, items, decoder,
                                how, detail::named("gradient", gradient),
                                detail::named("variance_gradient", variance_gradient));
}

template <tensor_like Output, tensor_like Variance, tensor_like Target, tensor_like Data,
          bin_decoder Decoder, writable_tensor VarianceGradient>
std::vector<double> variance_bound_terms(const Output& output, const Variance& variance,
                                         const Target& target, const Data& x0,
                                         std::span<const bound_item> items, const Decoder& decoder,
                                         reduction how, VarianceGradient&& variance_gradient) {
  const detail::named_tensor<scalar_t<Output>> not_written;
  return detail::bound_terms_of("variance_bound_terms", output, detail::named("variance", variance),
                                target, x0, items, decoder, how, not_written,
                                detail::named("variance_gradient", variance_gradient));
}

}  // namespace tweedie
