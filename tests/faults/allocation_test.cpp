// Memory that runs out: every allocation of a call fails once. What was the caller's has the same bits
// afterwards, and the call made again gives what it would have given.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "count_allocations.hpp"
#include "discrete/samplers.hpp"
#include "laws/planners.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/guidance.hpp"
#include "tweedie/program/print.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/adaptive.hpp"
#include "tweedie/solve/picard.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/solve/saved_bytes.hpp"
#include "tweedie/tensor/parallel.hpp"

namespace tweedie::allocation_test {
namespace {

using vector = std::vector<float>;

grid test_grid(int steps = 4) { return karras(scaled_linear_beta_schedule(1000), steps); }
const network_description scaled{.prediction = predicts_noise,
                                 .input_scale = variance_preserving_input};
vector start() {
  vector x(20);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(3.0f * static_cast<float>(i));
  return x;
}
void answer(std::span<const float> in, double time, std::span<float> out) {
  for (std::size_t i = 0; i < in.size(); ++i)
    out[i] = std::sin(in[i] + static_cast<float>(0.01 * time));
}
template <class Run>
void answer(Run& run) {
  if constexpr (requires { run.branches(); })
    for (std::size_t b = 1; b < run.branches(); ++b)
      answer(run.input(), run.network_time() + static_cast<double>(b), run.output(b));
  answer(run.input(), run.network_time(), run.output());
}
template <class Run>
vector finish(Run& run) {
  while (run.next()) answer(run);
  const auto state = run.state();
  return {state.begin(), state.end()};
}

// Noise that takes memory to make.
struct own_noise {
  void fill(const noise_request& request, std::span<float> out) const {
    const vector fresh(out.size(), 0.25f * static_cast<float>(request.draw + 1));
    std::copy(fresh.begin(), fresh.end(), out.begin());
  }
};

std::string written(const program& plan) {
  std::ostringstream text;
  text << plan;
  for (const stage& s : plan.stages)
    for (const double w : s.pass.weights) text << ' ' << std::bit_cast<std::uint64_t>(w);
  return text.str();
}

std::vector<double> numbers(const grid& nodes) {
  std::vector<double> all;
  for (const node& n : nodes) all.insert(all.end(), {n.time, n.level.alpha, n.level.sigma});
  return all;
}

TEST(allocation, planners_leave_the_grid_alone_and_plan_the_same_again) {
  for (const laws::planner& p : laws::planners()) {
    const grid nodes = test_grid();
    const std::string expected = written(p.plan(nodes));
    program plan;
    const std::size_t tried = fail_each_allocation([&] { plan = p.plan(nodes); }, [] {});
    EXPECT_GT(tried, 3U) << p.name;
    EXPECT_EQ(written(plan), expected) << p.name;
    EXPECT_EQ(numbers(nodes), numbers(test_grid())) << p.name;
  }
}

TEST(allocation, a_run_that_cannot_begin_leaves_x_alone) {
  for (const laws::planner& p : laws::planners()) {
    const program plan = p.plan(test_grid());
    const std::string planned = written(plan);
    vector x = start();
    const auto begin = [&] {
      sampling made(plan, scaled, x, gaussian_noise{3}, adaptive_projected{3, 0.1, 0.5, 0.5});
    };
    EXPECT_GT(fail_each_allocation(begin, [&] { ASSERT_EQ(x, start()); }), 5U);
    EXPECT_EQ(x, start());
    EXPECT_EQ(written(plan), planned);
  }
}

TEST(allocation, run_changes_x_only_when_it_has_succeeded) {
  const program plan = ddim(test_grid(), 1);
  vector x = start(), expected = x;
  const auto network = [](std::span<const float> in, double time, std::span<float> out) {
    answer(in, time, out);
  };
  run(plan, scaled, expected, network, own_noise{});
  const auto call = [&] { run(plan, scaled, x, network, own_noise{}); };
  EXPECT_GT(fail_each_allocation(call, [&] { ASSERT_EQ(x, start()); }), 20U);
  EXPECT_EQ(x, expected);
}

TEST(allocation, picard_changes_x_only_when_it_has_succeeded) {
  const program plan = ddim(test_grid(), 0.5);
  vector x = start(), expected = x;
  const auto network = [](std::span<const picard_request<float>> requests) {
    for (const auto& r : requests) answer(r.input, r.time, r.output);
  };
  picard(plan, {predicts_noise}, expected, network, gaussian_noise{2});
  const auto call = [&] { picard(plan, {predicts_noise}, x, network, gaussian_noise{2}); };
  EXPECT_GT(fail_each_allocation(call, [&] { ASSERT_EQ(x, start()); }), 20U);
  EXPECT_EQ(x, expected);
}

// In the middle of a run: what fails leaves it where it was, to the bit, and able to go on.
template <class Run, class Call>
void expect_run_unchanged(const Run& at, const Call& call) {
  Run alone = at, run = at;
  const std::vector<std::byte> before = to_bytes(run.saved(), run.plan());
  const vector end = finish(alone);
  const std::size_t tried =
      fail_each_allocation([&] { call(run); },
                           [&] {
                             ASSERT_TRUE(to_bytes(run.saved(), run.plan()) == before);
                             Run copy = run;
                             ASSERT_EQ(finish(copy), end);
                           });
  EXPECT_GT(tried, 0U);
}

TEST(allocation, a_running_sampling_stays_where_it_is) {
  const program plan = dpm_solver_plus_plus(test_grid(), 2), other = ddim(test_grid(7), 1),
                small = euler(test_grid(2));
  const vector x = start();
  sampling run(plan, scaled, x, gaussian_noise{3}, guidance_scale(3));
  for (int call = 0; call < 2; ++call) {
    ASSERT_TRUE(run.next());
    answer(run);
  }
  run.next();
  using Run = decltype(run);
  expect_run_unchanged(run, [](Run& r) { Run copy(r); });
  expect_run_unchanged(run, [](Run& r) { static_cast<void>(r.saved()); });
  expect_run_unchanged(run, [](Run& r) { static_cast<void>(to_bytes(r.saved(), r.plan())); });
  expect_run_unchanged(run, [](Run& r) { static_cast<void>(r.input_places()); });
  const std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
  expect_run_unchanged(run, [&](Run& r) { r.resume(saved_from_bytes<float>(bytes, r.plan())); });
  Run target(ddpm(test_grid(3)), scaled, x, gaussian_noise{4}, guidance_scale(2));
  expect_run_unchanged(run, [&](Run& r) {
    Run replaced = target;
    replaced = r;
  });
  // A plan of more, and one of fewer registers and stages.
  for (const program* next : {&other, &small}) {
    expect_run_unchanged(run, [&](Run& r) { r.restart(*next, scaled, x); });
    Run restarted = run;
    restarted.restart(*next, scaled, x);
    Run fresh(*next, scaled, x, gaussian_noise{3}, guidance_scale(3));
    EXPECT_EQ(finish(restarted), finish(fresh));
  }
}

// Every call of a run's loop is made again after each allocation of it has failed.
template <class Run, class Answer, class Check>
std::size_t drive_through_failures(Run& run, const Answer& answer_it, const Check& unchanged) {
  std::size_t tried = 0;
  for (bool going = true; going;) {
    unchanged.before();
    tried += fail_each_allocation([&] { going = run.next(); }, [&] { unchanged.after(); });
    if (going) answer_it(run);
  }
  return tried;
}
struct nothing_to_see {
  void before() const {}
  void after() const {}
};

TEST(allocation, a_source_of_noise_without_memory_is_asked_again) {
  for (const laws::planner& p : laws::planners()) {
    if (!p.draws) continue;
    const program plan = p.plan(test_grid());
    const vector x = start();
    sampling calm(plan, scaled, x, own_noise{}, guidance_scale(2)), run = calm;
    const vector expected = finish(calm);
    EXPECT_GT(drive_through_failures(
                  run, [](auto& r) { answer(r); }, nothing_to_see{}),
              0U);
    EXPECT_EQ(finish(run), expected) << p.name;
  }
}

TEST(allocation, an_adaptive_run_takes_the_same_steps) {
  const auto at = noise_level_nodes;
  for (const double eta : {0.0, 0.5}) {
    const adaptive_plan plan{
        dpm_solver_23(at), at, {-2, 2, {1e-2, 1e-2, error_norm::worst_item}, eta}};
    const auto make = [&] {
      return adaptive_sampling(plan, {predicts_noise}, start(), pid_controller{.step = 2},
                               own_noise{});
    };
    auto calm = make(), run = make();
    const vector expected = finish(calm);
    EXPECT_GT(calm.rejected(), 0U);
    EXPECT_GT(drive_through_failures(
                  run, [](auto& r) { answer(r); }, nothing_to_see{}),
              100U);
    EXPECT_EQ(finish(run), expected);
    EXPECT_EQ(run.accepted(), calm.accepted());
    EXPECT_EQ(run.rejected(), calm.rejected());
    EXPECT_EQ(run.evaluations(), calm.evaluations());
  }
}

TEST(allocation, every_sampler_of_tokens_makes_the_same_tokens) {
  using namespace discrete;
  using namespace discrete::small_batch;
  for_each_sampler([](const char* name, const auto& sampler, const alphabet& symbols) {
    SCOPED_TRACE(name);
    std::vector<token> x = start_of<token>(symbols), expected = x, before;
    token_sampling calm(sampler, token_batch{expected, items}, vocabulary, counter_uniform{3});
    while (calm.next()) some_network(calm);
    const auto begin = [&] {
      token_sampling made(sampler, token_batch{x, items}, vocabulary, counter_uniform{3});
    };
    fail_each_allocation(begin, [&] { ASSERT_EQ(x, start_of<token>(symbols)); });
    token_sampling run(sampler, token_batch{x, items}, vocabulary, counter_uniform{3});
    struct unchanged_tokens {
      std::vector<token>&now, &kept;
      void before() const { kept = now; }
      void after() const { ASSERT_EQ(now, kept); }
    };
    EXPECT_GT(drive_through_failures(
                  run, [](auto& r) { some_network(r); }, unchanged_tokens{x, before}),
              0U);
    EXPECT_EQ(x, expected);

    // From its middle to its beginning and back.
    x = start_of<token>(symbols);
    token_sampling again(sampler, token_batch{x, items}, vocabulary, counter_uniform{3});
    const auto first = again.saved();
    ASSERT_TRUE(again.next());
    some_network(again);
    again.next();
    const auto middle = again.saved();
    const auto same = [&](const auto& a, const auto& b) {
      return a.at == b.at && a.tokens == b.tokens && a.first_logits == b.first_logits &&
             a.first_tokens == b.first_tokens;
    };
    fail_each_allocation([&] { again.resume(first); },
                         [&] { ASSERT_TRUE(same(again.saved(), middle)); });
    EXPECT_TRUE(same(again.saved(), first));
    fail_each_allocation([&] { again.resume(middle); },
                         [&] { ASSERT_TRUE(same(again.saved(), first)); });
    while (again.next()) some_network(again);
    EXPECT_EQ(x, expected);
  });
}

TEST(allocation, threads_that_cannot_start_are_joined) {
  const auto call = [] {
    workers threads(3);
    std::atomic<int> sum = 0;
    threads.for_each(10, [&](std::size_t i) { sum += static_cast<int>(i); });
    ASSERT_EQ(sum, 45);
  };
  EXPECT_GT(fail_each_allocation(call, [] {}), 3U);
}

}  // namespace
}  // namespace tweedie::allocation_test
