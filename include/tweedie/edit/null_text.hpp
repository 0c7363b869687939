// Null-text inversion (Mokady et al. 2023, algorithm 1): the unconditional answers with which a guided run returns to a
// picture, so that another prompt edits the picture and not its reconstruction.
//
//   z*_k                                               the picture taken up the grid with the prompt alone: pivots
//   z_(k+1) = a z_k + b (w0 y0 + w1 y1)                the guided DDIM step, y0 unconditional, y1 with the prompt
//   y0  <-  argmin |z*_(k+1) - z_(k+1)|^2              step by step from z_0 = z*_0
//
// Where y0 itself is free (`answer`) the minimum is 0, found by one division: y0 = ((z*_(k+1) - a z_k)/b - w1 y1)/w0. Where it
// is a network's answer to an embedding (`optimise`), Adam takes the embedding there, with the gradient of the caller.
//
// With y* = (z*_(k+1) - a z*_k)/b, what inversion was answered, and w0 = 1 - w, w1 = w the fixed point is
//
//   y0 - y1 = (y* - y1) / (1 - w)
//
// and y* differs from y1 by what the network changes over one step: the null text becomes the prompt, guidance cancels, as steps
// shrink, whatever w (why Miyake et al. 2023 take the prompt for it). With data N(e, v I) for each embedding e it is
// e0 = e + (1 - w)^-1 (y* - y1)/c, where y = c e + ... is the answer's slope in e: unique, and Adam finds it.
//
//   null_text null(nodes, network, picture, prompt);
//   sampling s(ddim(nodes), network, null.start(), guidance_scale(7.5));
//   while (s.next()) {
//     prompt(s.input(), s.network_time(), s.output(1));
//     null.answer(s);                                            // writes s.output(0): keep it for the edit
//   }
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/edit/answer_step.hpp"
#include "tweedie/sampler/pndm.hpp"
#include "tweedie/solve/adam.hpp"
#include "tweedie/solve/sampling.hpp"

namespace tweedie {

/// From the picture, which stands at the last of the falling `nodes`, up to the first by DDIM, each answer asked
/// at the level above: the picture may be clean.
/// \throws std::invalid_argument unless the grid falls from a level with signal.
inline program pivotal_inversion(const grid& nodes) {
  constexpr const char* name = "pivotal_inversion";
  check_descending(name, nodes);
  check_signal(name, nodes);
  const grid rising = reversed(nodes);
  return walk_anywhere(name, rising, [](recorder& r, const linear& x, const leg& l) {
    return transfer(x, r.evaluate(x, l.to).noise, l.from.level, l.to.level);
  });
}

/// How an embedding is looked for: the numbers of the paper.
struct null_text_search {
  int iterations = 10;   ///< of Adam, each a network call and a gradient
  double rate = 0.01;    ///< of Adam; the paper lowers it by 1% a step
  double enough = 1e-5;  ///< mean squared distance from the pivot at which it stops
};

/// The pivots of one picture, one tensor a node.
template <tensor_like T>
class null_text {
 public:
  using scalar = scalar_t<T>;

  /// Takes the picture up with prompt(input view, time, output view), asked once a step.
  /// \throws std::invalid_argument as `pivotal_inversion` and `sampling` do.
  template <class Evaluate>
  null_text(grid nodes, network_description network, const T& picture, Evaluate&& prompt)
      : nodes_(std::move(nodes)), network_(std::move(network)), start_(picture) {
    sampling s(pivotal_inversion(nodes_), network_, picture);
    const auto keep = [&] {
      const auto state = elements(std::as_const(s).state());
      pivots_.emplace(pivots_.begin(), state.begin(), state.end());
    };
    keep();
    for (auto now = s.advance(); now != sampling_event::finished; now = s.advance())
      if (now == sampling_event::evaluate)
        prompt(s.input(), s.network_time(), s.output());
      else
        keep();
    std::copy(pivots_.front().begin(), pivots_.front().end(), elements(start_).begin());
  }

  /// Where guided runs start: the highest pivot.
  const T& start() const { return start_; }
  /// The pivot of node k.
  std::span<const scalar> pivot(std::size_t k) const { return pivots_.at(k); }

  /// Writes output(0) of a run of `ddim(nodes)` with two weights, from its output(1): the next step ends in the pivot.
  /// \throws std::invalid_argument unless an evaluation of such a run is pending and its weights[0] is not 0.
  template <class Run>
  void answer(Run& run) const {
    const missing_answer wanted = next_step("null_text::answer", run);
    const auto free = elements(run.output(0));
    for (std::size_t i = 0; i < wanted.product.size(); ++i)
      free[i] = static_cast<scalar>(wanted.product[i] / wanted.weight);
  }

  /// Takes `embedding` towards the answer that `answer` writes, and leaves its answer in output(0). Ask for the prompt's,
  /// output(1), before.
  /// \param unconditional unconditional(embedding) has the network answer run.input() in run.output(0)
  /// \param pullback pullback(embedding, slope of each element of that answer, gradient) writes the slope of each
  ///   element of the embedding: the network's vector-Jacobian product
  /// \returns the mean squared distance from the pivot that is left
  /// \throws std::invalid_argument as `answer`, and where distance or gradient is not finite; the embedding is then as
  ///   it was.
  template <class Run, class Unconditional, class Pullback>
  double optimise(Run& run, std::span<double> embedding, Unconditional&& unconditional,
                  Pullback&& pullback, const null_text_search& how = {}) const {
    constexpr const char* name = "null_text::optimise";
    const missing_answer wanted = next_step(name, run);
    const std::size_t size = wanted.product.size();
    const auto free = elements(run.output(0));
    std::vector<double> now(embedding.begin(), embedding.end()), gradient(now.size());
    std::vector<double> slope(size);
    adam<double> descent;
    for (int i = 0;; ++i) {
      unconditional(std::span<const double>(now));
      double distance = 0;
      for (std::size_t j = 0; j < size; ++j) {
        const double d = wanted.weight * static_cast<double>(free[j]) - wanted.product[j];
        distance += d * d / static_cast<double>(size);
        slope[j] = 2 * d * wanted.weight / static_cast<double>(size);
      }
      detail::require(std::isfinite(distance), name, "distance", distance, "valid: finite answers");
      if (i >= how.iterations || distance < how.enough) {
        std::copy(now.begin(), now.end(), embedding.begin());
        return distance;
      }
      pullback(std::span<const double>(now), std::span<const double>(slope),
               std::span<double>(gradient));
      detail::require_all_finite(name, "gradient", gradient);
      descent.step(now, gradient, how.rate);
    }
  }

 private:
  // weight y0 = product, where the next step ends in the pivot: z_(k+1) = state z_k + given y1 + weight y0.
  struct missing_answer {
    double weight;
    std::vector<double> product;
  };

  template <class Run>
  missing_answer next_step(const char* name, Run& run) const {
    const std::size_t k = run.steps_done();
    if (k + 1 >= nodes_.size() || run.at() != nodes_[k])
      detail::fail(name, "steps_done()", static_cast<double>(k),
                   "valid: a pending evaluation of ddim(nodes) from the first node on");
    const std::span<const double> weights = run.branch_weights();
    detail::require_equal(name, "branch_weights().size()", weights.size(), 2);
    detail::require(weights[0] != 0, name, "branch_weights()[0]", weights[0],
                    "valid: not 0; without guidance there is nothing to find");
    detail::require_equal(name, "state().size()", elements(run.state()).size(),
                          pivots_.front().size());
    const state_output step = ddim_step_of_answer(network_, nodes_[k], nodes_[k + 1]);
    missing_answer wanted{step.y * weights[0], {pivots_[k + 1].begin(), pivots_[k + 1].end()}};
    const auto x = elements(std::as_const(run).state());
    const auto given = elements(run.output(1));
    for (std::size_t i = 0; i < x.size(); ++i)
      wanted.product[i] -=
          step.x * static_cast<double>(x[i]) + step.y * weights[1] * static_cast<double>(given[i]);
    return wanted;
  }

  grid nodes_;
  network_description network_;
  T start_;
  std::vector<std::vector<scalar>> pivots_;  // of the nodes, the noisiest first
};

}  // namespace tweedie
