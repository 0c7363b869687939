// Recorded runs of LuChengTHU/dpm-solver and wl-zhao/UniPC.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/guidance/threshold.hpp"
#include "tweedie/sampler/corrector.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/unipc_varying.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/interpolated.hpp"
#include "tweedie/solve/adaptive.hpp"

namespace reference {
namespace {

using namespace tweedie;

// A schedule with its inverse, and the time the network is told.
struct path {
  std::function<signal_noise(double)> level;
  std::function<double(double half_log_snr)> time_of;
  std::function<double(double t)> network_time = [](double t) { return t; };
  int steps = 1000;
  double end = 1;

  node at(double t) const { return {t, level(t)}; }
  node at_half_log_snr(double h) const { return at(time_of(h)); }
};

template <class Schedule>
path continuous_path(const Schedule& schedule) {
  return {[schedule](double t) { return schedule(t); },
          [schedule](double h) { return schedule.time_of(h); }};
}

path path_of(const std::string& name, const std::string& library) {
  if (name == "vp_linear") return continuous_path(variance_preserving_schedule(0.1, 20));
  discrete_schedule table = linear_beta_schedule(1000);
  if (name == "scaled_linear")
    table = scaled_linear_beta_schedule(1000);
  else if (name == "cosine")
    table = cosine_schedule(1000);
  else if (name != "linear")
    throw std::runtime_error("no schedule \"" + name + "\"");
  const double lowest = library == "UniPC" ? -INFINITY : -5.1;
  const interpolated_schedule schedule = interpolated(table, lowest);
  path p = continuous_path(schedule);
  p.steps = schedule.steps();
  p.network_time = [count = p.steps](double t) { return (t - 1.0 / count) * 1000; };
  return p;
}

// N + 1 times from `first` to `last`.
std::vector<double> times_of(const path& p, const std::string& skip, double first, double last,
                             int count) {
  std::vector<double> times;
  for (int i = 0; i <= count; ++i) {
    const double u = static_cast<double>(i) / count;
    if (skip == "time_uniform")
      times.push_back(std::lerp(first, last, u));
    else if (skip == "time_quadratic")
      times.push_back(std::pow(std::lerp(std::sqrt(first), std::sqrt(last), u), 2));
    else if (skip == "logSNR")
      times.push_back(
          p.time_of(std::lerp(half_log_snr(p.level(first)), half_log_snr(p.level(last)), u)));
    else
      throw std::runtime_error("no spacing \"" + skip + "\"");
  }
  return times;
}

struct settings {
  explicit settings(const json& c)
      : sample(c["sample_kwargs"]),
        library(one_of("library", c["library"], {"dpm-solver", "UniPC"})),
        method(one_of("method", c["method"],
                      {"multistep", "singlestep", "singlestep_fixed", "adaptive"})),
        skip(c["skip_type"]),
        algorithm(one_of("algorithm_type", c["algorithm_type"],
                         {"dpmsolver", "dpmsolver++", "noise_prediction", "data_prediction"})),
        variant(one_of("variant", c["constructor"].value("variant", ""),
                       {"", "bh1", "bh2", "vary_coeff"})),
        steps(c["steps"]),
        order(c["order"]),
        data_prediction(algorithm == "dpmsolver++" || algorithm == "data_prediction"),
        taylor(one_of("solver_type", sample.value("solver_type", "dpmsolver"),
                      {"dpmsolver", "taylor"}) == "taylor"),
        p(path_of(c["schedule"], library)),
        first(sample.value("t_start", p.end)),
        last(sample.value("t_end", 1.0 / p.steps)) {
    only("sample_kwargs", sample,
         {"solver_type", "t_start", "t_end", "lower_order_final", "denoise_to_zero", "atol", "rtol",
          "return_intermediate"});
    only("constructor", c["constructor"],
         {"variant", "correcting_x0_fn", "dynamic_thresholding_ratio", "thresholding_max_val"});
    if (library == "UniPC" && method != "multistep") throw unsupported("method of UniPC", method);
  }

  plane_row row() const { return data_prediction ? clean_row : noise_row; }
  dpm_solver_rule rule() const { return taylor ? exact_dpm_solver(row()) : dpm_solver_rule{row()}; }

  const json& sample;
  std::string library, method, skip, algorithm, variant;
  int steps, order;
  bool data_prediction, taylor;
  path p;
  double first, last;
};

// Orders of the steps of a multistep run.
std::vector<int> multistep_orders(const settings& s) {
  const bool lower =
      s.sample.value("lower_order_final", true) && (s.library == "UniPC" || s.steps < 10);
  std::vector<int> orders;
  for (int step = 1; step <= s.steps; ++step) {
    int order = std::min(step, s.order);
    if (lower && step >= s.order) order = std::min(order, s.steps + 1 - step);
    orders.push_back(order);
  }
  return orders;
}

program multistep_plan(const settings& s) {
  grid nodes;
  for (const double t : times_of(s.p, s.skip, s.first, s.last, s.steps)) nodes.push_back(s.p.at(t));
  const std::vector<int> orders = multistep_orders(s);
  multistep_model model{.row = s.row()};
  if (s.library == "UniPC") {
    model.second = s.variant == "bh1" ? second_order_term::leading : second_order_term::halved;
    std::vector<adams_step> steps;
    for (std::size_t i = 0; i < orders.size(); ++i) {
      const bool corrected = i + 1 < static_cast<std::size_t>(s.steps);
      steps.push_back({orders[i], corrected ? orders[i] + 1 : 0});
    }
    if (s.variant == "vary_coeff") return unipc_published_varying(nodes, steps, s.row());
    return predictor_corrector(nodes, steps, model);
  }
  model.second = s.taylor ? second_order_term::exact : second_order_term::halved;
  model.third = third_order_term::published;
  return multistep(nodes, orders, model);
}

program singlestep_plan(const settings& s) {
  std::vector<int> orders;
  std::vector<double> outer;
  if (s.method == "singlestep_fixed") {
    orders.assign(static_cast<std::size_t>(s.steps / s.order), s.order);
    outer = times_of(s.p, s.skip, s.first, s.last, static_cast<int>(orders.size()));
  } else {
    orders = fast_orders(s.steps, s.order);
    const auto count = static_cast<int>(orders.size());
    outer = times_of(s.p, s.skip, s.first, s.last, s.skip == "logSNR" ? count : s.steps);
    if (s.skip != "logSNR") {
      std::vector<double> used{outer.front()};
      std::size_t at = 0;
      for (const int order : orders) used.push_back(outer[at += static_cast<std::size_t>(order)]);
      outer = used;
    }
  }
  const auto weights = s.taylor ? dpm_solver_weights::exact : dpm_solver_weights::published;
  grid nodes;
  for (const double t : outer) nodes.push_back(s.p.at(t));
  std::vector<exponential_tableau> methods;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const std::vector<double> inner = times_of(s.p, s.skip, outer[i], outer[i + 1], orders[i]);
    const double start = half_log_snr(nodes[i].level), end = half_log_snr(nodes[i + 1].level);
    const auto place = [&](std::size_t j) {
      return j < inner.size() ? (half_log_snr(s.p.level(inner[j])) - start) / (end - start) : 1;
    };
    methods.push_back(dpm_solver_tableau(orders[i], weights, place(1), place(2)));
  }
  const auto between = [&](double level) { return s.p.at_half_log_snr(-std::log(level)); };
  return exponential_runge_kutta(nodes, std::span(methods), between, {.row = s.row()});
}

network_description network_of(const settings& s, const std::string& kind) {
  network_description network;
  network.time = [time = s.p.network_time](const node& n) { return time(n.time); };
  if (kind == "x_start")
    network.prediction = predicts_sample;
  else if (kind == "v")
    network.prediction = predicts_v;
  else if (kind == "score")
    network.prediction = predicts_score;
  else if (kind != "noise")
    throw std::runtime_error("no prediction \"" + kind + "\"");
  return network;
}

// The network and its guidance: what was asked and answered goes to `raw`.
answer model_of(const json& guidance, const network_description& network,
                std::vector<std::vector<double>>& raw) {
  const auto plain = [](std::span<const double> x, double t, double condition) {
    std::vector<double> y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] = 0.3 * std::sin(x[i]) + 0.2 * x[i] + 0.1 * std::cos(t / 100) + 0.05 * condition;
    return y;
  };
  const std::string type =
      guidance.is_object() ? guidance.value("guidance_type", "uncond") : "uncond";
  one_of("guidance_type", type, {"uncond", "classifier-free", "classifier"});
  only("guidance", guidance, {"guidance_type", "guidance_scale"});
  const double scale = guidance.is_object() ? guidance.value("guidance_scale", 1.0) : 1;
  if (type == "classifier-free" && scale != 1)
    return [=, &raw](std::span<const double> x, double t, const node&) {
      std::vector<double> mixed = plain(x, t, -1);
      const std::vector<double> conditional = plain(x, t, 1);
      raw.push_back(mixed);
      raw.back().insert(raw.back().end(), conditional.begin(), conditional.end());
      for (std::size_t i = 0; i < mixed.size(); ++i)
        mixed[i] += scale * (conditional[i] - mixed[i]);
      return mixed;
    };
  if (type == "classifier")  // log p = -|x - 1|^2 / 2 moves the noise by -scale sigma (1 - x)
    return [=, &raw](std::span<const double> x, double t, const node& at) {
      raw.push_back(plain(x, t, 0));
      std::vector<double> y = raw.back();
      const double gain = noise_from(at.level, network.prediction(at)).y;
      for (std::size_t i = 0; i < y.size(); ++i) y[i] -= scale * at.level.sigma * (1 - x[i]) / gain;
      return y;
    };
  const double condition = type == "classifier-free" ? 1 : 0;
  return [=, &raw](std::span<const double> x, double t, const node&) {
    return raw.emplace_back(plain(x, t, condition));
  };
}

// Adaptive steps: only the evaluations and the end are recorded.
template <class Transform>
driven run_adaptive(const settings& s, const network_description& network,
                    const std::vector<double>& x, std::size_t items, const answer& model,
                    const Transform& transform) {
  const auto at = [&](double level) { return s.p.at_half_log_snr(-std::log(level)); };
  const double start = half_log_snr(s.p.level(s.first));
  const double end = half_log_snr(s.p.level(s.last));
  const adaptive_range range{.from = start,
                             .to = end,
                             .allowed = {s.sample.value("atol", 0.0078),
                                         s.sample.value("rtol", 0.05), error_norm::worst_item},
                             .slack = end - half_log_snr(s.p.level(s.last + 1e-5))};
  elementary_controller control;
  control.order = s.order;
  const auto n = static_cast<Eigen::Index>(x.size() / items);
  const Eigen::MatrixXd columns =
      Eigen::Map<const Eigen::MatrixXd>(x.data(), n, static_cast<Eigen::Index>(items));
  adaptive_sampling a(
      {s.order == 2 ? dpm_solver_12(at, s.rule()) : dpm_solver_23(at, s.rule()), at, range},
      network, columns, control, transform);
  driven run;
  while (a.next()) {
    run.times.push_back(a.network_time());
    const std::vector<double> y =
        model(std::span<const double>(a.input().data(), x.size()), a.network_time(), a.at());
    std::copy(y.begin(), y.end(), a.output().data());
  }
  run.result.assign(a.state().data(), a.state().data() + x.size());
  return run;
}

outcome replay_case(const json& recorded) {
  const settings s(recorded);
  // The first attempts of an adaptive run differ in their last digits only, and their difference,
  // half rounding, decides the steps.
  const double tolerance = s.method == "adaptive" ? 1e-7 : comparison::tight;
  const std::string group =
      s.method + " " + s.algorithm + (s.variant.empty() ? "" : " " + s.variant);
  return attempt(
      recorded["id"], s.library, group,
      [&](comparison& c) {
        const json& options = recorded["constructor"];
        const network_description network = network_of(s, recorded["model_type"]);
        std::vector<std::vector<double>> raw;
        const answer model = model_of(recorded["guidance"], network, raw);
        const std::vector<double> x = numbers(recorded["x_init"]);
        const auto items = recorded["shape"][0].get<std::size_t>();
        if (recorded.contains("timesteps"))
          c.same("timesteps", times_of(s.p, s.skip, s.first, s.last, s.steps),
                 numbers(recorded["timesteps"]));

        const auto run_with = [&](const auto& transform) {
          driven run = s.method == "adaptive"
                           ? run_adaptive(s, network, x, items, model, transform)
                           : drive(s.method == "multistep" ? multistep_plan(s) : singlestep_plan(s),
                                   network, x, model, {}, transform);
          if (s.sample.value("denoise_to_zero", false)) {
            // One more evaluation, of which the x0 estimate is the result, in either prediction.
            const driven last = drive(ddim(grid{s.p.at(s.last), clean_node(0)}), network,
                                      run.result, model, {}, transform);
            run.times.push_back(last.times.front());
            run.marks.push_back(last.result);
            run.result = last.result;
          }
          return run;
        };
        driven run;
        if (options.contains("correcting_x0_fn") && !options["correcting_x0_fn"].is_null()) {
          one_of("correcting_x0_fn", options["correcting_x0_fn"], {"dynamic_thresholding"});
          dynamic_threshold threshold{.ratio = options.value("dynamic_thresholding_ratio", 0.995),
                                      .minimum = options.value("thresholding_max_val", 1.0)};
          run = run_with([&](std::span<double> clean, std::size_t, const node& at) {
            threshold(clean, items, at);
            for (double& v : clean) v /= threshold.minimum;
          });
        } else {
          run = run_with(unchanged{});
        }
        c.same("model_t", run.times, numbers(recorded["model_t"]));
        c.same("model_outputs", raw, tensors(recorded["model_outputs"]));
        const std::vector<std::vector<double>> expected = tensors(recorded["intermediates"]);
        if (!expected.empty()) {
          std::vector<std::vector<double>> marks = run.marks;
          if (expected.size() == marks.size() + 1) marks.insert(marks.begin(), x);
          // UniPC records corrected samples, which a program only meets inside the next step.
          const bool corrected = s.library == "UniPC";
          if (c.same_size("intermediates", marks.size(), expected.size()))
            for (std::size_t i = 0; i < marks.size(); ++i)
              if (!corrected || i == 0 || i + 1 == marks.size())
                c.same("intermediates[" + std::to_string(i) + "]", marks[i], expected[i]);
        }
        c.same("final", run.result, numbers(recorded["final"]));
      },
      tolerance);
}

outcome replay_schedule(const json& recorded) {
  const std::string name = recorded["schedule"];
  return attempt("schedules/" + name, "dpm-solver", "schedules", [&](comparison& c) {
    const path p = path_of(name, recorded.value("library", "dpm-solver"));
    c.same("total_N", p.steps, recorded["total_N"].get<double>());
    const std::vector<double> times = numbers(recorded["t"]);
    const auto same = [&](const char* what, const std::vector<double>& arguments, const auto& f) {
      std::vector<double> ours;
      for (const double v : arguments) ours.push_back(f(v));
      c.same(what, ours, numbers(recorded[what]));
    };
    same("marginal_log_mean_coeff", times, [&](double t) { return std::log(p.level(t).alpha); });
    same("marginal_alpha", times, [&](double t) { return p.level(t).alpha; });
    same("marginal_std", times, [&](double t) { return p.level(t).sigma; });
    same("marginal_lambda", times, [&](double t) { return half_log_snr(p.level(t)); });
    same("inverse_lambda", numbers(recorded["lam"]), p.time_of);
  });
}

}  // namespace

std::vector<outcome> replay_dpm_solver_unipc(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& recorded : file["schedules"]) outcomes.push_back(replay_schedule(recorded));
  for (const json& recorded : file["cases"]) outcomes.push_back(replay_case(recorded));
  return outcomes;
}

}  // namespace reference
