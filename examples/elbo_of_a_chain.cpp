// What does the variational bound of a diffusion model consist of, and how tight is it?
//
// Data N(m, s^2), an exact network, 1000 DDPM steps. With the exact reverse variances the terms of
// any single path telescope to -log p(x0): the bound is an equality, path by path. With the two
// fixed variances in use it loses what the table shows.

#include <cmath>
#include <cstdio>
#include <vector>

#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/objective/variational_bound.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/tensor/random.hpp"

namespace {

using namespace tweedie;

constexpr double mean = 0.4, variance = 0.3;

double marginal_variance(signal_noise l) {
  return l.alpha * l.alpha * variance + l.sigma * l.sigma;
}

// Terms of one path, x_0 to x_T and what the model makes of it on the way back.
struct path_terms {
  double prior = 0, steps = 0, decoder = 0;
  double total() const { return prior + steps + decoder; }
};

path_terms follow(const std::vector<signal_noise>& levels, double x0, std::span<const double> z) {
  path_terms out;
  double x = x0;
  for (std::size_t i = levels.size() - 1; i > 0; --i) {
    const signal_noise from = levels[i - 1], to = levels[i];
    const transition_kernel q = transition(to, from);
    const double noisier = q.mean * x + std::sqrt(q.variance) * z[i - 1];
    const double reverse_mean = to.alpha * mean + q.mean * marginal_variance(to) /
                                                      marginal_variance(from) *
                                                      (noisier - from.alpha * mean);
    const double forward = normal_log_density(noisier, q.mean * x, std::log(q.variance));
    const double backward =
        normal_log_density(x, reverse_mean, std::log(gaussian_variance(from, to, variance)));
    (to.sigma == 0 ? out.decoder : out.steps) -= backward;
    out.prior += forward;
    x = noisier;
  }
  out.prior -=
      normal_log_density(x, levels[0].alpha * mean, std::log(marginal_variance(levels[0])));
  return out;
}

// Means of L_T, sum L_{t-1} and L_0 over data and noise, for reverse variances chosen per step.
template <class Choice>
void print_means(const char* name, const std::vector<bound_step>& steps, const Choice& choice,
                 double entropy) {
  const signal_noise last = steps.front().from;
  const double prior =
      normal_divergence(last.alpha * mean, std::log(marginal_variance(last)), 0.0, 0.0) +
      normal_entropy(std::log(marginal_variance(last))) - normal_entropy(2 * std::log(last.sigma));
  double inner = 0, decoder = 0;
  for (const bound_step& s : steps) {
    const double log_variance = std::log(choice(s));
    const double error = s.from.sigma * s.from.sigma * variance / marginal_variance(s.from);
    const double distance = s.clean_weight * s.clean_weight * error * std::exp(-log_variance) / 2;
    if (s.last)
      decoder = half_log_two_pi + log_variance / 2 + distance;
    else
      inner += distance + exp_minus_linear(s.posterior_log_variance - log_variance) / 2;
  }
  const double total = prior + inner + decoder;
  std::printf("%-8s %10.6f %12.6f %10.6f %12.6f %12.6f\n", name, prior, inner, decoder, total,
              total - entropy);
}

}  // namespace

int main() {
  const discrete_schedule schedule = linear_beta_schedule(1000);
  std::vector<signal_noise> levels;
  for (int k = schedule.steps() - 1; k >= -1; --k) levels.push_back(schedule.at(k));

  std::printf("one path each, exact reverse kernels, in nats\n");
  std::printf("%8s %14s %14s %12s %14s %14s\n", "x0", "L_T and q", "reverse", "decoder", "sum",
              "-log p(x0)");
  for (int k = 0; k < 5; ++k) {
    const double x0 = -1 + 0.7 * k;
    std::vector<double> z(levels.size());
    fill_normal(noise_key{7, static_cast<std::uint32_t>(k), 0}, 0, std::span(z));
    const path_terms t = follow(levels, x0, z);
    const double exact = -normal_log_density(x0, mean, std::log(variance));
    std::printf("%8.2f %14.6f %14.6f %12.6f %14.10f %14.10f %s\n", x0, t.prior, t.steps, t.decoder,
                t.total(), exact, std::abs(t.total() - exact) < 1e-10 ? "equal" : "DIFFERENT");
  }

  const double entropy = normal_entropy(std::log(variance));
  const std::vector<bound_step> steps = bound_steps(levels);
  std::printf("\nmeans over data and noise; the entropy of the data is %.6f nats\n", entropy);
  std::printf("%-8s %10s %12s %10s %12s %12s\n", "variance", "L_T", "sum L_t-1", "L_0", "bound",
              "gap");
  print_means(
      "exact", steps, [](const bound_step& s) { return gaussian_variance(s.from, s.to, variance); },
      entropy);
  print_means(
      "large", steps, [](const bound_step& s) { return std::exp(s.forward_log_variance); },
      entropy);
  print_means(
      "small", steps, [](const bound_step& s) { return std::exp(s.posterior_log_variance); },
      entropy);
}
