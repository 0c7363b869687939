// Perturbed attention guidance on an attention that is an exact denoiser (Ahn et al. 2024, section 4.2).
//
// Pictures known by heart, cut into K tokens. What token k says of each picture, e_k = (alpha p_k'x_k - alpha^2 |p_k|^2/2)/sigma^2,
// are the values of a self-attention whose maps are uniform; K times what it answers are the logits of the pictures, and each token
// is the mean of its pieces with these weights: E[x0 | x]. With the identity for a map each token hears itself alone, K times.
#include <gtest/gtest.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tweedie/conditioning/attention.hpp"
#include "tweedie/guidance.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {
namespace perturbed {

constexpr Eigen::Index tokens = 4, each = 3, pixels = tokens * each;
template <class S>
using matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
template <class S>
using column = Eigen::Vector<S, Eigen::Dynamic>;

template <class S>
matrix<S> some_pictures() {
  matrix<S> p(pixels, 7);
  fill_standard_normal(p, 3);
  return p;
}

template <class S>
matrix<S> identity_mask() {
  return mask_bias<S>(matrix<S>::Identity(tokens, tokens));
}

// The denoiser with this bias on the scores of its self-attention.
template <class S>
column<S> denoised(const matrix<S>& pictures, signal_noise level, const column<S>& x,
                   const matrix<S>& bias) {
  const auto alpha = static_cast<S>(level.alpha);
  const auto variance = static_cast<S>(level.sigma * level.sigma);
  matrix<S> evidence(pictures.cols(), tokens);
  for (Eigen::Index k = 0; k < tokens; ++k) {
    const auto pieces = pictures.middleRows(k * each, each);
    evidence.col(k) = (alpha * pieces.transpose() * x.segment(k * each, each) -
                       alpha * alpha / 2 * pieces.colwise().squaredNorm().transpose()) /
                      variance;
  }
  const matrix<S> alike = matrix<S>::Zero(1, tokens);  // queries and keys
  const matrix<S> heard = static_cast<S>(tokens) * attention(alike, alike, evidence, bias);
  column<S> out(pixels);
  for (Eigen::Index k = 0; k < tokens; ++k) {
    const column<S> e = (heard.col(k).array() - heard.col(k).maxCoeff()).exp();
    out.segment(k * each, each) = pictures.middleRows(k * each, each) * e / e.sum();
  }
  return out;
}

template <class S>
column<S> state(std::uint64_t seed) {
  column<S> x(pixels);
  fill_standard_normal(x, seed);
  return x;
}

constexpr signal_noise levels[] = {{0.3, 0.95}, {0.8, 0.6}, {1, 3}};

template <class S>
class perturbed_attention : public testing::Test {};
using scalars = testing::Types<double, float>;
TYPED_TEST_SUITE(perturbed_attention, scalars);

TYPED_TEST(perturbed_attention, of_uniform_maps_is_the_exact_denoiser) {
  using S = TypeParam;
  const double tolerance = std::same_as<S, double> ? 1e-13 : 2e-5;
  const oracle::empirical<double> data(some_pictures<S>().template cast<double>());
  for (const signal_noise level : levels) {
    const column<S> x = state<S>(8);
    const auto ours = denoised<S>(some_pictures<S>(), level, x, matrix<S>::Zero(tokens, tokens));
    EXPECT_LT(
        (ours.template cast<double>() - data.denoise(level, x.template cast<double>())).norm(),
        tolerance);
  }
}

// Each token as if K of it had said the same: alone, at a K-th of its variance of noise.
TYPED_TEST(perturbed_attention, of_the_identity_map_is_each_token_by_itself) {
  using S = TypeParam;
  const double tolerance = std::same_as<S, double> ? 1e-12 : 2e-4;
  const matrix<double> pictures = some_pictures<S>().template cast<double>();
  for (const signal_noise level : levels) {
    const column<S> x = state<S>(8);
    const auto ours = denoised<S>(some_pictures<S>(), level, x, identity_mask<S>());
    for (Eigen::Index k = 0; k < tokens; ++k) {
      const oracle::empirical<double> alone(pictures.middleRows(k * each, each));
      const auto exact = alone.denoise({level.alpha, level.sigma / std::sqrt(double{tokens})},
                                       x.segment(k * each, each).template cast<double>());
      EXPECT_LT((ours.segment(k * each, each).template cast<double>() - exact).norm(), tolerance);
    }
  }
  // The identity for a map leaves the values as they are, to the bit, whatever queries and keys.
  matrix<S> values(5, tokens), queries(2, tokens);
  fill_standard_normal(values, 1);
  fill_standard_normal(queries, 2);
  EXPECT_EQ(attention(queries, queries, values, identity_mask<S>()), values);
}

const grid nodes{{3, {0.25, 0.97}}, {2, {0.6, 0.8}}, {1, {0.9, 0.4}}, {0, {1, 0}}};

// Below sigma = alpha the network is short-sighted, as one that was trained is.
signal_noise seen(signal_noise level) {
  level.sigma = std::max(level.sigma, level.alpha);
  return level;
}

// The first output, for no condition, is not read at w = 1.
template <class S, class Weights>
column<S> sample(const matrix<S>& pictures, const Weights& weights, std::uint64_t seed) {
  sampling run(ddim(nodes), network_description{predicts_sample}, state<S>(seed), weights);
  while (run.next()) {
    run.output(0).setConstant(std::numeric_limits<S>::quiet_NaN());
    run.output(1) =
        denoised<S>(pictures, seen(run.at().level), run.input(), matrix<S>::Zero(tokens, tokens));
    run.output(2) = denoised<S>(pictures, seen(run.at().level), run.input(), identity_mask<S>());
  }
  return run.state();
}

TYPED_TEST(perturbed_attention, guides_a_run_away_from_tokens_by_themselves) {
  using S = TypeParam;
  // s = 0 is the network as it is, to the bit; any s the combination of its two answers.
  const matrix<S> many = some_pictures<S>();
  const std::vector<double> unguided{0, 1, 0};
  EXPECT_EQ(sample<S>(many, perturbed_guidance(1, 0), 5), sample<S>(many, unguided, 5));
  column<S> x = state<S>(5);
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const auto [alpha, sigma] = nodes[i].level;
    const auto [to_alpha, to_sigma] = nodes[i + 1].level;
    const column<S> whole =
        denoised<S>(many, seen(nodes[i].level), x, matrix<S>::Zero(tokens, tokens));
    const column<S> alone = denoised<S>(many, seen(nodes[i].level), x, identity_mask<S>());
    const column<S> clean = whole + S(0.7) * (whole - alone);
    x = static_cast<S>(to_sigma / sigma) * (x - static_cast<S>(alpha) * clean) +
        static_cast<S>(to_alpha) * clean;
  }
  const column<S> ours = sample<S>(many, perturbed_guidance(1, 0.7), 5);
  const double tolerance = std::same_as<S, double> ? 1e-13 : 3e-5;
  EXPECT_LT(static_cast<double>((ours - x).norm()), tolerance);
}

}  // namespace perturbed
}  // namespace
}  // namespace tweedie
