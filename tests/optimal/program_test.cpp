#include "tweedie/optimal/program.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "optimal/published_schedule.hpp"
#include "optimal/random_mixture.hpp"
#include "refusal.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using tweedie_test::schedule;

pilot_runs pilots_of(const random_mixture& problem, Eigen::Index count, unsigned seed) {
  return record_pilots(schedule(), problem, schedule()(999).sigma * normal_matrix(16, count, seed),
                       200, 2e-3);
}

// The least error among 9 grids and 9 deterministic samplers as published, at no more than `calls`
// network calls, chosen with the held-out samples in sight.
double best_of_pairs(int calls, const random_mixture& problem, const pilot_runs& held_out) {
  const discrete_schedule& s = schedule();
  const std::vector<std::function<grid(int)>> grids = {
      [&](int n) { return leading(s, n, 1); },
      [&](int n) { return linspace(s, n); },
      [&](int n) { return trailing(s, n); },
      [&](int n) { return karras(s, n); },
      [&](int n) { return exponential(s, n); },
      [&](int n) { return beta_quantiles(s, n); },
      [&](int n) { return published_levels(s, align_your_steps_sd15_levels, n); },
      [&](int n) { return gits(s, n); },
      [&](int n) { return kl_optimal(s, n); }};
  double best = 1e9;
  for (const auto& g : grids) {
    const grid nodes = g(calls);
    for (const program& plan :
         {ddim(nodes), heun(g((calls + 1) / 2)), dpm_solver_plus_plus(nodes, 2),
          dpm_solver_plus_plus(nodes, 3), deis(nodes, 3), unipc(nodes, 2), unipc(nodes, 3),
          lms(nodes, 4), ipndm(nodes, 4)}) {
      EXPECT_LE(plan.evaluations(), static_cast<std::size_t>(calls));
      best = std::min(best, end_error(plan, problem, held_out));
    }
  }
  return best;
}

// Fitted to pilots, judged on other seeds, against the best of 81 pairs chosen afterwards.
TEST(OptimalProgram, BeatsTheBestOf81PairsOnSeedsItHasNotSeen) {
  double log_ratio = 0;
  int cases = 0;
  for (const double exponent : {1.0, 1.7}) {
    const random_mixture problem(exponent == 1.0 ? 3 : 4, exponent);
    const pilot_runs pilots = pilots_of(problem, 128, 1);
    const pilot_runs held_out = pilots_of(problem, 128, 2);
    for (const int calls : {5, 8, 10}) {
      const fitted_program found =
          optimal_program(schedule(), calls, problem, pilots, {.search = {.iterations = 6}});
      EXPECT_EQ(found.plan.evaluations(), static_cast<std::size_t>(calls));
      const double ours = end_error(found.plan, problem, held_out);
      const double theirs = best_of_pairs(calls, problem, held_out);
      EXPECT_LT(ours, 1.05 * theirs) << exponent << ' ' << calls;
      // What it reports is the error on the quarter of the pilots that it was not fitted to.
      pilot_runs check;
      check.start = pilots.start.rightCols(32);
      check.end = pilots.end.rightCols(32);
      EXPECT_DOUBLE_EQ(found.error, end_error(found.plan, problem, check));
      EXPECT_LT(found.error, found.published_error);
      log_ratio += std::log(theirs / ours);
      ++cases;
    }
  }
  EXPECT_GT(std::exp(log_ratio / cases), 1.3);
}

// Whatever the search does, a denoiser that knows x0 is taken to x0 with no noise left.
TEST(OptimalProgram, KeepsThePerfectDenoiserPerfect) {
  const random_mixture problem(5, 1.5);
  const fitted_program found = optimal_program(schedule(), 6, problem, pilots_of(problem, 32, 1),
                                               {.search = {.iterations = 2}, .starts = 1});
  const signal_noise start = found.plan.start.level;
  const program_law made =
      law(found.plan, perfect_denoiser(0.7), {start.alpha * 0.7, start.sigma * start.sigma});
  for (const auto& [at, there] : made.marks) {
    EXPECT_NEAR(there.mean, at.level.alpha * 0.7, 1e-12);
    EXPECT_NEAR(there.variance, at.level.sigma * at.level.sigma, 1e-12);
  }
  // A step uses at most `memory` estimates, so that no more are kept.
  EXPECT_LE(found.plan.registers, 4);
}

TEST(OptimalProgram, StartsFromPureNoiseWhereThePathDoes) {
  const random_mixture problem(6, 1.0);
  const rectified_flow path;
  const pilot_runs pilots = record_pilots(path, problem, normal_matrix(16, 48, 1), 100);
  const pilot_runs held_out = record_pilots(path, problem, normal_matrix(16, 48, 2), 100);
  const fitted_program found =
      optimal_program(path, 6, problem, pilots, {.search = {.iterations = 4}, .starts = 1});
  EXPECT_EQ(found.plan.start.level, path(1));
  EXPECT_LT(end_error(found.plan, problem, held_out),
            0.8 * end_error(dpm_solver_plus_plus(uniform(path, 6), 2), problem, held_out));
}

TEST(OptimalProgram, TakesANetworkAsRunDoes) {
  const random_mixture problem(7, 1.0);
  const auto network = denoiser_of<double>({}, [&](const auto& x, double time, auto&& eps) {
    const node at = node_at(schedule(), time);
    eps = (x - at.level.alpha * problem.data.denoise(at.level, x)) / at.level.sigma;
  });
  const node at = node_at(schedule(), 400);
  const MatrixXd x = normal_matrix(16, 5, 1);
  EXPECT_LT((network(at, x) - problem(at, x)).norm(), 1e-12);
}

TEST(MultistepForm, IsTheProgramAgain) {
  const random_mixture problem(8, 1.0);
  const MatrixXd x = normal_matrix(16, 3, 1);
  for (const named_program& pair : published_pairs(schedule(), 7)) {
    ASSERT_TRUE(has_multistep_form(pair.plan)) << pair.name;
    const program again = to_program(to_multistep_form(pair.plan, schedule().clean_time()));
    EXPECT_LT((run_denoiser(again, problem, x) - run_denoiser(pair.plan, problem, x)).norm(), 1e-10)
        << pair.name;
    EXPECT_EQ(again.evaluations(), pair.plan.evaluations());
  }
  EXPECT_FALSE(has_multistep_form(ddim(karras(schedule(), 4), 1)));
  program unasked = ddim(karras(schedule(), 4));  // reads the noise of no evaluation
  for (stage& s : unasked.stages) {
    s.evaluate.reset();
    for (operand& in : s.pass.inputs) in.from = operand_kind::noise;
  }
  EXPECT_THROW(has_multistep_form(unasked), std::invalid_argument);
  grid noisy = karras(schedule(), 4);
  noisy.pop_back();
  EXPECT_FALSE(has_multistep_form(ddim(noisy)));  // the form ends in clean data
  EXPECT_EQ(refusal([&] {
              to_multistep_form(ddim(karras(schedule(), 4), 1), -1);
            }).find("to_multistep_form: the program has no such form"),
            0U);
}

// N(0, s^2): the flow carries x/sqrt(alpha^2 s^2 + sigma^2) unchanged, so that the way is known at every level.
TEST(RecordedWays, KnowTheWayBetweenNodes) {
  constexpr double variance = 0.3;
  const auto denoise = [](const node& at, const MatrixXd& x) -> MatrixXd {
    const auto [alpha, sigma] = at.level;
    return alpha * variance / (alpha * alpha * variance + sigma * sigma) * x;
  };
  const auto expect_known = [&](const auto& path) {
    const pilot_runs pilots = record_pilots(path, denoise, normal_matrix(3, 5, 1), 200, 1e-3, true);
    const detail::recorded_ways ways(pilots);
    const signal_noise clean = pilots.nodes.back().level;
    const double units = pilots.end.norm() / std::sqrt(15.0);
    for (const double level : {5.0, 1.3, 0.2, 0.05}) {
      const signal_noise at = node_of_level(path, level).level;
      const auto deviation = [&](signal_noise l) {
        return std::hypot(l.alpha * std::sqrt(variance), l.sigma);
      };
      const MatrixXd there = deviation(at) / deviation(clean) * pilots.end;
      EXPECT_LT(ways.error(at, there).cwiseAbs().maxCoeff(), 2e-4) << level;
      // A deviation of the noised data is one of the data.
      const MatrixXd off = MatrixXd::Constant(3, 5, std::hypot(at.alpha * units, at.sigma));
      EXPECT_NEAR((ways.error(at, there + off) - ways.error(at, there)).mean(), units, 1e-12);
    }
  };
  expect_known(schedule());
  expect_known(rectified_flow{});  // from pure noise
}

// A fit that weighs the way stays nearer to it than one that knows the ends alone, and is tried beside it.
TEST(OptimalProgram, StaysNearTheWayWhereAsked) {
  const random_mixture problem(4, 1.5);
  const auto start = schedule()(999).sigma * normal_matrix(16, 64, 1);
  const pilot_runs pilots = record_pilots(schedule(), problem, start, 100, 2e-3, true);
  const detail::recorded_ways ways(pilots);
  optimal_program_options options{.search = {.iterations = 4}, .starts = 1};
  const auto distance = [&](double way) {
    const multistep_form form = refined(
        schedule(), to_multistep_form(ipndm(karras(schedule(), 8)), schedule().clean_time()),
        problem, pilots, options, way);
    double square = 0;
    std::size_t at = 0;
    std::vector<MatrixXd> clean;
    detail::take_steps(form, problem, 0, pilots.start, clean, [&](const MatrixXd& x) {
      square += ways.error(form.nodes[at++].level, x).squaredNorm();
    });
    return std::sqrt(square);
  };
  EXPECT_LT(distance(30), 0.7 * distance(0));
  const fitted_program with = optimal_program(schedule(), 6, problem, pilots, options);
  options.ways = {0};
  EXPECT_LE(with.error, optimal_program(schedule(), 6, problem, pilots, options).error);
  pilot_runs ends;
  ends.start = pilots.start;
  ends.end = pilots.end;
  EXPECT_EQ(refusal([&] {
              refined(schedule(),
                      to_multistep_form(ddim(karras(schedule(), 4)), schedule().clean_time()),
                      problem, ends, {}, 1);
            }).find("recorded_ways: recorded nodes = 0"),
            0U);
}

// Three points: nearly every program ends in the right one of them, exactly, so that ends tell nothing. What is chosen
// was near the way: of pairs whose ends are as good it has the least error there, or nearly so.
TEST(OptimalProgram, PrefersTheWayWhereEndsTellNothing) {
  std::vector<oracle::component<double>> points;
  for (int k = 0; k < 3; ++k)
    points.push_back(
        {1, Eigen::Vector2d(std::cos(2.0 * k), std::sin(2.0 * k)), Eigen::Matrix2d::Zero()});
  const oracle::mixture<double> data(points);
  const auto denoise = [&](const node& at, const MatrixXd& x) { return data.denoise(at.level, x); };
  const pilot_runs pilots = record_pilots(
      schedule(), denoise, schedule()(999).sigma * normal_matrix(2, 32, 1), 200, 2e-3, true);
  const fitted_program found = optimal_program(
      schedule(), 16, denoise, pilots, {.search = {.iterations = 1}, .starts = 1, .ways = {}});
  const detail::run_errors chosen = detail::errors_of_run(found.plan, denoise, pilots);
  EXPECT_LT(chosen.end, 1e-6);
  int as_good = 0;
  int nearer = 0;
  for (const named_program& pair : published_pairs(schedule(), 16)) {
    const detail::run_errors e = detail::errors_of_run(pair.plan, denoise, pilots);
    if (!(e.end < 1e-6)) continue;
    ++as_good;
    nearer += e.way < chosen.way;
  }
  EXPECT_GT(as_good, 10);
  EXPECT_EQ(nearer, 0);
}

TEST(OptimalProgram, RefusesWhatItCannotFit) {
  const random_mixture problem(9, 1.0);
  const pilot_runs pilots = pilots_of(problem, 4, 1);
  pilot_runs few = pilots;
  few.start = few.start.leftCols(3).eval();
  EXPECT_EQ(refusal([&] {
              optimal_program(schedule(), 5, problem, few);
            }).find("optimal_program: pilots = 3"),
            0U);
  EXPECT_EQ(refusal([&] {
              optimal_program(schedule(), 1, problem, pilots);
            }).find("published_pairs: steps = 1"),
            0U);
}

}  // namespace
}  // namespace tweedie
