// Every way to a likelihood gives the log-density of the oracle, or a bound of it that is one.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "refusal.hpp"
#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/objective/chain_weights.hpp"
#include "tweedie/objective/dequantisation.hpp"
#include "tweedie/objective/vae.hpp"
#include "tweedie/oracle/exact_trace.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/oracle/product.hpp"
#include "tweedie/solve/information.hpp"
#include "tweedie/tensor/batch.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

const MatrixXd spread = (MatrixXd(2, 2) << 0.5, 0.2, 0.2, 0.3).finished();
// Of mean 0, so that the prior at the highest level misses them by its inverse square only.
const oracle::gaussian<double> plane(VectorXd::Zero(2), spread);
const oracle::mixture<double> two({{1, Eigen::Vector2d(1, -0.4), 0.4 * spread},
                                   {2, Eigen::Vector2d(-0.5, 0.2), spread}});
const oracle::rotated turned(
    oracle::product({oracle::gaussian<double>::isotropic(VectorXd::Zero(1), 0.5),
                     oracle::mixture<double>(
                         {{1, VectorXd::Constant(1, 0.6), MatrixXd::Constant(1, 1, 0.2)},
                          {1, VectorXd::Constant(1, -0.6), MatrixXd::Constant(1, 1, 0.2)}})}),
    (MatrixXd(2, 2) << 0.8, -0.6, 0.6, 0.8).finished());
const MatrixXd x = (MatrixXd(2, 3) << 0.1, -1, 1.2, 0.5, 0.7, -0.6).finished();

template <class Data>
class likelihoods : public testing::Test {
 protected:
  const Data& data() const {
    if constexpr (std::same_as<Data, oracle::gaussian<double>>) return plane;
    if constexpr (std::same_as<Data, oracle::mixture<double>>) return two;
    if constexpr (std::same_as<Data, oracle::rotated>) return turned;
  }
  auto clean() const {
    return [this](const MatrixXd& at, double u) -> MatrixXd { return data().denoise({1, u}, at); };
  }
  likelihood_range range{0.2, 1000, {1e-8, 1e-8}};
  VectorXd exact = oracle::log_density(data(), {1, 0.2}, x);
};
using all = testing::Types<oracle::gaussian<double>, oracle::mixture<double>, oracle::rotated>;
TYPED_TEST_SUITE(likelihoods, all);

TYPED_TEST(likelihoods, by_the_flow_with_exact_trace) {
  const auto found = log_likelihood(oracle::exact_trace(this->data()), x, this->range);
  EXPECT_LT((found.log_density - this->exact).cwiseAbs().maxCoeff(), 5e-6);
}

TYPED_TEST(likelihoods, by_the_flow_with_differences_along_the_axes) {
  const auto trace = trace_by_axes(this->clean(), central_difference_product(this->clean()));
  const auto found = log_likelihood(trace, x, this->range);
  EXPECT_LT((found.log_density - this->exact).cwiseAbs().maxCoeff(), 1e-5);
}

// Within 5 of the standard errors that it states.
TYPED_TEST(likelihoods, by_the_flow_with_random_signs) {
  const auto found = log_likelihood_by_probes(
      this->clean(), central_difference_product(this->clean()), x, 8, 2, this->range);
  for (Eigen::Index i = 0; i < x.cols(); ++i) {
    EXPECT_NEAR(found.log_density[i], this->exact[i], 5 * found.deviation[i] + 1e-5) << i;
    EXPECT_LT(found.deviation[i], 0.3);
  }
}

TYPED_TEST(likelihoods, by_the_errors_of_denoising) {
  const auto denoise = [&](signal_noise level, const MatrixXd& at) -> MatrixXd {
    return this->data().denoise(level, at);
  };
  const auto found =
      log_likelihood_by_information(denoise, x, {.levels = 100, .draws = 16, .seed = 3});
  const VectorXd clean = oracle::log_density(this->data(), {1, 0}, x);
  for (Eigen::Index i = 0; i < x.cols(); ++i)
    EXPECT_NEAR(found.log_density[i], clean[i], 5 * found.deviation[i] + 5e-3) << i;
}

// A Gaussian with mean and covariance of the data takes noise away from denoising errors and leaves the value. Of Gaussian data nothing is left to chance.
TYPED_TEST(likelihoods, by_the_difference_from_a_gaussian) {
  constexpr bool known = std::same_as<TypeParam, oracle::gaussian<double>>;
  // Mean 0; the covariance is that of the posterior where noise hides everything.
  const oracle::gaussian<double> match(
      VectorXd::Zero(2), oracle::covariance(this->data(), {1, 1e6}, VectorXd(VectorXd::Zero(2))),
      1e-6);
  const auto denoise = [&](signal_noise level, const MatrixXd& at) -> MatrixXd {
    return this->data().denoise(level, at);
  };
  const information_range snrs{.levels = 100, .draws = 16, .seed = 3};
  const auto alone = log_likelihood_by_information(denoise, x, snrs);
  const auto beside = log_likelihood_by_information(denoise, match, x, snrs);
  const VectorXd clean = oracle::log_density(this->data(), {1, 0}, x);
  const auto product = central_difference_product(this->clean());
  const auto less = log_likelihood_by_probes(this->clean(), product, match, x, 8, 2, this->range);
  for (Eigen::Index i = 0; i < x.cols(); ++i) {
    EXPECT_NEAR(beside.log_density[i], clean[i], 5 * beside.deviation[i] + 2e-3) << i;
    EXPECT_NEAR(less.log_density[i], this->exact[i], 5 * less.deviation[i] + 1e-5) << i;
  }
  if (known) {
    EXPECT_LT((beside.log_density - clean).cwiseAbs().maxCoeff(), 1e-8);
    EXPECT_LT(beside.deviation.maxCoeff(), 1e-8);
    EXPECT_LT(less.deviation.maxCoeff(), 1e-7);
  } else {
    EXPECT_LT(beside.deviation.norm(), 0.7 * alone.deviation.norm());
  }
}

// Of data near a Gaussian probes have little left to tell; of those above their difference varies more.
TEST(log_likelihood_by_probes, varies_less_by_the_difference_from_a_gaussian_near_the_data) {
  const Eigen::Vector2d apart(0.2, -0.08);
  const oracle::mixture<double> data({{1, apart, spread}, {1, -apart, spread}});
  const oracle::gaussian<double> near_it(VectorXd::Zero(2), spread + apart * apart.transpose());
  const auto clean = [&](const MatrixXd& at, double u) -> MatrixXd {
    return data.denoise({1, u}, at);
  };
  const auto product = central_difference_product(clean);
  const likelihood_range range{0.2, 1000, {1e-8, 1e-8}};
  const auto probed = log_likelihood_by_probes(clean, product, x, 8, 2, range);
  const auto less = log_likelihood_by_probes(clean, product, near_it, x, 8, 2, range);
  EXPECT_LT(less.deviation.norm(), 0.2 * probed.deviation.norm());
}

// A chain of Gaussian steps is a model of its own; with small steps its density is nearly that of the data.
// The ELBO is below the bound of many paths.
TYPED_TEST(likelihoods, by_importance_of_paths) {
  std::vector<signal_noise> levels;
  constexpr int steps = 60;
  for (int k = 0; k < steps; ++k) {
    const double u = 30 * std::pow(0.03 / 30, k / (steps - 1.0));
    levels.push_back({1 / std::hypot(1, u), u / std::hypot(1, u)});
  }
  levels.push_back({1, 0});
  const auto denoise = [&](signal_noise level, const MatrixXd& at) -> MatrixXd {
    return this->data().denoise(level, at);
  };
  // About the variance of the data at all levels.
  const auto variance = [](signal_noise from, signal_noise to) {
    return gaussian_variance(from, to, 0.4);
  };
  constexpr int paths = 60;
  const MatrixXd w = chain_log_weights(denoise, x, levels, variance, paths, 5);
  const VectorXd clean = oracle::log_density(this->data(), {1, 0}, x);
  for (Eigen::Index i = 0; i < x.cols(); ++i) {
    const VectorXd column = w.col(i);
    const double elbo = column.mean();
    const double bound = importance_bound(std::span(column.data(), std::size_t(paths)));
    EXPECT_LT(elbo, bound);
    EXPECT_GT(elbo, clean[i] - 1) << i;
    EXPECT_NEAR(bound, clean[i], 0.25) << i;
  }
}

// Isotropic Gaussian data: the kernels are exact, so is every path, up to the signal left at the start.
TEST(chain_log_weights, of_the_exact_chain_are_the_log_likelihood_on_every_path) {
  const auto data = oracle::gaussian<double>::isotropic(VectorXd::Zero(2), 0.3);
  const std::vector<signal_noise> levels = {{1e-7, 1}, {0.3, 0.8}, {0.8, 0.6}, {0.99, 0.1}, {1, 0}};
  const auto denoise = [&](signal_noise level, const MatrixXd& at) -> MatrixXd {
    return data.denoise(level, at);
  };
  const auto exact = [](signal_noise from, signal_noise to) {
    return gaussian_variance(from, to, 0.3);
  };
  const MatrixXd w = chain_log_weights(denoise, x, levels, exact, 3, 1);
  EXPECT_LT((w.rowwise() - data.log_density({1, 0}, x).transpose()).cwiseAbs().maxCoeff(), 1e-5);
  // Kernels that are r times too wide cost d/2 (1/r - 1 + log r) each, in the mean over the data.
  const auto too_wide = [&](signal_noise from, signal_noise to) { return 1.5 * exact(from, to); };
  const MatrixXd drawn = data.sample(1000, {.seed = 9});
  const Eigen::ArrayXd lost = (chain_log_weights(denoise, drawn, levels, exact, 1, 1) -
                               chain_log_weights(denoise, drawn, levels, too_wide, 1, 1))
                                  .row(0)
                                  .transpose();
  const double error = std::sqrt((lost - lost.mean()).square().mean() / 1000);
  EXPECT_NEAR(lost.mean(), 4 * (1 / 1.5 - 1 + std::log(1.5)), 5 * error);

  const std::vector<signal_noise> open = {{0.1, 1}, {1, 0.1}};
  EXPECT_EQ(refusal([&] {
              chain_log_weights(denoise, x, open, exact, 1, 1);
            }).find("chain_log_weights: sigma of the last level = 0.1"),
            0U);
  EXPECT_EQ(refusal([&] {
              chain_log_weights(
                  denoise, x, levels, [](signal_noise, signal_noise) { return 0.0; }, 1, 1);
            }).find("chain_log_weights: variance of a reverse kernel = 0"),
            0U);
  EXPECT_EQ(refusal([&] {
              chain_log_weights(denoise, x, levels, exact, 0, 1);
            }).find("chain_log_weights: paths = 0"),
            0U);
}

// log P of a bin of a Gaussian is a difference of its distribution function; both bounds are below it, the
// second one the tighter, and they meet for bins that are small beside the data.
TEST(dequantisation, bounds_the_probability_of_bins) {
  const MatrixXd value = (MatrixXd(1, 3) << 0, 0.5, -1.5).finished();
  for (const double width : {1.0, 0.5, 0.05}) {
    const auto density = [](const MatrixXd& at) -> VectorXd {
      return at.row(0).transpose().unaryExpr([](double v) { return normal_log_density(v); });
    };
    const binned_likelihood found = log_probability_of_bins(density, value, width, 400, 4);
    for (Eigen::Index i = 0; i < 3; ++i) {
      const double exact =
          std::log(normal_cdf(value(0, i) + width / 2) - normal_cdf(value(0, i) - width / 2));
      const double error = found.deviation[i];
      // E log of the density, by hand: the mean of x^2 over the bin.
      const double mean =
          -(value(0, i) * value(0, i) + width * width / 12) / 2 - half_log_two_pi + std::log(width);
      EXPECT_NEAR(found.variational[i], mean, 5 * error);
      EXPECT_LT(mean, exact);
      EXPECT_LE(found.variational[i], found.importance[i]);
      EXPECT_NEAR(found.importance[i], exact, 5 * error);
      EXPECT_LT(exact - mean, width * width / 5);
    }
  }
}

// Pixels of 256 values, in [-1, 1] or in [0, 256): the same bits per dimension, the first from a density
// in its own scale plus log2(127.5).
TEST(dequantisation, counts_bits_in_any_scale) {
  const MatrixXd pixels = (MatrixXd(2, 1) << 13, 200).finished();
  const auto in_pixels = [](const MatrixXd& at) -> VectorXd {
    return -(at.array() - 100).square().colwise().sum().transpose() / 5000 - std::log(5000 * M_PI);
  };
  const auto in_units = [&](const MatrixXd& at) -> VectorXd {
    return in_pixels((at.array() + 1) * 127.5).array() + 2 * std::log(127.5);
  };
  const binned_likelihood a = log_probability_of_bins(in_pixels, pixels, 1, 8, 5);
  const MatrixXd units = pixels.array() / 127.5 - 1;
  const binned_likelihood b = log_probability_of_bins(in_units, units, 1 / 127.5, 8, 5);
  EXPECT_NEAR(bits_per_dimension(-a.variational[0], 2), bits_per_dimension(-b.variational[0], 2),
              1e-12);
  const double nats = -in_units(dequantised(units, 1 / 127.5, 5))[0];
  const binned_likelihood same = log_probability_of_bins(
      [&](const MatrixXd&) -> VectorXd { return VectorXd::Constant(1, -nats); }, units, 1 / 127.5,
      2, 5);
  EXPECT_NEAR(bits_per_dimension(-same.variational[0], 2),
              bits_per_dimension(nats, 2) + std::log2(127.5), 1e-12);
  EXPECT_EQ(same.deviation[0], 0);
  EXPECT_NEAR(same.variational[0], same.importance[0], 1e-12);
}

TEST(dequantisation, stays_in_its_bin_and_refuses_no_bins) {
  const MatrixXd zero = MatrixXd::Zero(3, 200);
  const MatrixXd u = dequantised(zero, 0.5, 6);
  EXPECT_GE(u.minCoeff(), -0.25);
  EXPECT_LT(u.maxCoeff(), 0.25);
  EXPECT_NEAR(u.mean(), 0, 5 * 0.5 / std::sqrt(12 * 600.0));
  EXPECT_NE(u, dequantised(zero, 0.5, 6, 1));
  EXPECT_EQ(refusal([&] { dequantised(zero, 0, 6); }).find("dequantised: width = 0"), 0U);
  const auto density = [](const MatrixXd&) -> VectorXd { return VectorXd::Zero(1); };
  EXPECT_EQ(refusal([&] {
              log_probability_of_bins(density, zero, 1, 1, 6);
            }).find("log_probability_of_bins: draws = 1"),
            0U);
  EXPECT_EQ(refusal([&] {
              log_probability_of_bins(density, zero, 1, 2, 6);
            }).find("log_probability_of_bins: log densities = 1; valid: 200"),
            0U);
}

}  // namespace
}  // namespace tweedie
