#include "tweedie/schedule/latent.hpp"

#include <gtest/gtest.h>

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

}  // namespace
