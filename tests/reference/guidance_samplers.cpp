// Recorded runs of samplers that guide on their own terms: limited intervals of steps, CFG++.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "guidance.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/cfg_plus_plus.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"
#include "tweedie/schedule/gauge.hpp"

namespace reference {
namespace {

using namespace tweedie;
using list = std::vector<double>;

outcome replay_interval(const json& file, const json& r) {
  return attempt(r.at("id"), "EDM Heun", "limited interval", [&](comparison& c) {
    const std::size_t steps = r.at("num_steps");
    grid nodes;
    for (const double level :
         karras_levels(static_cast<int>(steps), r.at("sigma_max"), r.at("sigma_min"), r.at("rho")))
      nodes.push_back(noise_level_nodes(level));
    nodes.push_back(noise_level_nodes(0));
    const std::vector<list> noises = named_tensors(file, r.at("noises"));
    churn noise{r.at("S_churn")};
    if (!noises.empty()) noise.draws = churn_draws::every_step;
    const program plan = stochastic_edm(nodes, noise_level_nodes, noise);
    const network_description network{
        .prediction = predicts_sample,
        .input_scale = [](const node& n) { return 1 / n.level.alpha; }};
    list x = tensor(file, r.at("latents"));
    for (double& v : x) v *= plan.start.level.sigma;
    const double w = r.at("G");
    sampling s(plan, network, x, recorded_noise(noises), list{0, 1});
    std::vector<list> calls;
    while (s.next()) {
      const std::size_t step = s.steps_done();
      const bool on = r.at("interval").is_null() || (r["interval"][0].get<std::size_t>() <= step &&
                                                     step <= r["interval"][1].get<std::size_t>());
      s.set_branch_weights(on ? list{1 - w, w} : list{0, 1});
      const double level = noise_level(s.at().level), square = level * level;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double in = s.input()[i];
        s.output(0)[i] = in / (1 + 0.8 * square) + 0.05 * std::cos(in);
        s.output(1)[i] = in / (1 + square) + 0.1 * std::sin(in);
      }
      if (on) calls.push_back({0, level});
      calls.push_back({1, level});
    }
    std::vector<list> expected;
    for (const json& call : r.at("denoiser_calls"))
      expected.push_back({call.at(0) == "cond" ? 1.0 : 0.0, call.at(1)});
    c.same("denoiser_calls", calls, expected);
    const list result(s.state().begin(), s.state().end());
    c.same("x_final", result, numbers(r.at("x_final")));
  });
}

// Second order with ancestral noise as the authors write it: the middle is on the unguided flow.
program second_order_ancestral(const grid& nodes) {
  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const double s = nodes[i].level.sigma, next = nodes[i + 1].level.sigma;
    const ancestral_levels split = ancestral_split(s, next, 1);
    const estimate e = r.evaluate(x, nodes[i]);
    if (split.down == 0) {
      x = e.clean;
    } else {
      const double middle = std::sqrt(s * split.down);
      const linear half = middle / s * x + (1 - middle / s) * (x - s * e.noise);
      const estimate at_half = r.evaluate(half, {0, {1, middle}});
      const linear unguided = half - middle * at_half.noise;
      x = at_half.clean + split.down / s * (x - unguided);
    }
    if (next > 0) x += split.up * r.draw();
    r.mark(x, nodes[i + 1]);
  }
  return r.finish(x);
}

// x0 and noise of one level to another, which may be the same one.
program ddim_legs(const std::vector<std::array<node, 2>>& legs) {
  recorder r(legs.front()[0]);
  linear x = r.state();
  for (const auto& [from, to] : legs) {
    const estimate e = r.evaluate(x, from);
    x = to.level.alpha * e.clean + to.level.sigma * e.noise;
    r.mark(x, to);
  }
  return r.finish(x);
}

outcome replay_cfgpp(const json& file, const json& r) {
  const std::string solver = r.at("solver");
  return attempt(r.at("id"), "CFG++", solver, [&](comparison& c) {
    one_of("solver", solver,
           {"ddim", "ddim_cfg++", "euler", "euler_cfg++", "euler_a", "euler_a_cfg++", "dpm++_2m",
            "dpm++_2m_cfg++", "dpm++_2s_a", "dpm++_2s_a_cfg++"});
    constexpr std::size_t trained = 1000;
    list cumulative{1};  // 1, then the products of 1 - beta
    for (std::size_t t = 0; t < trained; ++t) {
      const double first = std::sqrt(0.00085), last = std::sqrt(0.012);
      const double root = first + (last - first) * static_cast<double>(t) / (trained - 1);
      cumulative.push_back(cumulative.back() * (1 - root * root));
    }
    const auto level = [&](std::size_t products) {
      return signal_noise{std::sqrt(cumulative[products]), std::sqrt(1 - cumulative[products])};
    };
    const bool ddim = solver.starts_with("ddim");
    const bool plus = solver.ends_with("++") && solver.find("cfg++") != std::string::npos;
    const auto count = r.at("num_sampling").get<std::size_t>();
    network_description network{predicts_noise};
    program plan;
    if (ddim) {
      const std::vector<int> times = r.at("timesteps").get<std::vector<int>>();
      const int stride = static_cast<int>(trained / count);
      std::vector<std::array<node, 2>> legs;
      for (const int t : times) {
        const int to = t - stride;
        legs.push_back(
            {node{static_cast<double>(t), level(static_cast<std::size_t>(t))},
             node{static_cast<double>(to), level(to < 0 ? 1 : static_cast<std::size_t>(to))}});
      }
      plan = ddim_legs(legs);
    } else {
      const auto noise = [&](std::size_t t) { return noise_level(level(t + 1)); };
      list levels = karras_levels(static_cast<int>(count) + 1, noise(trained - 1), noise(0), 7);
      levels.back() = 0;
      c.same("sigmas", levels, numbers(r.at("sigmas")));
      grid nodes;
      for (const double u : levels) nodes.push_back({u, {1, u}});
      network.input_scale = [](const node& n) { return 1 / std::hypot(1, n.level.sigma); };
      network.time = [noise](const node& n) {
        std::size_t best = 0;
        const auto distance = [&](std::size_t t) {
          return std::abs(std::log(noise(t)) - std::log(n.level.sigma));
        };
        for (std::size_t t = 1; t < trained; ++t)
          if (distance(t) < distance(best)) best = t;
        return static_cast<double>(best);
      };
      if (solver.starts_with("euler_a"))
        plan = cfg_plus_plus(nodes, 1);
      else if (solver.starts_with("euler"))
        plan = cfg_plus_plus(nodes);
      else if (solver.starts_with("dpm++_2m"))
        plan = cfg_plus_plus_2m(nodes);
      else
        plan = second_order_ancestral(nodes);
    }
    const double w = r.at("cfg_guidance");
    list difference, times;
    std::vector<list> differences;
    const answer model = [&](std::span<const double> x, double t, const node&) {
      list unconditional;
      difference.clear();
      times.push_back(t);
      for (const double v : x) {
        const double both = 0.3 * std::sin(v) + 0.2 * v + 0.1 * std::cos(t / 100);
        difference.push_back(0.5 * std::cos(v));
        unconditional.push_back(both - 0.25 * std::cos(v));
        if (!plus) unconditional.back() += w * difference.back();
      }
      differences.push_back(difference);
      return unconditional;
    };
    const auto guide = [&](std::span<double> clean, std::size_t, const node& at) {
      for (std::size_t i = 0; plus && i < clean.size(); ++i)
        clean[i] -= w * at.level.sigma / at.level.alpha * difference[i];
    };
    const driven run = drive(plan, network, numbers(r.at("x_init")), model,
                             named_tensors(file, r.at("noises")), guide);
    c.same("network_t", times, numbers(r.at("network_t")));
    // Of each step's first evaluation the estimate, then the sample.
    std::vector<list> traced, expected, clean = estimates(run, network);
    for (std::size_t i = 0; plus && i < clean.size(); ++i)
      for (std::size_t j = 0; j < clean[i].size(); ++j)
        clean[i][j] -= w * run.levels[i] * differences[i][j];
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
      if (i > 0 && run.steps[i] == run.steps[i - 1]) continue;
      traced.push_back(clean[i]);
      traced.push_back(run.marks[run.steps[i]]);
    }
    for (const json& step : r.at("trace"))
      for (const json& values : step) expected.push_back(numbers(values));
    c.same("trace", traced, expected);
  });
}

}  // namespace

std::vector<outcome> replay_guidance_interval(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& r : file.at("cases")) outcomes.push_back(replay_interval(file, r));
  return outcomes;
}

std::vector<outcome> replay_guidance_cfgpp(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& r : file.at("cases")) outcomes.push_back(replay_cfgpp(file, r));
  return outcomes;
}

}  // namespace reference
