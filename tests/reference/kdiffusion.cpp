// Recorded runs of crowsonkb/k-diffusion: samplers, noise level grids, model wrappers.
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/linear_multistep.hpp"
#include "tweedie/sampler/midpoint.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/solve/adaptive.hpp"

namespace reference {
namespace {

using namespace tweedie;

// D(x, sigma) = x / (1 + sigma^2) + 0.1 sin x.
std::vector<double> denoiser(std::span<const double> x, double sigma, const node&) {
  std::vector<double> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    y[i] = x[i] / (1 + sigma * sigma) + 0.1 * std::sin(x[i]);
  return y;
}

const network_description denoiser_network{.prediction = predicts_sample};

grid nodes_at(const std::vector<double>& levels) {
  grid nodes;
  for (const double level : levels) nodes.push_back(noise_level_nodes(level));
  return nodes;
}

churn churn_of(const json& k) {
  return {k.value("s_churn", 0.0), k.value("s_tmin", 0.0), k.value("s_tmax", double(INFINITY)),
          k.value("s_noise", 1.0), churn_draws::every_step};
}

// The plan of a sampler on a grid, and the factor on its noise where the planner has no such
// option.
struct planned {
  program plan;
  double noise_scale = 1;
};

planned plan_of(const std::string& sampler, const json& k, const grid& nodes) {
  only("kwargs", k, {"eta", "s_noise", "s_churn", "s_tmin", "s_tmax", "order", "r", "solver_type"});
  const double eta = k.value("eta", 1.0);
  const double noise = k.value("s_noise", 1.0);
  const auto third = third_order_term::published;
  if (sampler == "euler")
    return {stochastic_edm(nodes, noise_level_nodes, churn_of(k), euler_tableau)};
  if (sampler == "heun") return {stochastic_edm(nodes, noise_level_nodes, churn_of(k))};
  if (sampler == "dpm_2") return {dpm_2(nodes, noise_level_nodes, churn_of(k))};
  if (sampler == "euler_ancestral") return {euler_ancestral(nodes, eta), noise};
  if (sampler == "dpm_2_ancestral") {
    // Where all of the noise is renewed the reference takes an Euler step and adds none.
    const auto split = [eta](double u, double v) {
      const ancestral_levels levels = ancestral_split(u, v, eta);
      return levels.down == 0 ? ancestral_levels{0, 0} : levels;
    };
    return {dpm_2_ancestral(nodes, noise_level_nodes, split, noise)};
  }
  if (sampler == "lms") return {lms(nodes, k.value("order", 4))};
  if (sampler == "dpmpp_2s_ancestral")
    return {dpm_solver_ancestral(nodes, 2, noise_level_nodes, eta, noise)};
  if (sampler == "dpmpp_sde")
    return {dpmpp_sde(nodes, noise_level_nodes,
                      {.eta = eta,
                       .noise_scale = noise,
                       .middle = k.value("r", 0.5),
                       .noise = stage_noise::independent})};
  if (sampler == "dpmpp_2m") return {dpm_solver_plus_plus(nodes, 2)};
  if (sampler == "dpmpp_2m_sde") {
    const bool heun =
        one_of("solver_type", k.value("solver_type", "midpoint"), {"midpoint", "heun"}) == "heun";
    return {sde_dpm_solver_plus_plus(nodes, 2, eta,
                                     heun ? second_order_term::exact : second_order_term::halved),
            noise};
  }
  if (sampler == "dpmpp_3m_sde")
    return {sde_dpm_solver_plus_plus(nodes, 3, eta, second_order_term::exact, third), noise};
  throw std::runtime_error("no planner for sampler \"" + sampler + "\"");
}

void compare(comparison& c, const json& recorded, const driven& run) {
  c.same("model_sigmas", run.levels, numbers(recorded["model_sigmas"]));
  c.same("denoised", run.outputs, tensors(recorded["denoised"]));
  if (recorded.contains("callback_x") && recorded["sampler"] != "dpm_adaptive")
    c.same("callback_x", first_states(run), tensors(recorded["callback_x"]));
  c.same("final", run.result, numbers(recorded["final"]));
}

void replay_adaptive(comparison& c, const json& recorded) {
  const json& k = recorded["kwargs"];
  only("kwargs", k,
       {"order", "eta", "atol", "rtol", "s_noise", "h_init", "pcoeff", "icoeff", "dcoeff",
        "accept_safety"});
  const int order = k.value("order", 3);
  const double eta = k.value("eta", 0.0);
  const auto at = noise_level_nodes;
  const std::vector<double> x = numbers(recorded["x_init"]);
  const std::vector<std::vector<double>> noises = tensors(recorded["noises"]);
  const adaptive_range range{.from = -std::log(recorded["sigma_max"].get<double>()),
                             .to = -std::log(recorded["sigma_min"].get<double>()),
                             .allowed = {k.value("atol", 0.0078), k.value("rtol", 0.05)},
                             .eta = eta,
                             .noise_scale = k.value("s_noise", 1.0)};
  const pid_controller control{.step = k.value("h_init", 0.05),
                               .proportional = k.value("pcoeff", 0.0),
                               .integral = k.value("icoeff", 1.0),
                               .derivative = k.value("dcoeff", 0.0),
                               .order = eta > 0 ? 1.5 : order,
                               .safety = k.value("accept_safety", 0.81)};
  adaptive_sampling s({order == 2 ? dpm_solver_12(at) : dpm_solver_23(at), at, range},
                      denoiser_network, x, control, recorded_noise(noises));
  driven run;
  std::vector<double> errors, steps;
  std::size_t attempts = 0;
  const auto note_attempt = [&] {
    if (s.accepted() + s.rejected() == attempts) return;
    ++attempts;
    errors.push_back(s.error());
    steps.push_back(s.controller().step);
  };
  while (s.next()) {
    note_attempt();
    run.levels.push_back(noise_level(s.at().level));
    run.outputs.push_back(denoiser(s.input(), s.network_time(), s.at()));
    std::copy(run.outputs.back().begin(), run.outputs.back().end(), s.output().begin());
  }
  note_attempt();
  run.result.assign(s.state().begin(), s.state().end());
  if (recorded.contains("errors")) c.same("errors", errors, numbers(recorded["errors"]));
  if (recorded.contains("h")) c.same("h", steps, numbers(recorded["h"]));
  if (recorded.contains("info")) {
    c.same("n_accept", double(s.accepted()), recorded["info"]["n_accept"].get<double>());
    c.same("n_reject", double(s.rejected()), recorded["info"]["n_reject"].get<double>());
    c.same("nfe", double(s.evaluations()), recorded["info"]["nfe"].get<double>());
  }
  compare(c, recorded, run);
}

outcome replay_sampler(const json& recorded) {
  const std::string sampler = recorded["sampler"];
  return attempt(recorded["id"], "k-diffusion samplers", sampler, [&](comparison& c) {
    if (sampler == "dpm_adaptive") return replay_adaptive(c, recorded);
    const json& k = recorded["kwargs"];
    const std::vector<double> x = numbers(recorded["x_init"]);
    planned p;
    if (sampler == "dpm_fast") {
      p.plan = dpm_fast(-std::log(recorded["sigma_max"].get<double>()),
                        -std::log(recorded["sigma_min"].get<double>()), recorded["n"].get<int>(),
                        noise_level_nodes,
                        {k.value("eta", 0.0), k.value("s_noise", 1.0), churn_draws::every_step});
    } else {
      p = plan_of(sampler, k, nodes_at(numbers(recorded["sigmas"])));
    }
    compare(c, recorded,
            drive(p.plan, denoiser_network, x, denoiser, tensors(recorded["noises"]), unchanged{},
                  p.noise_scale));
  });
}

outcome replay_levels(const json& recorded, std::size_t index) {
  const std::string name = recorded["function"];
  return attempt(name + "/" + std::to_string(index), "k-diffusion grids", name, [&](comparison& c) {
    const json& a = recorded["args"];
    const json& k = recorded["kwargs"];
    const int n = a.empty() ? k["n"].get<int>() : a[0].get<int>();
    const auto argument = [&](std::size_t i, const char* key, double fallback) {
      return i < a.size() ? a[i].get<double>() : k.value(key, fallback);
    };
    std::vector<double> levels;
    if (name == "get_sigmas_vp") {
      const double slope = argument(1, "beta_d", 19.9);
      const double first = argument(2, "beta_min", 0.1);
      const double end = argument(3, "eps_s", 1e-3);
      const variance_preserving_schedule schedule(first, first + slope);
      for (int i = 0; i < n; ++i)
        levels.push_back(noise_level(schedule(n == 1 ? 1 : 1 + (end - 1) * i / (n - 1))));
    } else {
      const double lowest = argument(1, "sigma_min", 0);
      const double highest = argument(2, "sigma_max", 0);
      if (name == "get_sigmas_karras")
        levels = karras_levels(n, highest, lowest, argument(3, "rho", 7));
      else if (name == "get_sigmas_exponential")
        levels = exponential_levels(n, highest, lowest);
      else if (name == "get_sigmas_polyexponential")
        levels = poly_exponential_levels(n, highest, lowest, argument(3, "rho", 1));
      else
        throw std::runtime_error("no grid for function \"" + name + "\"");
    }
    levels.push_back(0);
    const std::vector<double> expected = numbers(recorded["result"]);
    if (recorded["dtype"] == "float64")
      c.same("result", levels, expected);
    else
      c.near("result", levels, expected, 4e-6);
  });
}

}  // namespace

std::vector<outcome> replay_kdiffusion_misc(const json& file);

std::vector<outcome> replay_kdiffusion(const json& file, const std::string&) {
  if (file.contains("wrappers")) return replay_kdiffusion_misc(file);
  std::vector<outcome> outcomes;
  for (const json& recorded : file["cases"])
    outcomes.push_back(recorded.contains("sampler") ? replay_sampler(recorded)
                                                    : replay_levels(recorded, outcomes.size()));
  return outcomes;
}

}  // namespace reference
