// Tableaux of explicit exponential Runge-Kutta methods: entries that are combinations of
// phi_k(c z) (sampler/exponential.hpp), z the exponent of the step.
//
// Rows sum to c_i phi_1(c_i z), the weights b_j to phi_1(z) (Hochbruck and Ostermann 2010, eq. 2.35); the
// entries of the first column follow from that and are not stored.
//
//   method               evaluations   order   source
//   etd1                 1             1       DDIM
//   etd2(c)              2             2       RES 2s (Zhang et al. 2023), DPM-Solver-2 "taylor"
//   dpm_solver_2(c)      2             2       Lu et al. 2022a, algorithm 1
//   etd3(c_2, c_3)       3             3       Hochbruck and Ostermann 2005, eq. 5.8; RES 3s
//   dpm_solver_3(..)     3             3       Lu et al. 2022a, algorithm 2
//   dpm_solver_3_exact   3             3       the same, "taylor": the quadratic, integrated exactly
//   cox_matthews         4             4       Cox and Matthews 2002, eq. 26-29 (ETD4RK)
//   krogstad             4             4       Krogstad 2005, eq. 51 (ETDRK4-B)
//   hochbruck_ostermann  5             4       Hochbruck and Ostermann 2005, eq. 5.19; stiff order 4
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "tweedie/sampler/exponential.hpp"

namespace tweedie {

/// weight * phi_k(c z), a part of a_ij, or of b_j where i is the number of stages; counted from 0.
struct phi_term {
  std::size_t i = 0;
  std::size_t j = 0;
  double weight = 0;
  int k = 1;
  double c = 1;
};

/// An explicit exponential method. Invariant: c[0] = 0, 0 < c[i] <= 1; 1 <= j < i in every term.
struct exponential_tableau {
  std::vector<double> c;
  std::vector<phi_term> terms;

  /// a_ij(z), or b_j(z) for i = stages; j >= 1.
  double entry(std::size_t i, std::size_t j, double z) const {
    double sum = 0;
    for (const phi_term& t : terms)
      if (t.i == i && t.j == j) sum += t.weight * phi(t.k, t.c * z);
    return sum;
  }
};

namespace detail {

inline void require_stage(const char* function, const char* argument, double c) {
  require(c > 0 && c <= 1, function, argument, c, "valid: a place in the step, 0 < c <= 1");
}

}  // namespace detail

/// One evaluation.
inline exponential_tableau etd1() { return {{0}, {}}; }

/// Two evaluations, the second at c in (0, 1]: the line through both, integrated exactly.
inline exponential_tableau etd2(double c = 0.5) {
  detail::require_stage("etd2", "c", c);
  return {{0, c}, {{2, 1, 1 / c, 2, 1}}};
}

/// Two evaluations, the second at c in (0, 1]: the slope with half the weight of the constant.
inline exponential_tableau dpm_solver_2(double c = 0.5) {
  detail::require_stage("dpm_solver_2", "c", c);
  return {{0, c}, {{2, 1, 0.5 / c, 1, 1}}};
}

/// Three evaluations at 0, c_2, c_3 with stiff order 3. c_2 != 2/3, and c_2 != c_3.
inline exponential_tableau etd3(double c_2 = 0.5, double c_3 = 1) {
  detail::require_stage("etd3", "c_2", c_2);
  detail::require_stage("etd3", "c_3", c_3);
  const double gamma = (3 * c_3 - 2) * c_3 / ((2 - 3 * c_2) * c_2);
  detail::require(std::isfinite(gamma) && gamma * c_2 + c_3 != 0, "etd3", "c_2", c_2,
                  "valid: 0 < c_2, c_3 <= 1, c_2 != 2/3, c_2 != c_3");
  const double scale = 1 / (gamma * c_2 + c_3);
  return {{0, c_2, c_3},
          {{2, 1, gamma * c_2, 2, c_2},
           {2, 1, c_3 * c_3 / c_2, 2, c_3},
           {3, 1, gamma * scale, 2, 1},
           {3, 2, scale, 2, 1}}};
}

/// Three evaluations at 0, c_2, c_3, both in (0, 1]; the last step uses the line through the first
/// and the third.
inline exponential_tableau dpm_solver_3(double c_2 = 1.0 / 3, double c_3 = 2.0 / 3) {
  detail::require_stage("dpm_solver_3", "c_2", c_2);
  detail::require_stage("dpm_solver_3", "c_3", c_3);
  return {{0, c_2, c_3}, {{2, 1, c_3 * c_3 / c_2, 2, c_3}, {3, 2, 1 / c_3, 2, 1}}};
}

/// The same with the quadratic through all three in the last step. c_2 != c_3.
inline exponential_tableau dpm_solver_3_exact(double c_2 = 1.0 / 3, double c_3 = 2.0 / 3) {
  exponential_tableau out = dpm_solver_3(c_2, c_3);
  detail::require(c_2 != c_3, "dpm_solver_3_exact", "c_3", c_3, "valid: not c_2");
  const double first = 1 / (c_2 * (c_2 - c_3)), second = 1 / (c_3 * (c_3 - c_2));
  out.terms = {out.terms[0],
               {3, 1, -c_3 * first, 2, 1},
               {3, 1, 2 * first, 3, 1},
               {3, 2, -c_2 * second, 2, 1},
               {3, 2, 2 * second, 3, 1}};
  return out;
}

namespace detail {

// The stages of Cox and Matthews with other a_ij: their b_j are shared.
inline exponential_tableau with_cox_matthews_weights(std::vector<phi_term> terms) {
  for (const phi_term& b :
       {phi_term{4, 1, 2, 2, 1}, phi_term{4, 1, -4, 3, 1}, phi_term{4, 2, 2, 2, 1},
        phi_term{4, 2, -4, 3, 1}, phi_term{4, 3, -1, 2, 1}, phi_term{4, 3, 4, 3, 1}})
    terms.push_back(b);
  return {{0, 0.5, 0.5, 1}, std::move(terms)};
}

}  // namespace detail

/// ETD4RK.
inline exponential_tableau cox_matthews() {
  return detail::with_cox_matthews_weights({{2, 1, 0.5, 1, 0.5}, {3, 2, 1, 1, 0.5}});
}

/// ETDRK4-B: the weights of ETD4RK, other stages.
inline exponential_tableau krogstad() {
  return detail::with_cox_matthews_weights({{2, 1, 1, 2, 0.5}, {3, 2, 2, 2, 1}});
}

/// Of fourth order for stiff equations too.
inline exponential_tableau hochbruck_ostermann() {
  return {{0, 0.5, 0.5, 1, 0.5},
          {{2, 1, 1, 2, 0.5},
           {3, 1, 1, 2, 1},
           {3, 2, 1, 2, 1},
           {4, 1, 0.5, 2, 0.5},
           {4, 1, -1, 3, 1},
           {4, 1, 0.25, 2, 1},
           {4, 1, -0.5, 3, 0.5},
           {4, 2, 0.5, 2, 0.5},
           {4, 2, -1, 3, 1},
           {4, 2, 0.25, 2, 1},
           {4, 2, -0.5, 3, 0.5},
           {4, 3, -0.25, 2, 0.5},
           {4, 3, 1, 3, 1},
           {4, 3, -0.25, 2, 1},
           {4, 3, 0.5, 3, 0.5},
           {5, 3, -1, 2, 1},
           {5, 3, 4, 3, 1},
           {5, 4, 4, 2, 1},
           {5, 4, -8, 3, 1}}};
}

}  // namespace tweedie
