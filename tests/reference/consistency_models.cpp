// Recorded runs of openai/consistency_models: samplers, scalings, noise level grids.
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/consistency.hpp"
#include "tweedie/sampler/euler.hpp"
#include "tweedie/sampler/midpoint.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/precondition.hpp"
#include "tweedie/training/weighting.hpp"

namespace reference {
namespace {

using namespace tweedie;

// Network 0.3 sin x + 0.2 x + 0.1 cos(t/100) at t = 250 log sigma.
std::vector<double> network(std::span<const double> x, double t) {
  std::vector<double> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    y[i] = 0.3 * std::sin(x[i]) + 0.2 * x[i] + 0.1 * std::cos(t / 100);
  return y;
}

double told(const node& n) { return 250 * std::log(noise_level(n.level)); }

program plan_of(const json& recorded, double least, double highest, double rho) {
  const std::string sampler = recorded["sampler"];
  const json& k = recorded["kwargs"];
  only("kwargs", k,
       {"s_churn", "s_tmin", "s_tmax", "s_noise", "ts", "clip_denoised", "sigma_min", "sigma_max",
        "rho"});
  const int steps = recorded["steps"];
  const edm_schedule schedule;
  const auto levels = [&](int count) { return karras_levels(count, highest, least, rho); };
  const auto to_zero = [&](int count) {
    return ending_clean(schedule, at_times(schedule, levels(count)));
  };
  const churn noise{k.value("s_churn", 0.0), k.value("s_tmin", 0.0),
                    k.value("s_tmax", double(INFINITY)), k.value("s_noise", 1.0),
                    churn_draws::every_step};
  if (sampler == "heun") return stochastic_edm(to_zero(steps), noise_level_nodes, noise);
  if (sampler == "dpm") return power_midpoint(to_zero(steps), noise_level_nodes, 3, noise);
  if (sampler == "ancestral") return euler_ancestral(to_zero(steps));
  if (sampler == "euler") return euler(to_zero(steps));
  if (sampler == "progdist") return euler(at_times(schedule, levels(steps + 1)));
  if (sampler == "onestep") {
    const grid nodes = to_zero(steps);
    return consistency(grid{nodes.front(), nodes.back()});
  }
  if (sampler == "multistep") {
    const std::vector<double> all = levels(steps);
    grid nodes;
    for (const json& index : k["ts"])
      nodes.push_back(node_at(schedule, all.at(index.get<std::size_t>())));
    if (k["ts"].back().get<int>() == steps - 1)
      nodes.back() = node_at(schedule, least);
    else
      nodes.push_back(node_at(schedule, least));
    return consistency(nodes);
  }
  throw std::runtime_error("no planner for sampler \"" + sampler + "\"");
}

outcome replay_sampler(const json& recorded) {
  const std::string sampler = recorded["sampler"];
  return attempt(recorded["id"], "consistency_models", sampler, [&](comparison& c) {
    const json& k = recorded["kwargs"];
    const double least = k.value("sigma_min", 0.002);
    const double highest = k.value("sigma_max", 80.0);
    std::vector<std::vector<double>> noises = tensors(recorded["noises"]);
    std::vector<double> x = noises.front();
    noises.erase(noises.begin());
    for (double& v : x) v *= highest;
    const program plan = plan_of(recorded, least, highest, k.value("rho", 7.0));
    const double deviation = recorded.value("sigma_data", 0.5);
    std::vector<std::vector<double>> raw;
    network_description description{predicts_edm(deviation), edm_input(deviation), told};
    answer model = [&](std::span<const double> v, double t, const node&) {
      return raw.emplace_back(network(v, t));
    };
    if (recorded["distillation"].get<bool>()) {
      // At and below the least level the network does not determine x0, so the consistency function
      // itself is the network.
      description = {.prediction = predicts_sample, .time = told};
      model = [&](std::span<const double> v, double t, const node& at) {
        const double level = noise_level(at.level);
        const double above = level - least;
        const double in = edm_preconditioning(level, deviation).in;
        const double skip = deviation * deviation / (above * above + deviation * deviation);
        std::vector<double> f(v.begin(), v.end());
        for (double& value : f) value *= in;
        raw.push_back(network(f, t));
        for (std::size_t i = 0; i < f.size(); ++i)
          f[i] = skip * v[i] + above * deviation * in * raw.back()[i];
        return f;
      };
    }
    driven run = k.value("clip_denoised", true) ? drive(plan, description, x, model, noises, clip{})
                                                : drive(plan, description, x, model, noises);
    if (sampler == "multistep" && run.marks.size() == k["ts"].size()) {
      // The reference stops at the last of its levels, noised, where the grid goes on to the end.
      run.result = run.marks[run.marks.size() - 2];
      run.times.pop_back();
      raw.pop_back();
    }
    c.same("model_rescaled_t", run.times, numbers(recorded["model_rescaled_t"]));
    c.same("model_outputs", raw, tensors(recorded["model_outputs"]));
    for (double& v : run.result) v = std::clamp(v, -1.0, 1.0);
    // The last noise of the multistep sampler, sqrt(t^2 - t_min^2) z, is rounding where t = t_min.
    if (sampler == "multistep")
      c.near("final", run.result, numbers(recorded["final"]), 1e-8);
    else
      c.same("final", run.result, numbers(recorded["final"]));
  });
}

outcome replay_scalings(const json& recorded, std::size_t index) {
  return attempt(
      "scalings/" + std::to_string(index), "consistency_models", "scalings", [&](comparison& c) {
        const double deviation = recorded["sigma_data"];
        const double least = recorded["sigma_min"];
        std::vector<std::vector<double>> plain(3), boundary(3);
        for (const double s : numbers(recorded["sigma"])) {
          const preconditioning p = edm_preconditioning(s, deviation);
          const preconditioning b = consistency_preconditioning(s, deviation, least);
          plain[0].push_back(p.skip), plain[1].push_back(p.out), plain[2].push_back(p.in);
          boundary[0].push_back(b.skip), boundary[1].push_back(b.out), boundary[2].push_back(b.in);
        }
        c.same("scalings", plain, tensors(recorded["scalings"]));
        c.same("boundary", boundary, tensors(recorded["boundary"]));
        const auto weights = [&](const char* key, const auto& weighting) {
          if (!recorded.contains(key)) return;
          std::vector<double> ours;
          for (const double s : numbers(recorded["sigma"]))
            ours.push_back(sample_weight(weighting, -2 * std::log(s)));
          c.same(key, ours, numbers(recorded[key]));
        };
        weights("snr", simple_weighting);
        weights("weights_snr", simple_weighting);
        weights("weights_snr+1", snr_plus_one_weighting);
        weights("weights_karras", edm_weighting(deviation));
        weights("weights_truncated-snr", truncated_snr_weighting);
        weights("weights_uniform", sample_weighting);
      });
}

outcome replay_levels(const json& recorded, std::size_t index) {
  return attempt("get_sigmas_karras/" + std::to_string(index), "consistency_models", "grids",
                 [&](comparison& c) {
                   std::vector<double> levels = karras_levels(
                       recorded["n"].get<int>(), recorded["sigma_max"].get<double>(),
                       recorded["sigma_min"].get<double>(), recorded["rho"].get<double>());
                   levels.push_back(0);
                   c.same("result", levels, numbers(recorded["result"]));
                 });
}

}  // namespace

std::vector<outcome> replay_consistency_losses(const json& file);

std::vector<outcome> replay_consistency_models(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  const auto each = [&](const char* key, const auto& replay) {
    if (!file.contains(key)) return;
    for (std::size_t i = 0; i < file[key].size(); ++i) outcomes.push_back(replay(file[key][i], i));
  };
  each("cases", [](const json& c, std::size_t) { return replay_sampler(c); });
  each("scalings", replay_scalings);
  each("get_sigmas_karras", replay_levels);
  for (outcome& o : replay_consistency_losses(file)) outcomes.push_back(std::move(o));
  return outcomes;
}

}  // namespace reference
