// Latents: the scale in which diffusion models see what their autoencoder makes, and what it saves.
//
//   z = (encoded - shift) scale,   so that z has about unit variance
//
// The scale is part of the noise schedule: data times c has its log-SNR shifted by 2 log c.
#pragma once

#include <array>
#include <cmath>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// Latents as diffusion models see them.
struct latent_scaler {
  double shift = 0;
  double scale = 1;

  template <class S>
  S to_model(const S& encoded) const {
    return static_cast<S>((encoded - shift) * scale);
  }
  template <class S>
  S to_decoder(const S& latent) const {
    return static_cast<S>(latent / scale + shift);
  }
};

/// Published constants (the configurations of the models).
inline constexpr latent_scaler stable_diffusion_latents{0, 0.18215};
inline constexpr latent_scaler sdxl_latents{0, 0.13025};
inline constexpr latent_scaler sd3_latents{0.0609, 1.5305};
inline constexpr latent_scaler flux_latents{0.1159, 0.3611};
inline constexpr latent_scaler cogvideox_2b_latents{0, 1.15258426};
inline constexpr latent_scaler cogvideox_5b_latents{0, 0.7};

/// Wan 2.1 and Qwen-Image: one for each of 16 channels, mean and inverse deviation.
inline constexpr std::array<latent_scaler, 16> wan_latents{{{-0.7571, 1 / 2.8184},
                                                            {-0.7089, 1 / 1.4541},
                                                            {-0.9113, 1 / 2.3275},
                                                            {0.1075, 1 / 2.6558},
                                                            {-0.1745, 1 / 1.2196},
                                                            {0.9653, 1 / 1.7708},
                                                            {-0.1517, 1 / 2.6052},
                                                            {1.5508, 1 / 2.0743},
                                                            {0.4134, 1 / 3.2687},
                                                            {-0.0715, 1 / 2.1526},
                                                            {0.5517, 1 / 2.8652},
                                                            {-0.3632, 1 / 1.5579},
                                                            {-0.1922, 1 / 1.6382},
                                                            {-0.9497, 1 / 1.1253},
                                                            {0.2503, 1 / 2.8251},
                                                            {-0.2921, 1 / 1.9160}}};

/// EDM2's ImageNet latents: mean 0, deviation 0.5 in each of 4 channels.
inline constexpr std::array<latent_scaler, 4> edm2_latents{
    {{5.81, 0.5 / 4.17}, {3.25, 0.5 / 4.62}, {0.12, 0.5 / 3.71}, {-2.15, 0.5 / 3.28}}};

/// What an autoencoder makes of pixels.
struct latent_shape {
  double side = 8;      ///< pixels along a side for one latent
  double channels = 4;  ///< numbers of one latent
  double frames = 1;    ///< frames for one latent frame
};

/// How much less there is to compute in latents than in pixels.
struct latent_saving {
  double values = 1;  ///< numbers, as the arrays of one picture shrink: 3 side^2 frames / channels
  double layers =
      1;  ///< positions, as convolutions and feed-forward layers of one width: side^2 frames
  double attention = 1;  ///< pairs of positions: (side^2 frames)^2
};

/// \throws std::invalid_argument unless all three are positive and finite.
inline latent_saving saving_of(const latent_shape& latents, double picture_channels = 3) {
  for (const double v : {latents.side, latents.channels, latents.frames, picture_channels})
    detail::require(v > 0 && std::isfinite(v), "saving_of", "size", v, "valid: 0 < size < inf");
  const double positions = latents.side * latents.side * latents.frames;
  return {picture_channels * positions / latents.channels, positions, positions * positions};
}

}  // namespace tweedie
