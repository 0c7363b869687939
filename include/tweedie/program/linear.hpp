// Formal linear combinations of the tensors of a run: the values that planners compute with.
//
// A planner writes x_next = a * x + b * clean + c * recorder.draw() with ordinary arithmetic; what
// it builds is a `linear`, a short sorted list of (tensor, weight). No tensor is touched.
#pragma once

#include <utility>
#include <vector>

#include "tweedie/requirements.hpp"

namespace tweedie {

/// Weighted sum of tensors named by the recorder that made them. Terms are sorted by tensor, each
/// tensor occurs once; a weight of exactly zero is dropped, so it can never turn an infinity of an
/// unused tensor into NaN.
class linear {
 public:
  struct term {
    int tensor;
    double weight;
    friend bool operator==(const term&, const term&) = default;
  };

  linear() = default;
  explicit linear(int tensor);

  const std::vector<term>& terms() const { return terms_; }

  /// True if this is one tensor with weight 1.
  bool is_tensor() const { return terms_.size() == 1 && terms_.front().weight == 1.0; }

  linear& operator+=(const linear& other) { return add(1, other); }
  linear& operator-=(const linear& other) { return add(-1, other); }
  linear& operator*=(double factor) {
    if (factor == 0) terms_.clear();
    for (term& t : terms_) t.weight *= factor;
    return *this;
  }
  linear& operator/=(double divisor) {
    for (term& t : terms_) t.weight /= divisor;
    return *this;
  }

  friend linear operator+(linear a, const linear& b) { return a += b; }
  friend linear operator-(linear a, const linear& b) { return a -= b; }
  friend linear operator-(linear a) { return a *= -1; }
  friend linear operator*(double factor, linear a) { return a *= factor; }
  friend linear operator*(linear a, double factor) { return a *= factor; }
  friend linear operator/(linear a, double divisor) { return a /= divisor; }
  friend bool operator==(const linear&, const linear&) = default;

 private:
  linear& add(double factor, const linear& other);

  std::vector<term> terms_;
};

#if defined(TWEEDIE_DEFINES_ENGINE)

TWEEDIE_INLINE linear::linear(int tensor) : terms_{{tensor, 1.0}} {}

TWEEDIE_INLINE linear& linear::add(double factor, const linear& other) {
  if (other.terms_.empty()) return *this;
  // The usual case: a tensor newer than all here.
  if (terms_.empty() || terms_.back().tensor < other.terms_.front().tensor) {
    terms_.reserve(terms_.size() + other.terms_.size());
    for (const term& t : other.terms_)
      if (factor * t.weight != 0) terms_.push_back({t.tensor, factor * t.weight});
    return *this;
  }
  std::vector<term> sum;
  sum.reserve(terms_.size() + other.terms_.size());
  auto a = terms_.begin();
  auto b = other.terms_.begin();
  while (a != terms_.end() || b != other.terms_.end()) {
    term next;
    if (b == other.terms_.end() || (a != terms_.end() && a->tensor < b->tensor)) {
      next = *a++;
    } else if (a == terms_.end() || b->tensor < a->tensor) {
      next = {b->tensor, factor * b->weight};
      ++b;
    } else {
      next = {a->tensor, a->weight + factor * b->weight};
      ++a;
      ++b;
    }
    if (next.weight != 0) sum.push_back(next);
  }
  terms_ = std::move(sum);
  return *this;
}

#endif

}  // namespace tweedie
