// Options shared by the classes that work on an alpha_bar table with integer timesteps.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tweedie/interop/huggingface/loaded_sampler.hpp"
#include "tweedie/interop/huggingface/tables.hpp"
#include "tweedie/program/recorder.hpp"
#include "tweedie/schedule/prediction.hpp"

namespace tweedie::huggingface {

/// Reads prediction_type: epsilon, sample or v_prediction at the level of the evaluation.
inline network_description read_prediction(
    const config& c,
    std::initializer_list<const char*> valid = {"epsilon", "sample", "v_prediction"},
    const char* otherwise = "epsilon") {
  network_description network;
  const std::string kind = c.text("prediction_type", otherwise, valid);
  if (kind == "sample") network.prediction = predicts_sample;
  if (kind == "v_prediction") network.prediction = predicts_v;
  return network;
}

/// Lowest and highest noise level.
struct sigma_range {
  double low = 0;
  double high = 0;
};

/// Reads sigma_min and sigma_max.
/// \throws std::invalid_argument unless 0 < sigma_min < sigma_max < infinity
inline sigma_range read_sigma_range(const config& c, double low_default, double high_default) {
  const sigma_range range{c.number("sigma_min", low_default), c.number("sigma_max", high_default)};
  const char* const valid = "0 < sigma_min < sigma_max";
  if (!(range.low > 0)) c.refuse("sigma_min", valid);
  if (!(range.low < range.high && std::isfinite(range.high)))
    c.refuse(c.has("sigma_max") ? "sigma_max" : "sigma_min", valid);
  return range;
}

/// Reads clip_sample and clip_sample_range.
/// \throws std::invalid_argument for a range that is not positive
inline clean_transform read_clip_range(const config& c, bool clip_default) {
  const bool clipping = c.flag("clip_sample", clip_default);
  const clip_range range{c.number("clip_sample_range", 1)};
  if (!clipping) return std::monostate{};
  if (!(range.range > 0)) c.refuse("clip_sample_range", "clip_sample_range > 0");
  return range;
}

/// Reads thresholding, dynamic_thresholding_ratio and sample_max_value.
/// \throws std::invalid_argument for a ratio outside [0, 1] or a maximum below 1
inline clean_transform read_thresholding(const config& c) {
  const bool thresholding = c.flag("thresholding", false);
  const dynamic_threshold threshold{c.number("dynamic_thresholding_ratio", 0.995),
                                    c.number("sample_max_value", 1)};
  if (!thresholding) return std::monostate{};
  if (!(threshold.ratio >= 0 && threshold.ratio <= 1))
    c.refuse("dynamic_thresholding_ratio", "0 <= dynamic_thresholding_ratio <= 1");
  if (!(threshold.maximum >= threshold.minimum))
    c.refuse("sample_max_value", "sample_max_value >= 1");
  return threshold;
}

/// Thresholding or, without it, clipping.
inline clean_transform read_clipping(const config& c, bool clip_default) {
  const clean_transform threshold = read_thresholding(c);
  if (std::holds_alternative<std::monostate>(threshold)) return read_clip_range(c, clip_default);
  c.without_effect({"clip_sample", "clip_sample_range"});
  return threshold;
}

/// alpha_bar of timestep t, cut to an integer.
/// \throws std::invalid_argument for a timestep outside the table
inline double alpha_bar_at(const config& c, const alpha_bar_table& table, double t) {
  if (!(t >= 0 && t < table.steps()))
    c.fail("timestep", tweedie::detail::number(t) + "; valid: 0 ... num_train_timesteps - 1 = " +
                           std::to_string(table.steps() - 1) +
                           " (check steps_offset and the number of steps)");
  return table.at(static_cast<int>(t));
}

/// The node a network is asked at: timestep t of the table.
inline node table_node(const config& c, const alpha_bar_table& table, double t) {
  return {t, alpha_bar_table::level_of(alpha_bar_at(c, table, t))};
}

/// Refuses a step from alpha_bar `a_t` that divides by 1 - a_t = 0 or, with `a_s`, by a_s = 0.
inline void require_step(const config& c, double a_t, double a_s = 1) {
  if (a_t < 1 && a_s > 0) return;
  c.refuse(c.has("trained_betas") ? "trained_betas" : "beta_start",
           a_t < 1 ? "beta < 1 up to the timestep where a step ends"
                   : "beta > 0 at or before the timestep where a step starts");
}

/// At alpha = 0 a noise prediction leaves x0 at plus or minus infinity, which clipping makes plus
/// or minus its range: the limit of small alpha. Without clipping x0 is refused later.
inline node limit_node(node n, const clean_transform& transform) {
  if (!std::holds_alternative<std::monostate>(transform))
    n.level.alpha = std::max(n.level.alpha, 1e-30);
  return n;
}

/// The timesteps that remain after skipping `begin_index` solver steps.
inline std::vector<double> remaining(const config& c, const std::vector<double>& timesteps,
                                     int begin_index) {
  if (begin_index >= static_cast<int>(timesteps.size()))
    c.fail("begin_index", std::to_string(begin_index) + "; valid: below the number of steps, " +
                              std::to_string(timesteps.size()));
  return {timesteps.begin() + begin_index, timesteps.end()};
}

/// "add_noise" of the classes with an alpha_bar table; std::invalid_argument outside of it.
inline std::function<signal_noise(double)> table_forward(const alpha_bar_table& table) {
  return [table](double t) {
    tweedie::detail::require(t >= 0 && t < table.steps(), "huggingface::loaded_sampler.forward",
                             "timestep", t, "valid: 0 ... num_train_timesteps - 1");
    return table.level(static_cast<int>(t));
  };
}

}  // namespace tweedie::huggingface
