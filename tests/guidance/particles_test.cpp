// Weighted particles reach the tilted law that guided samplers miss.
#include "tweedie/guidance/particles.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "refusal.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/guidance/exact.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

using list = std::vector<double>;

struct moments {
  double mean = 0, variance = 0;
};

moments moments_of(std::span<const double> x, const list& weights) {
  moments m;
  for (std::size_t i = 0; i < x.size(); ++i) m.mean += weights[i] * x[i];
  for (std::size_t i = 0; i < x.size(); ++i)
    m.variance += weights[i] * (x[i] - m.mean) * (x[i] - m.mean);
  return m;
}

// E[z | x] for data N(mean, variance).
double noise_of(double x, signal_noise at, const axis_gaussian& data) {
  const double total = at.alpha * at.alpha * data.variance + at.sigma * at.sigma;
  return at.sigma * (x - at.alpha * data.mean) / total;
}

TEST(guided_particles, sample_the_tilted_law) {
  constexpr std::size_t n = 4000;
  const axis_gaussian conditional{0.5, 1}, unconditional{-0.3, 2};
  const network_description network{predicts_noise};
  grid nodes;
  for (int i = 0; i <= 100; ++i) nodes.push_back(noise_level_nodes(60 * std::pow(1e-4, i / 100.0)));
  nodes.push_back(noise_level_nodes(0));
  const program plan = ddim(nodes, 1);
  for (const double w : {0.0, 1.0, 2.5}) {
    list start(n);
    fill_standard_normal(start, 11);
    for (double& e : start) e *= plan.start.level.sigma;
    const auto x = as_batch(start.data(), n, 1);
    sampling s(plan, network, x, guidance_scale(w), gaussian_noise{3});
    guided_particles particles(w, network, n);
    double uniform = 0.37;
    for (auto now = s.advance(); now != sampling_event::finished; now = s.advance()) {
      if (now == sampling_event::evaluate) {
        const auto in = elements(s.input());
        const auto u = elements(s.output(0)), c = elements(s.output(1));
        for (std::size_t i = 0; i < n; ++i) {
          u[i] = noise_of(in[i], s.at().level, unconditional);
          c[i] = noise_of(in[i], s.at().level, conditional);
        }
        particles.observe(s.output(0), s.output(1), s.at());
      } else if (particles.reach(s.reached()); particles.effective_size() < 0.5 * n) {
        particles.resample(uniform = std::fmod(uniform + 0.6180339887, 1), s.state());
      }
    }
    const axis_gaussian exact = tilted_gaussian(conditional, unconditional, w);
    const moments weighted = moments_of(elements(s.state()), particles.weights());
    // Five deviations of 2000 draws, and steps of finite length.
    EXPECT_NEAR(weighted.mean, exact.mean, 5 * std::sqrt(exact.variance / 2000) + 0.01) << w;
    EXPECT_NEAR(weighted.variance / exact.variance, 1, 5 * std::sqrt(2 / 2000.0) + 0.03) << w;
    if (w == 0 || w == 1) {
      EXPECT_NEAR(particles.effective_size(), n, 1e-6);
    }
  }
}

TEST(systematic_resampling, takes_each_particle_as_often_as_its_weight_says) {
  const list weights{0.5, 0, 1.5, 2};
  for (const double u : {0.0, 0.3, 0.999}) {
    std::vector<int> count(4);
    for (const std::size_t i : systematic_resampling(weights, u)) ++count[i];
    for (std::size_t i = 0; i < 4; ++i) EXPECT_LE(std::abs(count[i] - weights[i]), 1) << u;
    EXPECT_EQ(count[1], 0);
  }
  // The mean count over u is n times the weight.
  double mean = 0;
  for (int k = 0; k < 1000; ++k)
    for (const std::size_t i : systematic_resampling(weights, (k + 0.5) / 1000)) mean += i == 0;
  EXPECT_NEAR(mean / 1000, 0.5, 1e-12);
  EXPECT_EQ(systematic_resampling(list{3}, 0.5), std::vector<std::size_t>{0});
  EXPECT_NE(refusal([] { systematic_resampling(list{0, 0}, 0.5); }), "");
  EXPECT_NE(refusal([] { systematic_resampling(list{1, -1}, 0.5); }), "");
  EXPECT_NE(refusal([] { systematic_resampling(list{1}, 1); }), "");
}

// The kind of prediction does not matter to the weights.
TEST(guided_particles, weigh_by_noise_whatever_is_predicted) {
  const node from{1, {0.6, 0.8}}, to{0.5, {0.8, 0.6}};
  const list x{0.3, -1, 2}, u{0.1, 0.2, 0.3}, c{0.4, -0.2, 0.9};
  const auto weights = [&](const network_description& network, const auto& output) {
    list a, b;
    for (std::size_t i = 0; i < 3; ++i) {
      a.push_back(output(x[i], u[i]));
      b.push_back(output(x[i], c[i]));
    }
    guided_particles particles(3, network, 3);
    particles.observe(as_batch(a.data(), 3, 1), as_batch(b.data(), 3, 1), from);
    particles.reach(to);
    return particles.weights();
  };
  const list noise = weights({predicts_noise}, [](double, double e) { return e; });
  const list clean =
      weights({predicts_sample}, [](double v, double e) { return (v - 0.8 * e) / 0.6; });
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(noise[i], clean[i], 1e-14);
  const double fall = std::log((0.8 / 0.6) / (0.6 / 0.8));
  EXPECT_NEAR(std::log(noise[2] / noise[0]), 6 * (0.36 - 0.09) * fall, 1e-12);
}

}  // namespace
}  // namespace tweedie
