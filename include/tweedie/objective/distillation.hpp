// Objectives that learn from another network.
//
//   progressive      a student's one step equals the teacher's two        Salimans and Ho 2022
//   score            w (eps_hat(x_t) - eps), no loss, only a gradient      Poole et al. 2023 (SDS)
//   variational      w (eps_hat(x_t) - eps_tuned(x_t))                     Wang et al. 2023 (VSD)
//   interval         w (eps_hat(x_t | y) - eps_hat(x_s))               Liang et al. 2024 (ISM)
//   distribution     (x_fake - x_real) / mean|x - x_real|                  Yin et al. 2024 (DMD)
//   prior preserving L_instance + lambda L_prior                           Ruiz et al. 2023
//   preference       -log sigmoid(-b ((e_w - r_w) - (e_l - r_l)))          Wallace et al. 2023 (DPO)
//
// Adversarial distillation adds a loss of objective/adversarial.hpp to one of these.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tweedie/schedule/signal_noise.hpp"
#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

/// The x0 estimate with which one step from `start` ends where the teacher ended,
/// x0 = end * (teacher's end) + start * (state at the start) (Salimans and Ho 2022, algorithm 2).
struct two_step_target {
  double end = 0;
  double start = 0;
};
inline two_step_target progressive_target(signal_noise start, signal_noise end) {
  constexpr const char* name = "progressive_target";
  detail::require(start.sigma > 0, name, "start.sigma", start.sigma, "valid: sigma > 0");
  const double kept = end.sigma / start.sigma;
  const double gain = end.alpha - kept * start.alpha;
  detail::require(gain > 0, name, "alpha gained by the step", gain,
                  "valid: an end less noisy than the start");
  return {1 / gain, -kept / gain};
}

/// Steps of the student: halved every `updates_per_stage` updates down to 2; the stages of 2 and 1
/// steps take twice as long (Song et al. 2023, code for progressive distillation).
inline int progressive_levels(double update, double updates_per_stage, int first) {
  constexpr const char* name = "progressive_levels";
  detail::require(update >= 0, name, "update", update, "valid: update >= 0");
  detail::require(updates_per_stage > 0, name, "updates_per_stage", updates_per_stage,
                  "valid: updates_per_stage > 0");
  detail::require(first >= 2, name, "first", first, "valid: first >= 2");
  const double steps =
      (std::max)(2.0, std::floor(first / std::exp2(std::floor(update / updates_per_stage))));
  if (steps > 2) return static_cast<int>(steps);
  const double late = (std::max)(0.0, update - updates_per_stage * (std::log2(first) - 1));
  return std::floor(late / (2 * updates_per_stage)) < 1 ? 2 : 1;
}

/// gradient = weight (prediction - reference) with respect to the generated data, to be carried to
/// its parameters by the caller; the networks are not differentiated. SDS: reference is the noise
/// that was added; VSD: the prediction of the network tuned to the generated data; ISM: the prediction without
/// prompt at the cleaner of two levels that `ddim_inversion` visits, so that no random noise enters. Returns
/// |prediction - reference|^2 per item, a measure of progress. Reads two tensors, writes one.
template <tensor_like Prediction, tensor_like Reference, writable_tensor Gradient>
std::vector<double> score_distillation_gradient(const Prediction& prediction,
                                                const Reference& reference,
                                                std::span<const double> weights,
                                                Gradient&& gradient) {
  constexpr const char* name = "score_distillation_gradient";
  detail::require_per_item(name, "weights", weights.size(),
                           traits_of<Prediction>::items(prediction));
  const auto difference = [](const auto& p, const auto& r, auto& g) {
    g = p - r;
    return detail::squared(detail::widened(p) - detail::widened(r));
  };
  return detail::per_item(
      name, reduction::sum_over_dimensions,
      [&](std::size_t i) {
        return detail::item_kernel{difference, 1, weights[i]};
      },
      std::tuple(detail::named("prediction", prediction), detail::named("reference", reference)),
      std::tuple(detail::named("gradient", gradient)));
}

/// Gradient of KL(generated || data) with respect to generated data, per item divided by the mean
/// absolute error of the data network, which evens out noise levels (Yin et al. 2024, eqs. 7-8):
/// (fake - real) / mean|x - real|, for x0 estimates of networks of the generated and of real data.
/// Reads the real estimates twice, the others once, writes one.
/// \throws std::invalid_argument where that error is 0 or not finite, before anything is written.
template <tensor_like Data, tensor_like Fake, tensor_like Real, writable_tensor Gradient>
void distribution_matching_gradient(const Data& generated, const Fake& fake, const Real& real,
                                    Gradient&& gradient) {
  constexpr const char* name = "distribution_matching_gradient";
  const auto distance = [](const auto& a, const auto& b) {
    return detail::magnitude(detail::widened(a) - detail::widened(b));
  };
  const std::vector<double> errors = detail::per_item(
      name, reduction::mean_over_dimensions, detail::item_kernel{distance},
      std::tuple(detail::named("generated", generated), detail::named("real", real)));
  for (const double error : errors)
    detail::require(error > 0 && std::isfinite(error), name, "mean |generated - real|", error,
                    "valid: finite and > 0; 0 if the data network returned its input");
  const auto difference = [](const auto& f, const auto& r, auto& g) { g = f - r; };
  detail::require_same_batch(name, "fake", generated, fake);
  detail::per_item(
      name, reduction::sum_over_dimensions,
      [&](std::size_t i) {
        return detail::item_kernel{difference, 1, 1 / errors[i]};
      },
      std::tuple(detail::named("fake", fake), detail::named("real", real)),
      std::tuple(detail::named("gradient", gradient)));
}

/// Weights for `regression` on a batch of instance items followed by prior items, so that the sum
/// of its values is mean(instance) + lambda mean(prior) (Ruiz et al. 2023, eq. 2).
inline std::vector<double> prior_preservation_weights(std::size_t instance_items,
                                                      std::size_t prior_items, double lambda) {
  constexpr const char* name = "prior_preservation_weights";
  detail::require(instance_items > 0, name, "instance_items", 0, "valid: at least one");
  detail::require(lambda >= 0, name, "lambda", lambda, "valid: lambda >= 0");
  if (prior_items == 0 && lambda > 0) detail::fail(name, "prior_items", 0, "valid: at least one");
  std::vector<double> weights(instance_items, 1 / static_cast<double>(instance_items));
  weights.resize(instance_items + prior_items, lambda / static_cast<double>(prior_items));
  return weights;
}

/// Value of the preference objective and its slopes in the model's two errors: weights for the
/// gradients of `regression` on the preferred and on the rejected item.
struct preference_loss {
  double value = 0;
  double winner_slope = 0;
  double loser_slope = 0;
};

/// -log sigmoid(-strength ((winner - winner_reference) - (loser - loser_reference))), each argument
/// the denoising error of one item, under the model and under the frozen reference; strength is
/// beta T omega of Wallace et al. 2023, eq. 14.
inline preference_loss diffusion_preference(double winner, double winner_reference, double loser,
                                            double loser_reference, double strength) {
  detail::require(strength > 0, "diffusion_preference", "strength", strength,
                  "valid: strength > 0");
  const double margin = strength * ((winner - winner_reference) - (loser - loser_reference));
  const double slope = strength * sigmoid(margin);
  return {softplus(margin), slope, -slope};
}

}  // namespace tweedie
