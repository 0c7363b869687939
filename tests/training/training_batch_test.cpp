#include "tweedie/training/training_batch.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"

#include "tweedie/objective/regression.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace {

using namespace tweedie;
using tweedie_test::nth;

const std::vector<double> times = {-1, 0, 400, 999};

template <class S>
class training_batch_of : public testing::Test {};
using scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(training_batch_of, scalars);

TYPED_TEST(training_batch_of, every_kind_gives_the_same_loss_for_the_same_estimate) {
  using S = TypeParam;
  using matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
  const auto schedule = linear_beta_schedule(1000);
  const std::vector<double> t = {10, 100, 400, 999};
  const matrix x0 = matrix::Random(300, 4), z = matrix::Random(300, 4),
               z_hat = matrix::Random(300, 4);
  const auto loss = [&](auto prediction) {
    const auto batch = make_training_batch(x0, z, schedule, {prediction}, t, min_snr_weighting(5));
    matrix output(300, 4);
    for (int i = 0; i < 4; ++i) {
      const training_item& item = batch.items[nth(i)];
      // The estimate z_hat of this item's noise, as an answer of the wanted kind.
      const state_output c = convert(item.at.level, predicts_noise(item.at), item.row);
      output.col(i) = static_cast<S>(c.x) * batch.input.col(i) + static_cast<S>(c.y) * z_hat.col(i);
    }
    return regression(output, batch.target, batch.weights(), squared_error{},
                      reduction::mean_over_dimensions);
  };
  const auto noise = loss(predicts_noise), v = loss(predicts_v), sample = loss(predicts_sample),
             score = loss(predicts_score), velocity = loss(predicts_rectified_velocity);
  const double tolerance = std::is_same_v<S, float> ? 2e-3 : 1e-11;
  for (int i = 0; i < 4; ++i)
    for (const auto& other : {v, sample, score, velocity})
      EXPECT_NEAR(other[nth(i)] / noise[nth(i)], 1, tolerance);
}

TYPED_TEST(training_batch_of, inputs_and_targets_are_the_plane) {
  using S = TypeParam;
  using matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
  const auto schedule = linear_beta_schedule(1000);
  const matrix x0 = matrix::Random(300, 4), z = matrix::Random(300, 4);
  const auto batch =
      make_training_batch(x0, z, schedule, {predicts_v}, times, snr_plus_one_weighting);
  for (int i = 0; i < 4; ++i) {
    const signal_noise s = schedule(times[nth(i)]);
    const S a = static_cast<S>(s.alpha), b = static_cast<S>(s.sigma);
    const S tolerance = 4 * std::numeric_limits<S>::epsilon();
    EXPECT_TRUE((batch.input.col(i) - a * x0.col(i) - b * z.col(i)).cwiseAbs().maxCoeff() <=
                tolerance);
    EXPECT_TRUE((batch.target.col(i) + b * x0.col(i) - a * z.col(i)).cwiseAbs().maxCoeff() <=
                tolerance);
    EXPECT_NEAR(batch.items[nth(i)].weight, 1, 1e-12);
    EXPECT_EQ(batch.network_times()[nth(i)], times[nth(i)]);
  }
}

TEST(training_batch, scales_the_input_of_an_edm_network) {
  // F network: target (x0 - c_skip x)/c_out has unit variance for data variance sigma_data^2.
  const double sigma_data = 0.5, level = 3;
  const network_description edm{
      [=](const node& n) {
        const double s = noise_level(n.level),
                     c_skip = sigma_data * sigma_data / (s * s + sigma_data * sigma_data),
                     c_out = s * sigma_data / std::hypot(s, sigma_data);
        return plane_row{(1 - c_skip) / c_out, -c_skip * s / c_out};
      },
      [=](const node& n) { return 1 / std::hypot(noise_level(n.level), sigma_data); },
      [](const node& n) { return std::log(noise_level(n.level)) / 4; }};
  const auto schedule = [](double t) { return signal_noise{1, t}; };
  struct variance_exploding_time {
    signal_noise operator()(double t) const { return {1, t}; }
    double clean_time() const { return 0; }
    double noisy_time() const { return 80; }
  };
  const auto items = training_items(variance_exploding_time{}, edm, std::vector<double>{level},
                                    edm_weighting(sigma_data));
  EXPECT_NEAR(items[0].weight, 1, 1e-13);
  EXPECT_NEAR(items[0].network_time, std::log(level) / 4, 1e-15);
  EXPECT_NEAR(std::pow(items[0].row.x0 * sigma_data, 2) + std::pow(items[0].row.z, 2), 1, 1e-14);
  EXPECT_NEAR(std::pow(items[0].input_scale, 2) * (sigma_data * sigma_data + level * level), 1,
              1e-14);
  EXPECT_EQ(schedule(level), items[0].at.level);
}

TEST(training_batch, refuses_what_does_not_fit) {
  const auto schedule = linear_beta_schedule(10);
  const Eigen::MatrixXd x0 = Eigen::MatrixXd::Ones(3, 2);
  const network_description noise_network;
  const auto call = [&](const Eigen::MatrixXd& z, std::vector<double> t) {
    make_training_batch(x0, z, schedule, noise_network, t, simple_weighting);
  };
  EXPECT_THROW(call(x0, {1}), std::invalid_argument);
  EXPECT_THROW(call(x0, {1, 10}), std::invalid_argument);
  EXPECT_THROW(call(Eigen::MatrixXd::Ones(3, 3), {1, 2}), std::invalid_argument);
  EXPECT_NO_THROW(call(x0, {1, 9}));
}

}  // namespace
