#include "tweedie/sampler/dpm_solver.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "sampler/mixture_flow.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

const auto preserving = [](double level) { return node{level, variance_preserving(level)}; };

TEST(dpm_solver, has_its_order_in_both_predictions) {
  const auto nodes = [](int n) { return even_grid(n); };
  for (const plane_row row : {noise_row, clean_row})
    for (const dpm_solver_rule& rule : {dpm_solver_rule{.row = row}, exact_dpm_solver(row)})
      for (const int order : {1, 2, 3}) {
        const auto plan = [&](const grid& g) { return dpm_solver(g, order, preserving, rule); };
        EXPECT_NEAR(mixture_order(160, nodes, plan), order, 0.15) << order << ' ' << row.x0;
      }
}

TEST(dpm_solver, of_order_one_is_ddim) {
  const grid nodes = even_grid(7);
  for (const plane_row row : {noise_row, clean_row})
    EXPECT_NEAR(mixture_end(dpm_solver(nodes, 1, preserving, {.row = row}), 0.7),
                mixture_end(ddim(nodes), 0.7), 1e-13);
}

TEST(dpm_solver, does_not_depend_on_the_gauge) {
  const grid nodes = even_grid(6);
  const double a = mixture_end(dpm_solver(nodes, 3, preserving), 0.7);
  const program exploding = dpm_solver(variance_exploding(nodes), 3, noise_level_nodes);
  const double b = mixture_end(exploding, 0.7 / nodes.front().level.alpha);
  EXPECT_NEAR(a / nodes.back().level.alpha, b, 1e-13);
}

TEST(dpm_solver, ends_in_clean_data_with_an_order_one_step) {
  const grid nodes = ending_clean(edm_schedule{}, variance_exploding(even_grid(3)));
  const program plan = dpm_solver(nodes, 3, noise_level_nodes);
  EXPECT_EQ(plan.evaluations(), 3U * 3 + 1);
  EXPECT_TRUE(std::isfinite(mixture_end(plan, 2.0)));
}

TEST(dpm_solver, ancestral_form_keeps_the_law_of_a_perfect_denoiser) {
  const grid nodes = ending_clean(edm_schedule{}, variance_exploding(even_grid(6)));
  for (const double eta : {0.3, 1.0}) {
    const program plan = dpm_solver_ancestral(nodes, 2, noise_level_nodes, eta);
    const double start = nodes.front().level.sigma;
    for (const auto& [at, l] : law(plan, perfect_denoiser(0.8), {0.8, start * start}).marks) {
      EXPECT_NEAR(l.mean, 0.8 * at.level.alpha, 1e-12);
      EXPECT_NEAR(l.variance, at.level.sigma * at.level.sigma, 1e-11);
    }
  }
  EXPECT_TRUE(dpm_solver_ancestral(nodes, 2, noise_level_nodes, 0).draws.empty());
}

TEST(dpm_solver, starts_from_pure_noise_with_an_order_one_step) {
  const grid nodes = uniform(rectified_flow{}, 5);
  const auto expect_law = [&](const program& plan) {
    const program_law of = law(plan, perfect_denoiser(0.8), {0, 1});
    for (std::size_t i = 0; i < of.marks.size(); ++i) {
      const signal_noise level = nodes[i + 1].level;
      EXPECT_NEAR(of.marks[i].second.mean, 0.8 * level.alpha, 1e-13);
      EXPECT_NEAR(of.marks[i].second.variance, level.sigma * level.sigma, 1e-13);
    }
  };
  const auto at = noise_level_nodes;
  for (const int order : {1, 2, 3}) {
    const auto order_count = static_cast<std::size_t>(order);
    const program plan = dpm_solver(nodes, order, at, {.row = clean_row});
    EXPECT_EQ(plan.evaluations(), 3 * order_count + 2);
    expect_law(plan);
    for (const double eta : {0.0, 0.4, 1.0})
      expect_law(dpm_solver_ancestral(nodes, order, at, eta));
  }
  // The first step is DDIM's.
  const ddim_weights w = ddim_step(nodes[0].level, nodes[1].level);
  const auto denoise = [](const node&) { return affine_denoiser{0.3, 0.2}; };
  EXPECT_NEAR(
      law(dpm_solver(nodes, 3, at, {.row = clean_row}), denoise, {2, 0}).marks[0].second.mean,
      2 * w.state + (0.3 * 2 + 0.2) * w.clean, 1e-15);
  EXPECT_NE(refusal([&] { dpm_solver(nodes, 2, at); }).find("; valid: "), std::string::npos);
}

// The quadratic through three outputs, integrated exactly, is exact for outputs that are quadratic in
// half log-SNR.
TEST(dpm_solver_tableau, integrates_its_polynomials_exactly) {
  for (const double z : {-3.0, -0.1, 0.1, 2.0})
    for (const auto& [c_2, c_3] : {std::pair{1. / 3, 2. / 3}, {0.5, 1.0}, {0.7, 0.2}}) {
      const exponential_tableau m = dpm_solver_3_exact(c_2, c_3);
      for (int k = 1; k <= 2; ++k) {
        const double ours =
            (m.entry(3, 1, z) * std::pow(c_2, k) + m.entry(3, 2, z) * std::pow(c_3, k));
        EXPECT_NEAR(ours, phi(1, z) * exponential_mean_power(k, z), 1e-14);
      }
    }
  EXPECT_NE(refusal([] { dpm_solver_3_exact(0.5, 0.5); }), "");
  EXPECT_NE(refusal([] { dpm_solver_tableau(4, dpm_solver_weights::exact); }), "");
}

TEST(dpm_fast, spends_exactly_the_evaluations_it_is_given) {
  EXPECT_EQ(fast_orders(9), (std::vector<int>{3, 3, 2, 1}));
  EXPECT_EQ(fast_orders(10), (std::vector<int>{3, 3, 3, 1}));
  EXPECT_EQ(fast_orders(11), (std::vector<int>{3, 3, 3, 2}));
  EXPECT_EQ(fast_orders(5, 2), (std::vector<int>{2, 2, 1}));
  for (int n = 3; n <= 40; ++n)
    EXPECT_EQ(dpm_fast(-3, 3, n, noise_level_nodes).evaluations(), static_cast<std::size_t>(n));
}

TEST(dpm_fast, stays_above_its_end_and_keeps_the_law_of_a_perfect_denoiser) {
  const program plan = dpm_fast(-3, 3, 12, noise_level_nodes, {.eta = 0.6});
  for (const stage& s : plan.stages) {
    if (s.evaluate) {
      EXPECT_LE(half_log_snr(s.evaluate->at.level), 3 + 1e-12);
    }
  }
  for (const auto& [at, l] : law(plan, perfect_denoiser(-0.4), {-0.4, std::exp(6.0)}).marks) {
    EXPECT_NEAR(l.mean, -0.4, 1e-12);
    EXPECT_NEAR(l.variance, at.level.sigma * at.level.sigma, 1e-10);
  }
}

TEST(dpm_fast, refuses_what_it_cannot_do) {
  const auto at = noise_level_nodes;
  EXPECT_THROW(dpm_fast(1, 1, 9, at), std::invalid_argument);
  EXPECT_THROW(dpm_fast(3, -3, 9, at, {.eta = 1}), std::invalid_argument);
  EXPECT_THROW(dpm_fast(-3, 3, 2, at), std::invalid_argument);
  EXPECT_THROW(dpm_solver(even_grid(3), 4, at), std::invalid_argument);
  for (const double scale : {-1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(dpm_fast(-3, 3, 9, at, {.eta = 1, .noise_scale = scale}), std::invalid_argument);
    EXPECT_THROW(dpm_solver_ancestral(even_grid(3), 2, at, 1, scale), std::invalid_argument);
  }
}

}  // namespace
}  // namespace tweedie
