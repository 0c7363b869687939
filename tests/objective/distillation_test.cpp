#include "tweedie/objective/distillation.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/objective/consistency.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;
using Eigen::MatrixXd;

TEST(progressive_target, lets_one_step_end_where_two_steps_did) {
  const signal_noise t{0.3, std::sqrt(0.91)}, m{0.6, 0.8}, e{0.9, std::sqrt(0.19)};
  const double x = 0.4;
  const auto teacher = [](double y) { return std::tanh(y); };
  const auto move = [](signal_noise from, signal_noise to, double y, double clean) {
    const solver_step s = first_order_step(from, to);
    return s.x * y + s.clean * clean;
  };
  const double half_way = move(t, m, x, teacher(x));
  const double end = move(m, e, half_way, teacher(half_way));
  const two_step_target target = progressive_target(t, e);
  EXPECT_NEAR(move(t, e, x, target.end * end + target.start * x), end, 1e-14);
  EXPECT_THROW(progressive_target(e, t), std::invalid_argument);
  EXPECT_EQ(progressive_levels(0, 100, 8), 8);
  EXPECT_EQ(progressive_levels(100, 100, 8), 4);
  EXPECT_EQ(progressive_levels(200, 100, 8), 2);
  EXPECT_EQ(progressive_levels(399, 100, 8), 2);
  EXPECT_EQ(progressive_levels(400, 100, 8), 1);
  EXPECT_THROW(progressive_target({1, 0}, {1, 0}), std::invalid_argument);
  EXPECT_THROW(progressive_levels(-1, 100, 8), std::invalid_argument);
  EXPECT_THROW(progressive_levels(0, 0, 8), std::invalid_argument);
  EXPECT_THROW(progressive_levels(0, 100, 1), std::invalid_argument);
}

// Data N(m, s^2): E over noise of eps_hat - eps is sigma alpha (x - m)/(alpha^2 s^2 + sigma^2).
TEST(score_distillation, expected_gradient_on_gaussian_data) {
  const double m = 0.4, s2 = 0.3, alpha = 0.8, sigma = 0.6;
  const double c = alpha * alpha * s2 + sigma * sigma;
  for (const double x : {-1.0, 0.4, 2.0}) {
    MatrixXd prediction(1, 2), noise(1, 2), gradient(1, 2);
    for (int k = 0; k < 2; ++k) {  // two points carry the mean of a linear function
      noise(0, k) = k == 0 ? -1 : 1;
      prediction(0, k) = sigma * (alpha * x + sigma * noise(0, k) - alpha * m) / c;
    }
    score_distillation_gradient(prediction, noise, std::vector<double>{1, 1}, gradient);
    EXPECT_NEAR(gradient.mean(), sigma * alpha * (x - m) / c, 1e-15);
  }
}

// Interval score matching: both states on one inversion of the generated point. On data N(m, s^2) the flow keeps
// k = (x - alpha m)/sqrt(c), its noise is sigma k/sqrt(c), and the gradient a positive multiple of x - m.
TEST(score_distillation, of_an_interval_pulls_to_the_data_without_noise) {
  const double m = 0.4, s2 = 0.3;
  const auto c = [&](signal_noise l) { return l.alpha * l.alpha * s2 + l.sigma * l.sigma; };
  const grid rising = reversed(exponential(linear_beta_schedule(1000), 800));
  const grid from_noise(rising.begin() + 1, rising.end());
  for (const double x : {-1.0, 0.4, 2.0}) {
    const signal_noise first = from_noise.front().level;
    const auto marks =
        law(ddim_inversion(from_noise), gaussian_denoiser(m, s2), {first.alpha * x, 0}).marks;
    MatrixXd at[2], gradient(1, 1);
    const std::size_t places[] = {400, 500};
    double expected = 0;
    for (int k = 0; k < 2; ++k) {
      const auto& [where, state] = marks[places[k]];
      const signal_noise l = where.level;
      at[k] = MatrixXd::Constant(1, 1, l.sigma * (state.mean - l.alpha * m) / c(l));
      expected += (k == 0 ? -1 : 1) * l.sigma / std::sqrt(c(l)) * (x - m) / std::sqrt(s2);
    }
    score_distillation_gradient(at[1], at[0], std::vector<double>{1}, gradient);
    EXPECT_NEAR(gradient(0, 0), expected, 0.01 * std::abs(x - m) + 1e-12);
    EXPECT_GE(gradient(0, 0) * (x - m), 0);
  }
}

TEST(distribution_matching, is_normalised_per_item) {
  const MatrixXd x = MatrixXd::Random(150, 2), fake = MatrixXd::Random(150, 2),
                 real = MatrixXd::Random(150, 2);
  MatrixXd g(150, 2), doubled(150, 2);
  distribution_matching_gradient(x, fake, real, g);
  for (int i = 0; i < 2; ++i)
    EXPECT_LT((g.col(i) - (fake - real).col(i) / (x - real).col(i).cwiseAbs().mean()).norm(),
              1e-13);
  distribution_matching_gradient(MatrixXd(2 * x), MatrixXd(2 * fake), MatrixXd(2 * real), doubled);
  EXPECT_LT((g - doubled).norm(), 1e-13);
  EXPECT_THROW(distribution_matching_gradient(x, fake, x, g), std::invalid_argument);
  // One item is refused: none is written.
  const MatrixXd before = MatrixXd::Constant(150, 2, 7);
  for (const double bad : {0.0, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    MatrixXd answer = real;
    answer.col(1) = x.col(1).array() + bad;
    g = before;
    EXPECT_THROW(distribution_matching_gradient(x, fake, answer, g), std::invalid_argument);
    EXPECT_EQ(g, before);
  }
}

// A generator of N(m, s^2) against data N(0.4, 0.3), both noised to x = alpha x0 + sigma z. The
// difference of the two scores is alpha/sigma^2 (fake - real); carried to m and to s by dx/dm = alpha
// and dx/ds = alpha times the generator's own noise, it is the gradient of KL of the noised laws.
TEST(distribution_matching, descends_the_divergence_of_the_noised_distributions) {
  const double m = -0.8, s = 1.3, alpha = 0.8, sigma = 0.6;
  const auto estimate = [&](double x, double mean, double variance) {
    return mean +
           alpha * variance * (x - alpha * mean) / (alpha * alpha * variance + sigma * sigma);
  };
  const auto divergence = [&](double mean, double deviation) {
    return normal_divergence(alpha * mean,
                             std::log(alpha * alpha * deviation * deviation + sigma * sigma),
                             alpha * 0.4, std::log(alpha * alpha * 0.3 + sigma * sigma));
  };
  double of_mean = 0, of_deviation = 0;
  for (const double z : {-1.0, 1.0})  // points that carry all second moments
    for (const double own : {-1.0, 1.0}) {
      const double x0 = m + s * own, x = alpha * x0 + sigma * z;
      const MatrixXd fake = MatrixXd::Constant(1, 1, estimate(x, m, s * s)),
                     real = MatrixXd::Constant(1, 1, estimate(x, 0.4, 0.3)),
                     generated = MatrixXd::Constant(1, 1, x0);
      MatrixXd g(1, 1);
      distribution_matching_gradient(generated, fake, real, g);
      const double difference = g(0, 0) * std::abs(x0 - real(0, 0));
      of_mean += difference * alpha * alpha / (sigma * sigma) / 4;
      of_deviation += difference * alpha * alpha / (sigma * sigma) * own / 4;
    }
  const double h = 1e-5;
  EXPECT_NEAR(of_mean, (divergence(m + h, s) - divergence(m - h, s)) / (2 * h), 1e-9);
  EXPECT_NEAR(of_deviation, (divergence(m, s + h) - divergence(m, s - h)) / (2 * h), 1e-9);
}

// Variational score distillation: with the tuned network's prediction as reference the gradient is
// that of the same divergence, times sigma/alpha for noise predictions.
TEST(score_distillation, with_a_tuned_reference_descends_the_divergence) {
  const double m = -0.8, alpha = 0.8, sigma = 0.6, s2 = 0.3;
  const double c = alpha * alpha * s2 + sigma * sigma;
  double gradient_of_mean = 0;
  for (const double u : {-1.0, 1.0}) {
    const double x = alpha * m + std::sqrt(c) * u;
    const MatrixXd tuned = MatrixXd::Constant(1, 1, sigma * (x - alpha * m) / c),
                   frozen = MatrixXd::Constant(1, 1, sigma * (x - alpha * 0.4) / c);
    MatrixXd g(1, 1);
    score_distillation_gradient(frozen, tuned, std::vector<double>{alpha / sigma}, g);
    gradient_of_mean += g(0, 0) / 2;
  }
  EXPECT_NEAR(gradient_of_mean, alpha * alpha * (m - 0.4) / c, 1e-14);  // d/dm KL, equal variances
}

TEST(prior_preservation, adds_the_two_means) {
  const MatrixXd y = MatrixXd::Random(3, 5), t = MatrixXd::Random(3, 5);
  const auto w = prior_preservation_weights(2, 3, 0.7);
  double total = 0;
  for (const double v : regression(y, t, w, squared_error{}, reduction::mean_over_dimensions))
    total += v;
  const auto squares = (y - t).array().square().colwise().mean().eval();
  EXPECT_NEAR(total, squares.head(2).mean() + 0.7 * squares.tail(3).mean(), 1e-15);
  EXPECT_NO_THROW(prior_preservation_weights(2, 0, 0));
  EXPECT_THROW(prior_preservation_weights(2, 0, 1), std::invalid_argument);
  EXPECT_THROW(prior_preservation_weights(0, 2, 1), std::invalid_argument);
  EXPECT_THROW(prior_preservation_weights(2, 2, -1), std::invalid_argument);
}

TEST(diffusion_preference, slopes_equal_forward_mode_and_central_differences) {
  for (const double strength : {0.1, 1.0, 50.0})
    for (const double winner : {-60.0, 0.3, 0.9, 60.0})
      for (const double loser : {-60.0, 0.8, 60.0}) {
        const auto at = [&](double w, double l) {
          return diffusion_preference(w, 0.5, l, 0.4, strength);
        };
        const preference_loss p = at(winner, loser);
        const auto of_winner = [&](auto w) {
          using S = decltype(w);
          return softplus(S(strength * (w - 0.5 - (loser - 0.4))));
        };
        const auto of_loser = [&](auto l) {
          using S = decltype(l);
          return softplus(S(strength * (winner - 0.5 - (l - 0.4))));
        };
        EXPECT_LT(relative_error(p.value, of_winner(winner)), 1e-14);
        EXPECT_LT(relative_error(p.winner_slope, forward_mode(of_winner, winner)), 1e-13);
        EXPECT_LT(relative_error(p.loser_slope, forward_mode(of_loser, loser)), 1e-13);
        const double h = 1e-5;
        EXPECT_LT(
            relative_error(p.winner_slope,
                           (at(winner + h, loser).value - at(winner - h, loser).value) / (2 * h)),
            1e-6);
        EXPECT_LT(
            relative_error(p.loser_slope,
                           (at(winner, loser + h).value - at(winner, loser - h).value) / (2 * h)),
            1e-6);
      }
  EXPECT_NEAR(diffusion_preference(1, 1, 1, 1, 5).value, std::log(2), 1e-15);
  EXPECT_EQ(diffusion_preference(1e4, 0, 0, 0, 1).value, 1e4);
  EXPECT_THROW(diffusion_preference(1, 1, 1, 1, 0), std::invalid_argument);
  EXPECT_THROW(diffusion_preference(1, 1, 1, 1, NAN), std::invalid_argument);
}

// The slopes are the weights of the regression gradients: together the gradient of the whole loss.
TEST(diffusion_preference, slopes_carry_the_gradient_to_the_outputs) {
  const MatrixXd output = MatrixXd::Random(5, 2), target = MatrixXd::Random(5, 2);
  const auto errors = [&](const MatrixXd& y) {
    return regression(y, target, std::vector<double>{1, 1}, squared_error{},
                      reduction::sum_over_dimensions);
  };
  const auto loss = [&](const MatrixXd& y) {
    const auto e = errors(y);
    return diffusion_preference(e[0], 0.9, e[1], 1.1, 2);
  };
  const preference_loss p = loss(output);
  MatrixXd gradient(5, 2);
  regression(output, target, std::vector<double>{p.winner_slope, p.loser_slope}, squared_error{},
             reduction::sum_over_dimensions, gradient);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 5; ++j) {
      MatrixXd up = output, down = output;
      up(j, i) += 1e-5;
      down(j, i) -= 1e-5;
      EXPECT_NEAR(gradient(j, i), (loss(up).value - loss(down).value) / 2e-5, 1e-8);
    }
}

}  // namespace
