// What a scheduler_config.json becomes: a program, the network it expects, and the tables that the
// reference implementation keeps.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tweedie/guidance/threshold.hpp"
#include "tweedie/interop/huggingface/config.hpp"
#include "tweedie/program/network.hpp"
#include "tweedie/program/program.hpp"

namespace tweedie::huggingface {

/// How the sampler is called. Keyword arguments carry the reference's own names.
struct request {
  std::optional<int> num_inference_steps;
  options set_timesteps;  ///< timesteps, sigmas, mu, strength, original_inference_steps, ...
  options step;           ///< eta, s_churn, s_noise, order, use_clipped_model_output, ...
  /// Solver steps that are left out at the noisy end (image to image). The sample given to the
  /// program then stands at plan.start, and is made from clean data with `forward`.
  int begin_index = 0;
  /// Follow the reference also where a class does what its name denies (docs/departures.md): its
  /// inversions that fall. By default they are put right.
  bool faithful = false;

  request() = default;
  request(int steps) : num_inference_steps(steps) {}
  request(std::optional<int> steps, options timesteps_kwargs, options step_kwargs = {},
          int begin = 0)
      : num_inference_steps(steps),
        set_timesteps(std::move(timesteps_kwargs)),
        step(std::move(step_kwargs)),
        begin_index(begin) {}
};

/// x0 estimates are clamped to [-range, range].
struct clip_range {
  double range = 1;
};

/// What a configuration does to x0 estimates: nothing, clipping, or a dynamic threshold.
using clean_transform = std::variant<std::monostate, clip_range, dynamic_threshold>;

/// What the reference returns next to the sample ("pred_original_sample", "denoised", ...), as a
/// combination of the state, the (transformed) x0 estimate, the network output and a draw of that
/// stage. The default is the x0 estimate.
struct preview {
  double state = 0;
  double clean = 1;
  double noise = 0;
  double output = 0;
  double draw = 0;
  int draw_index = 0;
};

/// The known part of the picture pasted at a mark (RePaint, Lugmayr et al. 2022, eq. 8):
/// x = mask * (alpha * original + sigma * noise) + (1 - mask) * x.
struct masked_mark {
  std::size_t mark = 0;  ///< index among the marks of the program
  signal_noise level;
  int draw_index = 0;  ///< the noise is this draw of the program
};

/// Langevin corrections before each step (Song et al. 2021, algorithm 4): `steps` times
/// x += e y + sqrt(2 e) z with e = 2 (snr |z| / |y|)^2, norms being means over the batch.
struct langevin_correction {
  int steps = 0;
  double snr = 0;
};

/// What the network's second output means where draws are scaled by it (draw_kind::learned).
enum class variance_output {
  interpolation,  ///< position in [-1, 1] between the two log variances
  variance        ///< the variance itself; hand its logarithm to the run
};

/// Everything needed to sample as the reference does.
struct loaded_sampler {
  program plan;
  network_description network;
  clean_transform transform;
  variance_output second_output = variance_output::interpolation;
  std::vector<double> timesteps;  ///< as the reference lists them, before begin_index is applied
  std::vector<double>
      sigmas;  ///< noise levels as the reference lists them; empty where it has none
  double init_noise_sigma = 1;  ///< factor on the standard normal initial sample
  /// Level of training data noised at a listed timestep ("add_noise", "scale_noise").
  std::function<signal_noise(double timestep)> forward;
  /// Further tables by the reference's own name, e.g. "sigmas_interpol".
  std::map<std::string, std::vector<double>> tables;
  std::vector<preview> previews;  ///< one per evaluation; empty: all are the x0 estimate
  std::vector<masked_mark> masked;
  std::optional<langevin_correction> correction;
  /// One noise-free step from each timestep, for parallel-in-time execution; empty if unsupported.
  std::vector<program> parallel_steps;
  /// Entries of the file that belong to other scheduler classes and change nothing here; and "mu" where
  /// set_timesteps was given one and the file does not shift dynamically.
  std::vector<std::string> unused_options;
};

}  // namespace tweedie::huggingface
