// Recorded runs of openai/guided-diffusion: samplers, tables, spacings.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "guided.hpp"
#include "kinds.hpp"
#include "losses.hpp"
#include "tweedie/grid/subset.hpp"
#include "tweedie/process/reverse.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"

namespace reference {
namespace {

using namespace tweedie;

// The kept levels as the reference has them: it forms the shorter schedule's betas, which lose
// digits where alpha_bar falls by many orders in one step.
discrete_schedule published_respacing(const discrete_schedule& schedule,
                                      const std::vector<int>& times) {
  std::vector<double> betas;
  for (std::size_t i = 0; i < times.size(); ++i)
    betas.push_back(1 -
                    schedule.alpha_bar(times[i]) / (i == 0 ? 1 : schedule.alpha_bar(times[i - 1])));
  return from_betas(betas);
}

grid kept_nodes(const discrete_schedule& schedule, const std::vector<int>& times) {
  const discrete_schedule shorter = published_respacing(schedule, times);
  grid nodes = at_kept_times(schedule, times);
  for (int i = 0; i < shorter.steps(); ++i)
    nodes[static_cast<std::size_t>(shorter.steps() - 1 - i)].level = shorter.at(i);
  return nodes;
}

std::vector<double> mapped(std::span<const double> x, const auto& f) {
  std::vector<double> y;
  for (const double v : x) y.push_back(f(v));
  return y;
}

const answer second_output = [](std::span<const double> x, double, const node&) {
  return mapped(x, [](double v) { return 0.2 * std::cos(v); });
};

// Variance of the step from nodes[i], as the network's second output v and the kind have it. At the
// clean end guided-diffusion puts the variance of the step before.
double step_variance(const std::string& kind, const grid& nodes, std::size_t i, double v) {
  const posterior_weights q = posterior(nodes[i].level, nodes[i + 1].level);
  const bool last = nodes[i + 1].level.sigma == 0;
  const double before =
      last && i > 0 ? posterior(nodes[i - 1].level, nodes[i].level).variance : q.variance;
  if (kind == "FIXED_SMALL") return q.variance;
  if (kind == "FIXED_LARGE") return last ? before : q.upper_variance;
  if (kind == "LEARNED") return std::exp(v);
  return std::exp(((1 + v) * std::log(q.upper_variance) + (1 - v) * std::log(before)) / 2);
}

outcome replay_sampler(const json& recorded) {
  const std::string method = recorded["method"];
  const std::string mean = recorded["mean_type"];
  const std::string kind = recorded["var_type"];
  return attempt(recorded["id"], "guided-diffusion", method + " " + mean, [&](comparison& c) {
    const discrete_schedule schedule = guided_schedule(recorded);
    const std::vector<int> times = kept_times(schedule.steps(), recorded["spacing"]);
    c.same("timestep_map", std::vector<double>(times.begin(), times.end()),
           numbers(recorded["timestep_map"]));
    grid nodes = kept_nodes(schedule, times);
    const bool guided = recorded.contains("cond_fn") && !recorded["cond_fn"].is_null();
    const bool clipped = recorded.value("clip_denoised", false);

    network_description network;
    if (mean == "START_X")
      network.prediction = predicts_sample;
    else if (mean == "PREVIOUS_X")
      network.prediction = predicts_previous(nodes);
    else if (mean != "EPSILON")
      throw unsupported("mean_type", mean);
    if (guided && recorded["cond_fn"] != "-0.1*x")
      throw unsupported("cond_fn", recorded["cond_fn"].dump());
    if (guided && method == "ddim_reverse") throw unsupported("cond_fn of method", method);
    for (const char* known : {"FIXED_SMALL", "FIXED_LARGE", "LEARNED", "LEARNED_RANGE", ""})
      if (kind == known)
        break;
      else if (!*known)
        throw unsupported("var_type", kind);
    network.time = [&](const node& n) { return guided_network_time(recorded, n.time); };

    program plan;
    if (method == "ddpm") {
      reverse_variance variance = fixed_small{};
      if (kind == "FIXED_LARGE") variance = fixed_large{};
      if (kind == "LEARNED") variance = learned_log_variance{};
      if (kind == "LEARNED_RANGE") variance = learned_range{};
      plan = ddpm(nodes, variance);
    } else if (method == "ddim") {
      plan = ddim(nodes, recorded.value("eta", 0.0));
    } else if (method != "ddim_reverse" || recorded.value("eta", 0.0) != 0) {
      throw unsupported("method", method + ", eta " + std::to_string(recorded.value("eta", 0.0)));
    } else {
      nodes.pop_back();
      nodes = reversed(nodes);
      nodes.push_back({schedule.noisy_time() + 1, {0, 1}});
      plan = ddim_inversion(nodes);
    }

    std::vector<double> shown;
    const answer model = [&](std::span<const double> x, double t, const node&) {
      shown.assign(x.begin(), x.end());
      return mapped(
          x, [&](double v) { return 0.3 * std::sin(v) + 0.2 * v + 0.1 * std::cos(t / 100); });
    };
    // The gradient of log p(y | x) is -0.1 x: it moves the mean in DDPM, the x0 estimate in DDIM.
    // Where the network predicts the mean itself, DDPM shows the clipped x0 and does not use it.
    const auto transform = [&](std::span<double> clean, std::size_t, const node& at) {
      for (std::size_t i = 0; i < clean.size(); ++i) {
        if (clipped && (mean != "PREVIOUS_X" || method != "ddpm"))
          clean[i] = std::clamp(clean[i], -1.0, 1.0);
        if (guided && method == "ddim")
          clean[i] -= 0.1 * at.level.sigma * at.level.sigma / at.level.alpha * shown[i];
      }
    };
    const state_hook shift = [&](std::span<double> state, const driven& so_far) {
      const std::vector<double>& x = so_far.states.back();
      const std::vector<double> v = second_output(x, 0, {});
      for (std::size_t i = 0; i < state.size(); ++i)
        state[i] -= 0.1 * x[i] * step_variance(kind, nodes, so_far.marks.size(), v[i]);
    };
    const bool learned = kind.starts_with("LEARNED") && method == "ddpm";
    const driven run = drive(
        plan, network, numbers(recorded["x_init"]), model, tensors(recorded["noises"]), transform,
        1, learned ? second_output : answer{}, guided && method == "ddpm" ? shift : state_hook{});
    c.same("model_t", run.times, numbers(recorded["model_t"]));
    const json& precise = recorded.contains("f64") ? recorded["f64"] : recorded;
    c.same("trajectory", run.marks, tensors(precise["trajectory"]));

    const std::vector<std::vector<double>> expected = tensors(recorded["pred_xstart"]);
    std::vector<std::vector<double>> clean = estimates(run, network);
    if (c.same_size("pred_xstart", clean.size(), expected.size()))
      for (std::size_t i = 0; i < clean.size(); ++i) {
        const auto [alpha, sigma] = run.nodes[i].level;
        for (std::size_t j = 0; j < clean[i].size(); ++j) {
          if (clipped) clean[i][j] = std::clamp(clean[i][j], -1.0, 1.0);
          if (guided && method == "ddim")
            clean[i][j] -= 0.1 * sigma * sigma / alpha * run.states[i][j];
        }
        c.near("pred_xstart[" + std::to_string(i) + "]", clean[i], expected[i], 2e-4);
      }
  });
}

outcome replay_table(const json& recorded, std::size_t index) {
  return attempt(
      "tables/" + std::to_string(index), "guided-diffusion", "tables", [&](comparison& c) {
        const discrete_schedule full = guided_schedule(recorded);
        const std::vector<int> times = kept_times(full.steps(), recorded["spacing"]);
        const discrete_schedule exact = respaced(full, times);
        const discrete_schedule schedule = published_respacing(full, times);
        for (int k = 0; k < exact.steps(); ++k)
          if (std::abs(exact.beta(k) - schedule.beta(k)) > 1e-12) c.fail("respaced betas differ");
        c.same("num_timesteps", schedule.steps(), recorded["num_timesteps"].get<double>());
        if (recorded.contains("timestep_map"))
          c.same("timestep_map", std::vector<double>(times.begin(), times.end()),
                 numbers(recorded["timestep_map"]));
        const auto same = [&](const char* what, const auto& value) {
          if (!recorded.contains(what)) return;
          std::vector<double> ours;
          for (const json& k : recorded["index"]) ours.push_back(value(k.get<int>()));
          c.same(what, ours, numbers(recorded[what]));
        };
        const auto weights = [&](int k) { return posterior(schedule.at(k), schedule.at(k - 1)); };
        same("betas", [&](int k) { return schedule.beta(k); });
        same("alphas_cumprod", [&](int k) { return schedule.alpha_bar(k); });
        same("alphas_cumprod_prev", [&](int k) { return schedule.alpha_bar(k - 1); });
        same("alphas_cumprod_next",
             [&](int k) { return k + 1 == schedule.steps() ? 0 : schedule.alpha_bar(k + 1); });
        same("sqrt_alphas_cumprod", [&](int k) { return schedule.at(k).alpha; });
        same("sqrt_one_minus_alphas_cumprod", [&](int k) { return schedule.at(k).sigma; });
        same("log_one_minus_alphas_cumprod",
             [&](int k) { return schedule.log_one_minus_alpha_bar(k); });
        same("sqrt_recip_alphas_cumprod", [&](int k) { return 1 / schedule.at(k).alpha; });
        same("sqrt_recipm1_alphas_cumprod", [&](int k) { return noise_level(schedule.at(k)); });
        same("posterior_variance", [&](int k) { return weights(k).variance; });
        same("posterior_log_variance_clipped",
             [&](int k) { return std::log(weights(std::max(k, 1)).variance); });
        same("posterior_mean_coef1", [&](int k) { return weights(k).clean; });
        same("posterior_mean_coef2", [&](int k) { return weights(k).state; });
      });
}

outcome replay_spacing(const json& recorded, std::size_t index) {
  return attempt("space_timesteps/" + std::to_string(index), "guided-diffusion", "space_timesteps",
                 [&](comparison& c) {
                   const int levels = recorded["num_timesteps"];
                   if (recorded.contains("raises")) {
                     try {
                       kept_times(levels, recorded["section_counts"]);
                       c.fail("accepted, where the reference raises");
                     } catch (const std::invalid_argument&) {
                     }
                     return;
                   }
                   const std::vector<int> times = kept_times(levels, recorded["section_counts"]);
                   c.same("result", std::vector<double>(times.begin(), times.end()),
                          numbers(recorded["result"]));
                 });
}

}  // namespace

std::vector<outcome> replay_guided_scalars(const json& scalars);

std::vector<outcome> replay_guided(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  if (file.contains("space_timesteps"))
    for (const json& recorded : file["space_timesteps"])
      outcomes.push_back(replay_spacing(recorded, outcomes.size()));
  if (file.contains("scalars"))
    for (outcome& o : replay_guided_scalars(file["scalars"])) outcomes.push_back(std::move(o));
  for (const json& recorded : file["cases"]) {
    if (recorded.contains("method"))
      outcomes.push_back(replay_sampler(recorded));
    else if (recorded.contains("betas"))
      outcomes.push_back(replay_table(recorded, outcomes.size()));  // losses below
  }
  for (outcome& o : replay_guided_losses(file)) outcomes.push_back(std::move(o));
  return outcomes;
}

}  // namespace reference
