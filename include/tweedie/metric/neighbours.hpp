// What the nearest neighbours of samples tell of the distributions they come from.
//
//   entropy    psi(n) - psi(k) + log V_d + d/n sum log r_k(x_i)       Kozachenko and Leonenko 1987
//   log p/q    d log(s_k(x)/r_k(x)) + log(m/(n - 1)) at a sample x of p; its mean estimates
//              KL(p || q)                                             Wang, Kulkarni and Verdu 2009, eq. 5
//   precision  share of generated points within r_k of some real one
//   recall     share of real points within the generated ones' r_k    Kynkaanniemi et al. 2019, eqs. 1-2
//   density    1/k mean over generated points of the real balls they are in
//   coverage   share of real points with a generated one in their ball  Naeem et al. 2020, eqs. 3-4
//
// r_k: distance to the k-th nearest of the other points of its own set; s_k: of the other set; V_d:
// volume of the unit ball; psi: digamma function. Columns are points, which must be finite. Cost
// n^2 d in blocks, in double.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "tweedie/metric/pairs.hpp"

namespace tweedie {

namespace detail {

/// The k smallest of the numbers given to each of n places.
class smallest {
 public:
  smallest(Eigen::Index n, int k)
      : k_(k), values_(Eigen::MatrixXd::Constant(k, n, std::numeric_limits<double>::infinity())) {}
  void add(Eigen::Index place, double value) {
    double* const v = values_.col(place).data();
    if (!(value < v[k_ - 1])) return;
    int at = k_ - 1;
    for (; at > 0 && v[at - 1] > value; --at) v[at] = v[at - 1];
    v[at] = value;
  }
  double largest(Eigen::Index place) const { return values_(k_ - 1, place); }

 private:
  int k_;
  Eigen::MatrixXd values_;
};

inline void require_neighbours(const char* function, int k, Eigen::Index points) {
  require(k >= 1 && k <= points, function, "k", k,
          "valid: 1 <= k <= number of points that may be neighbours");
}

/// log V_d.
inline double log_ball_volume(Eigen::Index d) {
  const double half = static_cast<double>(d) / 2;
  return half * std::log(std::numbers::pi) - std::lgamma(half + 1);
}
/// psi(b) - psi(a) of integers: 1/a + ... + 1/(b - 1).
inline double digamma_difference(Eigen::Index a, Eigen::Index b) {
  double sum = 0;
  for (Eigen::Index i = b - 1; i >= a; --i) sum += 1 / static_cast<double>(i);
  return sum;
}
inline double checked_log_distance(const char* function, double distance) {
  require(distance > 0, function, "distance to the k-th neighbour", distance,
          "valid: > 0; samples that repeat come from no density");
  return std::log(distance);
}

/// Distance of each column of x to the k-th nearest of y, where x is y leaving out itself.
inline Eigen::VectorXd kth_distances(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, int k,
                                     bool of_itself) {
  constexpr const char* name = "neighbour_distances";
  require_points(name, x, y, 1);
  require_neighbours(name, k, y.cols() - (of_itself ? 1 : 0));
  smallest nearest(x.cols(), k);
  visit_pairs(x, y, false, [&](Eigen::Index i, Eigen::Index j, const point_pair& p) {
    if (!of_itself || i != j) nearest.add(i, p.squared_distance);
  });
  Eigen::VectorXd out(x.cols());
  for (Eigen::Index i = 0; i < x.cols(); ++i) out[i] = std::sqrt(nearest.largest(i));
  return out;
}

}  // namespace detail

/// Distance of each point to the k-th nearest of the others.
template <class Points>
Eigen::VectorXd neighbour_distances(const Eigen::MatrixBase<Points>& points, int k) {
  const Eigen::MatrixXd x = points.template cast<double>();
  return detail::kth_distances(x, x, k, true);
}

/// Distance of each query to the k-th nearest of the points.
template <class Queries, class Points>
Eigen::VectorXd neighbour_distances(const Eigen::MatrixBase<Queries>& queries,
                                    const Eigen::MatrixBase<Points>& points, int k) {
  return detail::kth_distances(queries.template cast<double>(), points.template cast<double>(), k,
                               false);
}

/// Differential entropy of the density that the points come from, in nats. Its bias falls with n
/// and rises with k and d.
/// \throws std::invalid_argument where more than k points are equal.
template <class Points>
double entropy_of_samples(const Eigen::MatrixBase<Points>& points, int k = 3) {
  const Eigen::VectorXd distances = neighbour_distances(points, k);
  double logs = 0;
  for (const double r : distances) logs += detail::checked_log_distance("entropy_of_samples", r);
  const Eigen::Index n = points.cols(), d = points.rows();
  return detail::digamma_difference(k, n) + detail::log_ball_volume(d) +
         static_cast<double>(d) * logs / static_cast<double>(n);
}

/// Estimates of log(p/q) at the points of `first` ~ p, from points of `second` ~ q. Each is off by a
/// random number of variance about 2/k: means are estimates for any k, as that of
/// `kl_divergence_of_samples`; functions of it that bend, as `js_divergence_of_samples`, need a k that grows with n.
/// \throws std::invalid_argument where more than k points are equal.
template <class First, class Second>
std::vector<double> log_ratios_of_samples(const Eigen::MatrixBase<First>& first,
                                          const Eigen::MatrixBase<Second>& second, int k) {
  constexpr const char* name = "log_ratios_of_samples";
  const Eigen::VectorXd own = neighbour_distances(first, k);
  const Eigen::VectorXd other = neighbour_distances(first, second, k);
  const auto d = static_cast<double>(first.rows());
  const double sizes =
      std::log(static_cast<double>(second.cols()) / static_cast<double>(first.cols() - 1));
  std::vector<double> out;
  for (Eigen::Index i = 0; i < own.size(); ++i)
    out.push_back(d * (detail::checked_log_distance(name, other[i]) -
                       detail::checked_log_distance(name, own[i])) +
                  sizes);
  return out;
}

/// KL(p || q) of the densities that the points of `first` and `second` come from. May be negative.
template <class First, class Second>
double kl_divergence_of_samples(const Eigen::MatrixBase<First>& first,
                                const Eigen::MatrixBase<Second>& second, int k = 3) {
  double sum = 0;
  for (const double l : log_ratios_of_samples(first, second, k)) sum += l;
  return sum / static_cast<double>(first.cols());
}

/// Fidelity and diversity of generated points, all 1 for equal sets. For points of one distribution,
/// n real and m generated, the expectation of density is 1 and that of coverage is 1 - C(n - 1, k) /
/// C(n + m - 1, k), about 1 - 2^-k for n = m.
struct sample_quality {
  double precision = 0;
  double recall = 0;
  double density = 0;
  double coverage = 0;
};

/// k = 3 in Kynkaanniemi et al. 2019, 5 in Naeem et al. 2020. Balls include their border for
/// precision and recall, as in the first, not for density and coverage, as in the code of the second.
template <class Real, class Generated>
sample_quality quality_of_samples(const Eigen::MatrixBase<Real>& real,
                                  const Eigen::MatrixBase<Generated>& generated, int k = 5) {
  const Eigen::MatrixXd x = real.template cast<double>(), y = generated.template cast<double>();
  detail::require_points("quality_of_samples", x, y, 2);
  struct balls {
    std::vector<bool> holds_one;  // balls that hold a visitor in their interior
    std::vector<bool> held;       // visitors within a ball or on its border
    double visits = 0;            // visitors in the interior of balls
  };
  const auto visit = [k](const Eigen::MatrixXd& centres, const Eigen::MatrixXd& visitors) {
    const Eigen::VectorXd radii = neighbour_distances(centres, k);
    balls out{std::vector<bool>(static_cast<std::size_t>(centres.cols())),
              std::vector<bool>(static_cast<std::size_t>(visitors.cols()))};
    detail::visit_pairs(centres, visitors, false,
                        [&](Eigen::Index i, Eigen::Index j, const point_pair& p) {
                          const double distance = std::sqrt(p.squared_distance);
                          if (distance <= radii[i]) out.held[static_cast<std::size_t>(j)] = true;
                          if (!(distance < radii[i])) return;
                          out.holds_one[static_cast<std::size_t>(i)] = true;
                          ++out.visits;
                        });
    return out;
  };
  const auto share = [](const std::vector<bool>& marks) {
    return static_cast<double>(std::count(marks.begin(), marks.end(), true)) /
           static_cast<double>(marks.size());
  };
  const balls of_real = visit(x, y), of_generated = visit(y, x);
  return {share(of_real.held), share(of_generated.held),
          of_real.visits / (k * static_cast<double>(y.cols())), share(of_real.holds_one)};
}

}  // namespace tweedie
