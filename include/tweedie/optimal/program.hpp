// The program with the least error on a model of your own: levels and weights of a multistep sampler,
// fitted to pilot runs.
//
//   const pilot_runs pilots = record_pilots(schedule, denoise, noise, 200, 0, true);  // once
//   const fitted_program best = optimal_program(schedule, 8, denoise, pilots);
//   run(best.plan, network, x, evaluate);                               // as often as you like
//
// The published pairs of grid and sampler are tried on the pilots; the best of them are refined by
// Gauss-Newton steps on the error at the end of the run, over the levels of all calls but the first
// and over the weights of the last `memory` estimates in every step, of which the newest follows from
// the others (multistep_form.hpp). Learned levels and weights are those of bespoke non-stationary
// solvers (Shaul et al. 2024), of S4S (Frankel et al. 2025) and of DC-Solver (Zhao et al. 2024); the
// search here needs no gradient of the network.
//
// The end alone is a treacherous measure: flows contract towards modes, so that a fit may be wild on the
// way as long as no pilot changes its mode, and others then do. Where pilots are recorded with their ways,
// fits are also made that weigh the error at every node of the run; which weight is best is found on
// pilots that were not fitted. What these tell is little, too, where modes are points: many programs then make all of
// n pilots exactly. So programs are compared by e + k w/(1000 n), e and w their mean square errors at the end and on the
// way and k w the end error that the published pairs have for such a way (k by least squares over them): as if a
// thousandth of a pilot more had been seen, that erred as its way predicts. It decides where ends tell nothing.
//
// Cost. Parameters P = (N - 1) + sum_i min(i, memory - 1), about 4 N; an iteration asks the network
// about P N/2 times per pilot and keeps P times the pilots in memory, N times that for errors on the way. Pilots times dimension should be
// at least fifty times P: 256 pilots in 16 dimensions, or 8 images. One quarter of the pilots is never
// fitted: on it fits are compared with the best published pair (the best on all pilots), and the best of
// these returned.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/optimal/least_squares.hpp"
#include "tweedie/optimal/multistep_form.hpp"
#include "tweedie/optimal/pilot.hpp"
#include "tweedie/optimal/published_pairs.hpp"
#include "tweedie/optimal/recorded_ways.hpp"

namespace tweedie {

/// What `optimal_program` found.
struct fitted_program {
  program plan;
  double error = 0;            ///< rms end error on the pilots that were not fitted
  std::string published;       ///< best published pair on the pilots
  double published_error = 0;  ///< its rms end error on the pilots that were not fitted
};

/// How hard `optimal_program` looks.
struct optimal_program_options {
  search_options search = {};
  int memory = 4;  ///< estimates in a step whose weights are fitted, at least 1
  int starts = 2;  ///< published pairs that are refined
  /// Weights of the mean square error on the way beside that at the end, one fit each; those but 0 need
  /// pilots recorded with keep = true.
  std::vector<double> ways = {0, 30, 300};
};

namespace detail {

/// The free numbers of a form: logarithms of the levels but the first, weights but the newest.
template <invertible_schedule Schedule>
class free_form {
 public:
  free_form(const Schedule& schedule, multistep_form start, int memory)
      : schedule_(schedule), start_(std::move(start)), range_(searched_levels(schedule)) {
    for (std::size_t i = 1; i < steps(); ++i) first_.push_back(i - 1);
    for (std::size_t i = 0; i < steps(); ++i) {
      std::vector<double>& w = start_.clean[i];
      const std::size_t oldest = i - (std::min)(i, static_cast<std::size_t>(memory - 1));
      for (std::size_t j = 0; j < oldest; ++j) w[oldest] += std::exchange(w[j], 0);
      for (std::size_t j = oldest; j < i; ++j) {
        first_.push_back(i);
        weights_.emplace_back(i, j);
      }
    }
  }

  std::size_t steps() const { return start_.steps(); }
  /// The first step that parameter k changes.
  std::size_t first(Eigen::Index k) const { return first_[static_cast<std::size_t>(k)]; }

  Eigen::VectorXd start() const {
    Eigen::VectorXd p(static_cast<Eigen::Index>(first_.size()));
    Eigen::Index k = 0;
    for (std::size_t i = 1; i < steps(); ++i) p[k++] = std::log(noise_level(start_.nodes[i].level));
    for (const auto& [i, j] : weights_) p[k++] = start_.clean[i][j];
    return admissible(std::move(p));
  }

  Eigen::VectorXd admissible(Eigen::VectorXd p) const {
    return separated(std::move(p), static_cast<Eigen::Index>(steps()) - 1, range_);
  }

  multistep_form at(const Eigen::VectorXd& p) const {
    multistep_form form = start_;
    Eigen::Index k = 0;
    for (std::size_t i = 1; i < steps(); ++i)
      form.nodes[i] = node_of_level(schedule_, std::exp(p[k++]));
    for (const auto& [i, j] : weights_) form.clean[i][j] = p[k++];
    for (std::size_t i = 0; i < steps(); ++i) {
      std::vector<double>& w = form.clean[i];
      w[i] = ddim_step(form.nodes[i].level, form.nodes[i + 1].level).clean -
             std::accumulate(w.begin(), w.end() - 1, 0.0);
    }
    return form;
  }

 private:
  Schedule schedule_;
  multistep_form start_;
  level_range range_;
  std::vector<std::size_t> first_;
  std::vector<std::pair<std::size_t, std::size_t>> weights_;
};

/// Takes the steps of `form` from number `first` on, from the state x before it. `clean` holds the
/// estimates up to there and grows by those that follow; `look(x)` is shown the state before each step.
template <batch_denoiser Denoiser, class Look>
Eigen::MatrixXd take_steps(const multistep_form& form, const Denoiser& denoise, std::size_t first,
                           Eigen::MatrixXd x, std::vector<Eigen::MatrixXd>& clean,
                           const Look& look) {
  for (std::size_t i = first; i < form.steps(); ++i) {
    look(x);
    if (clean.size() <= i) clean.push_back(denoise(form.nodes[i], x));
    x *= form.nodes[i + 1].level.sigma / form.nodes[i].level.sigma;
    for (std::size_t j = 0; j <= i; ++j)
      if (form.clean[i][j] != 0) x += form.clean[i][j] * clean[j];
  }
  return x;
}

}  // namespace detail

/// `start`, refined on `pilots` over levels and weights. A step uses its newest `memory` estimates;
/// the weights of older ones go to the oldest of these before the search.
/// \param way weight of the mean square error on the way; more than 0 needs pilots recorded with keep = true
template <invertible_schedule Schedule, batch_denoiser Denoiser>
multistep_form refined(const Schedule& schedule, const multistep_form& start,
                       const Denoiser& denoise, const pilot_runs& pilots,
                       const optimal_program_options& options = {}, double way = 0) {
  using Eigen::MatrixXd;
  using Eigen::VectorXd;
  detail::require(way >= 0 && std::isfinite(way), "refined", "way", way, "valid: 0 <= way < inf");
  detail::require(options.memory >= 1, "refined", "memory", options.memory, "valid: >= 1");
  const detail::free_form<Schedule> free(schedule, start, options.memory);
  std::optional<detail::recorded_ways> ways;
  if (way > 0) ways.emplace(pilots);
  const double share = std::sqrt(way / static_cast<double>(start.steps()));
  // Errors after each step from number `first` on, those of the steps before being 0, and last that of
  // the end. seen[i] is the state before step first + i.
  const auto errors = [&](const multistep_form& form, std::size_t first,
                          const std::vector<MatrixXd>& seen, const MatrixXd& made) {
    const Eigen::Index size = made.size();
    VectorXd out = VectorXd::Zero(size * (ways ? static_cast<Eigen::Index>(form.steps()) : 1));
    out.tail(size) = detail::end_residuals(made, pilots);
    if (!made.allFinite()) return out;  // refused by its end already
    for (std::size_t i = first + 1; ways && i < form.steps(); ++i)
      out.segment(static_cast<Eigen::Index>(i - 1) * size, size) =
          share * ways->error(form.nodes[i].level, seen[i - first]);
    return out;
  };
  std::vector<MatrixXd> states, clean;  // of the parameters that residuals were last asked at
  const auto residuals = [&](const VectorXd& p) -> VectorXd {
    states.clear();
    clean.clear();
    const multistep_form form = free.at(p);
    const MatrixXd made = detail::take_steps(form, denoise, 0, pilots.start, clean,
                                             [&](const MatrixXd& x) { states.push_back(x); });
    return errors(form, 0, states, made);
  };
  const auto jacobian = [&](const VectorXd& p, const VectorXd& r) -> MatrixXd {
    MatrixXd out = MatrixXd::Zero(r.size(), p.size());
    for (Eigen::Index k = 0; k < p.size(); ++k) {
      VectorXd moved = p;
      moved[k] += options.search.probe;
      const std::size_t first = free.first(k);
      // The estimate of the first changed step is the old one: its state and node are.
      std::vector<MatrixXd> known(clean.begin(),
                                  clean.begin() + static_cast<std::ptrdiff_t>(first) + 1);
      std::vector<MatrixXd> seen;
      const multistep_form form = free.at(moved);
      const MatrixXd made = detail::take_steps(form, denoise, first, states[first], known,
                                               [&](const MatrixXd& x) { seen.push_back(x); });
      const Eigen::Index changed =
          r.size() - (ways ? static_cast<Eigen::Index>(first) * made.size() : 0);
      out.col(k).tail(changed) =
          (errors(form, first, seen, made) - r).tail(changed) / options.search.probe;
    }
    return out;
  };
  return free.at(least_squares(
                     free.start(), residuals, jacobian,
                     [&](const VectorXd& p) { return free.admissible(p); }, options.search)
                     .parameters);
}

namespace detail {

/// Mean square errors of a run: at the end, and on the way, averaged over the calls (0 without records).
struct run_errors {
  double end = 0;
  double way = 0;
};
template <batch_denoiser Denoiser>
run_errors errors_of_run(const program& plan, const Denoiser& denoise, const pilot_runs& pilots) {
  std::optional<recorded_ways> ways;
  if (!pilots.states.empty()) ways.emplace(pilots);
  double on_the_way = 0;
  const auto watched = [&](const node& at, const Eigen::MatrixXd& x) -> Eigen::MatrixXd {
    if (ways) on_the_way += ways->error(at.level, x).squaredNorm();
    return denoise(at, x);
  };
  const Eigen::MatrixXd made = run_denoiser(plan, watched, pilots.start);
  const auto size = static_cast<double>(made.size());
  const auto calls = static_cast<double>((std::max)(plan.evaluations(), std::size_t{1}));
  return {(made - pilots.end).squaredNorm() / size, on_the_way / size / calls};
}

}  // namespace detail

/// The program of `steps` network calls with the least end error on the model, from the noisy end of
/// the schedule to clean data.
/// \throws std::invalid_argument for fewer than 2 steps or 4 pilots, or pilots of unequal sizes.
template <invertible_schedule Schedule, batch_denoiser Denoiser>
fitted_program optimal_program(const Schedule& schedule, int steps, const Denoiser& denoise,
                               const pilot_runs& pilots,
                               const optimal_program_options& options = {}) {
  constexpr const char* name = "optimal_program";
  const Eigen::Index count = pilots.start.cols();
  detail::require(count >= 4, name, "pilots", static_cast<double>(count), "valid: at least 4");
  detail::require(pilots.end.cols() == count && pilots.end.rows() == pilots.start.rows(), name,
                  "ends of pilots", static_cast<double>(pilots.end.cols()),
                  "valid: one for each start, of its dimension");
  detail::require(options.starts >= 1, name, "starts", options.starts, "valid: >= 1");
  const Eigen::Index held = std::max<Eigen::Index>(1, count / 4);
  const pilot_runs fitted = detail::some_pilots(pilots, 0, count - held);
  const pilot_runs check = detail::some_pilots(pilots, count - held, held);

  const std::vector<named_program> pairs = published_pairs(schedule, steps);
  std::vector<detail::run_errors> errors;
  double products = 0;
  double squares = 0;
  for (const named_program& pair : pairs) {
    const detail::run_errors e = detail::errors_of_run(pair.plan, denoise, pilots);
    errors.push_back(e);
    if (!std::isfinite(e.end) || !std::isfinite(e.way)) continue;
    products += e.end * e.way;
    squares += e.way * e.way;
  }
  const double end_of_way = squares > 0 ? products / squares : 0;
  const auto expected = [&](const detail::run_errors& e, Eigen::Index seen) {
    const auto n = static_cast<double>(seen);
    return e.end + end_of_way * e.way / (1000 * n);
  };
  std::vector<std::pair<double, std::size_t>> ranked;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double error = expected(errors[i], count);
    if (std::isfinite(error)) ranked.emplace_back(error, i);
  }
  if (ranked.empty()) detail::fail(name, "no published pair stays finite on the pilots");
  std::sort(ranked.begin(), ranked.end());

  const named_program& first = pairs[ranked.front().second];
  const detail::run_errors of_first = detail::errors_of_run(first.plan, denoise, check);
  fitted_program best{first.plan, std::sqrt(of_first.end), first.name, std::sqrt(of_first.end)};
  double least = expected(of_first, held);
  int starts = 0;
  for (const auto& [error, i] : ranked) {
    if (starts == options.starts) break;
    if (!has_multistep_form(pairs[i].plan)) continue;
    ++starts;
    const multistep_form form = to_multistep_form(pairs[i].plan, schedule.clean_time());
    for (const double way : options.ways) {
      if (way > 0 && fitted.states.empty()) continue;
      program plan = to_program(refined(schedule, form, denoise, fitted, options, way));
      const detail::run_errors reached = detail::errors_of_run(plan, denoise, check);
      if (expected(reached, held) < least) {
        best.plan = std::move(plan);
        best.error = std::sqrt(reached.end);
        least = expected(reached, held);
      }
    }
  }
  return best;
}

}  // namespace tweedie
