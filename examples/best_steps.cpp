// Which eight steps are best for this model? Levels and weights fitted to a few pilot runs of your own
// denoiser, judged on samples that the fit has not seen, against what most people run.
#include <cstdio>

#include "tweedie/optimal.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/tensor/random.hpp"

int main() {
  using namespace tweedie;
  const auto part = [](double weight, double x, double y, double variance) {
    return oracle::component<double>{weight, Eigen::Vector2d(x, y),
                                     variance * Eigen::Matrix2d::Identity()};
  };
  const oracle::mixture<double> data(
      {part(1, 0.9, 0.3, 0.1), part(1, -0.8, 0.7, 0.2), part(2, 0.1, -0.8, 0.4)});

  // Yours: denoiser_of(network, evaluate), with the arguments that `run` takes.
  const auto denoise = [&](const node& at, const Eigen::MatrixXd& x) {
    return data.denoise(at.level, x);
  };
  const auto schedule = scaled_linear_beta_schedule(1000);
  const auto noise = [](std::uint64_t seed) {
    Eigen::MatrixXd z(2, 256);
    fill_standard_normal(z, seed);
    return z;
  };
  const pilot_runs pilots = record_pilots(schedule, denoise, noise(1));
  const pilot_runs others = record_pilots(schedule, denoise, noise(2));

  std::printf("calls  DPM++ 2M, Karras  best published on pilots            fitted\n");
  for (const int calls : {5, 8, 10, 20}) {
    const fitted_program best = optimal_program(schedule, calls, denoise, pilots);
    const program usual = dpm_solver_plus_plus(karras(schedule, calls), 2);
    std::printf("%5d  %16.5f  %8.5f  %-24s %8.5f\n", calls, end_error(usual, denoise, others),
                best.published_error, best.published.c_str(),
                end_error(best.plan, denoise, others));
  }
}
