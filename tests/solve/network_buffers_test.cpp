#include "tweedie/solve/network_buffers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "laws/planners.hpp"
#include "refusal.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/guidance/corrected.hpp"
#include "tweedie/guidance/projected.hpp"
#include "tweedie/guidance/threshold.hpp"
#include "tweedie/solve/adaptive.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/parallel.hpp"

namespace tweedie {
namespace {

const network_description plain{predicts_noise};
const network_description scaled{predicts_noise, variance_preserving_input};

grid test_grid() { return karras(scaled_linear_beta_schedule(1000), 6); }

template <class S = double>
std::vector<S> start(std::size_t n) {
  std::vector<S> x;
  for (std::size_t i = 0; i < n; ++i)
    x.push_back(static_cast<S>(std::sin(1.0 + 3.7 * static_cast<double>(i))));
  return x;
}

// Some answer that depends on everything a network is told.
template <class S>
void answer(const S* in, double time, std::size_t branch, S* out, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<S>(
        std::sin(static_cast<double>(in[i]) * (1 + static_cast<double>(branch)) + 0.01 * time));
}

// An engine that was bound to addresses before the run: it never asks the run where to read and write.
// Its memory stands between canaries, and not at whole cache lines.
template <class S>
struct engine {
  static constexpr std::size_t margin = 5;

  engine(std::size_t size, std::size_t branches, bool variance = false)
      : size_(size),
        branches_(branches),
        variance_(variance),
        memory_((branches + 1 + variance) * (size + margin) + margin, canary()) {}

  static S canary() { return static_cast<S>(-77.5); }
  S* at(std::size_t k) { return memory_.data() + margin + k * (size_ + margin); }
  network_buffers<S> buffers() {
    network_buffers<S> out{.input = {at(0), size_}, .outputs = {}};
    for (std::size_t k = 0; k < branches_; ++k) out.outputs.emplace_back(at(k + 1), size_);
    if (variance_) out.variance = {at(branches_ + 1), size_};
    return out;
  }
  void run(double time) {
    for (std::size_t k = 0; k < branches_; ++k) answer(at(0), time, k, at(k + 1), size_);
    if (variance_) answer(at(0), time, branches_, at(branches_ + 1), size_);
  }
  bool untouched_outside() {
    for (std::size_t k = 0; k <= branches_ + 1 + variance_; ++k)
      for (std::size_t i = 0; i < margin; ++i)
        if (memory_[k * (size_ + margin) + i] != canary()) return false;
    return true;
  }

  std::size_t size_, branches_;
  bool variance_;
  std::vector<S> memory_;
};

// A run that owns its memory.
template <class Sampling>
void finish(Sampling& s, bool variance = false) {
  const auto size = static_cast<std::size_t>(s.input().size());
  while (s.next()) {
    for (std::size_t k = 0; k < s.branches(); ++k)
      answer(s.input().data(), s.network_time(), k, s.output(k).data(), size);
    if (variance)
      answer(s.input().data(), s.network_time(), s.branches(), s.variance_output().data(), size);
  }
}

template <class S, class Sampling>
void expect_bound(Sampling& s, engine<S>& e) {
  EXPECT_EQ(s.input().data(), e.at(0));
  EXPECT_EQ(s.input_places().size(), 1u);
  EXPECT_EQ(s.input_places().front().data(), e.at(0));
  for (std::size_t k = 0; k < s.branches(); ++k) EXPECT_EQ(s.output(k).data(), e.at(k + 1));
}

template <class S>
void expect_same_run(const std::string& name, const program& plan,
                     const network_description& network, const auto&... parts) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{67}}) {
    sampling owner(plan, network, start<S>(size), gaussian_noise{3}, parts...);
    finish(owner);
    engine<S> e(size, owner.branches());
    sampling s(plan, network, start<S>(size), gaussian_noise{3}, parts..., e.buffers());
    while (s.next()) {
      expect_bound(s, e);
      e.run(s.network_time());
    }
    EXPECT_TRUE(std::ranges::equal(s.state(), owner.state())) << name;
    EXPECT_TRUE(e.untouched_outside()) << name;
  }
}

TEST(network_buffers, every_planner_gives_the_bits_of_a_run_that_owns_its_memory) {
  std::size_t several_places = 0;
  for (const laws::planner& p : laws::planners()) {
    const program plan = p.plan(test_grid());
    several_places += sampling(plan, plain, start(1), gaussian_noise{3}).input_places().size() > 1;
    for (const network_description& network : {plain, scaled}) {
      expect_same_run<double>(p.name, plan, network);
      expect_same_run<float>(p.name, plan, network, guidance_scale(3));
    }
  }
  EXPECT_GT(several_places, 2u);  // the case where the input is a copy is among them
}

TEST(network_buffers, all_storage_types_rules_transforms_and_threads) {
  workers threads(2);
  for (const program& plan : {ddpm(test_grid()), heun(test_grid())}) {
    expect_same_run<float16>("float16", plan, scaled, guidance_scale(2));
    expect_same_run<bfloat16>("bfloat16", plan, plain);
    expect_same_run<float>("rule", plan, scaled, rescaled{adaptive_projected{3.0}, 0.7},
                           clip{-1, 1});
    expect_same_run<float>("threshold", plan, plain, dynamic_threshold{});
  }
  const program plan = dpm_solver_plus_plus(test_grid(), 2);
  const std::vector<double> x = start(5000);
  sampling owner(plan, scaled, x, threads);
  finish(owner);
  engine<double> e(x.size(), 1);
  sampling s(plan, scaled, x, threads, e.buffers());
  while (s.next()) e.run(s.network_time());
  EXPECT_TRUE(std::ranges::equal(s.state(), owner.state()));
}

TEST(network_buffers, learned_variance_is_read_where_the_caller_says) {
  const program plan = ddpm(test_grid(), learned_range{});
  sampling owner(plan, plain, start(9), gaussian_noise{1});
  finish(owner, true);
  engine<double> e(9, 1, true);
  sampling s(plan, plain, start(9), gaussian_noise{1}, e.buffers());
  EXPECT_EQ(s.variance_output().data(), e.at(2));
  while (s.next()) e.run(s.network_time());
  EXPECT_TRUE(std::ranges::equal(s.state(), owner.state()));

  engine<double> without(9, 1);
  EXPECT_EQ(refusal([&] { sampling(plan, plain, start(9), gaussian_noise{1}, without.buffers()); }),
            "sampling: network_buffers::variance.size() = 0; valid: 9");
  sampling other(ddpm(test_grid()), plain, start(9), gaussian_noise{1}, without.buffers());
  EXPECT_EQ(refusal([&] { other.restart(plan, plain, start(9)); }),
            "sampling::restart: the program draws with learned variance; the run has no "
            "network_buffers::variance");
}

// x may be the engine's input itself.
TEST(network_buffers, a_sample_may_begin_in_the_input) {
  for (const program& plan : {ddim(test_grid()), heun(test_grid())})
    for (const network_description& network : {plain, scaled}) {
      sampling owner(plan, network, start(9), gaussian_noise{1});
      finish(owner);
      engine<double> e(9, 1);
      const std::vector<double> x = start(9);
      std::copy(x.begin(), x.end(), e.at(0));
      sampling s(plan, network, std::span<double>(e.at(0), 9), gaussian_noise{1}, e.buffers());
      while (s.next()) e.run(s.network_time());
      EXPECT_TRUE(std::ranges::equal(s.state(), owner.state()));
    }
}

// Saved by a run of either kind, resumed by either.
TEST(network_buffers, runs_are_saved_resumed_and_restarted) {
  for (const network_description& network : {plain, scaled})
    for (const program& plan : {ddim(test_grid()), unipc(test_grid(), 2), heun(test_grid())}) {
      sampling owner(plan, network, start(9), no_noise{});
      engine<double> first(9, 1), second(9, 1);
      sampling bound(plan, network, start(9), no_noise{}, first.buffers());
      std::optional<saved_sampling<double>> of_owner, of_bound;
      for (int call = 0; owner.next() && bound.next(); ++call) {
        if (call == 3) of_owner = owner.saved(), of_bound = bound.saved();
        answer(owner.input().data(), owner.network_time(), 0, owner.output().data(), 9);
        first.run(bound.network_time());
      }
      ASSERT_FALSE(bound.next());
      const std::vector<double> result(owner.state().begin(), owner.state().end());
      EXPECT_TRUE(std::ranges::equal(bound.state(), result));

      sampling fork(plan, network, start(9), no_noise{}, second.buffers());
      for (const auto& saved : {of_owner, of_bound}) {
        fork.resume(*saved);
        while (fork.next()) {
          expect_bound(fork, second);
          second.run(fork.network_time());
        }
        EXPECT_TRUE(std::ranges::equal(fork.state(), result));
        owner.resume(*saved);
        finish(owner);
        EXPECT_TRUE(std::ranges::equal(owner.state(), result));
      }
      bound.restart(start(9));
      while (bound.next()) first.run(bound.network_time());
      EXPECT_TRUE(std::ranges::equal(bound.state(), result));
      const program another = dpm_solver_plus_plus(test_grid(), 3);
      bound.restart(another, network, start(9));
      while (bound.next()) {
        expect_bound(bound, first);
        first.run(bound.network_time());
      }
      sampling fresh(another, network, start(9), no_noise{});
      finish(fresh);
      EXPECT_TRUE(std::ranges::equal(bound.state(), fresh.state()));
      EXPECT_TRUE(first.untouched_outside() && second.untouched_outside());
    }
}

// Two runs would write one memory.
TEST(network_buffers, a_bound_run_moves_and_is_not_copied) {
  engine<double> e(9, 1);
  const program plan = heun(test_grid());
  sampling s(plan, plain, start(9), e.buffers());
  EXPECT_NE(refusal([&] { sampling copy = s; }).find("is not copied"), std::string::npos);
  sampling other(ddim(test_grid()), plain, start(4));
  EXPECT_NE(refusal([&] { other = s; }).find("is not copied"), std::string::npos);
  finish(other);  // as it was
  EXPECT_EQ(other.steps_done(), 6u);
  sampling moved = std::move(s);
  while (moved.next()) {
    expect_bound(moved, e);
    e.run(moved.network_time());
  }
  sampling owner(plan, plain, start(9));
  finish(owner);
  EXPECT_TRUE(std::ranges::equal(moved.state(), owner.state()));
  // One without buffers is still copied with memory of its own, and assigned.
  owner.restart(start(9));
  other = owner;
  finish(owner);
  finish(other);
  EXPECT_TRUE(std::ranges::equal(other.state(), owner.state()));
  EXPECT_NE(other.output().data(), owner.output().data());
}

TEST(network_buffers, states_changed_between_steps_are_what_the_network_sees) {
  for (const program& plan : {ddim(test_grid()), heun(test_grid())})
    for (const network_description& network : {plain, scaled}) {
      const auto go = [&](auto& s, auto&& ask) {
        for (auto event = s.advance(); event != sampling_event::finished; event = s.advance()) {
          if (event == sampling_event::step)
            for (double& v : s.state()) v = 0.5 * v + 0.1;
          else
            ask();
        }
      };
      sampling owner(plan, network, start(9));
      go(owner,
         [&] { answer(owner.input().data(), owner.network_time(), 0, owner.output().data(), 9); });
      engine<double> e(9, 1);
      sampling s(plan, network, start(9), e.buffers());
      go(s, [&] { e.run(s.network_time()); });
      EXPECT_TRUE(std::ranges::equal(s.state(), owner.state()));
    }
}

TEST(network_buffers, run_and_adaptive_sampling_take_them) {
  const program plan = heun(test_grid());
  const auto network = [](std::span<const double> in, double time, std::span<double> out) {
    answer(in.data(), time, 0, out.data(), in.size());
  };
  std::vector<double> x = start(9), y = start(9);
  engine<double> e(9, 1);
  run(plan, plain, x, network);
  run(
      plan, plain, y,
      [&](std::span<const double> in, double time, std::span<double> out) {
        EXPECT_EQ(in.data(), e.at(0));
        EXPECT_EQ(out.data(), e.at(1));
        e.run(time);
      },
      e.buffers());
  EXPECT_EQ(x, y);
  EXPECT_TRUE(e.untouched_outside());

  const std::vector<double> before = x = start(9);
  for (const std::size_t from : {std::size_t{0}, std::size_t{4}}) {
    EXPECT_EQ(
        refusal([&] {
          std::span<double> some(x.data(), 5);
          run(plan, plain, some, network,
              network_buffers<double>{.input = std::span<double>(e.at(0), 5),
                                      .outputs = {std::span<double>(x.data() + from, 5)}});
        }),
        "run: x and network_buffers overlap; valid: memory of its own for x, which is kept as "
        "it is if anything throws");
    EXPECT_EQ(x, before);
  }

  const auto at_log_snr = [](double lambda) {
    const double alpha = 1 / std::sqrt(1 + std::exp(-2 * lambda));
    return node{lambda, {alpha, std::exp(-lambda) * alpha}};
  };
  const adaptive_plan steps{dpm_solver_23(at_log_snr), at_log_snr, {.from = -2, .to = 2}};
  adaptive_sampling owner(steps, plain, start(9), pid_controller{});
  adaptive_sampling bound(steps, plain, start(9), pid_controller{}, e.buffers());
  while (owner.next())
    answer(owner.input().data(), owner.network_time(), 0, owner.output().data(), 9);
  while (bound.next()) {
    EXPECT_EQ(bound.input().data(), e.at(0));
    EXPECT_EQ(bound.output().data(), e.at(1));
    e.run(bound.network_time());
  }
  EXPECT_TRUE(std::ranges::equal(bound.state(), owner.state()));
}

TEST(network_buffers, nothing_is_one_thing_too_small_misaligned_or_twice) {
  const program plan = ddim(test_grid());
  std::vector<float> memory(64);
  const auto at = [&](std::size_t from, std::size_t size = 9) {
    return std::span<float>(memory).subspan(from, size);
  };
  const auto said = [&](const network_buffers<float>& buffers, const auto&... parts) {
    return refusal([&] { sampling(plan, plain, start<float>(9), buffers, parts...); });
  };
  EXPECT_EQ(said({at(0), {at(9)}}), "");
  EXPECT_EQ(said({at(0, 8), {at(9)}}), "sampling: network_buffers::input.size() = 8; valid: 9");
  EXPECT_EQ(said({at(0, 18), {at(18)}}), "sampling: network_buffers::input.size() = 18; valid: 9");
  EXPECT_EQ(said({at(0), {at(9, 8)}}),
            "sampling: network_buffers::outputs[0].size() = 8; valid: 9");
  EXPECT_EQ(said({at(0), {}}), "sampling: number of network_buffers::outputs = 0; valid: 1");
  EXPECT_EQ(said({at(0), {at(9), at(18)}}),
            "sampling: number of network_buffers::outputs = 2; valid: 1");
  EXPECT_EQ(said({at(0), {at(9)}}, guidance_scale(3)),
            "sampling: number of network_buffers::outputs = 1; valid: 2");
  EXPECT_EQ(said({at(0), {at(9)}, at(18, 3)}),
            "sampling: network_buffers::variance.size() = 3; valid: 9");
  EXPECT_EQ(
      said({at(0), {at(8)}}),
      "sampling: network_buffers::input and network_buffers::outputs[0] overlap; valid: memory "
      "of its own for each");
  EXPECT_EQ(said({at(9), {at(20), at(28)}}, guidance_scale(3)),
            "sampling: network_buffers::outputs[0] and network_buffers::outputs[1] overlap; valid: "
            "memory of its own for each");
  EXPECT_EQ(
      said({at(0), {at(9)}, at(5)}),
      "sampling: network_buffers::input and network_buffers::variance overlap; valid: memory of "
      "its own for each");
  // An address that no float has; it is never read.
  const auto odd = reinterpret_cast<float*>(reinterpret_cast<std::uintptr_t>(memory.data()) + 2);
  EXPECT_EQ(said({at(30), {std::span<float>(odd, 9)}}),
            "sampling: network_buffers::outputs[0] is not aligned; valid: addresses that are "
            "multiples of 4");
  EXPECT_EQ(std::count(memory.begin(), memory.end(), 0.0f), 64 - 9);  // x, of the run that began
}

TEST(network_buffers, an_empty_sample_needs_none) {
  sampling s(ddim(test_grid()), plain, std::vector<float>{}, network_buffers<float>{{}, {{}}});
  std::size_t calls = 0;
  while (s.next()) ++calls;
  EXPECT_EQ(calls, 6u);
}

}  // namespace
}  // namespace tweedie
