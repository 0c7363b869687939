// Langevin correction with a step size chosen from the data (Song et al. 2021, algorithms 4 and 5):
//
//   x <- x + e g + sqrt(2 e) z,    e = 2 a (r |z|/|g|)^2
//
// with the score g at x, fresh noise z, the wanted signal-to-noise ratio r, and a = 1 (variance
// exploding) or alpha_t^2/alpha_(t-1)^2 (variance preserving). It leaves the marginal at
// the present level unchanged up to O(e), so it is applied between steps of any program:
//
//   for (auto now = s.advance(); now != sampling_event::finished; now = s.advance()) {
//     if (now == sampling_event::evaluate)
//       network(s.input(), s.network_time(), s.output());
//     else
//       for (each correction) {
//         score(s.state(), s.reached(), g);
//         langevin(s.state(), g, z, items, snr);
//       }
//   }
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// What |z| and |g| are norms of.
enum class norm_of {
  each_item,  ///< every batch item has its own step size
  batch_mean  ///< means of the items' norms, one step size for all, as in the published code
};

/// e = 2 a (snr |z|/|g|)^2.
/// \throws std::invalid_argument if the score vanishes, since no finite step has the wanted ratio, or
///   is not finite; for noise that is not finite, snr outside [0, inf) or a outside (0, inf).
inline double langevin_step_size(double snr, double noise_norm, double score_norm, double a = 1) {
  constexpr const char* name = "langevin_step_size";
  detail::require(score_norm > 0 && std::isfinite(score_norm), name, "score norm", score_norm,
                  "valid: 0 < norm < inf");
  detail::require(std::isfinite(noise_norm), name, "noise norm", noise_norm, "valid: finite");
  detail::require(snr >= 0 && std::isfinite(snr), name, "snr", snr, "valid: 0 <= snr < inf");
  detail::require(a > 0 && std::isfinite(a), name, "a", a, "valid: 0 < a < inf");
  const double ratio = snr * noise_norm / score_norm;
  return 2 * a * ratio * ratio;
}

/// One correction of x in place; x, score and noise hold `items` tensors one after the other.
/// Reads 5n, writes n.
/// \throws std::invalid_argument for sizes that do not fit, and as langevin_step_size; x is then as
///   it was.
template <class X, class Score, class Noise>
void langevin(X&& x, const Score& score, const Noise& noise, std::size_t items, double snr,
              norm_of how = norm_of::batch_mean, double a = 1) {
  const std::size_t n = x.size();
  if (score.size() != n || noise.size() != n || items == 0 || n % items != 0)
    detail::fail("langevin", "items", static_cast<double>(items),
                 "valid: a divisor of the common size of x, score and noise");
  const std::size_t length = n / items;
  const auto norm = [&](const auto& v, std::size_t item) {
    double sum = 0;
    for (std::size_t i = item * length; i < (item + 1) * length; ++i)
      sum += static_cast<double>(v[i]) * static_cast<double>(v[i]);
    return std::sqrt(sum);
  };
  std::vector<double> steps(items);
  if (how == norm_of::batch_mean) {
    double mean_score = 0;
    double mean_noise = 0;
    for (std::size_t item = 0; item < items; ++item) {
      mean_score += norm(score, item) / static_cast<double>(items);
      mean_noise += norm(noise, item) / static_cast<double>(items);
    }
    steps.assign(items, langevin_step_size(snr, mean_noise, mean_score, a));
  } else {
    for (std::size_t item = 0; item < items; ++item)
      steps[item] = langevin_step_size(snr, norm(noise, item), norm(score, item), a);
  }
  for (std::size_t item = 0; item < items; ++item) {
    const double e = steps[item];
    const double spread = std::sqrt(2 * e);
    for (std::size_t i = item * length; i < (item + 1) * length; ++i)
      x[i] = static_cast<std::remove_cvref_t<decltype(x[i])>>(
          static_cast<double>(x[i]) + e * static_cast<double>(score[i]) +
          spread * static_cast<double>(noise[i]));
  }
}

}  // namespace tweedie
