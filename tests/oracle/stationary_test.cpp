#include "tweedie/oracle/stationary.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>

#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/optimal/denoiser.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie::stationary_test {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using oracle::field_shape;
using stationary = oracle::stationary<>;

MatrixXd normals(Eigen::Index rows, Eigen::Index columns, std::uint64_t seed = 1) {
  MatrixXd z(rows, columns);
  fill_standard_normal(z, seed);
  return z;
}

double largest(const MatrixXd& m) { return m.cwiseAbs().maxCoeff(); }

// An even and a prime side, one row, one column, one pixel, an odd number of points.
TEST(stationary, is_the_gaussian_of_its_covariance) {
  for (const field_shape shape : {field_shape{8, 1}, {7, 1}, {4, 3}, {1, 6}, {1, 1}}) {
    const stationary field(shape, oracle::power_law(shape, 1.5, 0.7), 0.3);
    const Eigen::Index d = shape.size();
    const oracle::gaussian<double> dense(VectorXd::Constant(d, 0.3), field.covariance());
    const MatrixXd x = normals(d, 3);
    for (const signal_noise level : {signal_noise{1, 0.01}, {0.8, 0.6}, {1, 50}, {0, 1}}) {
      const double scale = 1 / (level.sigma * level.sigma);
      EXPECT_LT(largest(field.denoise(level, x) - dense.denoise(level, x)), 1e-12);
      EXPECT_LT(largest(field.score(level, x) - dense.score(level, x)), 1e-12 * scale);
      EXPECT_LT(largest(field.log_density(level, x) - dense.log_density(level, x)), 1e-9);
      EXPECT_LT(largest(field.posterior_covariance(level) - dense.posterior_covariance(level)),
                1e-13);
      EXPECT_LT(
          largest(field.flow_map(level, {0.6, 0.8}, x) - dense.flow_map(level, {0.6, 0.8}, x)),
          1e-11 / level.sigma);
    }
    EXPECT_EQ(field.denoise({0.5, 0}, x), x / 0.5);
    const MatrixXd root = field.sample(MatrixXd::Identity(d, d)).array() - 0.3;
    EXPECT_LT(largest(root * root - field.covariance()), 1e-14);
  }
}

// Wiener and Khinchin: the covariance at a distance is the mean of the powers' cosines.
TEST(stationary, covariance_is_the_transform_of_the_power) {
  const field_shape shape{6, 5};
  const VectorXd power = oracle::power_law(shape, 2, 3);
  const MatrixXd covariance = stationary(shape, power).covariance();
  for (Eigen::Index r = 0; r < 6; ++r)
    for (Eigen::Index c = 0; c < 5; ++c) {
      double sum = 0;
      for (Eigen::Index k = 0; k < 6; ++k)
        for (Eigen::Index l = 0; l < 5; ++l)
          sum += power[l * 6 + k] *
                 std::cos(2 * std::numbers::pi *
                          (static_cast<double>(k * r) / 6 + static_cast<double>(l * c) / 5));
      for (Eigen::Index from = 0; from < 30; from += 7) {
        const Eigen::Index to = (from / 6 + c) % 5 * 6 + (from % 6 + r) % 6;
        EXPECT_NEAR(covariance(from, to), sum / 30, 1e-14);
      }
    }
  EXPECT_NEAR(covariance(0, 0), 3, 1e-14);
}

TEST(power_law, falls_with_its_exponent) {
  const VectorXd power = oracle::power_law({64, 48}, 2, 1);
  EXPECT_NEAR(power[3] / power[6], 4, 1e-14);
  EXPECT_NEAR(power[64 * 4] / power[64 * 8 + 6], 100.0 / 16, 1e-13);
  EXPECT_EQ(power[64 - 3], power[3]);  // wave number -3
  EXPECT_EQ(power[0], power[1]);
  EXPECT_NEAR(power.mean(), 1, 1e-14);
  EXPECT_LT(largest(oracle::power_law({5, 4}, 0, 2).array() - 2), 1e-15);  // white
  EXPECT_EQ(oracle::wave_number(4, 8), 4);
  EXPECT_EQ(oracle::wave_number(5, 8), -3);
  EXPECT_EQ(oracle::wave_number(4, 7), -3);
}

// A deterministic sampler acts on each wave number by the gain that its law says, no matrix needed.
TEST(stationary, sampler_filters_by_the_gain_of_each_power) {
  const field_shape shape{32, 24};
  const stationary field(shape, oracle::power_law(shape, 2));
  const program plan = dpm_solver_plus_plus(karras(scaled_linear_beta_schedule(1000), 6), 2);
  const auto denoise = [&](const node& at, const MatrixXd& x) {
    return field.denoise(at.level, x);
  };
  const MatrixXd start = plan.start.level.sigma * normals(shape.size(), 3);
  const auto gain = [&](double s) {
    return std::sqrt(law(plan, gaussian_denoiser(0, s), {0, 1}).result.variance);
  };
  const MatrixXd made = run_denoiser(plan, denoise, start);
  EXPECT_LT(largest(made - field.apply(gain, start)), 1e-11 * largest(made));
}

// White: every pixel by itself.
TEST(stationary, takes_a_million_pixels) {
  const field_shape shape{1000, 1024};
  const stationary field(shape, VectorXd::Constant(shape.size(), 0.25));
  const MatrixXd x = normals(shape.size(), 1);
  const double gain = 0.8 * 0.25 / (0.64 * 0.25 + 0.36);
  EXPECT_LT(largest(field.denoise({0.8, 0.6}, x) - gain * x), 1e-13);
}

TEST(stationary, works_in_float) {
  const field_shape shape{12, 5};
  const VectorXd power = oracle::power_law(shape, 2);
  const oracle::stationary<float> rough(shape, power.cast<float>(), 0.5F);
  const stationary exact(shape, power, 0.5);
  const MatrixXd x = normals(60, 2);
  const signal_noise level{0.8, 0.6};
  EXPECT_LT(largest(rough.denoise(level, x.cast<float>()).cast<double>() - exact.denoise(level, x)),
            1e-5);
  EXPECT_LT(largest(rough.log_density(level, x.cast<float>()).cast<double>() -
                    exact.log_density(level, x)),
            1e-3);
}

TEST(stationary, refuses_what_is_no_power) {
  const VectorXd one = VectorXd::Ones(4);
  EXPECT_EQ(refusal([&] { stationary({3, 1}, one); }).find("oracle::stationary: powers = 4"), 0U);
  EXPECT_EQ(refusal([&] { stationary({4, 0}, one); }).find("oracle::stationary: size of the"), 0U);
  EXPECT_EQ(refusal([&] { stationary({4, 1}, -one); }).find("oracle::stationary: power = -1"), 0U);
  EXPECT_EQ(refusal([&] {
              stationary({4, 1}, Eigen::Vector4d(1, 2, 3, 4));
            }).find("oracle::stationary: power = 2; valid: the same at k and -k"),
            0U);
  EXPECT_EQ(refusal([&] { stationary({4, 1}, one, NAN); }).find("oracle::stationary: mean = "), 0U);
  const stationary flat({4, 1}, Eigen::Vector4d(1, 0, 1, 0));
  EXPECT_EQ(refusal([&] { flat.score({1, 0}, one); }).find("stationary::score: sigma = 0"), 0U);
  EXPECT_EQ(refusal([&] {
              flat.denoise({1, 1}, VectorXd::Ones(3));
            }).find("stationary::denoise: rows of x = 3; valid: 4"),
            0U);
  EXPECT_EQ(refusal([] { oracle::power_law({0, 3}, 2); }).find("power_law: size of the shape"), 0U);
  EXPECT_EQ(refusal([] {
              oracle::power_law({4, 1}, 2, -1);
            }).find("power_law: pixel_variance"),
            0U);
}

}  // namespace
}  // namespace tweedie::stationary_test
