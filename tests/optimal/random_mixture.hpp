// Random mixtures of 8 Gaussians in 16 dimensions with power-law spectra, the problems on which
// fitted steps are judged.
#pragma once

#include <Eigen/Dense>
#include <cmath>
#include <random>
#include <vector>

#include "tweedie/optimal/pilot.hpp"
#include "tweedie/oracle/mixture.hpp"

namespace tweedie {

inline Eigen::MatrixXd normal_matrix(Eigen::Index rows, Eigen::Index columns, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  Eigen::MatrixXd z(rows, columns);
  for (double& v : z.reshaped()) v = normal(generator);
  return z;
}

/// Eigenvalues k^-exponent of mean 1; half of the variance lies between the means.
struct random_mixture {
  oracle::mixture<double> data;

  random_mixture(unsigned seed, double exponent) : data(components(seed, exponent)) {}

  Eigen::MatrixXd operator()(const node& at, const Eigen::MatrixXd& x) const {
    return data.denoise(at.level, x);
  }

 private:
  static std::vector<oracle::component<double>> components(unsigned seed, double exponent) {
    constexpr Eigen::Index d = 16;
    Eigen::VectorXd spectrum(d);
    for (Eigen::Index i = 0; i < d; ++i)
      spectrum[i] = std::pow(static_cast<double>(i + 1), -exponent);
    spectrum *= d / spectrum.sum();
    std::vector<oracle::component<double>> out;
    for (unsigned k = 0; k < 8; ++k) {
      const Eigen::MatrixXd z = normal_matrix(d, d + 1, 100 * seed + k);
      const Eigen::MatrixXd axes =
          Eigen::HouseholderQR<Eigen::MatrixXd>(z.leftCols(d)).householderQ();
      const Eigen::MatrixXd covariance = axes * (spectrum / 2).asDiagonal() * axes.transpose();
      out.push_back({1, (spectrum / 2).cwiseSqrt().cwiseProduct(z.col(d)),
                     (covariance + covariance.transpose()) / 2});
    }
    return out;
  }
};

}  // namespace tweedie
