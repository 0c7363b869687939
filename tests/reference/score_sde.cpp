// Recorded coefficients of the SDEs of yang-song/score_sde_pytorch.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/sampler/reverse_sde.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace reference {
namespace {

using namespace tweedie;

// Marginals, dx = f x dt + g dW, and the forward kernel of the discretised process at a time.
struct process {
  std::function<signal_noise(double)> marginal;
  std::function<diffusion_coefficients(double)> sde;
  std::function<transition_kernel(double)> kernel;
  double prior_deviation = 1;
};

template <class Schedule>
process process_of(const Schedule& schedule) {
  return {[schedule](double t) { return schedule(t); },
          [schedule](double t) { return forward_sde(schedule, t); },
          {}};
}

process process_of(const std::string& name, const json& k) {
  const int count = k.value("N", 1000);
  const double first = k.value("beta_min", 0.1);
  const double last = k.value("beta_max", 20.0);
  if (name == "VPSDE") {
    process p = process_of(variance_preserving_schedule(first, last));
    const discrete_schedule table = linear_beta_schedule(count, first / count, last / count);
    p.kernel = [table, count](double t) {
      const int step = static_cast<int>(t * (count - 1));
      return transition(table.at(step - 1), table.at(step));
    };
    return p;
  }
  if (name == "subVPSDE") {
    process p = process_of(sub_vp_schedule(first, last));
    p.kernel = [sde = p.sde, count](double t) {
      const diffusion_coefficients c = sde(t);
      return transition_kernel{1 + c.drift / count, c.squared_diffusion / count};
    };
    return p;
  }
  if (name == "VESDE") {
    const double lowest = k.value("sigma_min", 0.01);
    const double highest = k.value("sigma_max", 50.0);
    const variance_exploding_schedule schedule(lowest, highest);
    process p = process_of(schedule);
    p.prior_deviation = highest;
    p.kernel = [schedule, count](double t) {
      const int step = static_cast<int>(t * (count - 1));
      const auto level = [&](int i) {
        return i < 0 ? signal_noise{1, 0} : schedule(static_cast<double>(i) / (count - 1));
      };
      return transition(level(step - 1), level(step));
    };
    return p;
  }
  throw std::runtime_error("no process \"" + name + "\"");
}

// score(x, t) = -0.5 x + 0.1 sin x + 0.01 t
double score(double x, double t) { return -0.5 * x + 0.1 * std::sin(x) + 0.01 * t; }

outcome replay_process(const json& recorded, std::size_t index) {
  const std::string name = recorded["sde"];
  return attempt(name + "/" + std::to_string(index), "score_sde", name, [&](comparison& c) {
    one_of("score", recorded.value("score", "-0.5 x + 0.1 sin x + 0.01 t"),
           {"-0.5 x + 0.1 sin x + 0.01 t"});
    only("kwargs", recorded["kwargs"], {"N", "beta_min", "beta_max", "sigma_min", "sigma_max"});
    const process p = process_of(name, recorded["kwargs"]);
    const std::vector<double> times = numbers(recorded["t"]);
    const std::vector<double> x = numbers(recorded["x"]);
    const std::size_t length = x.size() / times.size();
    const auto per_item = [&](const json& where, const char* what, const auto& value) {
      if (!where.contains(what)) return;
      std::vector<double> ours;
      for (const double t : times) ours.push_back(value(t));
      const std::vector<double> expected = numbers(where[what]);
      if (expected.size() == 1) ours.resize(1);
      c.same(what, ours, expected);
    };
    const auto per_element = [&](const json& where, const char* what, const auto& value) {
      if (!where.contains(what)) return;
      std::vector<double> ours;
      for (std::size_t i = 0; i < x.size(); ++i) ours.push_back(value(x[i], times[i / length]));
      c.same(what, ours, numbers(where[what]));
    };
    per_element(recorded, "marginal_mean",
                [&](double v, double t) { return p.marginal(t).alpha * v; });
    per_item(recorded, "marginal_std", [&](double t) { return p.marginal(t).sigma; });
    per_element(recorded, "drift", [&](double v, double t) { return p.sde(t).drift * v; });
    per_item(recorded, "diffusion",
             [&](double t) { return std::sqrt(p.sde(t).squared_diffusion); });
    per_element(recorded, "discretize_f",
                [&](double v, double t) { return (p.kernel(t).mean - 1) * v; });
    per_item(recorded, "discretize_G", [&](double t) { return std::sqrt(p.kernel(t).variance); });

    std::vector<double> prior;
    for (std::size_t i = 0; i < times.size(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < length; ++j)
        sum += normal_log_density(x[i * length + j], 0.0, 2 * std::log(p.prior_deviation));
      prior.push_back(sum);
    }
    c.same("prior_logp", prior, numbers(recorded["prior_logp"]));

    for (const auto& [key, kind] : {std::pair{"reverse_sde", reverse_process::sde},
                                    std::pair{"reverse_ode", reverse_process::probability_flow}}) {
      if (!recorded.contains(key)) continue;
      const json& reverse = recorded[key];
      const double share = kind == reverse_process::sde ? 1 : 0.5;
      const double noisy = kind == reverse_process::sde ? 1 : 0;
      per_element(reverse, "drift", [&](double v, double t) {
        const diffusion_coefficients d = p.sde(t);
        return d.drift * v - share * d.squared_diffusion * score(v, t);
      });
      per_item(reverse, "diffusion",
               [&](double t) { return noisy * std::sqrt(p.sde(t).squared_diffusion); });
      const auto discretized = [&](double v, double t) {
        const transition_kernel q = p.kernel(t);
        return (q.mean - 1) * v - share * q.variance * score(v, t);
      };
      per_element(reverse, "discretize_f", discretized);
      per_element(reverse, "rev_f", discretized);
      const auto deviation = [&](double t) { return noisy * std::sqrt(p.kernel(t).variance); };
      per_item(reverse, "discretize_G", deviation);
      per_item(reverse, "rev_G", deviation);
    }
  });
}

}  // namespace

std::vector<outcome> replay_score_sde(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& recorded : file["cases"])
    outcomes.push_back(replay_process(recorded, outcomes.size()));
  return outcomes;
}

}  // namespace reference
