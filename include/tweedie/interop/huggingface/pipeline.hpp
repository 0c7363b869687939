// What the pipelines of flow models ask their scheduler for, beyond what its file says.
//
// The class FlowMatchEulerDiscreteScheduler spaces its own levels from 1 down to 1/T; the pipelines of
// Flux, LTX, Qwen-Image, Krea and their relatives never let it: they pass sigmas = linspace(1, 1/N, N), and
// with use_dynamic_shifting a mu of the number of tokens of the image, linear between the file's
// (base_image_seq_len, base_shift) and (max_image_seq_len, max_shift). With the class's own levels the
// picture is another one. Flux.2 has a mu of tokens and steps (`empirical_log_shift`). The pipeline of
// Stable Diffusion 3 passes the number of steps alone, and its file shifts by a constant: there
// scheduler(file, steps) is right.
//
//   const std::size_t tokens = image_tokens(1024, 1024);           // 4096
//   const auto sampler = huggingface::scheduler(file, huggingface::flow_pipeline(file, 28, tokens));
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/config.hpp"
#include "tweedie/interop/huggingface/loaded_sampler.hpp"
#include "tweedie/schedule/derived.hpp"

namespace tweedie::huggingface {

/// Tokens of an image of height x width pixels: patches of `patch` pixels, 16 where the autoencoder takes
/// 8 and the transformer 2, as in Flux, SD3 and Qwen-Image. For a video, times its latent frames.
/// \throws std::invalid_argument unless patch divides both sides.
inline std::size_t image_tokens(std::size_t height, std::size_t width, std::size_t patch = 16) {
  if (patch == 0 || height % patch != 0 || width % patch != 0)
    tweedie::detail::fail("huggingface::image_tokens", "patch", static_cast<double>(patch),
                          "valid: a divisor of height " + std::to_string(height) + " and width " +
                              std::to_string(width));
  return (height / patch) * (width / patch);
}

/// The mu of an image of so many tokens by the numbers of a scheduler's file; absent keys are Flux's.
/// \throws std::invalid_argument for numbers that make no line.
inline double pipeline_log_shift(const nlohmann::json& file, std::size_t tokens) {
  const config c(file);
  return resolution_log_shift(static_cast<double>(tokens), c.number("base_image_seq_len", 256),
                              c.number("max_image_seq_len", 4096), c.number("base_shift", 0.5),
                              c.number("max_shift", 1.15));
}

/// What a flow pipeline asks of the scheduler of `file` for N steps on an image of so many tokens: N
/// levels from 1 to 1/N and, if the file shifts dynamically, mu; `mu` replaces the file's line (Flux.2).
/// \throws std::invalid_argument for no steps, and as pipeline_log_shift.
inline request flow_pipeline(const nlohmann::json& file, int steps, std::size_t tokens,
                             std::optional<double> mu = std::nullopt) {
  tweedie::detail::require(steps >= 1, "huggingface::flow_pipeline", "steps", steps,
                           "valid: 1 or more");
  nlohmann::json arguments;
  arguments["sigmas"] = tweedie::detail::linspace(1, 1.0 / steps, steps);
  if (config(file).flag("use_dynamic_shifting", false))
    arguments["mu"] = mu ? *mu : pipeline_log_shift(file, tokens);
  return {steps, options(arguments)};
}

/// The same of a configuration given as a path to a file or, if it starts with '{', as text.
inline request flow_pipeline(const std::string& path_or_text, int steps, std::size_t tokens,
                             std::optional<double> mu = std::nullopt) {
  return flow_pipeline(parse_configuration(path_or_text), steps, tokens, mu);
}

}  // namespace tweedie::huggingface
