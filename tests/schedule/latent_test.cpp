#include "tweedie/schedule/latent.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tweedie/schedule/schedule.hpp"

namespace {

using namespace tweedie;

TEST(latent_scaler, goes_there_and_back) {
  for (const latent_scaler& s :
       {stable_diffusion_latents, sdxl_latents, sd3_latents, flux_latents}) {
    EXPECT_NEAR(s.to_decoder(s.to_model(1.7)), 1.7, 1e-15);
    EXPECT_EQ(s.to_model(s.shift), 0);
  }
  EXPECT_EQ(sd3_latents.scale, 1.5305);
  EXPECT_EQ(flux_latents.shift, 0.1159);
}

TEST(latent_scaler, of_the_deviation_makes_unit_variance_and_shifts_the_log_snr) {
  double mean = 0, square = 0;
  std::vector<double> z;
  for (int i = 0; i < 1000; ++i) z.push_back(3 + 5 * std::sin(0.7 * i));
  for (const double v : z) mean += v / 1000;
  for (const double v : z) square += (v - mean) * (v - mean) / 1000;
  const latent_scaler whitening{mean, 1 / std::sqrt(square)};
  double first = 0, second = 0;
  for (const double v : z) {
    first += whitening.to_model(v) / 1000;
    second += std::pow(whitening.to_model(v), 2) / 1000;
  }
  EXPECT_NEAR(first, 0, 1e-13);
  EXPECT_NEAR(second, 1, 1e-13);
  // x = alpha (c x0) + sigma z is x0 at the level {c alpha, sigma}: log SNR = 2 half_log_snr grows by 2 log c.
  const signal_noise level{0.8, 0.6};
  const double c = sdxl_latents.scale;
  EXPECT_NEAR(2 * half_log_snr({c * level.alpha, level.sigma}) - 2 * half_log_snr(level),
              2 * std::log(c), 1e-14);
}

// The price of steps in latents: SD against its pixels.
TEST(latent_saving, counts_values_positions_and_pairs) {
  const latent_saving sd = saving_of({.side = 8, .channels = 4});
  EXPECT_EQ(sd.values, 48);  // 512 x 512 x 3 over 64 x 64 x 4
  EXPECT_EQ(sd.values, 512.0 * 512 * 3 / (64 * 64 * 4));
  EXPECT_EQ(sd.layers, 512.0 * 512 / (64 * 64));
  EXPECT_EQ(sd.attention, std::pow(512.0 * 512 / (64 * 64), 2));
  EXPECT_EQ(saving_of({1, 3, 1}).values, 1);
  EXPECT_THROW(saving_of({8, std::nan("")}), std::invalid_argument);
}

}  // namespace
