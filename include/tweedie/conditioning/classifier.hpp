// Classifier guidance (Dhariwal and Nichol 2021, algorithm 2): the gradient of a classifier that knows noised data, added
// to the x0 estimate.
//
//   x0' = x0 + w (sigma^2 / alpha) grad_x log p(c | x),    which is eps' = eps - w sigma grad_x log p(c | x)
//
// At w = 1 this is Bayes: with an exact p(c | x) the estimate becomes E[x0 | x, c]. At other w it is classifier-free guidance of
// scale w from the unconditional estimate, and samples no tilted law (guidance/exact.hpp). The gradient is the caller's, as
// automatic differentiation of the classifier gives it, at the state x of the evaluation:
//
//   sampling s(plan, network, x, gaussian_noise{seed}, classifier_guided{2.0, gradient});
//   while (s.next()) { engine.run(s.input(), ...); classifier.differentiate(s.input()); }   // the state, if unscaled
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// A transform of x0 estimates for `sampling` and `run`. gradient(item, at, out) writes grad_x log p(c | x) of an item as
/// doubles; x is the state in the gauge of the grid.
template <class Gradient>
class classifier_guided {
 public:
  /// \throws std::invalid_argument unless scale is finite.
  classifier_guided(double scale, Gradient gradient)
      : scale_(scale), gradient_(std::move(gradient)) {
    detail::require(std::isfinite(scale), "classifier_guided", "scale", scale, "valid: finite");
  }

  /// Scale 0 asks for no gradient and leaves the bits. Clean data is left alone: it has no noise to move.
  /// \throws std::invalid_argument at alpha = 0, where x0 is no function of x, unless items divide the estimate, and
  ///   for a gradient that is not finite; the estimate is then as it was.
  template <class S>
  void operator()(std::span<S> clean, std::size_t items, const node& at) {
    constexpr const char* name = "classifier_guided";
    const auto [alpha, sigma] = at.level;
    if (scale_ == 0 || sigma == 0) return;
    detail::require(alpha > 0, name, "alpha", alpha,
                    "valid: alpha > 0; start from a level with signal");
    if (items == 0 || clean.size() % items != 0)
      detail::fail(name, "items", static_cast<double>(items), "valid: a divisor of the elements");
    const std::size_t length = clean.size() / items;
    moves_.resize(clean.size());
    for (std::size_t i = 0; i < items; ++i)
      gradient_(i, at, std::span<double>(moves_).subspan(i * length, length));
    detail::require_all_finite(name, "gradient", moves_);
    const double factor = scale_ * sigma * sigma / alpha;
    for (std::size_t i = 0; i < clean.size(); ++i)
      clean[i] = static_cast<S>(static_cast<double>(clean[i]) + factor * moves_[i]);
  }

 private:
  double scale_;
  Gradient gradient_;
  std::vector<double> moves_;
};

}  // namespace tweedie
