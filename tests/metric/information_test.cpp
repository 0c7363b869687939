#include "tweedie/metric/information.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "oracle/two_on_the_line.hpp"
#include "refusal.hpp"
#include "tweedie/objective/diffusion_bound.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/line.hpp"
#include "tweedie/oracle/mixture.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

TEST(mutual_information, of_discrete_variables) {
  const VectorXd a = Eigen::Vector3d(0.2, 0.3, 0.5), b = Eigen::Vector2d(0.6, 0.4);
  EXPECT_NEAR(mutual_information(a * b.transpose()), 0, 1e-15);  // independent
  // A copy tells all: I = H.
  EXPECT_NEAR(mutual_information(a.asDiagonal()), entropy(std::span(a.data(), 3)), 1e-15);
  // I = H(a) + H(b) - H(a, b), and its transpose.
  MatrixXd joint(2, 3);
  joint << 0.1, 0.25, 0.15, 0.3, 0, 0.2;
  const VectorXd rows = joint.rowwise().sum(), columns = joint.colwise().sum();
  EXPECT_NEAR(mutual_information(joint),
              entropy(std::span(rows.data(), 2)) + entropy(std::span(columns.data(), 3)) -
                  entropy(std::span(joint.data(), 6)),
              1e-15);
  EXPECT_DOUBLE_EQ(mutual_information(joint.transpose()), mutual_information(joint));
  EXPECT_EQ(mutual_information(MatrixXd::Ones(1, 1)), 0);
  EXPECT_EQ(refusal([&] {
              mutual_information(2 * joint);
            }).find("mutual_information: sum of the probabilities = 2"),
            0U);
  EXPECT_THROW(mutual_information(-joint), std::invalid_argument);
}

TEST(mutual_information, of_gaussian_coordinates) {
  // Two of correlation r: -1/2 log(1 - r^2), whatever their scales.
  Eigen::Matrix2d pair;
  for (const double r : {-0.99, 0.0, 0.3}) {
    pair << 1e-8, r * 1e-2, r * 1e-2, 1e4;
    EXPECT_NEAR(gaussian_mutual_information(pair, 1), -std::log1p(-r * r) / 2, 1e-12);
    EXPECT_NEAR(gaussian_mutual_information(pair, 0), 0, 1e-15);
    EXPECT_NEAR(gaussian_mutual_information(pair, 2), 0, 1e-15);
  }
  // Data and their noised version: 1/2 sum log(1 + snr v), what I-MMSE integrates to.
  const MatrixXd s = Eigen::Vector3d(2, 0.3, 0.01).asDiagonal();
  const double alpha = 0.8, sigma = 0.6, snr = alpha * alpha / (sigma * sigma);
  MatrixXd joint(6, 6);
  joint << s, alpha * s, alpha * s, alpha * alpha * s + sigma * sigma * MatrixXd::Identity(3, 3);
  double closed = 0;
  for (const double v : s.diagonal()) closed += std::log1p(snr * v) / 2;
  EXPECT_NEAR(gaussian_mutual_information(joint, 3), closed, 1e-12);
  const auto error = [&](double log_snr) {
    double sum = 0;
    for (const double v : s.diagonal()) sum += v / (1 + std::exp(log_snr) * v);
    return sum;
  };
  EXPECT_NEAR(continuous_diffusion_bound(-40, std::log(snr), error), closed, 1e-12);
  // A copy is known to any number of digits.
  EXPECT_EQ(gaussian_mutual_information(MatrixXd::Ones(2, 2), 1),
            std::numeric_limits<double>::infinity());
  EXPECT_THROW(gaussian_mutual_information(MatrixXd::Ones(3, 3), 2), std::invalid_argument);
  pair << 1, 2, 2, 1;
  EXPECT_THROW(gaussian_mutual_information(pair, 1), std::invalid_argument);
}

// On the line, where all is quadrature: the rise of information is half the denoising error, the rise of
// entropy half the Fisher information, and both are one number.
template <class Data>
void check_laws(const Data& data, double reach, int points, double tolerance) {
  for (const double snr : {0.05, 1.0, 6.0}) {
    const auto at = [&](double s) {
      const double sigma = 1 / std::sqrt(s);
      return information_on_the_line(data, {1, sigma}, -reach - 10 * sigma, reach + 10 * sigma,
                                     points);
    };
    const noised_information here = at(snr);
    const double h = 1e-3 * snr;
    EXPECT_NEAR(
        (at(snr + h).mutual_information.value - at(snr - h).mutual_information.value) / (2 * h),
        here.denoising_error.value / 2, tolerance);
    const double u = 1 / snr, k = 1e-3 * u;
    EXPECT_NEAR((at(1 / (u + k)).entropy.value - at(1 / (u - k)).entropy.value) / (2 * k),
                here.fisher_information.value / 2, tolerance * snr);
    EXPECT_NEAR(here.fisher_information.value / snr + snr * here.denoising_error.value, 1, 1e-9);
    // No gauge changes what x tells of x0.
    const noised_information scaled =
        information_on_the_line(data, {0.5, 0.5 / std::sqrt(snr)}, -reach - 5 / std::sqrt(snr),
                                reach + 5 / std::sqrt(snr), points);
    EXPECT_NEAR(scaled.mutual_information.value, here.mutual_information.value, 1e-9);
    EXPECT_NEAR(scaled.denoising_error.value, here.denoising_error.value, 1e-9);
  }
}
TEST(noised_information, rises_by_half_the_error_and_half_the_fisher_information) {
  check_laws(two_on_the_line(), 8, 401, 1e-6);
  check_laws(oracle::laplace(0.3, 0.7), 25, 301, 2e-6);
  check_laws(oracle::mixture<double>(
                 {{1, one(-1), MatrixXd::Zero(1, 1)}, {1, one(1), MatrixXd::Zero(1, 1)}}),
             1, 401, 1e-6);
}

TEST(noised_information, of_two_points_is_one_bit_at_most) {
  const oracle::mixture<double> bit(
      {{1, one(-1), MatrixXd::Zero(1, 1)}, {1, one(1), MatrixXd::Zero(1, 1)}});
  EXPECT_NEAR(information_on_the_line(bit, {1, 0.05}, -2, 2, 2001).mutual_information.value,
              std::log(2), 1e-9);
  const noised_information nothing = information_on_the_line(bit, {0, 1}, -10, 10);
  EXPECT_NEAR(nothing.mutual_information.value, 0, 1e-12);
  EXPECT_NEAR(nothing.denoising_error.value, 1, 1e-12);
  EXPECT_NEAR(nothing.fisher_information.value, 1, 1e-12);
}

TEST(noised_information, of_samples_agrees_within_its_errors) {
  const auto within = [](const average& a, double truth) {
    EXPECT_NEAR(a.value, truth, 5 * a.error + 1e-12);
    EXPECT_LT(a.error, 0.1);
  };
  const Eigen::Vector3d spectrum(2, 0.3, 0.01);
  const oracle::gaussian<double> data(Eigen::Vector3d(1, -2, 0), spectrum.asDiagonal());
  const double alpha = 0.8, sigma = 0.6;
  const Eigen::Array3d total = alpha * alpha * spectrum.array() + sigma * sigma;
  const noised_information found = information_of_noised(data, {alpha, sigma}, 20000, 5);
  within(found.entropy,
         (total.log().sum() + 3 * std::log(2 * std::numbers::pi * std::numbers::e)) / 2);
  within(found.mutual_information, (total / (sigma * sigma)).log().sum() / 2);
  within(found.denoising_error, (sigma * sigma * spectrum.array() / total).sum());
  within(found.fisher_information, total.inverse().sum());
  const noised_information line = information_of_noised(two_on_the_line(), {1, 0.5}, 20000, 6);
  const noised_information truth = information_on_the_line(two_on_the_line(), {1, 0.5}, -8, 8);
  within(line.entropy, truth.entropy.value);
  within(line.mutual_information, truth.mutual_information.value);
  within(line.denoising_error, truth.denoising_error.value);
  within(line.fisher_information, truth.fisher_information.value);
  // Without signal there is nothing to know, sample by sample.
  const noised_information nothing = information_of_noised(data, {0, 1}, 10, 7);
  EXPECT_NEAR(nothing.mutual_information.value, 0, 1e-12);
  EXPECT_NEAR(nothing.mutual_information.error, 0, 1e-12);
}

TEST(noised_information, refuses_what_has_none) {
  const auto data = two_on_the_line();
  EXPECT_EQ(refusal([&] {
              information_of_noised(data, {1, 0}, 10, 1);
            }).find("information_of_noised: sigma = 0"),
            0U);
  EXPECT_THROW(information_of_noised(data, {1, 1}, 1, 1), std::invalid_argument);
  EXPECT_THROW(information_on_the_line(data, {1, 0}, -1, 1), std::invalid_argument);
  const oracle::gaussian<double> plane(Eigen::Vector2d(0, 0), Eigen::Matrix2d::Identity());
  EXPECT_THROW(information_on_the_line(plane, {1, 1}, -1, 1), std::invalid_argument);
}

}  // namespace
