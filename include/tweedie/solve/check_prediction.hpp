// A probe before the first picture: does a network answer what its description says, at the times that
// it says?
//
//   const prediction_check check = check_prediction(network, nodes, data, evaluate);
//   if (!check.fits()) std::puts(check.sentence().c_str());
//
// Known data x0 is noised with known z to the level of each node, x = alpha x0 + sigma z, and shown to
// the network. What it answers, read as one of the kinds of prediction (schedule/prediction.hpp), says
// what it takes v = alpha z - sigma x0 to be, with (alpha, sigma) scaled to alpha^2 + sigma^2 = 1. A
// trained network of that kind, told the time it was trained with, answers E[v | x], which no function
// of x and of the level beats in the mean square. So the least error of v over all kinds and clocks
// belongs to the right pair, whatever the data is.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tweedie/program/network.hpp"
#include "tweedie/schedule/clock.hpp"
#include "tweedie/schedule/precondition.hpp"
#include "tweedie/tensor/random.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// A kind of prediction, or a clock, and what it is called in a sentence.
struct named_kind {
  const char* name;
  std::function<plane_row(const node&)> prediction;
};
struct named_clock {
  const char* name;
  std::function<double(const node&)> time;
};

/// The kinds that `check_prediction` tries beside the described one.
inline std::vector<named_kind> known_kinds() {
  return {{"the noise (predicts_noise)", predicts_noise},
          {"x0 (predicts_sample)", predicts_sample},
          {"v (predicts_v)", predicts_v},
          {"the velocity z - x0 (predicts_rectified_velocity)", predicts_rectified_velocity},
          {"the velocity x0 - z (predicts_velocity_to_data)", predicts_velocity_to_data},
          {"the score (predicts_score)", predicts_score},
          {"F of EDM for data of deviation 1/2 (predicts_edm)", predicts_edm()}};
}

/// The clocks that it tries. A network that looks times up in a table has to survive them all.
inline std::vector<named_clock> known_clocks() {
  return {{"the time of the nodes", [](const node& n) { return n.time; }},
          {"sigma (flow_time)", flow_time},
          {"1000 sigma (flow_time_in_thousands)", flow_time_in_thousands},
          {"1 - sigma (data_time)", data_time},
          {"sigma/alpha (noise_level_time)", noise_level_time},
          {"log(sigma/alpha)/4 (edm_time)", edm_time}};
}

/// What was found. Errors are root mean squares of v over those of the true v: 0 for a perfect answer, 1
/// for an answer that is no better than 0.
struct prediction_check {
  double error = 0;             ///< of the description
  double least_error = 0;       ///< of the best pair
  const char* kind = nullptr;   ///< the kind of the best pair; null: the described one
  const char* clock = nullptr;  ///< its clock; null: the described one

  /// Whether the description is the best pair, or within 2 % of it.
  bool fits() const { return !kind && !clock; }

  std::string sentence() const {
    const auto of = [](double e) { return detail::number(std::round(e * 1000) / 1000); };
    if (fits())
      return error < 1 ? "the network fits its description: error of v " + of(error)
                       : "nothing fits: error of v " + of(error) +
                             " as described, and no better with another kind or clock; look at the "
                             "input scale, the data and the network itself";
    std::string text = "the network";
    if (kind) text += std::string(" answers ") + kind;
    if (kind && clock) text += " and";
    if (clock) text += std::string(" wants to be told ") + clock;
    return text + ": error of v " + of(least_error) + " instead of " + of(error);
  }
};

/// Asks `evaluate(input, time, output)`, as `run` does, about `data` at every node that has both signal and
/// noise, once a clock. `data` are samples of what the network was trained on, in the scale it was trained
/// in; a few hundred numbers tell most mistakes.
/// \param nodes of the grid that is to be run, for example
/// \throws std::invalid_argument for no data, no node with noise, and levels that are none.
template <tensor_like T, class Evaluate>
prediction_check check_prediction(const network_description& network, std::span<const node> nodes,
                                  const T& data, Evaluate&& evaluate, std::uint64_t seed = 0,
                                  const std::vector<named_clock>& clocks = known_clocks(),
                                  const std::vector<named_kind>& kinds = known_kinds()) {
  constexpr const char* name = "check_prediction";
  using S = scalar_t<T>;
  using traits = traits_of<T>;
  const std::size_t size = traits::size(data);
  detail::require(size > 0, name, "size of data", 0, "valid: at least one element");
  std::vector<S> z(size), input(size), output(size);
  fill_standard_normal(std::span<S>(z), seed, initial_draw - 1);  // not the noise of a caller
  const S* const x0 = traits::data(data);

  // Pair 0 is the description, then kinds by clocks, both with the described one first.
  const std::size_t of_kinds = kinds.size() + 1;
  std::vector<double> squares(of_kinds * (clocks.size() + 1), 0.0);
  double total = 0;
  for (const node& n : nodes) {
    const auto [alpha, sigma] = n.level;
    detail::require(alpha >= 0 && sigma >= 0 && alpha + sigma > 0 && std::isfinite(alpha + sigma),
                    name, "sigma", sigma, "valid: alpha, sigma finite, >= 0 and not both 0");
    if (sigma == 0 || alpha == 0) continue;
    const double norm = std::hypot(alpha, sigma), scale = network.input_scale(n);
    const signal_noise shown{scale * alpha, scale * sigma};
    for (std::size_t i = 0; i < size; ++i) {
      const auto clean = static_cast<double>(x0[i]), noise = static_cast<double>(z[i]);
      input[i] = static_cast<S>(scale * (alpha * clean + sigma * noise));
      const double v = (alpha * noise - sigma * clean) / norm;
      total += v * v;
    }
    for (std::size_t c = 0; c <= clocks.size(); ++c) {
      const double time = c == 0 ? network.time(n) : clocks[c - 1].time(n);
      const S* const shown_data = input.data();
      evaluate(traits::make_view(shown_data, traits::shape(data)), time,
               traits::make_view(output.data(), traits::shape(data)));
      for (std::size_t k = 0; k < of_kinds; ++k) {
        const node at{time, shown};
        const plane_row row =
            k == 0 ? network.prediction({n.time, shown}) : kinds[k - 1].prediction(at);
        const state_output to_v = convert(shown, row, {-sigma / norm, alpha / norm});
        double& sum = squares[c * of_kinds + k];
        for (std::size_t i = 0; i < size; ++i) {
          const double v =
              (alpha * static_cast<double>(z[i]) - sigma * static_cast<double>(x0[i])) / norm;
          const double error =
              to_v.x * static_cast<double>(input[i]) + to_v.y * static_cast<double>(output[i]) - v;
          sum += error * error;
        }
      }
    }
  }
  detail::require(total > 0, name, "nodes with noise and signal", 0, "valid: at least one");

  std::size_t best = 0;
  const auto below = [&](std::size_t a, double b) {
    return squares[a] < b || (std::isnan(b) && !std::isnan(squares[a]));
  };
  for (std::size_t pair = 1; pair < squares.size(); ++pair)
    if (below(pair, squares[best])) best = pair;
  constexpr double same = 1.02 * 1.02, tied = 1.005;
  if (!below(best, squares[0] / same)) best = 0;  // the description does as well
  // Of the pairs that do as well, the one that changes least: the described kind, or its clock.
  for (std::size_t pair = 1; pair < squares.size(); ++pair) {
    const bool changes_one = pair < of_kinds || pair % of_kinds == 0;
    if (best != 0 && changes_one && squares[pair] <= squares[best] * tied) {
      best = pair;
      break;
    }
  }
  prediction_check out;
  out.error = std::sqrt(squares[0] / total);
  out.least_error = std::sqrt(squares[best] / total);
  if (best % of_kinds != 0) out.kind = kinds[best % of_kinds - 1].name;
  if (best / of_kinds != 0) out.clock = clocks[best / of_kinds - 1].name;
  return out;
}

}  // namespace tweedie
