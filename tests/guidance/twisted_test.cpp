// The twisted diffusion sampler reaches the tilted law, with few steps and with rough twists.
#include "tweedie/guidance/twisted.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "refusal.hpp"
#include "tweedie/guidance/exact.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

using list = std::vector<double>;
const network_description network{predicts_noise};

// A mixture of normals of one deviation on the line; a condition is a mixture of its own.
struct mixture_on_line {
  list weights, means;
  double variance = 1;

  // log p(x) and E[z | x] at a level.
  double log_density(double x, signal_noise at) const {
    const double v = at.alpha * at.alpha * variance + at.sigma * at.sigma;
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double d = x - at.alpha * means[i];
      sum += weights[i] * std::exp(-d * d / (2 * v)) / std::sqrt(2 * M_PI * v);
    }
    return std::log(sum);
  }
  double noise(double x, signal_noise at) const {
    const double v = at.alpha * at.alpha * variance + at.sigma * at.sigma;
    double sum = 0, pull = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double d = x - at.alpha * means[i];
      const double p = weights[i] * std::exp(-d * d / (2 * v));
      sum += p;
      pull += p * d / v;
    }
    return at.sigma * pull / sum;
  }
};

struct weighted_moments {
  double mean = 0, variance = 0;
};

grid levels(int steps) {
  grid nodes;
  for (int i = 0; i < steps; ++i)
    nodes.push_back(noise_level_nodes(30 * std::pow(1e-3, i / (steps - 1.0))));
  nodes.push_back(noise_level_nodes(0));
  return nodes;
}

// Weighted weighted_moments of particles that start from the prior. log_twist(x, level).
template <class LogTwist>
weighted_moments sampled(double w, const program& plan, const mixture_on_line& data,
                         const mixture_on_line& conditional, const LogTwist& log_twist,
                         std::size_t n) {
  list start(n), twists(n);
  fill_standard_normal(start, 11);
  for (double& e : start) e *= plan.start.level.sigma;
  sampling s(plan, network, as_batch(start.data(), n, 1), guided_but_last(w), gaussian_noise{3});
  twisted_particles particles(w, network, n);
  double uniform = 0.37;
  for (auto now = s.advance(); now != sampling_event::finished; now = s.advance()) {
    const auto x = elements(s.state());
    if (now == sampling_event::evaluate) {
      const auto u = elements(s.output(0)), c = elements(s.output(1));
      for (std::size_t i = 0; i < n; ++i) {
        u[i] = data.noise(x[i], s.at().level);
        c[i] = conditional.noise(x[i], s.at().level);
      }
      particles.observe(s.state(), s.at());
    } else {
      const signal_noise level = s.reached().level;
      for (std::size_t i = 0; i < n; ++i) twists[i] = log_twist(x[i], level);
      particles.reach(s.state(), s.output(0), s.output(1), s.reached(), twists);
      if (particles.effective_size() < 0.5 * static_cast<double>(n))
        particles.resample(uniform = std::fmod(uniform + 0.6180339887, 1), s.state());
    }
  }
  const auto x = elements(s.state());
  const list weights = particles.weights();
  weighted_moments m;
  for (std::size_t i = 0; i < n; ++i) m.mean += weights[i] * x[i];
  for (std::size_t i = 0; i < n; ++i) m.variance += weights[i] * (x[i] - m.mean) * (x[i] - m.mean);
  return m;
}

// log p(c|x)^w up to a constant.
auto exact_twist(double w, const mixture_on_line& data, const mixture_on_line& conditional) {
  return [=](double x, signal_noise at) {
    return w * (conditional.log_density(x, at) - data.log_density(x, at));
  };
}

// What p(c|x0)^w is of the x0 estimate, as one has it from a classifier of clean data.
auto twist_of_estimate(double w, const mixture_on_line& data, const mixture_on_line& conditional) {
  return [=](double x, signal_noise at) {
    const double clean = (x - at.sigma * data.noise(x, at)) / at.alpha;
    return exact_twist(w, data, conditional)(clean, {1, 0});
  };
}

TEST(twisted_particles, sample_the_tilted_gaussian) {
  const mixture_on_line data{{1}, {-0.3}, 2}, conditional{{1}, {0.5}, 1};
  const program plan = ddim(levels(120), 1);
  for (const double w : {0.0, 1.0, 2.5}) {
    const axis_gaussian exact = tilted_gaussian({0.5, 1}, {-0.3, 2}, w);
    for (const weighted_moments m :
         {sampled(w, plan, data, conditional, exact_twist(w, data, conditional), 4000),
          sampled(w, plan, data, conditional, twist_of_estimate(w, data, conditional), 4000)}) {
      // Five deviations of 2000 draws, and what 120 steps miss of the data.
      EXPECT_NEAR(m.mean, exact.mean, 5 * std::sqrt(exact.variance / 2000) + 0.01) << w;
      EXPECT_NEAR(m.variance / exact.variance, 1, 5 * std::sqrt(2 / 2000.0) + 0.03) << w;
    }
  }
}

// With eight steps the chain makes another law than the data; its tilt is met as exactly. Guidance alone
// is far off.
TEST(twisted_particles, tilt_what_few_steps_make) {
  const mixture_on_line data{{1}, {-0.3}, 2}, conditional{{1}, {0.5}, 1};
  const program plan = ddim(levels(8), 1);
  const auto made = law(plan, gaussian_denoiser(-0.3, 2), {0, 1}).result;
  EXPECT_GT(std::abs(made.variance - 2), 0.2);
  for (const double w : {1.0, 3.0}) {
    // p(c|x)^w is a Gaussian of precision w (1/1 - 1/2).
    const double precision = w / 2, pull = w * (0.5 / 1 + 0.3 / 2);
    const double variance = 1 / (1 / made.variance + precision);
    const double mean = variance * (made.mean / made.variance + pull);
    const weighted_moments m =
        sampled(w, plan, data, conditional, exact_twist(w, data, conditional), 20000);
    EXPECT_NEAR(m.mean, mean, 5 * std::sqrt(variance / 8000)) << w;
    EXPECT_NEAR(m.variance / variance, 1, 5 * std::sqrt(2 / 8000.0)) << w;
  }
}

// Two modes, the condition makes one of them likelier; weighted_moments of the tilted density by quadrature.
TEST(twisted_particles, sample_the_tilted_mixture) {
  const mixture_on_line data{{0.5, 0.5}, {-2, 2}, 0.5}, conditional{{0.25, 0.75}, {-2, 2}, 0.5};
  const program plan = ddim(levels(120), 1);
  for (const double w : {1.0, 2.0}) {
    const auto twist = exact_twist(w, data, conditional);
    double mass = 0, first = 0, second = 0;
    for (double x = -8; x < 8; x += 0.001) {
      const double p = std::exp(data.log_density(x, {1, 0}) + twist(x, {1, 0}));
      mass += p;
      first += p * x;
      second += p * x * x;
    }
    const double mean = first / mass, variance = second / mass - mean * mean;
    const weighted_moments m = sampled(w, plan, data, conditional, twist, 4000);
    EXPECT_NEAR(m.mean, mean, 5 * std::sqrt(variance / 2000) + 0.02) << w;
    EXPECT_NEAR(m.variance / variance, 1, 5 * std::sqrt(2 / 2000.0) + 0.03) << w;
  }
}

// Without guidance the weights are the twist.
TEST(twisted_particles, without_guidance_are_weighed_by_the_twist) {
  const list x{0.3, -1, 2}, to{0.1, 0.2, 0.3}, u{0.1, 0.2, 0.3}, c{0.4, -0.2, 0.9};
  const auto as = [](const list& v) { return as_batch(v.data(), 3, 1); };
  twisted_particles particles(0, network, 3);
  const auto reach = [&](const list& twists) {
    particles.reach(as(to), as(u), as(c), node{0.5, {0.8, 0.6}}, twists);
  };
  particles.observe(as(x), node{1, {0.6, 0.8}});
  reach({std::log(1), std::log(2), std::log(5)});
  const list w = particles.weights();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(w[i], list({1, 2, 5})[i] / 8, 1e-14);
  // Later twists replace earlier ones; an impossible item has no weight.
  reach({std::log(3), -INFINITY, std::log(1)});
  EXPECT_NEAR(particles.weights()[0], 0.75, 1e-14);
  EXPECT_EQ(particles.weights()[1], 0);
  EXPECT_NE(refusal([&] { reach({0, 0, NAN}); }), "");
  EXPECT_NE(refusal([&] { reach({0, 0}); }), "");
  EXPECT_NEAR(particles.weights()[0], 0.75, 1e-14);
  reach({-INFINITY, -INFINITY, -INFINITY});
  EXPECT_NE(refusal([&] { particles.weights(); }), "");
}

// The ratio of the two transitions, by their densities.
TEST(twisted_particles, know_the_transitions) {
  const list x{0.7}, to{0.2}, u{0.1}, c{0.6};
  const signal_noise from{0.6, 0.8}, next{0.8, 0.6};
  const auto step = ddim_step(from, next, 1);
  const auto log_density = [&](double noise) {
    const double mean = step.state * x[0] + step.clean * (x[0] - 0.8 * noise) / 0.6;
    return -(to[0] - mean) * (to[0] - mean) / (2 * step.noise * step.noise);
  };
  // Two items of which only the first is guided: their weights show the ratio.
  twisted_particles pair(2, network, 2);
  const list both_x{0.7, 0.7}, both_to{0.2, 0.2}, both_u{0.1, 0.1}, one_c{0.6, 0.1};
  const auto two = [](const list& v) { return as_batch(v.data(), 2, 1); };
  pair.observe(two(both_x), node{1, from});
  pair.reach(two(both_to), two(both_u), two(one_c), node{0.5, next}, list{0, 0});
  EXPECT_NEAR(std::log(pair.weights()[0] / pair.weights()[1]),
              log_density(u[0]) - log_density(2 * c[0] - u[0]), 1e-13);
}

TEST(twisted_particles, refuse_bad_settings) {
  EXPECT_NE(refusal([] { twisted_particles(1, network, 0); }), "");
  EXPECT_NE(refusal([] { twisted_particles(NAN, network, 3); }), "");
}

}  // namespace
}  // namespace tweedie
