// The whole variational bound of any model on given data: every term of a chain, one noise draw
// per step, as published in bits per dimension.
//
//   total = L_T + sum over the steps of L_{t-1} (the last one is L_0)   (Ho et al. 2020, eq. 5)
#pragma once

#include <span>
#include <vector>

#include "tweedie/objective/variational_bound.hpp"
#include "tweedie/program/network.hpp"
#include "tweedie/solve/noise.hpp"

namespace tweedie {

/// Terms per step, from noisy to clean, each with one value per item.
struct chain_bound {
  std::vector<double> prior;
  std::vector<std::vector<double>> terms;
  std::vector<std::vector<double>> sample_errors;  ///< mean |x0_hat - x0|^2 per dimension
  std::vector<std::vector<double>> noise_errors;   ///< mean |z_hat - z|^2 per dimension

  std::vector<double> total() const {
    std::vector<double> sum = prior;
    for (const std::vector<double>& term : terms)
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += term[i];
    return sum;
  }
};

/// Leaves an x0 estimate as it is.
inline constexpr auto untransformed = [](auto) {};

/// Evaluates the bound of `model` over `nodes`, noisy to clean data, variance preserving.
/// \param model      model(input, network_time, output) or, for learned variances,
///                   model(input, network_time, output, variance_output), on spans of all items;
///                   what it writes to variance_output is read for learned variances only.
/// \param noise      a noise_source; draw k belongs to step k.
/// \param transform  applied in place to the x0 estimates before use, for example clipping.
template <tensor_like Data, class Model, class Noise, bin_decoder Decoder = discretised_gaussian,
          class Transform = decltype(untransformed)>
chain_bound evaluate_chain_bound(const Data& x0, std::span<const node> nodes,
                                 const network_description& network, bound_variance variance,
                                 Model&& model, Noise&& noise, reduction how,
                                 const Decoder& decoder = Decoder(),
                                 const Transform& transform = untransformed) {
  using S = scalar_t<Data>;
  constexpr const char* name = "evaluate_chain_bound";
  const std::size_t items = detail::checked_items(name, x0);
  const std::size_t size = elements(x0).size();
  std::vector<signal_noise> levels;
  for (const node& n : nodes) levels.push_back(n.level);
  const std::vector<bound_step> steps = bound_steps(levels);
  const bool learned =
      variance == bound_variance::learned || variance == bound_variance::learned_range;

  constexpr bool has_variance_output =
      std::invocable<Model&, std::span<const S>, double, std::span<S>, std::span<S>>;
  if (learned && !has_variance_output)
    detail::fail(name, "learned variances need a model with a variance output");

  std::vector<S> z(size), input(size), output(size), unused(size);
  std::vector<S> log_variance(has_variance_output ? size : 0);
  const auto data = elements(x0);
  chain_bound out;
  out.prior = prior_terms(x0, levels.front(), 1, how);
  for (std::size_t k = 0; k < steps.size(); ++k) {
    const auto [alpha, sigma] = steps[k].from;
    const double c = network.input_scale(nodes[k]);
    noise.fill(noise_request{static_cast<int>(k), {}, items}, std::span<S>(z));
    for (std::size_t j = 0; j < size; ++j)
      input[j] = static_cast<S>(
          c * (alpha * static_cast<double>(data[j]) + sigma * static_cast<double>(z[j])));
    const double time = network.time(nodes[k]);
    if constexpr (has_variance_output)
      model(std::span<const S>(input), time, std::span<S>(output), std::span<S>(log_variance));
    else
      model(std::span<const S>(input), time, std::span<S>(output));
    const state_output clean = sample_from({c * alpha, c * sigma}, answer_row(network, nodes[k]));
    for (std::size_t j = 0; j < size; ++j)
      output[j] = static_cast<S>(clean.x * static_cast<double>(input[j]) +
                                 clean.y * static_cast<double>(output[j]));
    transform(std::span<S>(output));

    const std::vector<bound_item> at(items, make_bound_item(steps[k], {1, 0}, variance));
    const batch_view estimate{std::span<const S>(output), items};
    const batch_view discarded{std::span<S>(unused), items};
    if (learned) {
      out.terms.push_back(variance_bound_terms(estimate,
                                               batch_view{std::span<const S>(log_variance), items},
                                               x0, x0, at, decoder, how, discarded));
    } else {
      out.terms.push_back(bound_terms(estimate, x0, x0, at, decoder, how, discarded));
    }
    std::vector<double> errors(items), noise_errors(items);
    const std::size_t n = item_size(x0);
    for (std::size_t i = 0; i < items; ++i) {
      for (std::size_t j = i * n; j < (i + 1) * n; ++j) {
        const double r = static_cast<double>(output[j]) - static_cast<double>(data[j]);
        errors[i] += r * r / static_cast<double>(n);
      }
      noise_errors[i] = errors[i] * signal_to_noise_ratio(steps[k].from);
    }
    out.sample_errors.push_back(errors);
    out.noise_errors.push_back(noise_errors);
  }
  return out;
}

}  // namespace tweedie
