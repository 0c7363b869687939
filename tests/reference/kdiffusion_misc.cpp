// Recorded model wrappers, losses, noise level samplers and likelihoods of crowsonkb/k-diffusion.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/precondition.hpp"
#include "tweedie/solve/likelihood.hpp"
#include "tweedie/training/time_density.hpp"
#include "tweedie/training/weighting.hpp"

namespace reference {
namespace {

using namespace tweedie;

outcome replay_density(const json& recorded, std::size_t index) {
  const std::string name = recorded["function"];
  return attempt(
      name + "/" + std::to_string(index), "k-diffusion noise levels", name, [&](comparison& c) {
        const json& k = recorded["kwargs"];
        const double low = k.value("min_value", 0.0);
        const double high = k.value("max_value", double(INFINITY));
        const std::vector<double> uniforms = numbers(recorded["uniforms"]);
        std::vector<double> levels;
        const auto draw = [&](const auto& density, double margin = 0) {
          for (const double u : uniforms)
            levels.push_back(density.quantile(u * (1 - 2 * margin) + margin));
        };
        if (name == "rand_log_normal")  // whose parameters are held in float32
          draw(log_normal_density(k.value("loc", 0.0F), k.value("scale", 1.0F)), 1e-7);
        else if (name == "rand_log_logistic")
          draw(log_logistic_density(k.value("loc", 0.0), k.value("scale", 1.0), low, high));
        else if (name == "rand_log_uniform")
          draw(log_uniform_density(low, high));
        else if (name == "rand_v_diffusion")
          draw(v_diffusion_density(k.value("sigma_data", 1.0), low, high));
        else
          throw std::runtime_error("no density for function \"" + name + "\"");
        c.same("result", levels, numbers(recorded["result"]));
      });
}

// Data, noise, their noise levels, and what a wrapped network makes of them.
struct batch {
  Eigen::MatrixXd x;  // columns are items
  Eigen::MatrixXd noise;
  std::vector<double> levels;
};

struct wrapper {
  std::function<plane_row(const node&)> prediction;
  std::function<double(double level)> input_scale;
  std::function<double(double level)> time;
  std::function<double(double level)> weight = [](double) { return 1.0; };
};

Eigen::VectorXd network(const Eigen::VectorXd& x, double t) {
  return (0.3 * x.array().sin() + 0.2 * x.array() + 0.1 * std::cos(t / 100)).matrix();
}

// Answer of the network about x at a level, and its row there.
std::pair<Eigen::VectorXd, plane_row> ask(const wrapper& w, const Eigen::VectorXd& x,
                                          double level) {
  const double scale = w.input_scale(level);
  return {network(scale * x, w.time(level)), w.prediction({w.time(level), {scale, scale * level}})};
}

std::vector<double> denoised(const wrapper& w, const batch& b) {
  std::vector<double> all;
  for (Eigen::Index i = 0; i < b.x.cols(); ++i) {
    const double level = b.levels[static_cast<std::size_t>(i)];
    const auto [y, row] = ask(w, b.x.col(i), level);
    const state_output s = sample_from({1, level}, row);
    const Eigen::VectorXd clean = s.x * b.x.col(i) + s.y * y;
    all.insert(all.end(), clean.data(), clean.data() + clean.size());
  }
  return all;
}

std::vector<double> losses(const wrapper& w, const batch& b) {
  Eigen::MatrixXd outputs = b.x, targets = b.x;
  std::vector<double> weights;
  for (Eigen::Index i = 0; i < b.x.cols(); ++i) {
    const double level = b.levels[static_cast<std::size_t>(i)];
    const auto [y, row] = ask(w, b.x.col(i) + level * b.noise.col(i), level);
    outputs.col(i) = y;
    targets.col(i) = row.x0 * b.x.col(i) + row.z * b.noise.col(i);
    weights.push_back(w.weight(level));
  }
  return regression(outputs, targets, weights, squared_error{}, reduction::mean_over_dimensions);
}

outcome replay_wrapper(const json& part, const std::string& name, const json& recorded,
                       bool doubles) {
  const std::string id = name + (doubles ? "/float64" : "/float32");
  return attempt(id, "k-diffusion wrappers", name, [&](comparison& c) {
    const auto same = [&](const char* what, const std::vector<double>& ours) {
      if (!recorded.contains(what)) return;
      if (doubles)
        c.same(what, ours, numbers(recorded[what]));
      else
        c.near(what, ours, numbers(recorded[what]), 2e-4);
    };
    const auto items = part["shape"][0].get<Eigen::Index>();
    const auto matrix = [&](const json& values) {
      const std::vector<double> v = numbers(values);
      return Eigen::MatrixXd(Eigen::Map<const Eigen::MatrixXd>(
          v.data(), static_cast<Eigen::Index>(v.size()) / items, items));
    };
    const batch b{matrix(part["x"]), matrix(part["noise"]), numbers(part["sigma_batch"])};
    const std::vector<double> sigma = numbers(part["sigma"]);
    const std::vector<double> t = numbers(part["t"]);
    const discrete_schedule schedule = scaled_linear_beta_schedule(1000, 0.00085, 0.012);
    const auto normalised = [](double level) { return 1 / std::hypot(1.0, level); };
    wrapper w{predicts_noise, normalised, {}};
    std::vector<double> times, levels;

    if (name.starts_with("eps_") || name.starts_with("v_")) {
      const bool quantize = name.ends_with("true");
      w.time = [&, quantize](double level) {
        const double least = half_log_snr(schedule(schedule.noisy_time()));
        const double most = half_log_snr(schedule(0));
        const double at = std::clamp(-std::log(level), least, most);
        const double time = schedule.time_of(at);
        return quantize ? std::round(time) : time;
      };
      if (name.starts_with("v_")) w.prediction = predicts_v;
      for (const double at : t) levels.push_back(noise_level(schedule(at)));
      same("t_to_sigma", levels);
      std::vector<double> ten = noise_levels(even_times(schedule, 10));
      same("get_sigmas_10", ten);
      same("sigma_min", {noise_level(schedule(0))});
      same("sigma_max", {noise_level(schedule(schedule.noisy_time()))});
    } else if (name == "vdenoiser") {
      const cosine_path path;
      w.prediction = predicts_v;
      w.time = [path](double level) { return path.time_of(-std::log(level)); };
      if (recorded.contains("t_to_sigma")) {
        for (const double at : {0.1, 0.5, 0.9}) levels.push_back(noise_level(path(at)));
        same("t_to_sigma", levels);
      }
    } else {
      const double deviation = recorded.value("sigma_data", 0.5);
      w.prediction = predicts_edm(deviation);
      w.input_scale = [deviation](double s) { return edm_preconditioning(s, deviation).in; };
      w.time = [](double level) { return level; };
      const auto edm = edm_weighting(deviation);
      const auto out = [deviation](double s) { return edm_preconditioning(s, deviation).out; };
      if (name == "denoiser_soft-min-snr") {
        const auto weighting = soft_min_snr_weighting(1 / (deviation * deviation));
        w.weight = [=](double s) {
          return sample_weight(weighting, -2 * std::log(s)) * out(s) * out(s);
        };
      } else if (name == "denoiser_snr") {
        w.weight = [=](double s) { return out(s) * out(s) / (s * s); };
      } else {
        one_of("wrapper", name, {"denoiser_karras", "simple_loss"});
        w.weight = [=](double s) { return sample_weight(edm, -2 * std::log(s)) * out(s) * out(s); };
      }
      std::vector<double> scalings, weights;
      for (const double s : sigma) weights.push_back(w.weight(s));
      same("weights", weights);
      for (const double s : sigma) scalings.push_back(edm_preconditioning(s, deviation).skip);
      for (const double s : sigma) scalings.push_back(out(s));
      for (const double s : sigma) scalings.push_back(edm_preconditioning(s, deviation).in);
      same("scalings", scalings);
    }
    for (const double s : sigma) times.push_back(w.time(s));
    same("sigma_to_t", times);
    same("denoised", denoised(w, b));
    if (name == "simple_loss") {
      // The error of F measured as the error of z.
      w.weight = [&](double s) { return loss_gain({1, s}, w.prediction({s, {1, s}}), {0, 1}); };
    }
    same("loss", losses(w, b));
  });
}

// The recorded denoiser D(x, sigma) = x/(1 + sigma^2) + 0.1 sin x has a diagonal Jacobian.
outcome replay_likelihood(const json& recorded) {
  return attempt(recorded["id"], "k-diffusion likelihood", "log_likelihood", [&](comparison& c) {
    const auto items = recorded["shape"][0].get<Eigen::Index>();
    const auto matrix = [&](const json& values) {
      const std::vector<double> v = numbers(values);
      return Eigen::MatrixXd(Eigen::Map<const Eigen::MatrixXd>(
          v.data(), static_cast<Eigen::Index>(v.size()) / items, items));
    };
    const auto clean = [](const Eigen::MatrixXd& x, double u) {
      return Eigen::MatrixXd((x.array() / (1 + u * u) + 0.1 * x.array().sin()).matrix());
    };
    const auto product = [](const Eigen::MatrixXd& x, double u, const Eigen::MatrixXd& v) {
      return Eigen::MatrixXd(((1 / (1 + u * u) + 0.1 * x.array().cos()) * v.array()).matrix());
    };
    const likelihood_range range{recorded["sigma_min"].get<double>(),
                                 recorded["sigma_max"].get<double>(),
                                 {recorded["atol"].get<double>(), recorded["rtol"].get<double>()}};
    const flow_likelihood ours =
        log_likelihood(hutchinson_trace(clean, product, matrix(recorded["probe_plus_minus_one"])),
                       matrix(recorded["x"]), range);
    c.same("fevals", static_cast<double>(ours.evaluations), recorded["fevals"].get<double>());
    c.same("log_likelihood", {ours.log_density.data(), ours.log_density.data() + items},
           numbers(recorded["log_likelihood"]));
  });
}

}  // namespace

std::vector<outcome> replay_kdiffusion_misc(const json& file) {
  std::vector<outcome> outcomes;
  for (const json& recorded : file["sigma_samplers"])
    outcomes.push_back(replay_density(recorded, outcomes.size()));
  for (const std::string precision : {"float32", "float64"}) {
    const json& part = file["wrappers"][precision];
    for (const auto& [name, recorded] : part.get_ref<const json::object_t&>().fields())
      if (recorded.is_object())
        outcomes.push_back(replay_wrapper(part, name, part.at(name), precision == "float64"));
  }
  for (const json& recorded : file["log_likelihood"])
    outcomes.push_back(replay_likelihood(recorded));
  return outcomes;
}

}  // namespace reference
