// Recorded beta tables and published timestep tables of huggingface/diffusers.
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/grid/published.hpp"
#include "tweedie/schedule/derived.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace reference {
namespace {

using namespace tweedie;

// Diffusers' laplace table takes sqrt(SNR / (1 + SNR)) for alpha_bar, with beta <= 0.999.
discrete_schedule published_laplace(int levels) {
  const auto alpha_bar = [](double t) {
    const double log_snr =
        -0.5 * std::copysign(1, 0.5 - t) * std::log(1 - 2 * std::abs(0.5 - t) + 1e-6);
    return std::sqrt(1 / (1 + std::exp(-log_snr)));
  };
  std::vector<double> betas;
  for (int k = 0; k < levels; ++k)
    betas.push_back(
        std::min(1 - alpha_bar((k + 1.0) / levels) / alpha_bar(double(k) / levels), 0.999));
  return from_betas(betas);
}

discrete_schedule table_of(const json& config, double first, double last, const std::string& kind) {
  const int levels = config.value("num_train_timesteps", 1000);
  if (config.contains("trained_betas") && !config["trained_betas"].is_null())
    return from_betas(numbers(config["trained_betas"]));
  if (kind == "linear") return linear_beta_schedule(levels, first, last);
  if (kind == "scaled_linear") return scaled_linear_beta_schedule(levels, first, last);
  if (kind == "squaredcos_cap_v2") return cosine_schedule(levels);
  if (kind == "sigmoid") return sigmoid_beta_schedule(levels, first, last);
  if (kind == "laplace") return published_laplace(levels);
  if (kind == "exp") return exponential_schedule(levels);
  throw std::runtime_error("no beta schedule \"" + kind + "\"");
}

outcome replay_table(const json& recorded, std::size_t index) {
  const std::string scheduler = recorded["scheduler"];
  const json& config = recorded["config"];
  const bool video = scheduler.starts_with("CogVideoX");
  const std::string kind = config.value("beta_schedule", video ? "scaled_linear" : "linear");
  return attempt(scheduler + "/" + std::to_string(index), "beta tables", kind, [&](comparison& c) {
    const double first = config.value("beta_start", video ? 0.00085 : 1e-4);
    const double last = config.value("beta_end", video ? 0.012 : 0.02);
    const discrete_schedule plain = table_of(config, first, last, kind);
    discrete_schedule used = plain;
    if (video) used = shift_snr(used, config.value("snr_shift_scale", 3.0));
    if (config.value("rescale_betas_zero_snr", false)) used = zero_terminal_snr(used);
    // CogVideoX reshapes alpha_bar and leaves beta.
    const discrete_schedule& rates = video ? plain : used;
    const bool nearly =
        used.alpha_bar(used.steps() - 1) == 0 && !scheduler.starts_with("DD") && !video;
    std::vector<double> betas, alpha_bars;
    for (const json& entry : recorded["index"]) {
      const int k = entry;
      betas.push_back(rates.beta(k));
      alpha_bars.push_back(nearly && k + 1 == used.steps() ? std::exp2(-24.0) : used.alpha_bar(k));
    }
    c.same("betas", betas, numbers(recorded["f64"]["betas"]));
    c.same("alphas_cumprod", alpha_bars, numbers(recorded["f64"]["alphas_cumprod"]));
    if (recorded.contains("f32")) {
      // The reshaped float32 tables cancel in 1 - sqrt(alpha_bar) ratios.
      c.near("f32 betas", betas, numbers(recorded["f32"]["betas"]), 1e-3);
      c.near("f32 alphas_cumprod", alpha_bars, numbers(recorded["f32"]["alphas_cumprod"]), 1e-5);
    }
  });
}

outcome replay_published(const std::string& name, const json& recorded) {
  return attempt("ays/" + name, "published tables", name, [&](comparison& c) {
    // As a grid the last level is replaced by clean data.
    const auto same = [&](const auto& table) {
      std::vector<double> ours(table.begin(), table.end());
      if (ours.size() == 11) ours.back() = 0;
      c.same(name, ours, numbers(recorded));
    };
    if (name == "StableDiffusionTimesteps")
      same(align_your_steps_sd15);
    else if (name == "StableDiffusionXLTimesteps")
      same(align_your_steps_sdxl);
    else if (name == "StableDiffusionSigmas")
      same(align_your_steps_sd15_levels);
    else if (name == "StableDiffusionXLSigmas")
      same(align_your_steps_sdxl_levels);
    else if (name == "StableDiffusionVideoSigmas")
      same(align_your_steps_svd_levels);
    else
      throw std::runtime_error("no table");
  });
}

}  // namespace

std::vector<outcome> replay_schedules(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  if (file.contains("ays"))
    for (const auto& [name, recorded] : file["ays"].items())
      outcomes.push_back(replay_published(name, recorded));
  for (const json& recorded : file["cases"])
    outcomes.push_back(replay_table(recorded, outcomes.size()));
  return outcomes;
}

}  // namespace reference
