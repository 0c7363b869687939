// Frames or tokens at noise levels of their own: each stands at its own node, the network is shown all of them
// with one time each, and each moves along the grid at its own pace (Diffusion Forcing, Chen et al. 2024,
// section 3.2).
//
//   K[m][f]   the node of frame f after m steps of the whole    the scheduling matrix of the paper
//
//   sampling of a video     K[m][f] = m                         all frames together: delay 0
//   pyramid                 K[m][f] = m - delay f, clamped      later frames are noisier
//   frame by frame          delay = steps                       autoregressive
//   context                 K[m][f] = last node                 a frame that is known and stays
//
// Each move is the deterministic DDIM step of its frame. A frame that stays keeps its bits.
//
//   staggered_sampling<float> s(nodes, network, frames, pyramid(16, steps, 2));
//   while (s.next()) engine.run(s.input(), s.times(), s.output());
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/edit/answer_step.hpp"
#include "tweedie/grid/grid.hpp"

namespace tweedie {

/// Node of each frame (columns) before the first step and after each (rows).
using scheduling_matrix = std::vector<std::vector<std::size_t>>;

/// Frame f starts delay f steps after the first: steps + delay (frames - 1) steps of the whole.
/// \throws std::invalid_argument unless there are frames and steps.
inline scheduling_matrix pyramid(std::size_t frames, std::size_t steps, std::size_t delay) {
  detail::require(frames > 0, "pyramid", "frames", 0, "valid: at least 1");
  detail::require(steps > 0, "pyramid", "steps", 0, "valid: at least 1");
  scheduling_matrix at(steps + delay * (frames - 1) + 1, std::vector<std::size_t>(frames));
  for (std::size_t m = 0; m < at.size(); ++m)
    for (std::size_t f = 0; f < frames; ++f)
      at[m][f] = m <= delay * f ? 0 : (std::min)(m - delay * f, steps);
  return at;
}

/// Frame f waits at node starts[f] until the walk gets there, as tokens of a conditioning picture do that is
/// noised by less than the rest (LTX-Video, `per_token_timesteps`). starts[f] = steps: it is known and stays.
/// \throws std::invalid_argument unless there are frames and steps, and for a start beyond the steps.
inline scheduling_matrix waiting(std::span<const std::size_t> starts, std::size_t steps) {
  detail::require(!starts.empty(), "waiting", "starts.size()", 0, "valid: at least 1");
  detail::require(steps > 0, "waiting", "steps", 0, "valid: at least 1");
  scheduling_matrix at(steps + 1);
  for (std::size_t m = 0; m <= steps; ++m)
    for (const std::size_t start : starts) {
      if (start > steps)
        detail::fail("waiting", "start", static_cast<double>(start),
                     "valid: at most the steps, " + std::to_string(steps));
      at[m].push_back((std::max)(m, start));
    }
  return at;
}

/// The DDIM step of every item from its own level to its own, from the network's answers to the scaled items.
/// Items whose levels are equal keep their bits.
/// \throws std::invalid_argument unless x and output are the items, as many as levels, and where the answer to an item
///   that moves is not finite or does not determine x0; x is then as it was.
template <class S>
void step_items(std::span<S> x, std::span<const S> output, const network_description& network,
                std::span<const node> from, std::span<const node> to) {
  constexpr const char* name = "step_items";
  const std::size_t items = from.size();
  detail::require_equal(name, "to.size()", to.size(), items);
  detail::require_equal(name, "output.size()", output.size(), x.size());
  if (items == 0 || x.size() % items != 0)
    detail::fail(name, "from.size()", static_cast<double>(items),
                 "valid: a divisor of the elements, " + std::to_string(x.size()));
  std::vector<state_output> weights;
  for (std::size_t i = 0; i < items; ++i)
    weights.push_back(ddim_step_of_answer(network, from[i], to[i]));
  const std::size_t length = x.size() / items;
  const auto for_each_moving = [&](const auto& use) {
    for (std::size_t i = 0; i < items; ++i)
      if (from[i].level != to[i].level)
        for (std::size_t j = i * length; j < (i + 1) * length; ++j) use(weights[i], j);
  };
  for_each_moving([&](const state_output&, std::size_t j) {
    detail::require(std::isfinite(static_cast<double>(output[j])), name, "output",
                    static_cast<double>(output[j]), "valid: finite");
  });
  for_each_moving([&](const state_output& weight, std::size_t j) {
    x[j] = static_cast<S>(weight.x * static_cast<double>(x[j]) +
                          weight.y * static_cast<double>(output[j]));
  });
}

/// One run of frames along a scheduling matrix, pulled one network call at a time; copy it to fork.
template <class S>
class staggered_sampling {
 public:
  /// \param x the frames one after the other, each at the level of its first node
  /// \throws std::invalid_argument unless the grid falls, the matrix has rows of as many frames as divide x,
  ///   all within the grid and never back to more noise, and a step.
  staggered_sampling(grid nodes, network_description network, std::span<const S> x,
                     scheduling_matrix positions)
      : nodes_(std::move(nodes)),
        network_(std::move(network)),
        positions_(std::move(positions)),
        x_(x.begin(), x.end()),
        input_(x_),
        output_(x_.size()) {
    constexpr const char* name = "staggered_sampling";
    check_descending(name, nodes_);
    detail::require(positions_.size() >= 2, name, "positions.size()",
                    static_cast<double>(positions_.size()), "valid: at least 2 rows, one step");
    const std::size_t frames = positions_.front().size();
    if (frames == 0 || x_.size() % frames != 0)
      detail::fail(name, "frames", static_cast<double>(frames),
                   "valid: a divisor of the elements, " + std::to_string(x_.size()));
    for (std::size_t m = 0; m < positions_.size(); ++m) {
      detail::require_equal(name, "positions[m].size()", positions_[m].size(), frames);
      for (std::size_t f = 0; f < frames; ++f)
        if (positions_[m][f] >= nodes_.size() || (m > 0 && positions_[m][f] < positions_[m - 1][f]))
          detail::fail(name, "positions[" + std::to_string(m) + "][" + std::to_string(f) + "]",
                       static_cast<double>(positions_[m][f]),
                       "valid: a node of the grid, not before the one of the last step");
    }
  }

  /// Runs to the next network call; false when all frames are where the last row says. input() and times()
  /// are then ready and output() is wanted.
  bool next() {
    if (waiting_) {
      step_items<S>(x_, output_, network_, at(step_), at(step_ + 1));
      waiting_ = false;
      ++step_;
    }
    if (step_ + 1 >= positions_.size()) return false;
    const std::vector<node> now = at(step_);
    const std::size_t length = x_.size() / now.size();
    times_.clear();
    for (std::size_t f = 0; f < now.size(); ++f) {
      times_.push_back(network_.time(now[f]));
      const double scale = network_.input_scale(now[f]);
      for (std::size_t j = f * length; j < (f + 1) * length; ++j)
        input_[j] = scale == 1 ? x_[j] : static_cast<S>(scale * static_cast<double>(x_[j]));
    }
    waiting_ = true;
    return true;
  }

  std::span<const S> input() const { return input_; }
  /// The time of each frame.
  std::span<const double> times() const { return times_; }
  /// Where the network writes; what it says of frames that stay is not read.
  std::span<S> output() { return output_; }
  std::span<const S> state() const { return x_; }
  /// Frames may be changed between steps, as long as no output is pending.
  std::span<S> state() { return x_; }
  std::size_t steps_done() const { return step_; }

 private:
  std::vector<node> at(std::size_t m) const {
    std::vector<node> now;
    for (const std::size_t k : positions_[m]) now.push_back(nodes_[k]);
    return now;
  }

  grid nodes_;
  network_description network_;
  scheduling_matrix positions_;
  std::vector<S> x_, input_, output_;
  std::vector<double> times_;
  std::size_t step_ = 0;
  bool waiting_ = false;
};

}  // namespace tweedie
