// Recorded losses and curricula of openai/consistency_models.
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "losses.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/objective/consistency.hpp"
#include "tweedie/objective/distillation.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/schedule/precondition.hpp"
#include "tweedie/training/weighting.hpp"

namespace reference {
namespace {

using namespace tweedie;

constexpr double deviation = 0.5, least = 0.002, highest = 80;

// The x0 estimate of the test network under the scalings of a plain or distilled model.
std::vector<double> denoise(const std::vector<double>& x, double level, bool distilled) {
  const preconditioning p = distilled ? consistency_preconditioning(level, deviation, least)
                                      : edm_preconditioning(level, deviation);
  const double t = 250 * std::log(level + 1e-44);
  std::vector<double> out(x.size());
  for (std::size_t j = 0; j < x.size(); ++j)
    out[j] = p.skip * x[j] + p.out * test_network(p.in * x[j], t);
  return out;
}

double weight_of(const std::string& name, double level) {
  const double l = -2 * std::log(level);
  if (name == "snr") return sample_weight(simple_weighting, l);
  if (name == "snr+1") return sample_weight(snr_plus_one_weighting, l);
  if (name == "karras") return sample_weight(edm_weighting(deviation), l);
  if (name == "truncated-snr") return sample_weight(truncated_snr_weighting, l);
  if (name == "uniform") return 1;
  throw std::invalid_argument("unknown weight_schedule " + name);
}

double loss_of(const std::vector<double>& output, const std::vector<double>& target, double weight,
               const std::string& norm) {
  const batch_view<const double> y{output, 1}, wanted{target, 1};
  const std::vector<double> weights = {weight};
  if (norm == "l1")
    return regression(y, wanted, weights, absolute_error{}, reduction::mean_over_dimensions)[0];
  if (norm == "l2")
    return regression(y, wanted, weights, squared_error{}, reduction::mean_over_dimensions)[0];
  throw std::invalid_argument("unknown loss_norm " + norm);
}

std::vector<double> moved(const std::vector<double>& x, const std::vector<double>& clean,
                          double from, double to) {
  const solver_step s = first_order_step({1, from}, {1, to});
  std::vector<double> out(x.size());
  for (std::size_t j = 0; j < x.size(); ++j) out[j] = s.x * x[j] + s.clean * clean[j];
  return out;
}

// "0.9*model" and the like.
double factor_of(const json& description) {
  return description.is_string() ? std::stod(description.get<std::string>()) : 1;
}
// A network that answers a multiple of the test network.
std::vector<double> denoise_scaled(const std::vector<double>& x, double level, bool distilled,
                                   double factor) {
  const preconditioning p = distilled ? consistency_preconditioning(level, deviation, least)
                                      : edm_preconditioning(level, deviation);
  const std::vector<double> plain = denoise(x, level, distilled);
  std::vector<double> out(x.size());
  for (std::size_t j = 0; j < x.size(); ++j)
    out[j] = p.skip * x[j] + factor * (plain[j] - p.skip * x[j]);
  return out;
}

outcome replay_one(const json& recorded, std::size_t index) {
  const std::string kind = recorded["kind"];
  return attempt(
      "losses/" + std::to_string(index), "consistency_models", kind + " loss", [&](comparison& c) {
        one_of("kind", kind, {"training", "progdist", "consistency"});
        const auto x0 = numbers(recorded["x_start"]), z = numbers(recorded["noise"]);
        const std::size_t items = recorded["shape"][0], n = x0.size() / items;
        const bool distilled = recorded["distillation"];
        const std::string norm = recorded["loss_norm"];
        const std::string weighting = recorded["weight_schedule"];
        std::vector<double> losses, errors;
        for (std::size_t i = 0; i < items; ++i) {
          const auto slice = [&](const std::vector<double>& v) {
            return std::vector<double>(v.begin() + static_cast<std::ptrdiff_t>(i * n),
                                       v.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
          };
          const std::vector<double> clean = slice(x0);
          const auto noised = [&](double level) {
            std::vector<double> x = slice(z);
            for (std::size_t j = 0; j < n; ++j) x[j] = clean[j] + level * x[j];
            return x;
          };
          if (kind == "training") {
            const double level = recorded["sigmas"][i];
            const auto estimate = denoise(noised(level), level, distilled);
            losses.push_back(loss_of(estimate, clean, weight_of(weighting, level), norm));
            errors.push_back(loss_of(estimate, clean, 1, norm));
            continue;
          }
          const int scales = recorded["num_scales"], index_of_level = recorded["indices"][i];
          const double teacher = factor_of(recorded["teacher"]);
          const auto at = static_cast<std::size_t>(index_of_level);
          if (kind == "progdist") {
            const auto levels = karras_levels(2 * scales + 1, highest, least);
            const double from = levels[2 * at], middle = levels[2 * at + 1],
                         to = levels[2 * at + 2];
            const auto x = noised(from);
            const auto half_way = moved(x, denoise_scaled(x, from, false, teacher), from, middle);
            const auto end =
                moved(half_way, denoise_scaled(half_way, middle, false, teacher), middle, to);
            const two_step_target t = progressive_target({1, from}, {1, to});
            std::vector<double> target(n);
            for (std::size_t j = 0; j < n; ++j) target[j] = t.end * end[j] + t.start * x[j];
            losses.push_back(
                loss_of(denoise(x, from, distilled), target, weight_of(weighting, from), norm));
            continue;
          }
          const auto levels = karras_levels(scales, highest, least);
          const double from = levels[at], to = levels[at + 1];
          const auto x = noised(from);
          std::vector<double> next = moved(x, clean, from, to);
          if (recorded["teacher"].is_string()) {
            // Heun: the mean of the slopes at both ends.
            const auto first = denoise_scaled(x, from, false, teacher);
            const auto predicted = moved(x, first, from, to);
            const auto second = denoise_scaled(predicted, to, false, teacher);
            for (std::size_t j = 0; j < n; ++j)
              next[j] = x[j] + (to - from) / 2 *
                                   ((x[j] - first[j]) / from + (predicted[j] - second[j]) / to);
          }
          losses.push_back(
              loss_of(denoise(x, from, distilled),
                      denoise_scaled(next, to, distilled, factor_of(recorded["target"])),
                      weight_of(weighting, from), norm));
        }
        c.same("loss", losses, numbers(recorded["loss"]));
        if (recorded.contains("xs_mse")) c.same("xs_mse", errors, numbers(recorded["xs_mse"]));
        if (recorded.contains("mse")) c.same("mse", losses, numbers(recorded["mse"]));
      });
}

outcome replay_curriculum(const json& recorded, std::size_t index) {
  const json& k = recorded["kwargs"];
  const std::string scale_mode = k["scale_mode"], decay_mode = k["target_ema_mode"];
  return attempt("ema_and_scales/" + std::to_string(index), "consistency_models",
                 decay_mode + " " + scale_mode, [&](comparison& c) {
                   one_of("scale_mode", scale_mode, {"fixed", "progressive", "progdist"});
                   one_of("target_ema_mode", decay_mode, {"fixed", "adaptive"});
                   const int first = k["start_scales"], last = k["end_scales"];
                   std::vector<double> ours;
                   for (const json& step : recorded["steps"]) {
                     int levels = first;
                     double decay = k["start_ema"];
                     if (scale_mode == "progressive")
                       levels = consistency_levels(step, k["total_steps"], first, last);
                     else if (scale_mode == "progdist")
                       levels = progressive_levels(step, k["distill_steps_per_iter"], first);
                     if (decay_mode == "adaptive")
                       decay = consistency_decay(k["start_ema"], first, levels - 1);
                     else if (scale_mode == "progdist")
                       decay = 1;
                     ours.push_back(decay);
                     ours.push_back(levels);
                   }
                   c.same("result", ours, numbers(recorded["result"]));
                 });
}

}  // namespace

std::vector<outcome> replay_consistency_losses(const json& file) {
  std::vector<outcome> outcomes;
  const auto each = [&](const char* key, const auto& replay) {
    if (!file.contains(key)) return;
    for (std::size_t i = 0; i < file[key].size(); ++i) outcomes.push_back(replay(file[key][i], i));
  };
  each("losses", replay_one);
  each("ema_and_scales", replay_curriculum);
  return outcomes;
}

}  // namespace reference
