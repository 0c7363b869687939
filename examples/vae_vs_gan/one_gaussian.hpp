// One Gaussian x = m + s z for two clusters: what likelihood and what a game make of it. Gradients
// come from the library, expectations from quantiles in place of samples.
//
// The game's result depends on its start: each cluster is a local optimum. From m = 1, log s = -0.7
// the fit goes to the right one, from m = -1 to the left one.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "../support/gnuplot.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/metric/divergence.hpp"
#include "tweedie/objective/adversarial.hpp"
#include "tweedie/objective/f_divergence.hpp"
#include "tweedie/objective/vae.hpp"

namespace vae_vs_gan {

using Eigen::VectorXd;

constexpr int points = 2000;

struct model {
  double mean = 1, log_deviation = -0.7;  // where fits start, nearer to one cluster
  double deviation() const { return std::exp(log_deviation); }
  double log_density(double x) const {
    return tweedie::normal_log_density(x, mean, 2 * log_deviation);
  }
  double score(double x) const { return (mean - x) / (deviation() * deviation()); }
};

// 1/2 N(-1.5, 0.3^2) + 1/2 N(1.5, 0.3^2)
inline double cluster(double x, double centre) {
  return tweedie::normal_log_density(x, centre, 2 * std::log(0.3));
}
inline double log_target(double x) {
  const double a = cluster(x, -1.5), b = cluster(x, 1.5);
  return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b))) - std::log(2);
}
inline double target_score(double x) {
  const double right = tweedie::sigmoid(cluster(x, 1.5) - cluster(x, -1.5));
  return (right * (1.5 - x) + (1 - right) * (-1.5 - x)) / 0.09;
}

inline VectorXd normal_quantiles() {
  VectorXd z(points);
  for (int i = 0; i < points; ++i) z[i] = tweedie::normal_quantile((i + 0.5) / points);
  return z;
}

// Both clusters at the same quantiles.
inline VectorXd target_quantiles() {
  const VectorXd z = normal_quantiles();
  VectorXd x(2 * points);
  x << (0.3 * z.array() - 1.5).matrix(), (0.3 * z.array() + 1.5).matrix();
  return x;
}

inline model by_likelihood() {
  const VectorXd x = target_quantiles();
  model m;
  VectorXd mean_slope(x.size()), log_variance_slope(x.size());
  for (int step = 0; step < 4000; ++step) {
    const VectorXd mean = VectorXd::Constant(x.size(), m.mean);
    const VectorXd log_variance = VectorXd::Constant(x.size(), 2 * m.log_deviation);
    tweedie::normal_negative_log_likelihoods(x, mean, log_variance,
                                             tweedie::reduction::mean_over_dimensions, mean_slope,
                                             log_variance_slope);
    m.mean -= 0.1 * mean_slope.sum();
    m.log_deviation -= 0.1 * 2 * log_variance_slope.sum();
  }
  return m;
}

// `slope` is that of the generator's loss in the logit of the optimal discriminator.
template <class Slope>
model by_game(const Slope& slope, model m = {}) {
  const VectorXd z = normal_quantiles();
  for (int step = 0; step < 4000; ++step) {
    double mean_slope = 0, deviation_slope = 0;
    for (const double v : z) {
      const double x = m.mean + m.deviation() * v;
      const double logit = tweedie::optimal_discriminator(log_target(x), m.log_density(x));
      const double at_sample = slope(logit) * (target_score(x) - m.score(x)) / points;
      mean_slope += at_sample;
      deviation_slope += at_sample * m.deviation() * v;
    }
    m.mean -= 0.02 * mean_slope;
    m.log_deviation -= 0.02 * deviation_slope;
  }
  return m;
}

inline double divergence(double (*from)(const model&, double), double (*to)(const model&, double),
                         const model& m) {
  double sum = 0;
  const double h = 1e-3;
  for (double x = -9; x <= 9; x += h) {
    const double p = from(m, x);
    sum += h * std::exp(p) * (p - to(m, x));
  }
  return sum;
}

inline void print_fit(const char* name, const model& m) {
  const auto target = [](const model&, double x) { return log_target(x); };
  const auto fitted = [](const model& f, double x) { return f.log_density(x); };
  const double left = tweedie::normal_cdf(-m.mean / m.deviation());
  std::printf("%-34s %7.3f %7.3f %10.4f %10.4f %10.4f %12.0f %%\n", name,
              std::round(1000 * m.mean) / 1000 + 0.0, m.deviation(), divergence(target, fitted, m),
              divergence(fitted, target, m),
              tweedie::js_divergence(
                  log_target, [&](double x) { return m.log_density(x); }, -9.0, 9.0, 18001),
              100 * left);
}

// Prints the table; a row "optimum" is what the rows above it should be.
inline void compare_on_clusters() {
  std::printf("%-34s %7s %7s %10s %10s %10s %14s\n", "fitted by", "m", "s", "KL(p|q)", "KL(q|p)",
              "JS", "left cluster");
  const model blurred = by_likelihood();
  print_fit("likelihood (as a VAE)", blurred);
  print_fit("  optimum: mean and deviation of p", {0, std::log(std::hypot(1.5, 0.3))});
  print_fit("game, reverse KL", by_game([](double) { return -1.0; }));
  const tweedie::minimax_game minimax;
  const auto slope = [&](double logit) { return minimax.generator_slope(logit); };
  const model sharp = by_game(slope);
  print_fit("game, minimax (Jensen-Shannon)", sharp);
  const tweedie::non_saturating_game non_saturating;
  print_fit("game, non-saturating",
            by_game([&](double logit) { return non_saturating.generator_slope(logit); }));
  print_fit("  optimum: one cluster", {1.5, std::log(0.3)});
  print_fit("game, minimax, from the left", by_game(slope, {-1, -0.7}));

  std::vector<support::curve> curves = {{"data", {}, {}}, {"likelihood", {}, {}}, {"game", {}, {}}};
  for (double x = -4; x <= 4; x += 0.02) {
    const double heights[] = {std::exp(log_target(x)), std::exp(blurred.log_density(x)),
                              std::exp(sharp.log_density(x))};
    for (std::size_t k = 0; k < 3; ++k) {
      curves[k].x.push_back(x);
      curves[k].y.push_back(heights[k]);
    }
  }
  support::plot("vae_vs_gan.png", "set xlabel 'x'\nset ylabel 'density'", curves);
}

}  // namespace vae_vs_gan
