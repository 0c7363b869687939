// Laws of the concepts over random values, shrunk where one fails: levels through the range of double, grids
// that are uneven and repeat, shapes from nothing to five dimensions, float and double.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "tweedie/process/renoise.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/corrector.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/flow.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/prediction.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/solve/saved_bytes.hpp"
#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/eigen_tensor.hpp"
#include "tweedie/tensor/parallel.hpp"

namespace tweedie {
namespace {

// The same values every time, unless the environment asks for others.
[[maybe_unused]] const int seeded = setenv("RC_PARAMS", "seed=2026", 0);

// In [0, 1].
double unit() { return *rc::gen::inRange(0, 1000001) / 1e6; }
double between(double low, double high) { return low + (high - low) * unit(); }

// Noise level 10^[-decades, decades] in a random gauge.
signal_noise some_level(double decades) {
  const double noise = std::pow(10, between(-decades, decades));
  switch (*rc::gen::inRange(0, 3)) {
    case 0: return {1, noise};
    case 1: return {1 / std::hypot(1, noise), noise / std::hypot(1, noise)};
    default: return {1 / (1 + noise), noise / (1 + noise)};
  }
}

// Falls, by steps of any length.
grid some_falling_grid() {
  std::vector<double> levels;
  const int count = *rc::gen::inRange(1, 12);
  for (int i = 0; i < count; ++i) levels.push_back(std::pow(10, between(-4, 4)));
  std::sort(levels.rbegin(), levels.rend());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  grid nodes;
  for (const double u : levels) nodes.push_back({u, {1 / std::hypot(1, u), u / std::hypot(1, u)}});
  if (*rc::gen::inRange(0, 2) == 1 || nodes.size() == 1) nodes.push_back(clean_node(0));
  return nodes;
}

TEST(prediction, of_every_kind_gives_back_sample_and_noise_at_every_level) {
  EXPECT_TRUE(rc::check([] {
    const signal_noise level = some_level(150);
    const auto [alpha, sigma] = level;
    const double x0 = between(-2, 2), z = between(-2, 2);
    const double x = alpha * x0 + sigma * z;
    const plane_row rows[] = {predicts_sample({0, level}), predicts_noise({0, level}),
                              predicts_v({0, level}), predicts_rectified_velocity({0, level})};
    for (const plane_row& row : rows) {
      const double y = row.x0 * x0 + row.z * z;
      const double size = std::abs(x) + std::abs(row.x0 * x0) + std::abs(row.z * z);
      if (determinant(level, row) == 0) continue;
      const state_output clean = sample_from(level, row), noise = noise_from(level, row);
      // Rounding of x and y, as large as the weights make it.
      const double allowed_clean = 1e-15 * size * (std::abs(clean.x) + std::abs(clean.y)) + 1e-15;
      const double allowed_noise = 1e-15 * size * (std::abs(noise.x) + std::abs(noise.y)) + 1e-15;
      RC_ASSERT(std::abs(clean.x * x + clean.y * y - x0) <= 8 * allowed_clean);
      RC_ASSERT(std::abs(noise.x * x + noise.y * y - z) <= 8 * allowed_noise);
    }
  }));
}

TEST(renoise, composes_through_the_range_of_double) {
  EXPECT_TRUE(rc::check([] {
    std::vector<double> levels{between(-100, 100), between(-100, 100), between(-100, 100)};
    std::sort(levels.begin(), levels.end());
    signal_noise at[3];
    for (std::size_t i = 0; i < 3; ++i) at[i] = {1, std::pow(10, levels[i])};
    const renoise_weights one = renoise(at[0], at[1]), two = renoise(at[1], at[2]),
                          both = renoise(at[0], at[2]);
    RC_ASSERT(std::abs(two.state * one.state - both.state) <= 1e-14 * both.state);
    RC_ASSERT(std::abs(std::hypot(two.state * one.noise, two.noise) - both.noise) <=
              1e-14 * at[2].sigma);
  }));
}

// Ends of the range included: time -> noise level -> time.
TEST(schedule, is_inverted_where_it_says_so) {
  EXPECT_TRUE(rc::check([] {
    const double t = between(0.001, 0.999);
    const auto inverts = [&](const auto& schedule, double time) {
      const double h = half_log_snr(schedule(time));
      RC_ASSERT(std::abs(schedule.time_of(h) - time) <= 1e-9 * (1 + std::abs(time)));
      RC_ASSERT(half_log_snr(schedule(time * 1.01)) < h);
    };
    inverts(rectified_flow{}, 0.99 * t);
    inverts(trigonometric_schedule{}, 1.5 * t);
    inverts(edm_schedule{}, std::pow(10, between(-100, 1.8)));
  }));
}

TEST(planners, keep_marginals_on_uneven_grids_in_every_gauge) {
  EXPECT_TRUE(rc::check([] {
    grid nodes = some_falling_grid();
    const int gauge = *rc::gen::inRange(0, 2);
    if (gauge == 1) nodes = variance_exploding(nodes);
    const double eta = unit();
    const int order = *rc::gen::inRange(1, 4);
    const double x0 = between(-3, 3);
    const auto [alpha, sigma] = nodes.front().level;
    for (const program& plan :
         {ddim(nodes, eta), dpm_solver_plus_plus(nodes, order), unipc(nodes, order)}) {
      RC_ASSERT(plan.evaluations() == nodes.size() - 1);
      for (const auto& [at, state] :
           law(plan, perfect_denoiser(x0), {alpha * x0, sigma * sigma}).marks) {
        const double size = at.level.alpha * std::abs(x0) + at.level.sigma + 1e-4;
        RC_ASSERT(std::abs(state.mean - at.level.alpha * x0) <= 1e-10 * size);
        RC_ASSERT(std::abs(state.variance - at.level.sigma * at.level.sigma) <= 1e-9 * size * size);
      }
    }
  }));
}

TEST(flow_euler, may_rise_and_stay) {
  EXPECT_TRUE(rc::check([] {
    grid nodes;
    const int count = *rc::gen::inRange(2, 9);
    for (int i = 0; i < count; ++i) {
      if (i > 0 && *rc::gen::inRange(0, 4) == 0)
        nodes.push_back(nodes.back());
      else
        nodes.push_back({static_cast<double>(i), some_level(3)});
    }
    const double x0 = between(-3, 3);
    const auto [alpha, sigma] = nodes.front().level;
    const program_law moves =
        law(flow_euler(nodes), perfect_denoiser(x0), {alpha * x0, sigma * sigma});
    RC_ASSERT(moves.marks.size() == nodes.size() - 1);
    double largest = 1;
    for (const node& n : nodes) largest = std::max(largest, n.level.sigma / n.level.alpha);
    for (const auto& [at, state] : moves.marks)
      RC_ASSERT(std::abs(state.mean - at.level.alpha * x0) <=
                1e-12 * largest * (at.level.alpha + at.level.sigma));
  }));
}

template <class S>
void combines_as_a_loop() {
  EXPECT_TRUE(rc::check([] {
    const auto n = static_cast<std::size_t>(*rc::gen::inRange(0, 70));
    const auto inputs = static_cast<std::size_t>(*rc::gen::inRange(1, 8));
    const auto outputs = static_cast<std::size_t>(*rc::gen::inRange(1, 4));
    std::vector<std::vector<S>> in(inputs, std::vector<S>(n)), out(outputs, std::vector<S>(n));
    std::vector<double> weights(inputs * outputs);
    for (double& w : weights) w = between(-2, 2);
    for (auto& row : in)
      for (S& v : row) v = static_cast<S>(between(-1, 1));
    std::vector<const S*> from;
    std::vector<S*> to;
    for (const auto& row : in) from.push_back(row.data());
    for (auto& row : out) to.push_back(row.data());
    combine<S>(to, from, weights, n);
    for (std::size_t j = 0; j < outputs; ++j)
      for (std::size_t i = 0; i < n; ++i) {
        double sum = 0;
        for (std::size_t k = 0; k < inputs; ++k)
          sum += weights[j * inputs + k] * static_cast<double>(in[k][i]);
        RC_ASSERT(std::abs(static_cast<double>(out[j][i]) - sum) <=
                  16 * static_cast<double>(std::numeric_limits<S>::epsilon()) *
                      static_cast<double>(inputs));
      }
  }));
}
TEST(combine, is_a_loop_over_floats) { combines_as_a_loop<float>(); }
TEST(combine, is_a_loop_over_doubles) { combines_as_a_loop<double>(); }

// A run of a tensor of five dimensions is the run of its items alone, whatever the sizes, the number of
// threads and the call after which it was saved and resumed.
template <class S>
void runs_do_not_depend_on_their_shape() {
  using tensor = Eigen::Tensor<S, 5>;
  EXPECT_TRUE(rc::check([] {
    Eigen::array<Eigen::Index, 5> sizes;
    for (auto& size : sizes) size = *rc::gen::inRange(0, 4);
    tensor x(sizes);
    for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<S>(between(-2, 2));
    const program plan = ddim(some_falling_grid(), unit());
    const network_description network{.prediction = predicts_noise};
    const auto answer = [](const auto& input, double, auto&& output) {
      for (Eigen::Index i = 0; i < input.size(); ++i) output.data()[i] = std::sin(input.data()[i]);
    };
    const gaussian_noise noise{static_cast<std::uint64_t>(*rc::gen::inRange(0, 1000))};

    tensor whole(x), threaded(x);
    run(plan, network, whole, answer, noise);
    workers threads(static_cast<unsigned>(*rc::gen::inRange(1, 4)));
    run(plan, network, threaded, answer, noise, threads);
    const auto stop = static_cast<std::size_t>(*rc::gen::inRange(0, 12));
    sampling first(plan, network, x, noise), second(plan, network, x, noise);
    std::size_t calls = 0;
    while (calls < stop && first.next()) {
      answer(first.input(), first.network_time(), first.output());
      ++calls;
    }
    second.resume(saved_from_bytes<S>(to_bytes(first.saved(), first.plan()), second.plan()));
    while (second.next()) answer(second.input(), second.network_time(), second.output());
    for (Eigen::Index i = 0; i < x.size(); ++i) {
      RC_ASSERT(whole.data()[i] == threaded.data()[i]);
      RC_ASSERT(whole.data()[i] == second.state().data()[i]);
      RC_ASSERT(std::isfinite(static_cast<double>(whole.data()[i])));
    }
  }));
}
TEST(run, of_floats_does_not_depend_on_its_shape) { runs_do_not_depend_on_their_shape<float>(); }
TEST(run, of_doubles_does_not_depend_on_its_shape) { runs_do_not_depend_on_their_shape<double>(); }

}  // namespace
}  // namespace tweedie
