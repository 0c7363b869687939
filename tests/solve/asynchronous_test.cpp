// Runs whose network answers later, on one thread.
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <stdexcept>

#include "laws/planners.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

using vector = std::vector<float>;

grid test_grid() { return karras(scaled_linear_beta_schedule(1000), 5); }

void answer(std::span<const float> in, double time, std::span<float> out) {
  for (std::size_t i = 0; i < in.size(); ++i)
    out[i] = std::sin(in[i] + static_cast<float>(0.01 * time));
}

std::future<void> submit(sampling<vector>& run, bool fails = false) {
  return std::async(std::launch::async,
                    [=, in = run.input(), time = run.network_time(), out = run.output()] {
                      // What fails has already spoilt its output.
                      if (fails) std::fill(out.begin(), out.end(), 7.0f);
                      if (fails) throw std::runtime_error("engine");
                      answer(in, time, out);
                    });
}

sampling<vector> made(const program& plan, std::uint64_t seed) {
  vector x(37);
  fill_standard_normal(x, seed);
  return {plan, network_description{predicts_noise}, x, gaussian_noise{seed}};
}

vector alone(const program& plan, std::uint64_t seed) {
  sampling<vector> run = made(plan, seed);
  while (run.next()) answer(run.input(), run.network_time(), run.output());
  return {run.state().begin(), run.state().end()};
}

TEST(asynchronous, requests_of_every_planner_interleave_with_the_bits_of_each_alone) {
  for (const laws::planner& p : laws::planners()) {
    SCOPED_TRACE(p.name);
    const program plan = p.plan(test_grid()), other = ddim(test_grid(), 1);
    sampling<vector> first = made(plan, 1), second = made(other, 2);
    std::future<void> pending[2];
    bool goes_on[2] = {true, true};
    while (goes_on[0] || goes_on[1])
      for (int k = 0; k < 2; ++k) {
        sampling<vector>& run = k == 0 ? first : second;
        if (pending[k].valid()) pending[k].get();
        goes_on[k] = goes_on[k] && run.next();
        if (goes_on[k]) pending[k] = submit(run);
      }
    const vector a = alone(plan, 1), b = alone(other, 2);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), first.state().begin()));
    EXPECT_TRUE(std::equal(b.begin(), b.end(), second.state().begin()));
  }
}

// Every call fails once before it succeeds.
TEST(asynchronous, a_failed_call_is_asked_again_and_leaves_both_requests_intact) {
  const program plan = dpm_solver_plus_plus(test_grid(), 2), other = ddpm(test_grid());
  sampling<vector> failing = made(plan, 1), calm = made(other, 2);
  int failures = 0;
  while (failing.next()) {
    ASSERT_TRUE(calm.next());
    std::future<void> spoilt = submit(failing, true), well = submit(calm);
    EXPECT_THROW(spoilt.get(), std::runtime_error);
    ++failures;
    submit(failing).get();
    well.get();
  }
  EXPECT_FALSE(calm.next());
  EXPECT_EQ(failures, 5);
  const vector a = alone(plan, 1), b = alone(other, 2);
  EXPECT_TRUE(std::equal(a.begin(), a.end(), failing.state().begin()));
  EXPECT_TRUE(std::equal(b.begin(), b.end(), calm.state().begin()));
}

TEST(asynchronous, a_cancelled_request_leaves_the_other_intact) {
  const program plan = dpm_solver_plus_plus(test_grid(), 2);
  sampling<vector> run = made(plan, 1);
  std::optional<sampling<vector>> cancelled = made(plan, 2);
  for (int call = 0; run.next(); ++call) {
    if (cancelled && cancelled->next()) {
      std::future<void> pending = submit(*cancelled);
      if (call == 2) {
        pending.wait();
        cancelled.reset();
      } else {
        pending.get();
      }
    }
    submit(run).get();
  }
  EXPECT_FALSE(cancelled);
  const vector a = alone(plan, 1);
  EXPECT_TRUE(std::equal(a.begin(), a.end(), run.state().begin()));
}

}  // namespace
}  // namespace tweedie
