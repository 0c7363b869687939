// Restoring by one estimate of the picture that a denoiser corrects (RED-diff, Mardani et al. 2023, algorithm 1): for each
// level of a falling grid, one step of Adam down
//
//   |y - A u|^2 / (2 m)  +  (lambda/n) (sigma/alpha) sg[z^ - z]' u,      x = alpha u + sigma z,   z^ = the network's noise in x
//
// u has n elements, y has m; sg: not differentiated, so no derivative of the network is asked for. Since x is made of u and z as of
// x0^ and z^, (sigma/alpha)(z^ - z) = u - x0^, and the slope is A'(A u - y)/m + (lambda/n)(u - x0^).
//
// It ends in one picture, near a mode, not in a draw. The noise s of the measurement does not enter: lambda stands for it.
// For data N(0, v I) E[x0^] = (1 - w) u with w = sigma^2/(alpha^2 v + sigma^2), so that at one level the slope is 0 at the ridge
// estimate of penalty lambda w m/n: the posterior's mean where that is s^2/v, and the least-squares estimate as levels go to clean.
//
//   red_diff run(nodes, network, a, y, a_transposed_y, seed);
//   while (run.next()) engine(run.input(), run.network_time(), run.output());
//   use(run.state());
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/grid/grid.hpp"
#include "tweedie/process/forward.hpp"
#include "tweedie/program/network.hpp"
#include "tweedie/restore/operators.hpp"
#include "tweedie/solve/adam.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {

/// The numbers of the paper's code.
struct red_diff_options {
  double lambda = 0.25;  ///< weight of the denoiser, >= 0
  double rate = 0.1;     ///< of Adam, whose decays are 0.9 and 0.99
};

/// One restoration, pulled one network call at a time; copy it to fork. S is the scalar of the network.
template <class S, linear_operator A>
class red_diff {
 public:
  /// \param nodes falling; a clean last one is not asked
  /// \param y one measurement for each item
  /// \param start first estimates, such as A^+ y: as many items of a.inputs() elements
  /// \throws std::invalid_argument unless the grid falls, y holds whole finite measurements, start fits and is finite,
  ///   lambda is not negative and rate positive, both finite.
  red_diff(const grid& nodes, network_description network, A a, std::vector<double> y,
           const std::vector<S>& start, std::uint64_t seed, red_diff_options how = {})
      : nodes_(nodes),
        network_(std::move(network)),
        a_(std::move(a)),
        y_(std::move(y)),
        state_(start.begin(), start.end()),
        slope_(start.size()),
        noisy_(start.size()),
        image_(a_.outputs()),
        pulled_(a_.inputs()),
        input_(start.size()),
        output_(start.size()),
        seed_(seed),
        how_(how),
        descent_{.second_decay = 0.99} {
    constexpr const char* name = "red_diff";
    check_descending(name, nodes_);
    if (nodes_.back().level.sigma == 0) nodes_.pop_back();
    detail::require(!nodes_.empty(), name, "noisy nodes", 0, "valid: at least 1");
    detail::check_measurements(name, a_.outputs(), y_, 0);
    detail::require_equal(name, "start.size()", start.size(), items() * a_.inputs());
    detail::require_all_finite(name, "start", state_);
    detail::require(how.lambda >= 0 && std::isfinite(how.lambda), name, "lambda", how.lambda,
                    "valid: 0 <= lambda < inf");
    detail::require(how.rate > 0 && std::isfinite(how.rate), name, "rate", how.rate,
                    "valid: 0 < rate < inf");
  }

  /// Runs to the next network call; false when all levels are done.
  /// \throws std::invalid_argument where the answer does not determine x0, or is not finite; the estimate is then as
  ///   it was.
  bool next() {
    if (waiting_) {
      descend();
      waiting_ = false;
      ++step_;
    }
    if (step_ == nodes_.size()) return false;
    const node& at = nodes_[step_];
    const double scale = network_.input_scale(at);
    for (std::size_t item = 0; item < items(); ++item)
      fill_normal(
          noise_key{seed_, static_cast<std::uint32_t>(item), static_cast<std::uint32_t>(step_)}, 0,
          std::span(noisy_).subspan(item * a_.inputs(), a_.inputs()));
    for (std::size_t i = 0; i < noisy_.size(); ++i) {
      noisy_[i] = noised(state_[i], noisy_[i], at.level);
      input_[i] = static_cast<S>(scale * noisy_[i]);
    }
    waiting_ = true;
    return true;
  }

  std::span<const S> input() const { return input_; }
  double network_time() const { return network_.time(at()); }
  /// Level of what the network is asked about.
  const node& at() const { return nodes_[(std::min)(step_, nodes_.size() - 1)]; }
  /// Where the network writes.
  std::span<S> output() { return output_; }
  /// The estimates, which have no noise.
  std::span<const double> state() const { return state_; }
  std::size_t steps_done() const { return step_; }

 private:
  std::size_t items() const { return y_.size() / a_.outputs(); }

  void descend() {
    const state_output clean = sample_from(at().level, answer_row(network_, at()));
    const std::size_t n = a_.inputs(), m = a_.outputs();
    for (std::size_t item = 0; item < items(); ++item) {
      a_.apply(std::span(state_).subspan(item * n, n), image_);
      for (std::size_t i = 0; i < m; ++i)
        image_[i] = (image_[i] - y_[item * m + i]) / static_cast<double>(m);
      a_.adjoint(image_, pulled_);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t k = item * n + i;
        const double estimate = clean.x * noisy_[k] + clean.y * static_cast<double>(output_[k]);
        slope_[k] = pulled_[i] + how_.lambda / static_cast<double>(n) * (state_[k] - estimate);
        detail::require(std::isfinite(slope_[k]), "red_diff", "slope", slope_[k],
                        "valid: finite answers of the network");
      }
    }
    descent_.step(state_, slope_, how_.rate);
  }

  grid nodes_;
  network_description network_;
  A a_;
  std::vector<double> y_, state_, slope_, noisy_, image_, pulled_;
  std::vector<S> input_, output_;
  std::uint64_t seed_;
  red_diff_options how_;
  adam<double> descent_;
  std::size_t step_ = 0;
  bool waiting_ = false;
};

}  // namespace tweedie
