// How likely is this point? Ways to the log-likelihood of a diffusion model, beside the exact one.
//
// Data: three Gaussians in the plane, with the exact denoiser in place of a network. So the only errors are those of the
// ways themselves: where the probability flow ends, one random probe for its divergence, the draws of noise under an
// integral, the steps of a chain. In nats: at four points, and the mean and the root mean square of what is found minus
// the exact value over 100 samples of the data.
#include <cmath>
#include <cstdio>
#include <functional>
#include <numbers>
#include <vector>

#include "tweedie/objective/diffusion_bound.hpp"
#include "tweedie/oracle/distribution.hpp"
#include "tweedie/oracle/exact_trace.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/information.hpp"
#include "tweedie/solve/likelihood.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

using denoiser = std::function<MatrixXd(signal_noise, const MatrixXd&)>;

oracle::mixture<double> three_in_the_plane() {
  const auto part = [](double weight, double x, double y, double variance) {
    return oracle::component<double>{weight, Eigen::Vector2d(x, y),
                                     variance * Eigen::Matrix2d::Identity()};
  };
  return oracle::mixture<double>(
      {part(1, 0.9, 0.3, 0.1), part(1, -0.8, 0.7, 0.2), part(2, 0.1, -0.8, 0.4)});
}

// -log p(x) of each column is at most
//   KL(q(x_T|x) || N(0, I)) + sum over steps of 1/2 (SNR(s) - SNR(t)) E|x - D(x_t)|^2 + decoder, with the decoder
//   N(x_0/alpha_0, sigma_0^2/alpha_0^2) of the first level (Kingma et al. 2021, eqs. 11 to 13).
VectorXd bound(const denoiser& denoise, const std::vector<signal_noise>& levels,
               const MatrixXd& x) {
  const auto draws = static_cast<int>(4000 / levels.size());
  const auto [alpha, sigma] = levels.front();
  const auto d = static_cast<double>(x.rows());
  VectorXd out(x.cols());
  for (Eigen::Index i = 0; i < x.cols(); ++i) {
    MatrixXd z(x.rows(), draws);
    std::uint32_t draw = 0;
    const auto error = [&](signal_noise level) {
      fill_standard_normal(z, static_cast<std::uint64_t>(i), draw++);
      const MatrixXd noised = (level.sigma * z).colwise() + level.alpha * x.col(i);
      return (denoise(level, noised).colwise() - x.col(i)).squaredNorm() / draws;
    };
    const double prior = (alpha * alpha * x.col(i).squaredNorm() + d * (sigma * sigma - 1)) / 2 -
                         d * std::log(sigma);
    const double decoder =
        d / 2 * (1 + std::log(2 * std::numbers::pi)) - d * half_log_snr(levels.back());
    out[i] = -prior - decoder - discrete_diffusion_bound(levels, error);
  }
  return out;
}

}  // namespace

int main() {
  const oracle::mixture<double> data = three_in_the_plane();
  long asked = 0;  // columns given to the network
  const denoiser network = [&](signal_noise level, const MatrixXd& x) -> MatrixXd {
    asked += x.cols();
    return data.denoise(level, x);
  };
  const auto trace = [&, exact = oracle::exact_trace(data)](const MatrixXd& x, double u) {
    asked += x.cols();
    return exact(x, u);
  };

  MatrixXd x(2, 104);
  x.leftCols(4) << 0.9, 0.0, 2.0, 4.0,  //
      0.3, 0.0, -1.0, 4.0;
  MatrixXd z(2, 100);
  VectorXd parts(100);
  fill_standard_normal(z, 1);
  fill_standard_uniform(parts, 1);
  x.rightCols(100) = data.sample(parts, z);

  const VectorXd exact = oracle::log_density(data, {1, 0}, x);
  std::printf("%-38s %8s %8s %8s %8s    mean     rms  calls a point\n", "", "a mode", "between",
              "aside", "far away");
  const auto show = [&](const char* name, const VectorXd& found) {
    std::printf("%-38s", name);
    for (Eigen::Index i = 0; i < 4; ++i) std::printf(" %8.3f", found[i]);
    const auto off = (found - exact).tail(100).array();
    std::printf(" %7.3f %7.3f  %13ld\n", off.mean(), std::sqrt(off.square().mean()),
                asked / x.cols());
    asked = 0;
  };
  show("exact", exact);
  for (const double highest : {80.0, 1000.0})
    show(highest == 80 ? "flow, exact divergence, to level 80"
                       : "flow, exact divergence, to level 1000",
         log_likelihood(trace, x, {1e-3, highest, {1e-6, 1e-6}}).log_density);
  MatrixXd signs(x.rows(), x.cols());
  fill_standard_normal(signs, 3);
  signs = signs.array().sign();
  const auto clean = [&](const MatrixXd& at, double u) { return network({1, u}, at); };
  show("flow, one random probe (Hutchinson)",
       log_likelihood(hutchinson_trace(clean, central_difference_product(clean), signs), x,
                      {1e-3, 1000, {1e-6, 1e-6}})
           .log_density);
  for (const int draws : {4, 64})
    show(draws == 4 ? "information, 4 pairs a level" : "information, 64 pairs a level",
         log_likelihood_by_information(network, x, {.levels = 120, .draws = draws}).log_density);
  // A chain is as tight as its levels are near: with the 1,000 steps of the cosine schedule it loses most in the first
  // few, whose signal-to-noise ratios differ by factors.
  for (const int steps : {10, 100, 1000}) {
    std::vector<signal_noise> levels;
    for (int k = 0; k < steps; ++k)
      levels.push_back(variance_preserving(std::exp(5 - 10.0 * k / (steps - 1))));
    show(("bound, " + std::to_string(steps) + " levels even in log SNR").c_str(),
         bound(network, levels, x));
  }
  const discrete_schedule schedule = cosine_schedule(1000);
  std::vector<signal_noise> levels;
  for (int k = schedule.steps() - 1; k >= 0; --k) levels.push_back(schedule.at(k));
  show("bound, 1000 levels, cosine schedule", bound(network, levels, x));
}
