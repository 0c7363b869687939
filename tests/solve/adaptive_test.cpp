#include "tweedie/solve/adaptive.hpp"

#include <gtest/gtest.h>

#include "sampler/mixture_flow.hpp"
#include "tweedie/guidance.hpp"

namespace tweedie {
namespace {

const network_description denoiser{.prediction = predicts_sample};

struct adaptive_result {
  std::vector<double> end;
  std::size_t accepted, rejected, evaluations;
};

template <class Controller, class Noise = no_noise>
adaptive_result integrate_mixture(const embedded_method& method, const adaptive_range& range,
                                  Controller controller, std::vector<double> x, Noise noise = {}) {
  adaptive_sampling s({method, noise_level_nodes, range}, denoiser, x, controller, noise);
  while (s.next())
    for (std::size_t i = 0; i < x.size(); ++i)
      s.output()[i] = mixture_denoiser(s.input()[i], s.at().level);
  EXPECT_EQ(s.reached(), range.to);
  return {{s.state().begin(), s.state().end()}, s.accepted(), s.rejected(), s.evaluations()};
}

double exact_end(double x, double from, double to) {
  const auto part = [](double weight, double mean, double variance) {
    return oracle::component<double>{weight, Eigen::VectorXd::Constant(1, mean),
                                     Eigen::MatrixXd::Constant(1, 1, variance)};
  };
  const oracle::mixture<double> data({part(0.4, -1, 0.1), part(0.6, 1.5, 0.3)});
  return oracle::flow(data, {1, std::exp(-from)}, {1, std::exp(-to)}, x);
}

TEST(adaptive, error_and_steps_follow_the_tolerance) {
  const auto at = noise_level_nodes;
  const std::vector<double> x{-12.0, 3.0, 20.0};
  struct pair {
    embedded_method method;
    double order;
  };
  for (const pair& p : {pair{dpm_solver_12(at), 2}, pair{dpm_solver_23(at), 3},
                        pair{dpm_solver_23(at, exact_dpm_solver(clean_row)), 3},
                        pair{embedded_runge_kutta(bogacki_shampine_tableau, at), 3},
                        pair{embedded_runge_kutta(dormand_prince_tableau, at), 5},
                        pair{embedded_runge_kutta(tsitouras_tableau, at, straight_row), 5}}) {
    std::size_t steps = 0;
    double worst = 1e9;
    for (const double tolerance : {1e-2, 1e-4, 1e-6}) {
      const adaptive_range range{-3, 3, {tolerance, tolerance, error_norm::whole_batch}};
      const adaptive_result r =
          integrate_mixture(p.method, range, pid_controller{.order = p.order}, x);
      double error = 0;
      for (std::size_t i = 0; i < x.size(); ++i)
        error = std::max(error, std::abs(r.end[i] - exact_end(x[i], -3, 3)));
      EXPECT_LT(error, 50 * tolerance);
      EXPECT_LT(error, worst);
      EXPECT_GT(r.accepted, steps);
      steps = r.accepted;
      worst = error;
    }
  }
}

TEST(adaptive, runs_towards_noise_too) {
  const auto at = noise_level_nodes;
  const adaptive_range range{3, -3, {1e-7, 1e-7, error_norm::worst_item}};
  const adaptive_result r = integrate_mixture(embedded_runge_kutta(dormand_prince_tableau, at),
                                              range, elementary_controller{.order = 5}, {0.4});
  EXPECT_NEAR(r.end[0], exact_end(0.4, 3, -3), 1e-4);
}

TEST(adaptive, counts_what_it_did) {
  const auto at = noise_level_nodes;
  const adaptive_result r =
      integrate_mixture(dpm_solver_23(at), {-3, 3, {1e-4, 1e-4, error_norm::whole_batch}},
                        pid_controller{.step = 2}, {-2.0, 8.0});
  EXPECT_GT(r.rejected, 0U);
  EXPECT_EQ(r.evaluations, 3 * (r.accepted + r.rejected));
}

TEST(adaptive, ancestral_noise_keeps_the_marginal) {
  const auto at = noise_level_nodes;
  const std::size_t n = 4000;
  std::vector<double> x(n);
  gaussian_noise{3}.fill(noise_request{1000, {}, 1}, std::span<double>(x));
  for (double& v : x) v *= std::exp(3.0);
  const adaptive_result r =
      integrate_mixture(dpm_solver_12(at), {-3, 3, {1e-3, 1e-3, error_norm::whole_batch}, 0.5},
                        pid_controller{.order = 1.5}, x, gaussian_noise{5});
  double mean = 0, square = 0;
  for (const double v : r.end) mean += v / double(n), square += v * v / double(n);
  EXPECT_NEAR(mean, 0.5, 5 * 1.32 / std::sqrt(double(n)) + 0.02);
  EXPECT_NEAR(square - mean * mean, 1.72 + std::exp(-6.0), 0.15);
}

TEST(adaptive, refuses_bad_settings) {
  const auto at = noise_level_nodes;
  const std::vector<double> x{0.0};
  const auto make = [&](const adaptive_range& range) {
    adaptive_sampling s({dpm_solver_12(at), at, range}, denoiser, x, pid_controller{});
  };
  EXPECT_THROW(make({1, 1}), std::invalid_argument);
  EXPECT_THROW(make({-1, 1, {0, 0.1}}), std::invalid_argument);
  EXPECT_THROW(make({1, -1, {}, 1}), std::invalid_argument);
  EXPECT_THROW(make({-1, 1, {}, 1}), std::invalid_argument);  // noise without a source
  EXPECT_THROW(adaptive_sampling({dpm_solver_12(at), at, {-1, 1}}, denoiser, x, pid_controller{},
                                 adaptive_projected{3, 0, 0, 0.5}),
               std::invalid_argument);
  EXPECT_THROW(embedded_runge_kutta(kutta_tableau, at), std::invalid_argument);
}

// Guided by w, the mixture's denoiser D is that of a network that predicts w D itself.
TEST(adaptive, is_guided_as_a_run_is) {
  const auto at = noise_level_nodes;
  const adaptive_plan plan{dpm_solver_23(at), at, {-3, 3, {1e-5, 1e-5, error_norm::worst_item}}};
  const std::vector<double> x{4.0, -9.0};
  adaptive_sampling guided(plan, denoiser, x, pid_controller{}, guidance_scale(0.7));
  while (guided.next())
    for (std::size_t i = 0; i < 2; ++i) {
      guided.output(0)[i] = 0;
      guided.output(1)[i] = mixture_denoiser(guided.input()[i], guided.at().level);
    }
  adaptive_sampling alone(plan, denoiser, x, pid_controller{});
  while (alone.next())
    for (std::size_t i = 0; i < 2; ++i)
      alone.output()[i] = 0.7 * mixture_denoiser(alone.input()[i], alone.at().level);
  EXPECT_EQ(guided.accepted(), alone.accepted());
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(guided.state()[i], alone.state()[i], 1e-12);
}

// A network that fails, or a tolerance below the precision of the state, ends in an exception.
TEST(adaptive, steps_that_cannot_succeed_are_refused) {
  const auto at = noise_level_nodes;
  const auto finish = [&](auto controller, const adaptive_range& range, auto answer) {
    adaptive_sampling s({dpm_solver_12(at), at, range}, denoiser, std::vector<float>{0.7f, -3},
                        controller);
    while (s.next())
      for (std::size_t i = 0; i < 2; ++i)
        s.output()[i] = answer(s.evaluations()) *
                        static_cast<float>(mixture_denoiser(s.input()[i], s.at().level));
  };
  const auto fails_later = [](std::size_t calls) { return calls > 20 ? std::nanf("") : 1.0f; };
  const auto right = [](std::size_t) { return 1.0f; };
  const adaptive_range range{-3, 3, {1e-3, 1e-3, error_norm::whole_batch}};
  EXPECT_THROW(finish(pid_controller{.order = 2}, range, fails_later), std::domain_error);
  EXPECT_THROW(finish(elementary_controller{.order = 2}, range, fails_later), std::domain_error);
  const adaptive_range too_exact{-3, 3, {1e-14, 0, error_norm::worst_item}};
  EXPECT_THROW(finish(pid_controller{.order = 2}, too_exact, right), std::domain_error);
  EXPECT_NO_THROW(finish(pid_controller{.order = 2}, range, right));
}

// One bad answer costs a rejected step and nothing else.
TEST(adaptive, a_step_that_is_not_finite_is_tried_again_shorter) {
  const auto at = noise_level_nodes;
  const adaptive_range range{-3, 3, {1e-5, 1e-5, error_norm::whole_batch}};
  adaptive_sampling s({dpm_solver_12(at), at, range}, denoiser, std::vector<double>{4.0},
                      elementary_controller{.order = 2});
  while (s.next())
    s.output()[0] = s.evaluations() == 12 ? std::numeric_limits<double>::infinity()
                                          : mixture_denoiser(s.input()[0], s.at().level);
  EXPECT_GE(s.rejected(), 1u);
  EXPECT_NEAR(s.state()[0], exact_end(4.0, -3, 3), 1e-3);
}

TEST(adaptive, parameters_that_are_not_valid_are_refused) {
  const auto at = noise_level_nodes;
  const auto make = [&](adaptive_range range, auto controller) {
    adaptive_sampling s({dpm_solver_12(at), at, range}, denoiser, std::vector<double>{1},
                        controller, gaussian_noise{1});
  };
  const double nan = std::nan("");
  const adaptive_range range{-3, 3};
  EXPECT_THROW(make({-3, 3, {}, 0, 1, nan}, pid_controller{}), std::invalid_argument);
  EXPECT_THROW(make({-3, 3, {}, 0, nan}, pid_controller{}), std::invalid_argument);
  EXPECT_THROW(make(range, pid_controller{.order = 0}), std::invalid_argument);
  EXPECT_THROW(make(range, pid_controller{.integral = nan}), std::invalid_argument);
  EXPECT_THROW(make(range, pid_controller{.step = 0}), std::invalid_argument);
  EXPECT_THROW(make(range, elementary_controller{.theta = -1}), std::invalid_argument);
  EXPECT_NO_THROW(make(range, elementary_controller{}));
  adaptive_sampling s({dpm_solver_12(at), at, range}, denoiser, std::vector<double>{1},
                      pid_controller{});
  EXPECT_THROW(s.network_time(), std::invalid_argument);
  EXPECT_THROW(s.input(), std::invalid_argument);
  EXPECT_THROW(s.output(), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
