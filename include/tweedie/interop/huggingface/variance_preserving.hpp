// The classes that work on an alpha_bar table with integer timesteps: their options, and the legs of
// their walks.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tweedie/grid/grid.hpp"
#include "tweedie/interop/huggingface/tables.hpp"
#include "tweedie/schedule/prediction.hpp"

namespace tweedie::huggingface {

/// Reads prediction_type: epsilon, sample or v_prediction at the level of the evaluation.
inline network_description read_prediction(
    const config& c,
    std::initializer_list<const char*> valid = {"epsilon", "sample", "v_prediction"},
    const char* otherwise = "epsilon") {
  network_description network;
  const std::string kind = c.text("prediction_type", otherwise, valid);
  if (kind == "sample" || kind == "original_sample") network.prediction = predicts_sample;
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

/// The node a network is asked at: timestep t of the table, cut to an integer.
/// \throws std::invalid_argument for a timestep outside the table
inline node table_node(const config& c, const alpha_bar_table& table, double t) {
  if (!(t >= 0 && t < table.steps()))
    c.fail("timestep", tweedie::detail::number(t) + "; valid: 0 ... num_train_timesteps - 1 = " +
                           std::to_string(table.steps() - 1) +
                           " (check steps_offset and the number of steps)");
  return {t, table.level(static_cast<int>(t))};
}

/// At alpha = 0 a noise prediction leaves x0 at plus or minus infinity, which clipping makes plus
/// or minus its range: the limit of small alpha. Without clipping x0 is refused later.
inline node limit_node(node n, const clean_transform& transform) {
  if (!std::holds_alternative<std::monostate>(transform))
    n.level.alpha = (std::max)(n.level.alpha, 1e-30);
  return n;
}

/// The step from timestep t of the table to timestep s; below 0 it ends at alpha_bar `last`.
/// \throws std::invalid_argument for timesteps outside the table, and for a step that would divide by
///   1 - alpha_bar = 0 at t or by alpha_bar = 0 at s
inline leg table_leg(const config& c, const alpha_bar_table& table,
                     const clean_transform& transform, double t, double s, double last = 1) {
  const node from = table_node(c, table, t);
  const node to =
      s >= 0 ? table_node(c, table, s) : node{(std::max)(s, -1.0), alpha_bar_table::level_of(last)};
  if (!(from.level.sigma > 0 && to.level.alpha > 0))
    c.refuse(c.has("trained_betas") ? "trained_betas" : "beta_start",
             from.level.sigma > 0 ? "beta < 1 up to the timestep where a step ends"
                                  : "beta > 0 at or before the timestep where a step starts");
  return {limit_node(from, transform), to};
}

/// The steps to the next listed timestep, the last one to clean data.
inline legs listed_legs(const config& c, const alpha_bar_table& table,
                        const clean_transform& transform, const std::vector<double>& timesteps) {
  legs steps;
  for (std::size_t i = 0; i < timesteps.size(); ++i)
    steps.push_back(table_leg(c, table, transform, timesteps[i],
                              i + 1 < timesteps.size() ? timesteps[i + 1] : -1));
  return steps;
}

/// Steps of `stride` timesteps, whatever the next listed one is, the last one to alpha_bar `last`.
inline legs stride_legs(const config& c, const alpha_bar_table& table,
                        const clean_transform& transform, const std::vector<double>& timesteps,
                        int stride, double last = 1) {
  legs steps;
  for (const double t : timesteps)
    steps.push_back(table_leg(c, table, transform, t, std::trunc(t) - stride, last));
  return steps;
}

/// "add_noise" of the classes with an alpha_bar table; std::invalid_argument outside of it.
inline std::function<signal_noise(double)> table_forward(const alpha_bar_table& table) {
  return [table](double t) {
    tweedie::detail::require(t >= 0 && t < table.steps(), "huggingface::loaded_sampler.forward",
                             "timestep", t, "valid: 0 ... num_train_timesteps - 1");
    return table.level(static_cast<int>(t));
  };
}

/// A sampler on `table` with everything but its plan.
inline loaded_sampler on_table(const alpha_bar_table& table, std::vector<double> timesteps,
                               network_description network, const clean_transform& transform = {}) {
  loaded_sampler out;
  out.network = std::move(network);
  out.transform = transform;
  out.timesteps = std::move(timesteps);
  out.forward = table_forward(table);
  return out;
}

}  // namespace tweedie::huggingface
