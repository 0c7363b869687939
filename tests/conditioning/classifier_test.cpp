#include "tweedie/conditioning/classifier.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <limits>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/sampling.hpp"

namespace tweedie {
namespace {

// Two classes on the line, N(m_c, v_c) with weights; noised, each is N(alpha m, alpha^2 v + sigma^2).
struct part {
  double weight, mean, variance;
  double total(signal_noise l) const { return l.alpha * l.alpha * variance + l.sigma * l.sigma; }
  double density(double x, signal_noise l) const {
    const double r = x - l.alpha * mean;
    return weight * std::exp(-r * r / (2 * total(l))) / std::sqrt(total(l));
  }
  double clean(double x, signal_noise l) const {
    return mean + l.alpha * variance / total(l) * (x - l.alpha * mean);
  }
  double score(double x, signal_noise l) const { return -(x - l.alpha * mean) / total(l); }
};
const part classes[] = {{0.3, -1, 0.2}, {0.7, 1.5, 0.6}};

double all_clean(double x, signal_noise l) {
  double sum = 0, weight = 0;
  for (const part& p : classes) sum += p.density(x, l) * p.clean(x, l), weight += p.density(x, l);
  return sum / weight;
}
// The exact classifier of noised data: d log p(0 | x) / dx.
double gradient(double x, signal_noise l) {
  double sum = 0, weight = 0;
  for (const part& p : classes) sum += p.density(x, l) * p.score(x, l), weight += p.density(x, l);
  return classes[0].score(x, l) - sum / weight;
}

template <class S>
void bayes(double tolerance) {
  for (const signal_noise l : {signal_noise{0.8, 0.6}, {1, 2}, {0.05, 0.99}, {0.999, 0.04}})
    for (const double x : {-1.0, 0.1, 2.0})
      for (const double w : {0.0, 1.0, 3.0}) {
        std::vector<S> clean{static_cast<S>(all_clean(x, l))};
        classifier_guided guide(w, [&](std::size_t, const node& at, std::span<double> out) {
          out[0] = gradient(x, at.level);
        });
        guide(std::span<S>(clean), 1, node{0, l});
        // Scale 1 is the conditional estimate, any scale classifier-free guidance (T70).
        const double expected = all_clean(x, l) + w * (classes[0].clean(x, l) - all_clean(x, l));
        EXPECT_NEAR(clean[0], expected, tolerance * (1 + std::abs(expected)));
      }
}

TEST(classifier_guided, with_an_exact_classifier_is_the_conditional_estimate) {
  bayes<double>(1e-11);
  bayes<float>(1e-5);
}

TEST(classifier_guided, runs_as_classifier_free_guidance_does) {
  const grid nodes = karras(linear_beta_schedule(1000), 10);
  const std::vector<double> start{0.3, -1};
  double x[2] = {};
  sampling by_gradient(
      ddim(nodes), network_description{predicts_sample}, start,
      classifier_guided(2.5, [&](std::size_t, const node& at, std::span<double> out) {
        for (std::size_t i = 0; i < 2; ++i) out[i] = gradient(x[i], at.level);
      }));
  while (by_gradient.next())
    for (std::size_t i = 0; i < 2; ++i) {
      x[i] = by_gradient.input()[i];
      by_gradient.output()[i] = all_clean(x[i], by_gradient.at().level);
    }
  sampling free(ddim(nodes), network_description{predicts_sample}, start, guidance_scale(2.5));
  while (free.next())
    for (std::size_t i = 0; i < 2; ++i) {
      free.output(0)[i] = all_clean(free.input()[i], free.at().level);
      free.output(1)[i] = classes[0].clean(free.input()[i], free.at().level);
    }
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(by_gradient.state()[i], free.state()[i], 1e-10);
}

TEST(classifier_guided, refuses_and_leaves_the_estimate) {
  std::vector<float> clean{1, 2};
  const auto bad = [](std::size_t item, const node&, std::span<double> out) {
    out[0] = item == 1 ? std::numeric_limits<double>::quiet_NaN() : 1;
  };
  classifier_guided guide(1, bad);
  EXPECT_THROW(guide(std::span<float>(clean), 2, node{0, {1, 1}}), std::invalid_argument);
  EXPECT_THROW(guide(std::span<float>(clean), 1, node{0, {0, 1}}), std::invalid_argument);
  EXPECT_THROW(guide(std::span<float>(clean), 0, node{0, {1, 1}}), std::invalid_argument);
  EXPECT_THROW(classifier_guided(std::nan(""), bad), std::invalid_argument);
  guide(std::span<float>(clean), 2, node{0, {1, 0}});
  classifier_guided(0, bad)(std::span<float>(clean), 2, node{0, {1, 1}});
  EXPECT_EQ(clean, (std::vector<float>{1, 2}));
}

// Adding scores composes densities of clean data only (T71): noised, a product of experts is not the product of noised experts.
// For N(0, 1) and N(0, 1/4) the product is N(0, 1/5), noised to alpha^2/5 + sigma^2.
TEST(product_of_experts, scores_add_up_at_clean_data_only) {
  const auto mismatch = [](signal_noise l) {
    const double a2 = l.alpha * l.alpha, s2 = l.sigma * l.sigma;
    const double sum = 1 / (a2 + s2) + 1 / (a2 / 4 + s2), product = 1 / (a2 / 5 + s2);
    return sum / product - 1;
  };
  EXPECT_NEAR(mismatch({1, 0}), 0, 1e-15);
  EXPECT_NEAR(mismatch({0, 1}), 1, 1e-15);  // of pure noise the prior is counted twice
  double before = 0;
  for (const double s : {0.1, 0.3, 0.6, 0.9, 0.99}) {
    const double now = mismatch({std::sqrt(1 - s * s), s});
    EXPECT_GT(now, before);
    before = now;
  }
}

}  // namespace
}  // namespace tweedie
