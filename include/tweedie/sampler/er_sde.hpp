// ER-SDE-Solver: extended reverse-time SDEs with a noise scale function phi of the noise level
// u = sigma / alpha (Cui et al. 2023, eq. 17-20).
//
//   x_t / alpha_t = r x_s / alpha_s + (1 - r) <D> + sqrt(u_t^2 - r^2 u_s^2) w,    r = phi(u_t) / phi(u_s)
//
// <D> is the mean of the x0 prediction under the measure d(1/phi) between u_s and u_t; D is a
// polynomial in u through the last 1, 2 or 3 outputs. phi(u) = u is the probability-flow ODE,
// phi(u) = u^2 the reverse SDE; phi must grow at least as fast as u. Setting the noise to zero under
// another phi does not give the ODE.
//
// Order 1, 2, 3 on the ODE and weak order 1, 2, 2 on SDEs. The published third order takes the
// derivative at u_s to be the last difference quotient, without its half-step correction: order 2.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "tweedie/sampler/multistep.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// Noise scale functions phi(u), u > 0.
inline constexpr auto ode_noise_scale = [](double u) { return u; };
inline constexpr auto sde_noise_scale = [](double u) { return u * u; };
/// u (exp(u^0.3) + 10), the authors' choice (ER-SDE-5).
inline constexpr auto er_sde_5_noise_scale = [](double u) {
  return u * (std::exp(std::pow(u, 0.3)) + 10);
};

/// Derivative at the start of a step in the three-output formula.
enum class er_sde_derivative {
  interpolated,  ///< of the quadratic: order 3
  published      ///< of the line through the last two outputs
};

/// ER-SDE-Solver of order 1, 2 or 3 with orders 1, 2, ... at the start. A step to sigma = 0 returns
/// the last x0 estimate. phi(u) = u draws nothing.
inline program er_sde(const legs& steps, int order = 3,
                      const std::function<double(double)>& noise_scale = er_sde_5_noise_scale,
                      er_sde_derivative derivative = er_sde_derivative::interpolated);

namespace detail {

// Means of (u - u_s)^k / (u_t - u_s)^k under d(1/phi). By parts only 1/phi is integrated; in log u,
// where it is smooth over any step.
inline std::vector<double> scaled_means(double u_s, double u_t, std::size_t count,
                                        const std::function<double(double)>& phi) {
  const double first = 1 / phi(u_s);
  const double last = 1 / phi(u_t);
  const double length = std::log(u_t / u_s);
  std::vector<double> means{1};
  for (std::size_t k = 1; k < count; ++k) {
    double integral = 0;
    for (const auto [q, weight] : gauss_legendre<32>()) {
      const double u = u_s * std::exp(q * length);
      const double s = (u - u_s) / (u_t - u_s);
      integral += weight * length * u / (u_t - u_s) * std::pow(s, static_cast<double>(k - 1)) *
                  (1 / phi(u) - first) / (last - first);
    }
    means.push_back(1 - static_cast<double>(k) * integral);
  }
  return means;
}

}  // namespace detail

inline program er_sde(const legs& steps, int order,
                      const std::function<double(double)>& noise_scale,
                      er_sde_derivative derivative) {
  constexpr const char* name = "er_sde";
  detail::require(order >= 1 && order <= 3, name, "order", order, "valid: 1, 2, 3");
  check_signal(name, steps);
  detail::output_history outputs;
  return walk(name, steps, [&](recorder& r, linear x, const leg& l) {
    const signal_noise from = l.from.level;
    const signal_noise to = l.to.level;
    const linear clean = r.evaluate(x, l.from).clean;
    outputs.push_back({l.from, clean});
    if (to.sigma == 0) {
      x = to.alpha * clean;
      return x;
    }
    const double u_s = noise_level(from);
    const double u_t = noise_level(to);
    const double ratio = noise_scale(u_t) / noise_scale(u_s);
    detail::require(ratio * u_s <= u_t * (1 + 1e-14), name, "phi(u_t) / phi(u_s)", ratio,
                    "valid: a noise scale with phi(u_t) / phi(u_s) <= u_t / u_s");
    const auto most = static_cast<std::size_t>(order);
    const std::size_t count = most < outputs.size() ? most : outputs.size();
    std::vector<double> positions;
    for (std::size_t j = 0; j < count; ++j)
      positions.push_back((noise_level(newest(outputs, j).at.level) - u_s) / (u_t - u_s));
    std::vector<double> means = detail::scaled_means(u_s, u_t, count, noise_scale);
    if (count == 3 && derivative == er_sde_derivative::published)
      means[2] += positions[1] * means[1];
    const std::vector<double> weights = interpolation_weights(positions, means);
    x *= ratio * to.alpha / from.alpha;
    for (std::size_t j = 0; j < count; ++j)
      x += to.alpha * (1 - ratio) * weights[j] * newest(outputs, j).value;
    const double carried = ratio * u_s;
    const double variance = (u_t - carried) * (u_t + carried);
    if (variance > 1e-14 * u_t * u_t) x += to.alpha * std::sqrt(variance) * r.draw({u_s, u_t});
    return x;
  });
}

}  // namespace tweedie
