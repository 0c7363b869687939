// Two modalities with clocks of their own (UniDiffuser, Bao et al. 2023, eqs. 5 to 8): two runs pulled side by side, one
// network that is shown both states and told both times. No concept of its own is needed: the level of a modality at rest
// is data that is given (time 0) or noise that says nothing (the last time).
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "tweedie/conditioning/embedding.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/sampling.hpp"

namespace tweedie {
namespace {

// Exact E[(x0, y0) | x at its level, y at its level] of the Gaussian pair N(0, [[1, .8], [.8, 1]]).
Eigen::Vector2d both(double x, signal_noise lx, double y, signal_noise ly) {
  Eigen::Matrix2d c, total, a = Eigen::Vector2d(lx.alpha, ly.alpha).asDiagonal();
  c << 1, 0.8, 0.8, 1;
  total = a * c * a;
  total.diagonal() += Eigen::Vector2d(lx.sigma * lx.sigma, ly.sigma * ly.sigma);
  return c * a * total.inverse() * Eigen::Vector2d(x, y);
}

const network_description clean_network{predicts_sample};

TEST(independent_clocks, of_one_pair_sample_its_joint_law) {
  // The two stand on different schedules, in different gauges, with as many steps. The map from starts to ends is linear.
  const grid first = exponential(linear_beta_schedule(1000), 200);
  const grid second = exponential(variance_exploding_schedule(0.005, 80), 200);
  const double scale = second.front().level.sigma;
  Eigen::Matrix2d map;
  for (int column = 0; column < 2; ++column) {
    std::vector<double> x{column == 0 ? 1.0 : 0}, y{column == 1 ? scale : 0};
    sampling a(dpm_solver_plus_plus(first, 2), clean_network, x);
    sampling b(dpm_solver_plus_plus(second, 2), clean_network, y);
    while (a.next()) {
      b.next();
      const Eigen::Vector2d clean = both(a.input()[0], a.at().level, b.input()[0], b.at().level);
      a.output()[0] = clean[0];
      b.output()[0] = clean[1];
    }
    b.next();  // its last step
    map.col(column) << a.state()[0], b.state()[0];
  }
  const Eigen::Matrix2d law = map * map.transpose();
  EXPECT_NEAR(law(0, 0), 1, 0.01);
  EXPECT_NEAR(law(1, 1), 1, 0.01);
  EXPECT_NEAR(law(0, 1), 0.8, 0.01);
}

// One runs, the other rests. Guided by w the noise is eps_(y) + w (eps_(y) - eps_()), eq. 8; here in x0.
double end_of_first(double start, double y, double w) {
  const signal_noise given{1, 0}, nothing{0, 1};
  std::vector<double> x{start};
  sampling a(dpm_solver_plus_plus(exponential(linear_beta_schedule(1000), 200), 2), clean_network,
             x, std::array{-w, 1 + w});
  while (a.next()) {
    a.output(0)[0] = both(a.input()[0], a.at().level, 0.3, nothing)[0];
    a.output(1)[0] = both(a.input()[0], a.at().level, y, given)[0];
  }
  return a.state()[0];
}

TEST(independent_clocks, give_the_conditional_and_the_marginal_as_limits) {
  const double y = 1.5;
  const double at = end_of_first(0, y, 0), up = end_of_first(1, y, 0);
  EXPECT_NEAR(at, 0.8 * y, 0.005);
  EXPECT_NEAR((up - at) * (up - at), 0.36, 0.005);
  const double middle = end_of_first(0, y, -1), above = end_of_first(1, y, -1);  // eps_() alone
  EXPECT_NEAR(middle, 0, 1e-9);
  EXPECT_NEAR((above - middle) * (above - middle), 1, 0.01);
  EXPECT_GT(end_of_first(0, y, 1), at + 0.1);  // guidance goes beyond the conditional
}

// Why a time is embedded: every element stays in [-1, 1], where the bare index would be 999 times a pixel.
TEST(time_embedding, is_of_the_size_of_a_picture) {
  for (const double t : {0.0, 1.0, 500.5, 999.0})
    for (const double v : time_embedding(t, 64, embedding_form::adm)) EXPECT_LE(std::abs(v), 1);
}

}  // namespace
}  // namespace tweedie
