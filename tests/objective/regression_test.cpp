#include "tweedie/objective/regression.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "objective/gradient_check.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/precondition.hpp"
#include "tweedie/tensor/eigen_tensor.hpp"
#include "tweedie/training/training_batch.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;

TEST(metric, slopes_equal_forward_mode_and_central_differences) {
  const auto check = [](const auto& metric) {
    for (const double r : {-60.0, -1.3, -0.2, -1e-3, 1e-3, 0.4, 2.5, 60.0}) {
      const auto value = [&](auto x) { return metric.value(x); };
      EXPECT_NEAR(metric.slope(r), forward_mode(value, r), 1e-14 * std::max(1.0, std::abs(r)));
      EXPECT_LT(relative_error(central_difference(value, r, 1e-6), metric.slope(r)), 1e-7);
    }
    EXPECT_EQ(metric.value(0.0), 0);
    EXPECT_EQ(metric.slope(0.0), 0);
  };
  check(squared_error{});
  check(absolute_error{});
  check(huber_error(1));
  check(pseudo_huber_error(0.3));
}

TEST(metric, huber_joins_square_and_line) {
  const huber_error h(0.5);
  EXPECT_DOUBLE_EQ(h.value(0.2), 0.02);
  EXPECT_DOUBLE_EQ(h.value(2.0), 0.5 * (2 - 0.25));
  EXPECT_NEAR(pseudo_huber_error(1e-9).value(3.0), 3, 1e-8);
  EXPECT_NEAR(pseudo_huber_error(1e6).value(3.0) * 2e6, 9, 1e-9);
  EXPECT_THROW(huber_error(0), std::invalid_argument);
  EXPECT_THROW(pseudo_huber_error(-1), std::invalid_argument);
  EXPECT_THROW(norm_pseudo_huber_error(NAN), std::invalid_argument);
}

// c (sqrt(1 + (r/c)^2) - 1) tends to |r| - c where the square is beyond the numbers.
TEST(metric, pseudo_huber_is_a_line_far_out) {
  const auto of = [](auto residual, double c, auto slope) {
    using S = decltype(residual);
    const Eigen::Matrix<S, -1, -1> y = Eigen::Matrix<S, -1, -1>::Constant(1, 1, residual),
                                   t = Eigen::Matrix<S, -1, -1>::Zero(1, 1);
    Eigen::Matrix<S, -1, -1> gradient(1, 1);
    const double value = regression(y, t, std::vector<double>{1}, pseudo_huber_error(c),
                                    reduction::sum_over_dimensions, gradient)[0];
    EXPECT_NEAR(gradient(0, 0), slope, 1e-6);
    return value;
  };
  EXPECT_NEAR(of(1e20f, 1, 1) / 1e20, 1, 1e-6);
  EXPECT_NEAR(of(-1e20f, 1e-3, -1) / 1e20, 1, 1e-6);
  EXPECT_NEAR(of(1e20f, 1e20, 1 / std::numbers::sqrt2) / 1e20, std::numbers::sqrt2 - 1, 1e-6);
  EXPECT_NEAR(of(-1e200, 1, -1) / 1e200, 1, 1e-15);
  for (const double r : {1e9 * (1 - 1e-12), 1e9 * (1 + 1e-12)})
    EXPECT_NEAR(pseudo_huber_error(1).value(r), r - 1, 1e-6);
}

TEST(metric, improved_consistency_constant) {  // Song and Dhariwal 2024: 0.03 for CIFAR-10
  const double c = 0.00054 * std::sqrt(3072.0);
  EXPECT_NEAR(c, .02992984, 5e-9);
  EXPECT_NEAR(improved_consistency_metric(12288).value_of_squared_norm(1),
              std::sqrt(1 + .05985968 * .05985968) - .05985968, 1e-8);
  EXPECT_NEAR(improved_consistency_metric(3072).value_of_squared_norm(2), std::sqrt(2 + c * c) - c,
              1e-14);
}

template <class S>
class regression_of : public testing::Test {};
using scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(regression_of, scalars);

// An odd number of dimensions over several blocks.
TYPED_TEST(regression_of, values_and_gradients_equal_a_loop) {
  using S = TypeParam;
  using matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
  const matrix output = matrix::Random(301, 3), target = matrix::Random(301, 3);
  const std::vector<double> weights = {0.5, 2, 0};
  matrix gradient(301, 3);
  const auto values = regression(output, target, weights, squared_error{},
                                 reduction::mean_over_dimensions, gradient);
  for (int i = 0; i < 3; ++i) {
    double sum = 0;
    for (int j = 0; j < 301; ++j) {
      const double r = static_cast<double>(output(j, i)) - static_cast<double>(target(j, i));
      sum += r * r;
      EXPECT_NEAR(static_cast<double>(gradient(j, i)), 2 * weights[nth(i)] * r / 301,
                  std::numeric_limits<S>::epsilon());
    }
    EXPECT_NEAR(values[nth(i)], weights[nth(i)] * sum / 301, 1e-13);
  }
  const auto alone =
      regression(output, target, weights, squared_error{}, reduction::mean_over_dimensions);
  EXPECT_EQ(values, alone);
}

TEST(regression, reductions_differ_by_the_dimensions_and_ln_2) {
  const Eigen::MatrixXd output = Eigen::MatrixXd::Random(7, 2),
                        target = Eigen::MatrixXd::Zero(7, 2);
  const std::vector<double> w = {1, 1};
  const auto value = [&](reduction how) {
    return regression(output, target, w, squared_error{}, how)[1];
  };
  EXPECT_NEAR(value(reduction::sum_over_dimensions), output.col(1).squaredNorm(), 1e-15);
  EXPECT_NEAR(value(reduction::mean_over_dimensions) * 7, output.col(1).squaredNorm(), 1e-15);
  EXPECT_NEAR(value(reduction::bits_per_dimension) * 7 * std::log(2), output.col(1).squaredNorm(),
              1e-15);
  EXPECT_NEAR(nats(bits_per_dimension(3.7, 3072), 3072), 3.7, 1e-15);
}

TEST(regression, a_norm_metric_sees_the_whole_item) {
  const Eigen::MatrixXd output = Eigen::MatrixXd::Random(5, 2),
                        target = Eigen::MatrixXd::Random(5, 2);
  Eigen::MatrixXd gradient(5, 2);
  const std::vector<double> w = {1.5, 0.7};
  const norm_pseudo_huber_error metric(0.2);
  const auto values =
      regression(output, target, w, metric, reduction::sum_over_dimensions, gradient);
  const double h = 1e-6;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 5; ++j) {
      Eigen::MatrixXd up = output, down = output;
      up(j, i) += h;
      down(j, i) -= h;
      const auto at = [&](const Eigen::MatrixXd& y) {
        return regression(y, target, w, metric, reduction::sum_over_dimensions)[nth(i)];
      };
      EXPECT_NEAR(gradient(j, i), (at(up) - at(down)) / (2 * h), 1e-9);
    }
  const double r = (output.col(0) - target.col(0)).norm();
  EXPECT_NEAR(values[0], 1.5 * (std::hypot(r, 0.2) - 0.2), 1e-14);
}

TEST(regression, a_gain_measures_the_error_in_another_kind) {
  const signal_noise level{0.6, 0.8};
  const node at{0, level};
  const Eigen::MatrixXd x0 = Eigen::MatrixXd::Random(9, 1), z = Eigen::MatrixXd::Random(9, 1),
                        v_hat = Eigen::MatrixXd::Random(9, 1);
  const Eigen::MatrixXd v = -level.sigma * x0 + level.alpha * z;
  const state_output to_sample = sample_from(level, predicts_v(at));
  const Eigen::MatrixXd x0_hat =
      to_sample.x * (level.alpha * x0 + level.sigma * z) + to_sample.y * v_hat;
  const std::vector<item_factors> factors = {
      {1, residual_gain(level, predicts_v(at), predicts_sample(at))}};
  Eigen::MatrixXd gradient(9, 1);
  const double value =
      regression(v_hat, v, factors, absolute_error{}, reduction::sum_over_dimensions, gradient)[0];
  EXPECT_NEAR(value, (x0_hat - x0).cwiseAbs().sum(), 1e-13);
}

std::vector<std::function<double(double)>> every_weighting() {
  return {simple_weighting,
          sample_weighting,
          truncated_snr_weighting,
          snr_plus_one_weighting,
          min_snr_weighting(5),
          soft_min_snr_weighting(4),
          p2_weighting(1),
          debiased_weighting,
          edm_weighting(0.5),
          sigmoid_weighting(-1),
          velocity_weighting,
          truncated_velocity_weighting(0.05),
          logit_normal_weighting(0, 1),
          weighting_of_v_error([](double l) { return 1 + std::tanh(l); })};
}

// Value and gradient against the formula weight * mean rho(y - target) and its derivatives; returns
// the values.
template <class Metric>
std::vector<double> expect_gradient_of_batch(const training_batch<Eigen::MatrixXd>& batch,
                                             const Eigen::MatrixXd& output, const Metric& metric) {
  const std::vector<double> w = batch.weights();
  const auto value = [&](const Eigen::MatrixXd& y) {
    return regression(y, batch.target, w, metric, reduction::mean_over_dimensions);
  };
  Eigen::MatrixXd gradient(output.rows(), output.cols());
  const auto values =
      regression(output, batch.target, w, metric, reduction::mean_over_dimensions, gradient);
  const auto d = static_cast<double>(output.rows());
  for (int j = 0; j < output.rows(); ++j) {
    const Eigen::RowVectorXd h = 1e-6 * (output.row(j) - batch.target.row(j)).cwiseAbs();
    Eigen::MatrixXd up = output, down = output;
    up.row(j) += h;
    down.row(j) -= h;
    const auto above = value(up), below = value(down);
    for (int i = 0; i < output.cols(); ++i) {
      const auto of_output = [&](const differentiated& y) {
        return differentiated(w[nth(i)] / d * metric.value(differentiated(y - batch.target(j, i))));
      };
      EXPECT_LE(std::abs(gradient(j, i) - forward_mode(of_output, output(j, i))),
                1e-12 * std::abs(gradient(j, i)));
      const double step = up(j, i) - down(j, i);
      EXPECT_LE(std::abs(gradient(j, i) - (above[nth(i)] - below[nth(i)]) / step),
                1e-5 * std::abs(gradient(j, i)) + 1e-14 * values[nth(i)] / step);
    }
  }
  return values;
}

std::vector<std::function<plane_row(const node&)>> every_kind() {
  return {predicts_sample,  predicts_noise,
          predicts_v,       predicts_rectified_velocity,
          predicts_score,   predicts_velocity(trigonometric_schedule{}),
          predicts_edm(0.5)};
}

TEST(regression, gradients_in_every_kind_weighting_and_metric) {
  const trigonometric_schedule schedule;
  const std::vector<double> times = {1e-3, 0.8, 1.57};
  std::srand(6);
  const Eigen::MatrixXd x0 = Eigen::MatrixXd::Random(5, 3), z = Eigen::MatrixXd::Random(5, 3);
  for (const auto& kind : every_kind())
    for (const auto& weighting : every_weighting()) {
      const auto batch = make_training_batch(x0, z, schedule, {kind}, times, weighting);
      // An x0 estimate off by r, in the answer's own kind.
      const Eigen::MatrixXd r = 0.1 + Eigen::MatrixXd::Random(5, 3).array().abs();
      Eigen::MatrixXd output = batch.target;
      for (int i = 0; i < 3; ++i)
        output.col(i) +=
            r.col(i) / sample_from(batch.items[nth(i)].at.level, batch.items[nth(i)].row).y;
      const auto values = expect_gradient_of_batch(batch, output, squared_error{});
      for (int i = 0; i < 3; ++i) {
        const double expected =
            std::exp(weighting(log_snr(batch.items[nth(i)].at.level))) * r.col(i).squaredNorm() / 5;
        EXPECT_NEAR(values[nth(i)] / expected, 1, 1e-9);
      }
      expect_gradient_of_batch(batch, output, absolute_error{});
      expect_gradient_of_batch(batch, output, huber_error(0.5));
      expect_gradient_of_batch(batch, output, pseudo_huber_error(0.03));
    }
}

TEST(regression, gradients_at_both_ends_of_a_schedule) {
  const trigonometric_schedule schedule;
  const std::vector<double> ends = {0, schedule.noisy_time()};
  const Eigen::MatrixXd x0 = Eigen::MatrixXd::Random(5, 2), z = Eigen::MatrixXd::Random(5, 2),
                        answer = 60 * Eigen::MatrixXd::Random(5, 2);
  for (const std::function<plane_row(const node&)>& kind :
       std::vector<std::function<plane_row(const node&)>>{predicts_v, predicts_rectified_velocity,
                                                          predicts_velocity(schedule)})
    for (const std::function<double(double)>& weighting :
         std::vector<std::function<double(double)>>{simple_weighting, truncated_snr_weighting,
                                                    snr_plus_one_weighting, edm_weighting(0.5),
                                                    velocity_weighting}) {
      const auto batch = make_training_batch(x0, z, schedule, {kind}, ends, weighting);
      expect_gradient_of_batch(batch, answer, squared_error{});
      expect_gradient_of_batch(batch, answer, pseudo_huber_error(0.03));
    }
}

struct cubic {  // a user's metric
  double value(double r) const { return std::abs(r * r * r); }
  double slope(double r) const { return 3 * r * std::abs(r); }
};

TEST(regression, takes_a_users_metric_and_any_tensor) {
  Eigen::Tensor<float, 3> output(2, 2, 3), target(2, 2, 3), gradient(2, 2, 3);
  output.setConstant(2);
  target.setZero();
  const std::vector<double> w = {1, 1, 1};
  const auto values =
      regression(output, target, w, cubic{}, reduction::sum_over_dimensions, gradient);
  EXPECT_EQ(values, (std::vector<double>{32, 32, 32}));
  EXPECT_EQ(gradient(1, 1, 2), 12);
  std::vector<double> raw = {1, 2, 3, 4}, zero(4);
  const auto in_place =
      regression(batch_view{std::span<const double>(raw), 2},
                 batch_view{std::span<const double>(zero), 2}, std::vector<double>{1, 1},
                 squared_error{}, reduction::sum_over_dimensions, batch_view{std::span(raw), 2});
  EXPECT_EQ(in_place, (std::vector<double>{5, 25}));
  EXPECT_EQ(raw, (std::vector<double>{2, 4, 6, 8}));
}

TEST(regression, an_item_gives_the_same_bits_alone_and_in_a_batch) {
  const Eigen::MatrixXf output = Eigen::MatrixXf::Random(777, 4),
                        target = Eigen::MatrixXf::Random(777, 4);
  const auto all = regression(output, target, std::vector<double>(4, 1.0), pseudo_huber_error(0.1),
                              reduction::mean_over_dimensions);
  for (int i = 0; i < 4; ++i) {
    const Eigen::MatrixXf y = output.col(i), t = target.col(i);
    EXPECT_EQ(all[nth(i)], regression(y, t, std::vector<double>{1}, pseudo_huber_error(0.1),
                                      reduction::mean_over_dimensions)[0]);
  }
}

TEST(regression, refuses_what_does_not_fit) {
  const Eigen::MatrixXd output = Eigen::MatrixXd::Ones(4, 2);
  Eigen::MatrixXd target = Eigen::MatrixXd::Ones(4, 3),
                  gradient = Eigen::MatrixXd::Constant(4, 2, 7);
  const std::vector<double> w = {1, 1};
  const auto call = [&](const Eigen::MatrixXd& t, const std::vector<double>& weights) {
    regression(output, t, weights, squared_error{}, reduction::sum_over_dimensions, gradient);
  };
  EXPECT_THROW(call(target, w), std::invalid_argument);
  EXPECT_THROW(call(Eigen::MatrixXd::Ones(2, 4), w), std::invalid_argument);
  EXPECT_THROW(call(output, {1}), std::invalid_argument);
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    EXPECT_THROW(call(output, {1, bad}), std::invalid_argument);
    EXPECT_THROW(regression(output, output, std::vector<item_factors>{{1, 1}, {1, bad}},
                            squared_error{}, reduction::sum_over_dimensions, gradient),
                 std::invalid_argument);
  }
  EXPECT_EQ(gradient, Eigen::MatrixXd::Constant(4, 2, 7));
  std::vector<double> raw(5);
  EXPECT_THROW(regression(batch_view{std::span<const double>(raw), 2},
                          batch_view{std::span<const double>(raw), 2}, w, squared_error{},
                          reduction::sum_over_dimensions),
               std::invalid_argument);
  const Eigen::MatrixXd none(0, 0);
  EXPECT_TRUE(
      regression(none, none, std::vector<double>{}, squared_error{}, reduction::sum_over_dimensions)
          .empty());
}

}  // namespace
