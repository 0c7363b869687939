// Explicit Runge-Kutta methods as data that checks itself: `order_of` tests the rooted-tree order
// conditions, and every tableau here is asserted at compile time.
//
//   k_i = f(y + h sum_j a_ij k_j),   y' = y + h sum_i b_i k_i
#pragma once

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// Coefficients of an explicit method with `stages` evaluations; unused entries are zero.
struct butcher_tableau {
  static constexpr std::size_t capacity = 7;
  using row = std::array<double, capacity>;

  std::size_t stages = 1;
  row c{};
  std::array<row, capacity> a{};
  row b{};
  row embedded{};  ///< weights of the companion of lower order; all zero if there is none

  /// Stages up to the last with a weight in b: those after it serve the embedded weights only.
  constexpr std::size_t weighted_stages() const {
    std::size_t used = stages;
    while (used > 1 && b[used - 1] == 0) --used;
    return used;
  }
};

/// Largest order p <= 5 whose conditions `weights` satisfies to rounding; 0 if inconsistent or if
/// c is not the row sum of a.
constexpr int order_of(const butcher_tableau& m, const butcher_tableau::row& weights);
constexpr int order_of(const butcher_tableau& m) { return order_of(m, m.b); }

/// One stage: Euler.
inline constexpr butcher_tableau euler_tableau{.stages = 1, .b = {1}};

/// Explicit trapezoid: Heun's method.
inline constexpr butcher_tableau heun_tableau{
    .stages = 2, .c = {0, 1}, .a = {{{}, {1}}}, .b = {0.5, 0.5}, .embedded = {1}};

/// Explicit midpoint: order 2, with Euler embedded.
inline constexpr butcher_tableau midpoint_tableau{
    .stages = 2, .c = {0, 0.5}, .a = {{{}, {0.5}}}, .b = {0, 1}, .embedded = {1}};

/// Ralston 1962: smallest error bound of second order.
inline constexpr butcher_tableau ralston_tableau{
    .stages = 2, .c = {0, 2. / 3}, .a = {{{}, {2. / 3}}}, .b = {0.25, 0.75}, .embedded = {1}};

/// The classical method of Kutta 1901.
inline constexpr butcher_tableau kutta_tableau{.stages = 4,
                                               .c = {0, 0.5, 0.5, 1},
                                               .a = {{{}, {0.5}, {0, 0.5}, {0, 0, 1}}},
                                               .b = {1. / 6, 1. / 3, 1. / 3, 1. / 6}};

/// Bogacki and Shampine 1989, 3(2); the fourth stage serves the embedded weights only.
inline constexpr butcher_tableau bogacki_shampine_tableau{
    .stages = 4,
    .c = {0, 0.5, 0.75, 1},
    .a = {{{}, {0.5}, {0, 0.75}, {2. / 9, 1. / 3, 4. / 9}}},
    .b = {2. / 9, 1. / 3, 4. / 9},
    .embedded = {7. / 24, 0.25, 1. / 3, 0.125}};

/// Dormand and Prince 1980, 5(4); the seventh stage serves the embedded weights only.
inline constexpr butcher_tableau dormand_prince_tableau{
    .stages = 7,
    .c = {0, 0.2, 0.3, 0.8, 8. / 9, 1, 1},
    .a = {{{},
           {0.2},
           {3. / 40, 9. / 40},
           {44. / 45, -56. / 15, 32. / 9},
           {19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
           {9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
           {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84}}},
    .b = {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84},
    .embedded = {5179. / 57600, 0, 7571. / 16695, 393. / 640, -92097. / 339200, 187. / 2100,
                 1. / 40}};

/// Tsitouras 2011, 5(4); the seventh stage serves the embedded weights only.
inline constexpr butcher_tableau tsitouras_tableau{
    .stages = 7,
    .c = {0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1},
    .a = {{{},
           {0.161},
           {-0.008480655492356989, 0.335480655492357},
           {2.8971530571054935, -6.359448489975075, 4.3622954328695815},
           {5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525},
           {5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401,
            -0.028269050394068383},
           {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
            2.324710524099774}}},
    .b = {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
          2.324710524099774},
    .embedded = {0.09646076681806523 - 0.001780011052226, 0.01 - 0.000816434459657,
                 0.4798896504144996 + 0.007880878010262, 1.379008574103742 - 0.144711007173263,
                 -3.290069515436081 + 0.582357165452555, 2.324710524099774 - 0.458082105929187,
                 1. / 66}};

/// The second-order methods with second stage at c in (0, 1]: midpoint 1/2, Ralston 2/3, Heun 1
/// (Karras et al. 2022, algorithm 3, alpha).
/// \throws std::invalid_argument for any other c.
constexpr butcher_tableau second_order_tableau(double c) {
  if (!(c > 0 && c <= 1)) detail::fail("second_order_tableau", "c", c, "valid: 0 < c <= 1");
  return {.stages = 2,
          .c = {0, c},
          .a = {{{}, {c}}},
          .b = {1 - 1 / (2 * c), 1 / (2 * c)},
          .embedded = {1}};
}

/// Slopes of the first `stages` stages from `start` over a step h. `slope(i, state)` gives k_i at the
/// state of stage i, which it may change; State needs +, and h * from the left.
template <class State, class Slope>
std::vector<State> runge_kutta_slopes(const butcher_tableau& m, std::size_t stages,
                                      const State& start, double h, const Slope& slope) {
  std::vector<State> k;
  for (std::size_t i = 0; i < stages; ++i) {
    State stage = start;
    for (std::size_t j = 0; j < i; ++j) stage += h * m.a[i][j] * k[j];
    k.push_back(slope(i, stage));
  }
  return k;
}

/// start + h sum_i weights_i k_i
template <class State, class Weights>
State runge_kutta_end(State start, double h, const Weights& weights, const std::vector<State>& k) {
  for (std::size_t i = 0; i < k.size(); ++i) start += h * weights[i] * k[i];
  return start;
}

namespace detail {

constexpr bool close(double a, double b) { return a - b < 1e-13 && b - a < 1e-13; }

// One factor of an elementary weight: values at the stages.
struct tree {
  const butcher_tableau& m;
  butcher_tableau::row at{};

  constexpr tree operator*(const tree& other) const {
    tree product{m, {}};
    for (std::size_t i = 0; i < m.stages; ++i) product.at[i] = at[i] * other.at[i];
    return product;
  }
  /// Grafts onto a new root: sum_j a_ij at_j.
  constexpr tree grown() const {
    tree out{m, {}};
    for (std::size_t i = 0; i < m.stages; ++i)
      for (std::size_t j = 0; j < i; ++j) out.at[i] += m.a[i][j] * at[j];
    return out;
  }
  constexpr double weight(const butcher_tableau::row& b) const {
    double sum = 0;
    for (std::size_t i = 0; i < m.stages; ++i) sum += b[i] * at[i];
    return sum;
  }
};

}  // namespace detail

// The 17 rooted trees of up to five vertices (Hairer, Norsett and Wanner, table II.2.1).
constexpr int order_of(const butcher_tableau& m, const butcher_tableau::row& weights) {
  using detail::close;
  detail::tree one{m, {}};
  for (double& v : one.at) v = 1;
  const detail::tree c = one.grown();
  for (std::size_t i = 0; i < m.stages; ++i)
    if (!close(c.at[i], m.c[i])) return 0;
  const auto holds = [&weights](const detail::tree& t, double density) {
    return close(t.weight(weights) * density, 1);
  };
  if (!holds(one, 1)) return 0;
  if (!holds(c, 2)) return 1;
  const detail::tree ac = c.grown();
  const detail::tree cc = c * c;
  if (!holds(cc, 3) || !holds(ac, 6)) return 2;
  const detail::tree acc = cc.grown();
  const detail::tree aac = ac.grown();
  if (!holds(cc * c, 4) || !holds(c * ac, 8) || !holds(acc, 12) || !holds(aac, 24)) return 3;
  if (!holds(cc * cc, 5) || !holds(cc * ac, 10) || !holds(c * acc, 15) || !holds(c * aac, 30) ||
      !holds(ac * ac, 20) || !holds((cc * c).grown(), 20) || !holds((c * ac).grown(), 40) ||
      !holds(acc.grown(), 60) || !holds(aac.grown(), 120))
    return 4;
  return 5;
}

static_assert(order_of(euler_tableau) == 1);
static_assert(order_of(heun_tableau) == 2);
static_assert(order_of(midpoint_tableau) == 2);
static_assert(order_of(ralston_tableau) == 2);
static_assert(order_of(second_order_tableau(0.9)) == 2);
static_assert(order_of(kutta_tableau) == 4);
static_assert(order_of(bogacki_shampine_tableau) == 3);
static_assert(order_of(bogacki_shampine_tableau, bogacki_shampine_tableau.embedded) == 2);
static_assert(order_of(dormand_prince_tableau) == 5);
static_assert(order_of(dormand_prince_tableau, dormand_prince_tableau.embedded) == 4);
static_assert(order_of(tsitouras_tableau) == 5);
static_assert(order_of(tsitouras_tableau, tsitouras_tableau.embedded) == 4);

}  // namespace tweedie
