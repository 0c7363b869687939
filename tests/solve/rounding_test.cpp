// What a state in few bits costs (T118): the same run of a smooth network with states of other types beside one in double.
#include <gtest/gtest.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

template <class S>
double deviation_from_double(int steps) {
  constexpr std::size_t n = 256;
  const program plan = ddim(trailing(linear_beta_schedule(1000), steps));
  std::vector<double> exact(n);
  fill_standard_normal(exact, 1);
  std::vector<S> x(n);
  std::transform(exact.begin(), exact.end(), x.begin(), [](double v) { return static_cast<S>(v); });
  for (std::size_t i = 0; i < n; ++i) exact[i] = static_cast<double>(x[i]);
  // E[x0 | x] of data N(0, 1/4): asked for noise, the first estimates would be wrong by sigma/alpha = 157 roundings.
  const auto answer = [&](auto& s) {
    const auto [alpha, sigma] = s.at().level;
    const double gain = alpha / 4 / (alpha * alpha / 4 + sigma * sigma);
    for (std::size_t i = 0; i < n; ++i) {
      using T = std::remove_cvref_t<decltype(s.output()[0])>;
      s.output()[i] = static_cast<T>(gain * static_cast<double>(s.input()[i]));
    }
  };
  sampling wide(plan, network_description{predicts_sample}, exact);
  sampling narrow(plan, network_description{predicts_sample}, x);
  while (wide.next()) {
    narrow.next();
    answer(wide);
    answer(narrow);
  }
  narrow.next();  // its last step
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(narrow.state()[i]) - wide.state()[i]));
    largest = std::max(largest, std::abs(wide.state()[i]));
  }
  return worst / largest;
}

TEST(rounding, single_precision_is_enough_for_a_thousand_steps) {
  EXPECT_LT(deviation_from_double<float>(1000), 2e-5);
}

TEST(rounding, halves_lose_with_every_step) {
  EXPECT_LT(deviation_from_double<Eigen::half>(20), 5e-3);
  EXPECT_LT(deviation_from_double<Eigen::bfloat16>(20), 5e-2);
  EXPECT_GT(deviation_from_double<Eigen::half>(1000), 1e-3);
  EXPECT_GT(deviation_from_double<Eigen::bfloat16>(1000), 1e-2);
}

}  // namespace
}  // namespace tweedie
