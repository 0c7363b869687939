// Options shared by the classes that work on an alpha_bar table with integer timesteps.
#pragma once

#include <algorithm>
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

/// Reads thresholding, dynamic_thresholding_ratio, sample_max_value, clip_sample and
/// clip_sample_range: thresholding wins.
inline clean_transform read_clipping(const config& c, bool clip_default) {
  const bool thresholding = c.flag("thresholding", false);
  const dynamic_threshold threshold{c.number("dynamic_thresholding_ratio", 0.995),
                                    c.number("sample_max_value", 1)};
  const bool clipping = c.flag("clip_sample", clip_default);
  const clip_range range{c.number("clip_sample_range", 1)};
  if (thresholding) return threshold;
  if (clipping) return range;
  return std::monostate{};
}

/// The node a network is asked at: timestep t of the table.
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

/// "add_noise" of the classes with an alpha_bar table.
inline std::function<signal_noise(double)> table_forward(const alpha_bar_table& table) {
  return [table](double t) { return table.level(static_cast<int>(t)); };
}

}  // namespace tweedie::huggingface
