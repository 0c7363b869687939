// Couplings of two batches: which noise belongs to which data.
//
//   independent   as drawn
//   optimal       the permutation of least total cost (Tong et al. 2024; Pooladian et al. 2023),
//                 by shortest augmenting paths, O(n^3)
//   entropic      the plan P = diag(u) e^(-C/epsilon) diag(v) with given marginals (Cuturi 2013), in
//                 the log domain, so that no epsilon underflows
//
// Flow matching with any coupling has the same marginals; a better one has straighter paths.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tweedie/metric/pairs.hpp"
#include "tweedie/tensor/batch.hpp"

namespace tweedie {

/// |x_i - y_j|^2 of the items of two batches.
template <tensor_like First, tensor_like Second>
Eigen::MatrixXd squared_distances(const First& x, const Second& y) {
  constexpr const char* name = "squared_distances";
  const std::size_t rows = detail::checked_items(name, x);
  const std::size_t other_rows = detail::checked_items(name, y);
  const std::size_t n = item_size(x);
  if (item_size(y) != n)
    detail::fail(name, "elements per item of y", static_cast<double>(item_size(y)),
                 "valid: as many as of x, " + std::to_string(n));
  const auto columns = [n](const auto& t, std::size_t items) -> Eigen::MatrixXd {
    using matrix = Eigen::Matrix<std::remove_cvref_t<decltype(elements(t)[0])>, Eigen::Dynamic,
                                 Eigen::Dynamic>;
    return Eigen::Map<const matrix>(elements(t).data(), static_cast<Eigen::Index>(n),
                                    static_cast<Eigen::Index>(items))
        .template cast<double>();
  };
  const Eigen::MatrixXd a = columns(x, rows), b = columns(y, other_rows);
  Eigen::MatrixXd out(a.cols(), b.cols());
  detail::visit_pairs(a, b, false, [&](Eigen::Index i, Eigen::Index j, const point_pair& p) {
    out(i, j) = p.squared_distance;
  });
  return out;
}

/// partner[i] of row i, a permutation that minimises the sum of cost(i, partner[i]).
inline std::vector<Eigen::Index> optimal_assignment(const Eigen::MatrixXd& cost);

/// Entropic plan, what it costs, <P, C> + epsilon KL(P || p q^T), its marginals' largest error and the
/// iterations it took.
struct entropic_plan {
  Eigen::MatrixXd plan;
  double cost = 0;
  double marginal_error = 0;
  int iterations = 0;
};

/// Sinkhorn's algorithm for marginals p (rows) and q (columns), each of sum 1, until every marginal
/// is met to `tolerance`.
/// \throws std::runtime_error if it is not within `max_iterations` >= 2.
inline entropic_plan sinkhorn(const Eigen::MatrixXd& cost, std::span<const double> p,
                              std::span<const double> q, double epsilon, double tolerance = 1e-10,
                              int max_iterations = 100000);

/// Sinkhorn's algorithm for uniform marginals.
inline entropic_plan sinkhorn(const Eigen::MatrixXd& cost, double epsilon, double tolerance = 1e-10,
                              int max_iterations = 100000) {
  const std::vector<double> p(static_cast<std::size_t>(cost.rows()),
                              1 / static_cast<double>(cost.rows()));
  const std::vector<double> q(static_cast<std::size_t>(cost.cols()),
                              1 / static_cast<double>(cost.cols()));
  return sinkhorn(cost, p, q, epsilon, tolerance, max_iterations);
}

/// For each row, a column drawn from the row of the plan with one uniform number in [0, 1).
inline std::vector<Eigen::Index> draw_partners(const Eigen::MatrixXd& plan,
                                               std::span<const double> uniforms) {
  detail::require_per_item("draw_partners", "uniforms", uniforms.size(),
                           static_cast<std::size_t>(plan.rows()));
  std::vector<Eigen::Index> partners;
  for (Eigen::Index i = 0; i < plan.rows(); ++i) {
    const double u = uniforms[static_cast<std::size_t>(i)];
    detail::require(u >= 0 && u < 1, "draw_partners", "uniform", u, "valid: 0 <= uniform < 1");
    double left = u * plan.row(i).sum();
    Eigen::Index j = 0;
    while (j + 1 < plan.cols() && left >= plan(i, j)) left -= plan(i, j++);
    partners.push_back(j);
  }
  return partners;
}

namespace detail {

inline void require_costs(const char* function, const Eigen::MatrixXd& cost) {
  if (!cost.allFinite()) fail(function, "costs must be finite");
}

/// log sum_j exp(v_j).
inline double log_sum_exp(const Eigen::ArrayXd& v) {
  const double high = v.maxCoeff();
  return std::isfinite(high) ? high + std::log((v - high).exp().sum()) : high;
}

}  // namespace detail

inline std::vector<Eigen::Index> optimal_assignment(const Eigen::MatrixXd& cost) {
  constexpr const char* name = "optimal_assignment";
  detail::require_costs(name, cost);
  const Eigen::Index n = cost.rows();
  detail::require(cost.cols() == n, name, "columns", static_cast<double>(cost.cols()),
                  "valid: as many as rows");
  constexpr double infinity = std::numeric_limits<double>::infinity();
  // Column 0 stands for "not matched yet"; rows and columns count from 1.
  std::vector<double> row_price(static_cast<std::size_t>(n) + 1),
      column_price(static_cast<std::size_t>(n) + 1);
  std::vector<std::size_t> row_of(static_cast<std::size_t>(n) + 1),
      before(static_cast<std::size_t>(n) + 1);
  const auto size = static_cast<std::size_t>(n);
  for (std::size_t row = 1; row <= size; ++row) {
    std::vector<double> distance(size + 1, infinity);
    std::vector<bool> reached(size + 1, false);
    std::size_t column = 0;
    row_of[0] = row;
    do {
      reached[column] = true;
      const std::size_t r = row_of[column];
      double step = infinity;
      std::size_t next = 0;
      for (std::size_t j = 1; j <= size; ++j) {
        if (reached[j]) continue;
        const double reduced =
            cost(static_cast<Eigen::Index>(r - 1), static_cast<Eigen::Index>(j - 1)) -
            row_price[r] - column_price[j];
        if (reduced < distance[j]) {
          distance[j] = reduced;
          before[j] = column;
        }
        if (distance[j] < step) {
          step = distance[j];
          next = j;
        }
      }
      for (std::size_t j = 0; j <= size; ++j) {
        if (reached[j]) {
          row_price[row_of[j]] += step;
          column_price[j] -= step;
        } else {
          distance[j] -= step;
        }
      }
      column = next;
    } while (row_of[column] != 0);
    while (column != 0) {
      row_of[column] = row_of[before[column]];
      column = before[column];
    }
  }
  std::vector<Eigen::Index> partner(size);
  for (std::size_t j = 1; j <= size; ++j) partner[row_of[j] - 1] = static_cast<Eigen::Index>(j - 1);
  return partner;
}

inline entropic_plan sinkhorn(const Eigen::MatrixXd& cost, std::span<const double> p,
                              std::span<const double> q, double epsilon, double tolerance,
                              int max_iterations) {
  constexpr const char* name = "sinkhorn";
  detail::require_costs(name, cost);
  detail::require(epsilon > 0, name, "epsilon", epsilon, "valid: epsilon > 0");
  detail::require(max_iterations >= 2, name, "max_iterations", max_iterations,
                  "valid: max_iterations >= 2");
  detail::require_per_item(name, "p", p.size(), static_cast<std::size_t>(cost.rows()));
  detail::require_per_item(name, "q", q.size(), static_cast<std::size_t>(cost.cols()));
  const auto logs = [](std::span<const double> weights) {
    Eigen::ArrayXd out(static_cast<Eigen::Index>(weights.size()));
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      detail::require(weights[i] > 0, name, "marginal", weights[i], "valid: > 0");
      sum += weights[i];
      out[static_cast<Eigen::Index>(i)] = std::log(weights[i]);
    }
    detail::require(std::abs(sum - 1) < 1e-8, name, "sum of a marginal", sum, "valid: 1");
    return out;
  };
  const Eigen::ArrayXd log_p = logs(p), log_q = logs(q);
  const Eigen::ArrayXXd kernel = -cost.array() / epsilon;
  Eigen::ArrayXd u = Eigen::ArrayXd::Zero(cost.rows()), v = Eigen::ArrayXd::Zero(cost.cols());
  entropic_plan out;
  for (out.iterations = 1; out.iterations <= max_iterations; ++out.iterations) {
    double error = 0;
    for (Eigen::Index i = 0; i < u.size(); ++i) {
      const double next = log_p[i] - detail::log_sum_exp(kernel.row(i).transpose() + v);
      error = (std::max)(error, std::exp(log_p[i]) * std::abs(std::expm1(u[i] - next)));
      u[i] = next;
    }
    for (Eigen::Index j = 0; j < v.size(); ++j)
      v[j] = log_q[j] - detail::log_sum_exp(kernel.col(j) + u);
    // Columns are exact now; rows were off by `error` before this round.
    out.marginal_error = error;
    if (error <= tolerance && out.iterations > 1) {
      out.plan = ((kernel.colwise() + u).rowwise() + v.transpose()).exp();
      // log P/(p q) = u - log p + v - log q - C/epsilon.
      out.cost = epsilon * ((log_p.exp() * (u - log_p)).sum() + (log_q.exp() * (v - log_q)).sum());
      return out;
    }
  }
  detail::raise(
      std::runtime_error(detail::describe(name, "marginal error", out.marginal_error,
                                          "not below the tolerance; more iterations or a larger "
                                          "epsilon are needed")));
}

}  // namespace tweedie
