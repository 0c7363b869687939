// Recorded runs of NVlabs/edm: samplers and preconditioners.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/gauge.hpp"
#include "tweedie/schedule/precondition.hpp"

namespace reference {
namespace {

using namespace tweedie;

std::vector<double> denoiser(std::span<const double> x, double, const node& at) {
  const double level = noise_level(at.level);
  std::vector<double> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    y[i] = x[i] / (1 + level * level) + 0.1 * std::sin(x[i]);
  return y;
}

// The denoiser is asked in the gauge alpha = 1.
const network_description denoiser_network{
    .prediction = predicts_sample, .input_scale = [](const node& n) { return 1 / n.level.alpha; }};

churn churn_of(const json& k) {
  return {k.value("S_churn", 0.0), k.value("S_min", 0.0), k.value("S_max", double(INFINITY)),
          k.value("S_noise", 1.0), churn_draws::every_step};
}

// sigma(t)^2 = exp(slope t^2 / 2 + first t) - 1 with the rates the reference derives from the noise
// levels, of which the first may be slightly negative and the time beyond 1.
struct derived_vp_clock {
  double first, slope;

  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  signal_noise operator()(double t) const {
    const double e = slope * t * t / 2 + first * t;
    return {std::exp(-e / 2), std::sqrt(-std::expm1(-e))};
  }
  signal_noise_rate rate(double t) const {
    const auto [alpha, sigma] = (*this)(t);
    const double half = (slope * t + first) / 2;
    return {-half * alpha, half * alpha * alpha / sigma};
  }
  double time_of(double half_log_snr) const {
    const double e = std::log1p(std::exp(-2 * half_log_snr));
    return (std::sqrt(first * first + 2 * slope * e) - first) / slope;
  }
};

// The reference's iddpm table comes from float32 sines, of which no two libraries agree on the last
// digit. Levels that agree to that precision are taken as they were recorded, before churn.
std::vector<double> in_single_precision(const json& recorded, std::vector<double> levels) {
  const std::vector<double> asked = numbers(recorded["model_sigmas"]);
  const std::size_t stages = recorded["kwargs"].value("solver", "heun") == "euler" ? 1 : 2;
  const churn noise = churn_of(recorded["kwargs"]);
  for (std::size_t i = 0; i < levels.size() && stages * i < asked.size(); ++i) {
    const double level = asked[stages * i] / (1 + noise.raise(levels[i], levels.size()));
    if (relative_error(level, levels[i]) < 1e-5) levels[i] = level;
  }
  return levels;
}

program plan_of(const json& recorded) {
  const json& k = recorded["kwargs"];
  const int steps = k.value("num_steps", 18);
  const double rho = k.value("rho", 7.0);
  const bool ablation = one_of("function", recorded["function"],
                               {"edm_sampler", "ablation_sampler"}) == "ablation_sampler";
  const std::string discretization =
      one_of("discretization", k.value("discretization", "edm"), {"edm", "vp", "ve", "iddpm"});
  const std::string clock =
      one_of("schedule", k.value("schedule", "linear"), {"linear", "vp", "ve"});
  one_of("solver", k.value("solver", "heun"), {"heun", "euler"});
  one_of("scaling", k.value("scaling", "none"), {"none", "vp"});
  only("kwargs", k,
       {"num_steps", "rho", "discretization", "schedule", "scaling", "solver", "alpha", "epsilon_s",
        "sigma_min", "sigma_max", "M", "C_1", "C_2", "S_churn", "S_min", "S_max", "S_noise"});
  const double last_time = k.value("epsilon_s", 1e-3);

  const variance_preserving_schedule published(0.1, 20);
  double least = 0.002, highest = 80;
  if (ablation && discretization == "vp")
    least = noise_level(published(last_time)), highest = noise_level(published(1));
  if (ablation && discretization == "ve") least = 0.02, highest = 100;
  if (ablation && discretization == "iddpm") highest = 81;
  const auto number = [&](const char* key, double fallback) {
    return k.contains(key) && !k[key].is_null() ? k[key].get<double>() : fallback;
  };
  least = number("sigma_min", least);
  highest = number("sigma_max", highest);

  // The VP clock that has the highest level at time 1 and the least at last_time.
  const double most = std::log1p(highest * highest);
  const double slope = 2 * (std::log1p(least * least) / last_time - most) / (last_time - 1);
  const derived_vp_clock vp{most - slope / 2, slope};

  std::vector<double> levels;
  if (discretization == "vp") {
    for (int i = 0; i < steps; ++i)
      levels.push_back(noise_level(vp(1 + i * (last_time - 1) / (steps - 1))));
  } else if (discretization == "ve") {
    levels = exponential_levels(steps, highest, least);
  } else if (discretization == "iddpm") {
    const int count = k.value("M", 1000);
    const discrete_schedule cosine =
        cosine_schedule(count, k.value("C_2", 0.008), 1 - k.value("C_1", 0.001));
    std::vector<double> inside;
    for (int t = count - 1; t >= 0; --t) {
      const double level = noise_level(cosine(t));
      if (level >= least && level <= highest) inside.push_back(level);
    }
    const double stride = static_cast<double>(inside.size() - 1) / (steps - 1);
    for (int i = 0; i < steps; ++i)
      levels.push_back(inside[static_cast<std::size_t>(round_half_even(stride * i))]);
    levels = in_single_precision(recorded, levels);
  } else {
    levels = karras_levels(steps, highest, least, rho);
  }

  if (!ablation) {
    grid nodes;
    for (const double level : levels) nodes.push_back(noise_level_nodes(level));
    nodes.push_back(noise_level_nodes(0));
    return stochastic_edm(nodes, noise_level_nodes, churn_of(k));
  }
  const butcher_tableau method = k.value("solver", "heun") == "euler"
                                     ? euler_tableau
                                     : second_order_tableau(k.value("alpha", 1.0));
  const auto plan_in = [&](const auto& schedule) {
    const grid nodes = ending_clean(schedule, at_levels(schedule, levels));
    return runge_kutta_in_time(schedule, nodes, method, churn_of(k));
  };
  const auto in_gauge = [&](const auto& base) {
    return k.value("scaling", "none") == "vp" ? plan_in(in_preserving_gauge(base))
                                              : plan_in(in_exploding_gauge(base));
  };
  if (clock == "vp") return in_gauge(vp);
  if (clock == "ve") return in_gauge(heat_schedule(4 * highest * highest));
  return in_gauge(edm_schedule(2 * highest));
}

// The ablation sampler finds t by inverting sigma(t) even without churn; on the vp and ve clocks
// the rounding of that, under a square root, is noise of size sqrt(eps).
double own_tolerance(const json& k) {
  return k.value("schedule", "linear") == "linear" ? comparison::tight : 2e-6;
}

outcome replay_sampler(const json& recorded) {
  const std::string function = recorded["function"];
  return attempt(recorded["id"], "edm", function, [&](comparison& c) {
    const program plan = plan_of(recorded);
    std::vector<double> x = numbers(recorded["latents"]);
    for (double& v : x) v *= plan.start.level.sigma;
    const driven run = drive(plan, denoiser_network, x, denoiser, tensors(recorded["noises"]));
    const double tolerance = own_tolerance(recorded["kwargs"]);
    const auto same = [&](const char* what, const std::vector<double>& ours, const json& theirs) {
      if (tolerance == comparison::tight)
        c.same(what, ours, numbers(theirs));
      else
        c.near(what, ours, numbers(theirs), tolerance);
    };
    same("model_sigmas", run.levels, recorded["model_sigmas"]);
    if (c.same_size("denoised", run.outputs.size(), recorded["denoised"].size()))
      for (std::size_t i = 0; i < run.outputs.size(); ++i)
        same("denoised", run.outputs[i], recorded["denoised"][i]);
    same("final", run.result, recorded["final"]);
  });
}

outcome replay_preconditioning(const json& recorded, std::size_t index) {
  const std::string function = recorded["function"];
  const std::string id = "preconditioning/" + std::to_string(index);
  return attempt(id, "edm", function, [&](comparison& c) {
    const double tolerance = recorded["dtype"] == "float64" ? comparison::tight : 2e-5;
    const json& k = recorded["kwargs"];
    const std::vector<double> sigma = numbers(recorded["sigma"]);
    std::vector<double> used = sigma;
    std::vector<double> ends{0, INFINITY};
    network_description network{.prediction = predicts_noise,
                                .input_scale = variance_preserving_input};
    if (function == "VPPrecond") {
      const double first = k.value("beta_min", 0.1);
      const variance_preserving_schedule schedule(first, first + k.value("beta_d", 19.9));
      const int count = k.value("M", 1000);
      network.time = [schedule, count](const node& n) {
        return (count - 1) * schedule.time_of(half_log_snr(n.level));
      };
      ends = {noise_level(schedule(k.value("epsilon_t", 1e-5))), noise_level(schedule(1))};
    } else if (function == "VEPrecond") {
      network.prediction = [](const node&) { return plane_row{0, -1}; };
      network.input_scale = [](const node&) { return 1.0; };
      network.time = [](const node& n) { return std::log(noise_level(n.level) / 2); };
      ends = {k.value("sigma_min", 0.02), k.value("sigma_max", 100.0)};
    } else if (function == "iDDPMPrecond") {
      const int count = k.value("M", 1000);
      const discrete_schedule cosine =
          cosine_schedule(count, k.value("C_2", 0.008), 1 - k.value("C_1", 0.001));
      for (double& level : used) {
        double nearest = 0;
        for (int t = 0; t < count; ++t) {
          const double candidate = noise_level(cosine(t));
          if (std::abs(candidate - level) < std::abs(nearest - level)) nearest = candidate;
        }
        level = nearest;
      }
      network.time = [cosine, sigma, used](const node& n) {
        const auto i = std::find(sigma.begin(), sigma.end(), noise_level(n.level)) - sigma.begin();
        return std::round(cosine.time_of(-std::log(used[static_cast<std::size_t>(i)])));
      };
      ends = {noise_level(cosine(0)), noise_level(cosine(count - 1))};
      // The table from the noisiest level to 0, of which float32 loses digits at the noisy end.
      const auto table = [&](int i) { return i == count ? 0 : noise_level(cosine(count - 1 - i)); };
      for (const auto& [key, first] :
           {std::pair{"u_first10", 0}, std::pair{"u_last10", count - 9}}) {
        if (!recorded.contains(key)) continue;
        std::vector<double> part;
        for (int i = first; i < first + 10; ++i) part.push_back(table(i));
        c.near(key, part, numbers(recorded[key]), 2e-3);
      }
    } else if (function == "EDMPrecond") {
      const double deviation = k.value("sigma_data", 0.5);
      network = {predicts_edm(deviation), edm_input(deviation), edm_time};
      ends = {k.value("sigma_min", 0.0), k.value("sigma_max", double(INFINITY))};
    } else {
      throw std::runtime_error("no preconditioning for \"" + function + "\"");
    }

    const std::vector<double> x = numbers(recorded["x"]);
    const std::size_t length = x.size() / sigma.size();
    std::vector<double> times, denoised;
    for (std::size_t i = 0; i < sigma.size(); ++i) {
      const node at{sigma[i], {1, sigma[i]}};
      const double scale = network.input_scale(at);
      const double t = network.time(at);
      const state_output d =
          sample_from(at.level, network.prediction({t, {scale, scale * sigma[i]}}));
      for (std::size_t j = i * length; j < (i + 1) * length; ++j) {
        const double in = scale * x[j];
        denoised.push_back(d.x * x[j] +
                           d.y * (0.3 * std::sin(in) + 0.2 * in + 0.1 * std::cos(t / 100)));
      }
      times.push_back(t);
    }
    const auto same = [&](const char* what, const std::vector<double>& ours) {
      if (recorded.contains(what)) c.near(what, ours, numbers(recorded[what]), tolerance);
    };
    same("c_noise", times);
    same("denoised", denoised);
    same("round_sigma", used);
    const std::vector<double> expected{numbers(recorded["sigma_min"]).front(),
                                       numbers(recorded["sigma_max"]).front()};
    // float32 loses digits of cos^2 near its zero.
    c.near("sigma_min, sigma_max", ends, expected, function == "iDDPMPrecond" ? 2e-3 : 1e-4);
  });
}

}  // namespace

std::vector<outcome> replay_edm_losses(const json& file);

std::vector<outcome> replay_edm(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& recorded : file["cases"]) outcomes.push_back(replay_sampler(recorded));
  if (file.contains("preconditioning"))
    for (const json& recorded : file["preconditioning"])
      outcomes.push_back(replay_preconditioning(recorded, outcomes.size()));
  for (outcome& o : replay_edm_losses(file)) outcomes.push_back(std::move(o));
  return outcomes;
}

}  // namespace reference
