#include "tweedie/solve/initial_noise.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tweedie/program/recorder.hpp"

namespace tweedie {
namespace {

program starting_at_level(signal_noise level) {
  recorder r({1, level});
  return r.finish(r.state());
}

template <class S>
class initial_noise_of : public testing::Test {};
using scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(initial_noise_of, scalars);

TYPED_TEST(initial_noise_of, is_sigma_times_the_standard_normals_of_the_seed) {
  for (const double sigma : {1.0, 0.5, 14.6146, 80.0}) {
    std::vector<TypeParam> z(257), x(257);
    fill_standard_normal(z, 7);
    initial_noise(starting_at_level({1, sigma}), 7, x);
    for (std::size_t i = 0; i < z.size(); ++i)
      ASSERT_EQ(x[i], static_cast<TypeParam>(static_cast<double>(z[i]) * sigma));
  }
}

TEST(initial_noise, refuses_clean_data_and_writes_nothing) {
  std::vector<float> x(3, 5.0f);
  EXPECT_THROW(initial_noise(starting_at_level({1, 0}), 1, x), std::invalid_argument);
  EXPECT_EQ(x, std::vector<float>(3, 5.0f));
}

}  // namespace
}  // namespace tweedie
