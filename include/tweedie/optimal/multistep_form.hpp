// A sampler with one network call a step as numbers that can be varied: levels, and the weight of
// every x0 estimate in every step.
//
//   x_{i+1} = sigma_{i+1}/sigma_i x_i + sum_{j <= i} clean_i[j] D_j
//   sum_j clean_i[j] = alpha_{i+1} - alpha_i sigma_{i+1}/sigma_i
//
// The sum is what DDIM gives to its one estimate: with it a denoiser that knows x0 makes x0, whatever
// the other weights are. Every multistep and predictor-corrector sampler has this form.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

#include "tweedie/program/unrolled.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {

/// Invariant: nodes.size() = clean.size() + 1, clean[i].size() = i + 1.
struct multistep_form {
  grid nodes;
  std::vector<std::vector<double>> clean;

  std::size_t steps() const { return clean.size(); }
};

namespace detail {

/// The unrolled program, if it can be written so.
inline std::optional<unrolled_program> multistep_triangle(const program& plan) {
  for (const stage& s : plan.stages)
    for (const operand& in : s.pass.inputs) {
      const bool of_noise =
          in.from == operand_kind::noise && s.evaluate && s.evaluate->at.level.sigma == 0;
      if (in.from == operand_kind::draw || in.from == operand_kind::output || of_noise) return {};
    }
  unrolled_program u = unroll(plan);
  if (u.at.empty() || !(u.at.front().level == plan.start.level)) return {};
  for (std::size_t i = 0; i < u.at.size(); ++i) {
    const auto [alpha, sigma] = u.at[i].level;
    if (!(sigma > 0)) return {};
    if (std::abs(u.rows[i][0] - sigma / plan.start.level.sigma) > 1e-9) return {};
    if (i > 0) {
      const signal_noise before = u.at[i - 1].level;
      if (!(sigma * before.alpha < before.sigma * alpha)) return {};
    }
  }
  if (std::abs(u.rows.back()[0]) > 1e-9) return {};
  return u;
}

}  // namespace detail

/// Whether `plan` can be written so: deterministic, every call at a lower level than the one before,
/// initial sample carried by the ratio of the sigmas, clean data at the end.
inline bool has_multistep_form(const program& plan) {
  return detail::multistep_triangle(plan).has_value();
}

/// `plan` in this form; it ends in clean data at time `clean_time`.
/// \throws std::invalid_argument unless has_multistep_form(plan).
inline multistep_form to_multistep_form(const program& plan, double clean_time) {
  const std::optional<unrolled_program> triangle = detail::multistep_triangle(plan);
  if (!triangle)
    detail::fail(
        "to_multistep_form",
        "the program has no such form; valid: deterministic, falling levels, clean data at "
        "the end");
  const unrolled_program& u = *triangle;
  multistep_form out;
  out.nodes = u.at;
  out.nodes.push_back(clean_node(clean_time));
  for (std::size_t i = 0; i < u.at.size(); ++i) {
    const double carried = out.nodes[i + 1].level.sigma / out.nodes[i].level.sigma;
    std::vector<double> weights(u.rows[i + 1].begin() + 1, u.rows[i + 1].end());
    for (std::size_t j = 0; j < i; ++j) {
      const double other = carried * u.rows[i][1 + j];
      constexpr double rounding = 1e-10;
      const bool same = std::abs(weights[j] - other) <= rounding * (1 + std::abs(other));
      weights[j] = same ? 0 : weights[j] - other;
    }
    out.clean.push_back(std::move(weights));
  }
  return out;
}

/// The program of a form. An estimate is kept as long as a later step uses it.
/// \throws std::invalid_argument if the levels do not fall.
inline program to_program(const multistep_form& form) {
  std::vector<linear> known;
  return walk("to_program", form.nodes,
              [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
                known.push_back(r.evaluate(x, l.from).clean);
                linear next = l.to.level.sigma / l.from.level.sigma * x;
                for (std::size_t j = 0; j <= i; ++j) next += form.clean[i][j] * known[j];
                return next;
              });
}

}  // namespace tweedie
