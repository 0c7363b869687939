// Published models as data: the schedule, what their network predicts and which clock it is told, the grid and the guidance
// of their own pipelines, the scale of their latents.
//
//   const preset model = presets::flux();
//   const grid nodes = model.nodes(model.steps, 4096);           // tokens of the image
//   sampling s(euler(nodes), model.network, x, gaussian_noise{seed}, guidance_scale(model.guidance));
//
// Tables and numbers are those of the papers' code and of the pipelines' defaults, with a source at each. Where a saved
// scheduler_config.json is at hand, load it instead (interop/huggingface.hpp): checkpoints differ from their family's
// defaults. Scalar throughout: nothing here needs Eigen.
#pragma once

#include <array>
#include <cmath>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/grid/subset.hpp"
#include "tweedie/program/network.hpp"
#include "tweedie/schedule/clock.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/derived.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/schedule/latent.hpp"
#include "tweedie/schedule/precondition.hpp"

namespace tweedie {

/// How the guidance scale of a preset is meant.
enum class preset_guidance {
  none,             ///< unconditional, or distilled to one call
  classifier_free,  ///< y_u + w (y_c - y_u)
  embedded          ///< the network is told the scale (guidance distillation)
};

/// One model.
struct preset {
  std::string_view name;
  network_description network;
  /// The levels of training where they are a table; for flows and EDM the path itself is the schedule.
  std::optional<discrete_schedule> table;
  int steps = 50;  ///< of its own pipeline
  preset_guidance guided = preset_guidance::none;
  double guidance = 1;                   ///< the scale w, 1 for none
  std::vector<latent_scaler> latents{};  ///< none for pixels; one for all channels, or one for each
  /// Its own grid of so many steps for an image (or video) of so many tokens, which only Flux and its like heed.
  std::function<grid(int steps, double tokens)> spacing;

  grid nodes(int count, double tokens = 4096) const { return spacing(count, tokens); }
  grid nodes() const { return spacing(steps, 4096); }
};

namespace detail {

// N times from 1 to `last` on the straight path, moved by `move`, then clean data.
template <class Move>
grid moved_flow(int steps, double last, const Move& move) {
  require(steps >= 1, "preset::nodes", "steps", steps, "valid: at least 1");
  const std::vector<double> times = collect(steps, [&](int i) {
    return move(steps == 1 ? 1 : std::lerp(1.0, last, static_cast<double>(i) / (steps - 1)));
  });
  return ending_clean(rectified_flow(), at_times(rectified_flow(), times));
}

// Steps kept of a table at even distances, both ends included.
inline auto evenly_respaced(const discrete_schedule& table) {
  return [table](int steps, double) {
    const std::array counts{steps};
    return at_kept_times(table, sectioned_times(table.steps(), counts));
  };
}

// Karras levels from `highest` to 0.002, then clean data.
inline grid karras_nodes(int steps, double highest) {
  const edm_schedule path(highest);
  return ending_clean(path, at_times(path, karras_levels(steps, highest, 0.002)));
}

// A table's levels where `table` has them: nodes at its fractional times.
inline grid on_table(const discrete_schedule& table, const discrete_schedule& levels) {
  grid nodes;
  for (int k = levels.steps() - 1; k >= 0; --k)
    nodes.push_back(node_of_level(table, noise_level(levels.at(k))));
  nodes.push_back(clean_node(-1));
  return nodes;
}

}  // namespace detail

namespace presets {

/// DDPM (Ho et al. 2020): CIFAR-10, CelebA-HQ, LSUN; 1000 ancestral steps.
inline preset ddpm() {
  discrete_schedule table = linear_beta_schedule(1000);
  auto spacing = [table](int steps, double) { return trailing(table, steps); };
  return {"ddpm", {predicts_noise}, table, 1000, preset_guidance::none, 1, {}, spacing};
}

/// Improved DDPM (Nichol and Dhariwal 2021): cosine table of 4000, learned variance (plan `ddpm(nodes, learned_range{})`),
/// 250 evenly respaced steps.
inline preset iddpm() {
  discrete_schedule table = cosine_schedule(4000);
  auto spacing = detail::evenly_respaced(table);
  return {"iddpm", {predicts_noise}, table, 250, preset_guidance::none, 1, {}, spacing};
}

/// ADM (Dhariwal and Nichol 2021): linear table, learned variance, 250 steps; guided by a classifier whose gradient is the
/// caller's (guidance of ImageNet 256: scale 1).
inline preset adm() {
  discrete_schedule table = linear_beta_schedule(1000);
  auto spacing = detail::evenly_respaced(table);
  return {"adm", {predicts_noise}, table, 250, preset_guidance::none, 1, {}, spacing};
}

/// Stable Diffusion 1.5 (diffusers' pipeline): leading steps from time 1 on, 50 of them, w = 7.5.
inline preset sd15() {
  discrete_schedule table = scaled_linear_beta_schedule(1000);
  auto spacing = [table](int steps, double) { return leading(table, steps, 1); };
  return {"sd15", {predicts_noise},           table,  50, preset_guidance::classifier_free,
          7.5,    {stable_diffusion_latents}, spacing};
}

/// Stable Diffusion 2.1 at 768 pixels: the same table, v-prediction.
inline preset sd21_v() {
  preset p = sd15();
  p.name = "sd21_v";
  p.network = {predicts_v};
  return p;
}

/// SDXL base (diffusers' pipeline): the same table, 50 leading steps, w = 5. Leading steps never reach the last level: 30 of
/// them start at time 958, noise level 11.5 of 14.6.
inline preset sdxl() {
  preset p = sd15();
  p.name = "sdxl";
  p.guidance = 5;
  p.latents = {sdxl_latents};
  return p;
}

/// SDXL Turbo (Sauer et al. 2023): 1 to 4 trailing steps, no guidance.
inline preset sdxl_turbo() {
  preset p = sdxl();
  p.name = "sdxl_turbo";
  p.steps = 4;
  p.guided = preset_guidance::none;
  p.guidance = 1;
  p.spacing = [table = *p.table](int steps, double) { return trailing(table, steps); };
  return p;
}

/// Latent consistency models (Luo et al. 2023) on the table of Stable Diffusion: times out of 50 DDIM ones, the last of every
/// twenty; guidance is embedded. Plan `consistency` with `latent_consistency_scaling`.
inline preset lcm() {
  preset p = sd15();
  p.name = "lcm";
  p.steps = 4;
  p.guided = preset_guidance::embedded;
  p.guidance = 8.5;
  p.spacing = [table = *p.table](int steps, double) {
    detail::require(steps >= 1 && steps <= 50, "presets::lcm", "steps", steps, "valid: 1 to 50");
    std::vector<double> times;
    for (int i = 0; i < steps; ++i) times.push_back(999 - 20 * (i * 50 / steps));
    return ending_clean(table, at_times(table, times));
  };
  return p;
}

/// Stable Video Diffusion (Blattmann et al. 2023; diffusers' pipeline): EDM levels 700 to 0.002, v-prediction told
/// log(sigma) / 4, 25 Karras steps. Guidance rises from 1 at the first frame to 3 at the last; the picture is noised by 0.02.
inline preset svd() {
  auto spacing = [](int steps, double) { return detail::karras_nodes(steps, 700); };
  return {"svd",
          {predicts_v, variance_preserving_input, edm_time},
          std::nullopt,
          25,
          preset_guidance::classifier_free,
          3,
          {stable_diffusion_latents},
          spacing};
}

/// EDM on CIFAR-10 (Karras et al. 2022, table 1): 18 steps of Heun's method, levels 80 to 0.002, data deviation 0.5.
inline preset edm_cifar() {
  auto spacing = [](int steps, double) { return detail::karras_nodes(steps, 80); };
  return {"edm_cifar",
          {predicts_edm(), edm_input(), edm_time},
          std::nullopt,
          18,
          preset_guidance::none,
          1,
          {},
          spacing};
}

/// EDM2 on ImageNet latents (Karras et al. 2024): 32 steps; autoguidance by a weaker network where guided.
inline preset edm2() {
  preset p = edm_cifar();
  p.name = "edm2";
  p.steps = 32;
  p.latents = {edm2_latents.begin(), edm2_latents.end()};
  return p;
}

/// Stable Diffusion 3 (Esser et al. 2024): 28 even times from 1 to 0.001, shifted by 3, w = 7. (diffusers shifts its last time
/// twice and ends at 0.0089 instead of 0.0030: load its file for that.)
inline preset sd3() {
  auto spacing = [](int steps, double) {
    return detail::moved_flow(steps, 0.001, [](double t) { return shift_time(t, 3); });
  };
  return {"sd3",
          {.prediction = predicts_rectified_velocity, .time = flow_time_in_thousands},
          std::nullopt,
          28,
          preset_guidance::classifier_free,
          7,
          {sd3_latents},
          spacing};
}

/// FLUX.1 dev (Black Forest Labs): times from 1 to 1/N, shifted by e^mu, mu linear in the tokens (256: 0.5, 4096: 1.15).
inline preset flux() {
  preset p = sd3();
  p.name = "flux";
  p.steps = 50;
  p.guided = preset_guidance::embedded;
  p.guidance = 3.5;
  p.latents = {flux_latents};
  p.spacing = [](int steps, double tokens) {
    const double shift = std::exp(resolution_log_shift(tokens));
    return detail::moved_flow(steps, 1.0 / steps, [&](double t) { return shift_time(t, shift); });
  };
  return p;
}

/// FLUX.2 dev: as Flux, with mu of tokens and steps. Its latents are normalised by statistics that come with the checkpoint.
inline preset flux2() {
  preset p = flux();
  p.name = "flux2";
  p.guidance = 4;
  p.latents = {};
  p.spacing = [](int steps, double tokens) {
    const double shift = std::exp(empirical_log_shift(tokens, steps));
    return detail::moved_flow(steps, 1.0 / steps, [&](double t) { return shift_time(t, shift); });
  };
  return p;
}

/// Qwen-Image: mu linear in the tokens (256: 0.5, 8192: 0.9), then stretched so that the last noisy time is 0.02; w = 4.
inline preset qwen_image() {
  preset p = flux();
  p.name = "qwen_image";
  p.guided = preset_guidance::classifier_free;
  p.guidance = 4;
  p.latents = {wan_latents.begin(), wan_latents.end()};
  p.spacing = [](int steps, double tokens) {
    const double shift = std::exp(resolution_log_shift(tokens, 256, 8192, 0.5, 0.9));
    const auto shifted = [&](double t) { return shift_time(t, shift); };
    const double stretch = (1 - shifted(1.0 / steps)) / (1 - 0.02);
    return detail::moved_flow(steps, 1.0 / steps, [&](double t) {
      return steps == 1 ? 1 : 1 - (1 - shifted(t)) / stretch;
    });
  };
  return p;
}

/// Wan 2.1, text to video at 720p: even times shifted by 5 (480p: 3), w = 5.
inline preset wan(double shift = 5) {
  preset p = sd3();
  p.name = "wan";
  p.steps = 50;
  p.guidance = 5;
  p.latents = {wan_latents.begin(), wan_latents.end()};
  p.spacing = [schedule = time_shifted(rectified_flow(), shift)](int steps, double) {
    return uniform(schedule, steps);
  };
  return p;
}

/// CogVideoX 2B: the table of Stable Diffusion with SNR divided by 3 and none left at its end, v-prediction, trailing, w = 6.
/// (5B: SNR as it is, `cogvideox_5b_latents`.)
inline preset cogvideox() {
  discrete_schedule table = zero_terminal_snr(shift_snr(scaled_linear_beta_schedule(1000), 3));
  auto spacing = [table](int steps, double) { return trailing(table, steps); };
  return {"cogvideox", {predicts_v},           table,  50, preset_guidance::classifier_free,
          6,           {cogvideox_2b_latents}, spacing};
}

/// The six levels of fast sampling of DiffWave (Kong et al. 2021, appendix C; its code).
inline constexpr std::array<double, 6> diffwave_fast_betas{1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.5};

/// DiffWave (Kong et al. 2021): a table of 50; six steps are its fast levels, told their fractional place in the table.
inline preset diffwave() {
  discrete_schedule table = linear_beta_schedule(50, 1e-4, 0.05);
  auto spacing = [table](int steps, double) {
    return steps == 6 ? detail::on_table(table, from_betas(diffwave_fast_betas))
                      : trailing(table, steps);
  };
  return {"diffwave", {predicts_noise}, table, 6, preset_guidance::none, 1, {}, spacing};
}

/// WaveGrad (Chen et al. 2021, section 4): trained on a continuous level, told alpha itself, so that any table samples it:
/// 1000 steps of betas 1e-6 to 0.01, 50 of 1e-4 to 0.05.
inline preset wavegrad() {
  discrete_schedule table = linear_beta_schedule(1000, 1e-6, 0.01);
  auto spacing = [table](int steps, double) {
    detail::require(steps == 50 || steps == 1000, "presets::wavegrad", "steps", steps,
                    "valid: 50 or 1000, whose tables are published");
    return trailing(steps == 50 ? linear_beta_schedule(50, 1e-4, 0.05) : table, steps);
  };
  return {"wavegrad",
          {.prediction = predicts_noise,
           .time = [](const node& n) { return to_variance_preserving(n.level).alpha; }},
          table,
          50,
          preset_guidance::none,
          1,
          {},
          spacing};
}

/// All of them.
inline std::vector<preset> all() {
  return {ddpm(),       iddpm(), adm(),       sd15(),     sd21_v(),  sdxl(), sdxl_turbo(),
          lcm(),        svd(),   edm_cifar(), edm2(),     sd3(),     flux(), flux2(),
          qwen_image(), wan(),   cogvideox(), diffwave(), wavegrad()};
}

}  // namespace presets
}  // namespace tweedie
