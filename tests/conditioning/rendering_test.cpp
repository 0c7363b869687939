#include "tweedie/conditioning/rendering.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <limits>
#include <numeric>

namespace tweedie {
namespace {

double total(const ray_weights& w) {
  return std::accumulate(w.pieces.begin(), w.pieces.end(), w.transmittance);
}

TEST(volume_rendering, weights_add_up_to_one) {
  const std::vector<double> s{0.5, 0, 3, 1e-12, 40}, d{0.1, 5, 0.2, 1, 0};
  EXPECT_NEAR(total(volume_rendering(s, d)), 1, 1e-15);
  EXPECT_EQ(volume_rendering({}, {}).transmittance, 1);
}

TEST(volume_rendering, a_constant_density_is_exact_however_it_is_cut) {
  for (const std::size_t pieces : {1u, 7u, 1000u}) {
    const auto n = static_cast<double>(pieces);
    const auto w =
        volume_rendering(std::vector<double>(pieces, 0.8), std::vector<double>(pieces, 2.5 / n));
    EXPECT_NEAR(w.transmittance, std::exp(-2), 1e-15 * n);
    EXPECT_NEAR(w.pieces.front(), -std::expm1(-2 / n), 1e-16);
  }
  // Thin pieces keep their digits: 1 - exp(-1e-20) = 1e-20.
  EXPECT_DOUBLE_EQ(volume_rendering(std::vector{1e-20}, std::vector{1.0}).pieces[0], 1e-20);
}

TEST(volume_rendering, nothing_shines_through_an_opaque_piece) {
  const double inf = std::numeric_limits<double>::infinity();
  const auto w =
      volume_rendering(std::vector<double>{1, inf, inf, 2}, std::vector<double>{1, 1, 0, 1});
  EXPECT_NEAR(w.pieces[1], std::exp(-1), 1e-16);
  EXPECT_EQ(w.pieces[2], 0);
  EXPECT_EQ(w.pieces[3], 0);
  EXPECT_EQ(w.transmittance, 0);
  EXPECT_THROW(volume_rendering(std::vector{-1.0}, std::vector{1.0}), std::invalid_argument);
  EXPECT_THROW(volume_rendering(std::vector{1.0}, std::vector{inf}), std::invalid_argument);
  EXPECT_THROW(volume_rendering(std::vector{1.0}, std::vector<double>{}), std::invalid_argument);
}

// The map that the covariance is carried through is the derivative of the projection.
TEST(splat_covariance, is_the_covariance_of_the_linearised_projection) {
  const Eigen::Matrix3d rotation =
      Eigen::AngleAxisd(0.7, Eigen::Vector3d(1, 2, 3).normalized()).toRotationMatrix();
  const Eigen::Vector3d world(0.4, -0.3, 0.2), origin(0.1, 0.2, 4);
  const auto pixel = [&](const Eigen::Vector3d& p) -> Eigen::Vector2d {
    const Eigen::Vector3d c = rotation * p + origin;
    return 500 * c.head<2>() / c.z();
  };
  Eigen::Matrix<double, 2, 3> slopes;
  const double h = 1e-5;
  for (int i = 0; i < 3; ++i)
    slopes.col(i) = (pixel(world + h * Eigen::Vector3d::Unit(i)) -
                     pixel(world - h * Eigen::Vector3d::Unit(i))) /
                    (2 * h);
  Eigen::Matrix3d a;
  a << 1, 2, 0, 0.5, -1, 1, 0.2, 0, 3;
  const Eigen::Matrix3d covariance = a * a.transpose();
  const Eigen::Vector3d centre = rotation * world + origin;
  const Eigen::Matrix2d splat = splat_covariance(covariance, rotation, centre, 500);
  const Eigen::Matrix2d expected = slopes * covariance * slopes.transpose();
  EXPECT_LT((splat - expected).norm(), 1e-7 * expected.norm());
  EXPECT_GT(splat.determinant(), 0);
  EXPECT_EQ(splat(0, 1), splat(1, 0));
  EXPECT_THROW(splat_covariance(covariance, rotation, Eigen::Vector3d(0, 0, 0), 500),
               std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
