// Networks that answer with no number, write where they should read, or are asked from several threads, and
// processes that are killed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "laws/planners.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/guidance/projected.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/eigen.hpp"

namespace tweedie::network_test {
namespace {

grid test_grid() { return karras(scaled_linear_beta_schedule(1000), 5); }
const network_description scaled{.prediction = predicts_noise,
                                 .input_scale = variance_preserving_input};

using batch = Eigen::ArrayXXf;  // an item a column
batch start() {
  batch x(20, 3);
  for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = std::sin(3.0f * static_cast<float>(i));
  return x;
}
template <class Run>
void answer(Run& run) {
  for (std::size_t b = 0; b < run.branches(); ++b)
    run.output(b) =
        (run.input() + static_cast<float>(0.01 * run.network_time()) + static_cast<float>(b)).sin();
}
template <class Run>
batch finish(Run& run) {
  while (run.next()) answer(run);
  return run.state();
}
template <class A, class B>
bool same(const A& a, const B& b) {
  return (a == b).all();
}

// NaN stays where it is: it reaches the end of its item and no other, through clipping too.
TEST(network, that_answers_nan_spoils_its_item_alone) {
  for (const laws::planner& p : laws::planners()) {
    SCOPED_TRACE(p.name);
    const program plan = p.plan(test_grid());
    for (const bool clips : {false, true}) {
      const clip limits = clips ? clip{-1, 1} : clip{-1e30, 1e30};
      sampling calm(plan, scaled, start(), gaussian_noise{3}, limits, guidance_scale(2));
      sampling run = calm;
      const batch expected = finish(calm);
      for (int call = 0; run.next(); ++call) {
        answer(run);
        if (call == 0) run.output(1)(7, 1) = std::numeric_limits<float>::quiet_NaN();
      }
      const auto end = run.state();
      EXPECT_TRUE(same(end.col(0), expected.col(0)));
      EXPECT_TRUE(same(end.col(2), expected.col(2)));
      for (Eigen::Index i = 0; i < end.rows(); ++i) {
        if (i == 7)
          EXPECT_TRUE(std::isnan(end(i, 1)));
        else
          EXPECT_EQ(end(i, 1), expected(i, 1));
      }
    }
  }
}

// A rule that reads the outputs refuses them before anything is changed, and is asked again.
TEST(network, that_answers_nan_under_a_rule_is_refused_and_asked_again) {
  for (const laws::planner& p : laws::planners()) {
    SCOPED_TRACE(p.name);
    sampling calm(p.plan(test_grid()), scaled, start(), gaussian_noise{3},
                  adaptive_projected{3, 0.1, 0.5, 0.5});
    sampling run = calm;
    const batch expected = finish(calm);
    while (run.next()) {
      answer(run);
      run.output(0)(7, 1) = std::numeric_limits<float>::quiet_NaN();
      const batch before = run.input();
      EXPECT_THROW(run.next(), std::invalid_argument);
      EXPECT_TRUE(same(run.input(), before));
      answer(run);
    }
    EXPECT_TRUE(same(run.state(), expected));
  }
}

// An input that is scaled is a copy of the state: engines that work in place may use it up.
TEST(network, that_overwrites_a_scaled_input_changes_nothing) {
  const network_description halved{.prediction = predicts_noise,
                                   .input_scale = [](const node&) { return 0.5; }};
  for (const laws::planner& p : laws::planners()) {
    sampling calm(p.plan(test_grid()), halved, start(), gaussian_noise{3});
    sampling run = calm;
    const batch expected = finish(calm);
    while (run.next()) {
      answer(run);
      const auto input = run.input();
      std::fill_n(const_cast<float*>(input.data()), input.size(), 1e30f);
    }
    EXPECT_TRUE(same(run.state(), expected)) << p.name;
  }
}

// Programs and descriptions are values that nobody changes: threads share them, each with a run of its own.
TEST(network, asked_from_several_threads_answers_as_from_one) {
  const std::vector<laws::planner> all = laws::planners();
  for (std::size_t k = 0; k < all.size(); k += 3) {
    const program plan = all[k].plan(test_grid());
    const adaptive_projected rule{3, 0.1, 0.5, 0.5};
    std::vector<batch> ends(4);
    const auto sample = [&](std::size_t seed) {
      sampling run(plan, scaled, start(), gaussian_noise{seed % 2}, rule);
      ends[seed] = finish(run);
    };
    std::vector<std::thread> threads;
    for (std::size_t seed = 0; seed < ends.size(); ++seed) threads.emplace_back(sample, seed);
    for (std::thread& t : threads) t.join();
    const std::vector<batch> together = ends;
    for (std::size_t seed = 0; seed < ends.size(); ++seed) {
      sample(seed);
      EXPECT_TRUE(same(together[seed], ends[seed])) << all[k].name;
    }
  }
}

}  // namespace
}  // namespace tweedie::network_test
