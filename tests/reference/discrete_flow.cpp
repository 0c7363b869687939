// Recorded schedulers, paths, losses and solvers of facebookresearch/flow_matching.
#include <cmath>
#include <functional>
#include <numbers>

#include "discrete.hpp"
#include "kinds.hpp"
#include "tweedie/discrete/flow_matching.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace reference {
namespace {

using namespace tweedie::discrete;

// alpha, sigma and their derivatives in the reference's clock, which runs to data.
struct scheduler_values {
  double alpha, sigma, d_alpha, d_sigma;
};
bool is_mixture(const std::string& name) { return name == "CondOT" || name.starts_with("Poly"); }
polynomial_path path_of(const std::string& name) {
  return {name == "CondOT" ? 1 : std::stod(name.substr(4))};
}

template <class Schedule>
scheduler_values reversed(const Schedule& schedule, double t) {
  const auto s = schedule(1 - t);
  const auto rate = schedule.rate(1 - t);
  return {s.alpha, s.sigma, -rate.alpha, -rate.sigma};
}
scheduler_values values_of(const std::string& name, double t) {
  if (name == "VP") return reversed(tweedie::variance_preserving_schedule(0.1, 20), t);
  if (name == "Cosine") return reversed(tweedie::cosine_path(), t);
  if (name == "LinearVP") {
    const double sigma = std::sqrt(1 - t * t);
    return {t, sigma, 1, -t / sigma};
  }
  const polynomial_path path = path_of(name);
  return {path.kappa(t), 1 - path.kappa(t), path.rate(t), -path.rate(t)};
}
double time_of_ratio(const std::string& name, double ratio) {
  if (name == "VP")
    return 1 - tweedie::variance_preserving_schedule(0.1, 20).time_of(std::log(ratio));
  if (name == "Cosine") return 1 - tweedie::cosine_path().time_of(std::log(ratio));
  if (name == "LinearVP") return ratio / std::hypot(1, ratio);
  return path_of(name).time_of(ratio / (1 + ratio));
}

void replay_scheduler(const json& recorded, comparison& c) {
  const std::string name = recorded["scheduler"];
  std::vector<double> alpha, sigma, d_alpha, d_sigma, ratio, back, kappa_back;
  for (const double t : numbers(recorded["t"])) {
    const scheduler_values v = values_of(name, t);
    alpha.push_back(v.alpha);
    sigma.push_back(v.sigma);
    d_alpha.push_back(v.d_alpha);
    d_sigma.push_back(v.d_sigma);
    ratio.push_back(v.alpha / v.sigma);
    back.push_back(time_of_ratio(name, ratio.back()));
    if (is_mixture(name)) kappa_back.push_back(path_of(name).time_of(t));
  }
  const auto same = [&](const char* key, const std::vector<double>& ours) {
    if (recorded.contains(key)) c.same(key, ours, numbers(precise(recorded, key)));
  };
  same("alpha", alpha);
  same("sigma", sigma);
  same("d_alpha", d_alpha);
  same("d_sigma", d_sigma);
  same("snr", ratio);
  same("snr_inverse", back);
  if (!recorded.contains("kappa_inverse_of_t")) return;
  // Of the same t, or of kappa(t).
  const std::vector<double> wanted = numbers(precise(recorded, "kappa_inverse_of_t"));
  c.same("kappa_inverse_of_t", kappa_back, wanted);
}

std::vector<double> softmax(std::span<const double> logits) {
  std::vector<double> p(logits.size());
  log_softmax(logits, std::span<double>(p));
  for (double& v : p) v = std::exp(v);
  return p;
}

void replay_loss(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::size_t n = recorded["shape"][2];
  const std::vector<double> logits = tensor(recorded["logits"]);
  const std::vector<token> x = tokens_of(recorded["x_t"]), x_1 = tokens_of(recorded["x_1"]);
  const double arrival = arrival_rate(path_of(recorded["scheduler"]), recorded["t"]);
  std::vector<double> velocity(logits.size()), loss;
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::span<const double> row(logits.data() + i * n, n);
    flow_velocity(arrival, softmax(row), x[i], std::span(velocity.data() + i * n, n));
    loss.push_back(flow_bound(arrival, row, x[i], x_1[i]));
    sum += loss.back();
  }
  c.same("velocity", velocity, numbers(precise(recorded, "velocity")));
  c.same("loss_none", loss, numbers(precise(recorded, "loss_none")));
  c.same("loss_mean", sum / static_cast<double>(loss.size()), precise(recorded, "loss_mean"));
  c.same("loss_sum", sum, precise(recorded, "loss_sum"));
}

void replay_path(const json& recorded, comparison& c) {
  const std::vector<token> x_0 = tokens_of(recorded["x_0"]), x_1 = tokens_of(recorded["x_1"]);
  const std::vector<double> u = uniforms_of(recorded["draws"][0]), t = numbers(recorded["t"]);
  const polynomial_path path = path_of(recorded["scheduler"]);
  std::vector<double> x_t;
  for (std::size_t i = 0; i < x_0.size(); ++i)
    x_t.push_back(along_path(path.kappa(t[i / (x_0.size() / t.size())]), x_0[i], x_1[i], u[i]));
  c.same("x_t", x_t, numbers(recorded["x_t"]));
}

void replay_solver(const json& recorded, const named_tensors& tensor, comparison& c) {
  const polynomial_path path = path_of(recorded["scheduler"]);
  const std::size_t n = recorded["shape"][2];
  std::vector<double> times = numbers(recorded["time_grid"]);
  if (!recorded["step_size"].is_null()) {
    const double first = times.front(), last = times.back(), h = recorded["step_size"];
    const int steps = static_cast<int>(std::ceil((last - first) / h));
    times.clear();
    for (int k = 0; k < steps; ++k) times.push_back(first + h * k);
    times.push_back(last);
  }
  c.same("t_discretization", times, numbers(precise(recorded, "t_discretization")));
  const std::vector<double> source(n, 1 / static_cast<double>(n));
  const auto share = [&](double t) {
    return recorded["div_free"].is_string() ? 10 * t * (1 - t) : recorded["div_free"].get<double>();
  };
  std::vector<token> x = tokens_of(recorded["x_init"]);
  std::vector<std::vector<double>> trace, jumps;
  std::size_t draw = 0;
  for (std::size_t k = 0; k + 1 < times.size(); ++k) {
    trace.push_back(as_numbers(x));
    const std::vector<double> p = tensor(recorded["p_1t"][k]);
    const std::vector<double> u_token = uniforms_of(recorded["draws"].at(draw++));
    std::vector<token> target;
    for (std::size_t i = 0; i < x.size(); ++i)
      target.push_back(static_cast<token>(invert_distribution({p.data() + i * n, n}, u_token[i])));
    if (k + 2 == times.size()) {
      x = target;
      break;
    }
    const double t = times[k], h = times[k + 1] - t, free = share(t);
    // Where the reference divides 0 by 0 it never jumps.
    const bool undefined = free > 0 && path.kappa(t) == 0;
    const flow_jumps rates = undefined ? flow_jumps{} : jump_rates(path, t, free);
    const std::vector<double> u_jump = uniforms_of(recorded["draws"].at(draw++));
    std::vector<double> probability;
    std::vector<std::size_t> jumping;
    for (std::size_t i = 0; i < x.size(); ++i) {
      probability.push_back(
          undefined ? std::nan("") : -std::expm1(-h * intensity(rates, source, x[i], target[i])));
      if (u_jump[i] < probability.back()) jumping.push_back(i);
    }
    jumps.push_back(probability);
    if (jumping.empty()) continue;
    const std::vector<double> u_route = uniforms_of(recorded["draws"].at(draw++));
    for (std::size_t j = 0; j < jumping.size(); ++j) {
      const std::size_t i = jumping[j];
      x[i] = jump_target(rates, source, x[i], target[i], u_route[j]);
    }
  }
  c.same("x_trace", trace, tensors(recorded["x_trace"]));
  c.same("jump_prob", jumps, tensors(precise(recorded, "jump_prob")));
  c.same("draws used", static_cast<double>(draw), static_cast<double>(recorded["draws"].size()));
  c.same("x_final", as_numbers(x), numbers(precise(recorded, "x_final")));
}

}  // namespace

std::vector<outcome> replay_discrete_flow(const json& file, const std::string& name) {
  const named_tensors tensor(file);
  return replay_cases(file, name, "op", [&](const json& recorded, comparison& c) {
    const std::string op = recorded["op"];
    if (op == "scheduler") return replay_scheduler(recorded, c);
    if (op == "path_sample") return replay_path(recorded, c);
    if (op == "velocity_and_loss") return replay_loss(recorded, tensor, c);
    if (op == "euler_solver") return replay_solver(recorded, tensor, c);
    throw std::runtime_error("unknown op " + op);
  });
}

}  // namespace reference
