// What a user of several umbrellas writes, printed to the last bit.
#include <Eigen/Core>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#if defined(SINGLE_HEADER)
#include "single_header.hpp"
#else
#include <tweedie/objective.hpp>
#include <tweedie/tweedie.hpp>
#endif

int main() {
  const auto schedule = tweedie::linear_beta_schedule(1000);
  const auto plan = tweedie::euler_ancestral(tweedie::karras(schedule, 7));
  const auto network = [&](std::span<const float> x, double t, std::span<float> eps) {
    const auto [alpha, sigma] = schedule(t);
    for (std::size_t i = 0; i < x.size(); ++i)
      eps[i] =
          static_cast<float>(sigma * (x[i] - 2 * alpha) / (alpha * alpha * 0.25 + sigma * sigma));
  };
  std::vector<float> x(37);
  tweedie::fill_standard_normal(x, 1);
  tweedie::run(plan, {.prediction = tweedie::predicts_noise}, x, network,
               tweedie::gaussian_noise{2});
  for (const float e : x)
    std::printf("%08x\n", static_cast<unsigned>(std::bit_cast<std::uint32_t>(e)));

  const Eigen::Map<const Eigen::ArrayXf> sample(x.data(), 37);
  const Eigen::ArrayXf target = Eigen::ArrayXf::Constant(37, 2);
  for (const double value :
       tweedie::regression(sample, target, std::vector{0.3}, tweedie::squared_error{},
                           tweedie::reduction::mean_over_dimensions))
    std::printf("%a\n", value);
}
