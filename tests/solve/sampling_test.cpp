#include "tweedie/solve/sampling.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "count_allocations.hpp"
#include "laws/planners.hpp"
#include "refusal.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/eigen_tensor.hpp"
#include "tweedie/tensor/parallel.hpp"

namespace tweedie::sampling_test {
namespace {

constexpr double data_mean = 0.4;
constexpr double variance_of_data = 0.3;

// The exact denoiser of N(mean, variance) data, as a network of a given kind.
template <class S>
void answer(std::span<const S> in, const node& seen, plane_row row, std::span<S> out) {
  const auto [alpha, sigma] = seen.level;
  const double c = alpha * alpha * variance_of_data + sigma * sigma;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const double x = static_cast<double>(in[i]);
    const double clean = data_mean + alpha * variance_of_data / c * (x - alpha * data_mean);
    const double noise = sigma / c * (x - alpha * data_mean);
    out[i] = static_cast<S>(row.x0 * clean + row.z * noise);
  }
}

grid test_grid() { return trailing(linear_beta_schedule(1000), 8); }

std::vector<double> start(std::size_t n) {
  std::vector<double> x;
  for (std::size_t i = 0; i < n; ++i) x.push_back(std::sin(1.0 + 3.7 * static_cast<double>(i)));
  return x;
}

template <class Sampling>
void finish(Sampling& s, const network_description& network) {
  while (s.next()) {
    const node& at = s.at();
    const double c = network.input_scale(at);
    const node seen{at.time, {c * at.level.alpha, c * at.level.sigma}};
    answer(elements(s.input()), seen, network.prediction(seen), elements(s.output()));
  }
}

struct kind {
  const char* name;
  network_description network;
};

std::vector<kind> kinds() {
  return {{"noise", {predicts_noise}},
          {"sample", {predicts_sample}},
          {"v", {predicts_v}},
          {"velocity", {predicts_rectified_velocity}},
          {"score", {predicts_score}},
          {"noise, scaled input", {predicts_noise, variance_preserving_input}},
          {"v, scaled input", {predicts_v, [](const node&) { return 0.3; }}}};
}

TEST(sampling, every_prediction_kind_gives_the_same_samples) {
  for (const laws::planner& p : laws::planners()) {
    const program plan = p.plan(test_grid());
    sampling reference(plan, {predicts_sample}, start(7), gaussian_noise{5});
    finish(reference, {predicts_sample});
    for (const kind& k : kinds()) {
      sampling s(plan, k.network, start(7), gaussian_noise{5});
      finish(s, k.network);
      for (std::size_t i = 0; i < 7; ++i)
        EXPECT_NEAR(s.state()[i], reference.state()[i], 1e-11) << p.name << ", " << k.name;
    }
  }
}

TEST(sampling, single_precision_follows_double) {
  const program plan = ddim(trailing(linear_beta_schedule(1000), 1000));
  std::vector<double> x = start(33);
  std::vector<float> y(x.begin(), x.end());
  sampling a(plan, {predicts_noise}, x, no_noise{});
  sampling b(plan, {predicts_noise}, y, no_noise{});
  finish(a, {predicts_noise});
  finish(b, {predicts_noise});
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(static_cast<double>(b.state()[i]), a.state()[i], 2e-5);
}

TEST(sampling, half_precision_storage_stays_within_its_rounding) {
  const program plan = ddim(trailing(linear_beta_schedule(1000), 20));
  std::vector<double> x = start(33);
  std::vector<float16> y(x.begin(), x.end());
  std::vector<bfloat16> w(x.begin(), x.end());
  sampling a(plan, {predicts_sample}, x, no_noise{});
  sampling b(plan, {predicts_sample}, y, no_noise{});
  sampling c(plan, {predicts_sample}, w, no_noise{});
  finish(a, {predicts_sample});
  finish(b, {predicts_sample});
  finish(c, {predicts_sample});
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(b.state()[i]), a.state()[i], 5e-3);
    EXPECT_NEAR(static_cast<double>(c.state()[i]), a.state()[i], 5e-2);
  }
}

TEST(sampling, containers_give_the_same_bits) {
  const program plan = ddpm(test_grid());
  const std::vector<double> x = start(12);
  sampling flat(plan, {predicts_v}, x, gaussian_noise{1});
  finish(flat, {predicts_v});
  Eigen::VectorXd v = Eigen::Map<const Eigen::VectorXd>(x.data(), 12);
  sampling vector(plan, {predicts_v}, v, gaussian_noise{1});
  finish(vector, {predicts_v});
  Eigen::Tensor<double, 3> t(2, 6, 1);
  std::copy(x.begin(), x.end(), t.data());
  sampling tensor(plan, {predicts_v}, t, gaussian_noise{1});
  finish(tensor, {predicts_v});
  std::span<const double> s(x);
  sampling span(plan, {predicts_v}, s, gaussian_noise{1});
  finish(span, {predicts_v});
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(vector.state()[static_cast<Eigen::Index>(i)], flat.state()[i]);
    EXPECT_EQ(tensor.state().data()[i], flat.state()[i]);
    EXPECT_EQ(span.state()[i], flat.state()[i]);
  }
}

TEST(sampling, an_item_does_not_depend_on_its_batch) {
  const program plan = ddpm(test_grid());
  Eigen::MatrixXf batch(37, 3);
  for (Eigen::Index i = 0; i < batch.size(); ++i) batch.data()[i] = std::cos(float(i));
  sampling whole(plan, {predicts_v}, batch, seeded_items{{11, 22, 33}});
  finish(whole, {predicts_v});
  for (Eigen::Index item = 0; item < 3; ++item) {
    Eigen::VectorXf alone = batch.col(item);
    sampling one(plan, {predicts_v}, alone,
                 gaussian_noise{static_cast<std::uint64_t>(11 * (item + 1))});
    finish(one, {predicts_v});
    for (Eigen::Index i = 0; i < 37; ++i) EXPECT_EQ(whole.state()(i, item), one.state()[i]);
  }
}

// Hands out the values of a counter source through memory, as a recorded source would.
struct stored_noise {
  gaussian_noise source;
  template <class S>
  void fill(const noise_request& request, std::span<S> out) const {
    source.fill(request, out);
  }
};

TEST(sampling, noise_made_inside_the_pass_is_the_noise_of_the_source) {
  for (const reverse_variance& variance :
       {reverse_variance{fixed_small{}}, reverse_variance{learned_range{}}}) {
    const program plan = ddpm(test_grid(), variance);
    sampling inside(plan, {predicts_noise}, start(50), gaussian_noise{9});
    sampling outside(plan, {predicts_noise}, start(50), stored_noise{{9}});
    const auto go = [](auto& s) {
      while (s.next()) {
        answer<double>(elements(s.input()), s.at(), {0, 1}, elements(s.output()));
        if (s.plan().draws.front().learned)
          for (std::size_t i = 0; i < 50; ++i)
            s.variance_output()[i] = std::sin(static_cast<double>(i));
      }
    };
    go(inside);
    go(outside);
    for (std::size_t i = 0; i < 50; ++i) EXPECT_NEAR(inside.state()[i], outside.state()[i], 1e-15);
  }
}

// A pass that mixes a plain draw and a learned one, in either order.
TEST(sampling, draws_of_both_kinds_meet_in_one_pass) {
  for (const bool learned_first : {false, true}) {
    program plan;
    plan.start = {0.5, rectified(1)};
    plan.draws.resize(2);
    plan.draws[learned_first ? 0 : 1] = {0, 0, true, -2, 1};
    plan.stages.push_back({evaluation{0, plan.start},
                           {{{operand_kind::stored, 0},
                             {operand_kind::output, 0},
                             {operand_kind::draw, 0},
                             {operand_kind::draw, 1}},
                            {0},
                            {0.5, -0.25, 0.7, 0.3}},
                           step_mark{0, plan.start}});
    const auto go = [](auto run) {
      while (run.next())
        for (std::size_t i = 0; i < 50; ++i) {
          run.output()[i] = std::cos(static_cast<double>(i));
          run.variance_output()[i] = std::sin(static_cast<double>(i));
        }
      return std::vector<double>(run.state().begin(), run.state().end());
    };
    const std::vector<double> x = start(50);
    const network_description network{predicts_noise};
    const auto inside = go(sampling(plan, network, x, gaussian_noise{9})),
               outside = go(sampling(plan, network, x, stored_noise{{9}}));
    for (std::size_t i = 0; i < 50; ++i) {
      double z[2];
      for (int d = 0; d < 2; ++d) {
        std::vector<double> drawn(50);
        gaussian_noise{9}.fill(noise_request{d, {}, 1}, std::span<double>(drawn));
        z[d] = drawn[i];
      }
      // log_variance = ((1 + v) 1 - (1 - v) 2) / 2
      const double v = std::sin(static_cast<double>(i));
      z[learned_first ? 0 : 1] *= std::exp(((1 + v) - 2 * (1 - v)) / 4);
      EXPECT_NEAR(inside[i],
                  0.5 * x[i] - 0.25 * std::cos(static_cast<double>(i)) + 0.7 * z[0] + 0.3 * z[1],
                  1e-14);
      EXPECT_NEAR(outside[i], inside[i], 1e-14);
    }
  }
}

TEST(sampling, learned_variance_interpolates_between_the_two_named_ones) {
  const grid nodes = test_grid();
  const auto run_with = [&](const reverse_variance& variance, double v) {
    const program plan = ddpm(nodes, variance);
    sampling s(plan, {predicts_noise}, start(9), gaussian_noise{2});
    while (s.next()) {
      answer<double>(elements(s.input()), s.at(), {0, 1}, elements(s.output()));
      if (s.plan().draws.front().learned)
        for (double& e : elements(s.variance_output())) e = v;
    }
    return std::vector<double>(s.state().begin(), s.state().end());
  };
  const auto low = run_with(learned_range{}, -1), small = run_with(fixed_small{}, 0);
  const auto high = run_with(learned_range{}, 1), large = run_with(fixed_large{}, 0);
  for (std::size_t i = 0; i < low.size(); ++i) {
    EXPECT_NEAR(low[i], small[i], 1e-12);
    EXPECT_NEAR(high[i], large[i], 1e-12);
  }
}

TEST(sampling, clipping_inside_the_pass_equals_clipping_outside) {
  const auto clamp_all = [](std::span<double> clean, std::size_t, const node&) {
    for (double& e : clean) e = std::min(std::max(e, -0.2), 0.5);
  };
  for (const laws::planner& p : laws::planners()) {
    const program plan = p.plan(test_grid());
    for (const kind& k : kinds()) {
      sampling inside(plan, k.network, start(40), gaussian_noise{3}, clip{-0.2, 0.5});
      sampling outside(plan, k.network, start(40), gaussian_noise{3}, clamp_all);
      finish(inside, k.network);
      finish(outside, k.network);
      for (std::size_t i = 0; i < 40; ++i) {
        EXPECT_NEAR(inside.state()[i], outside.state()[i], 1e-13) << p.name << ", " << k.name;
      }
    }
  }
}

TEST(sampling, a_clipped_last_step_ends_within_the_range) {
  sampling s(ddim(test_grid()), {predicts_noise}, start(40), no_noise{}, clip{-0.2, 0.5});
  finish(s, {predicts_noise});
  for (const double x : s.state()) {
    EXPECT_LE(x, 0.5);
    EXPECT_GE(x, -0.2);
  }
}

TEST(sampling, guidance_is_mixing_outputs_first) {
  for (const laws::planner& p : laws::planners()) {
    const program plan = p.plan(test_grid());
    for (const double w : {0.0, 1.0, 7.5}) {
      sampling branched(plan, {predicts_v}, start(21), gaussian_noise{4}, unchanged{},
                        guidance_scale(w));
      sampling mixed(plan, {predicts_v}, start(21), gaussian_noise{4});
      std::vector<double> u(21), c(21);
      const auto ask = [&](const auto& s) {
        for (std::size_t i = 0; i < 21; ++i) {
          u[i] = std::sin(s.input()[i]);
          c[i] = std::cos(s.input()[i]);
        }
      };
      while (branched.next()) {
        ask(branched);
        std::copy(u.begin(), u.end(), branched.output(0).begin());
        std::copy(c.begin(), c.end(), branched.output(1).begin());
      }
      while (mixed.next()) {
        ask(mixed);
        guide<double>(u, c, w, mixed.output());
      }
      for (std::size_t i = 0; i < 21; ++i)
        EXPECT_NEAR(branched.state()[i], mixed.state()[i], 1e-10 * (1 + std::abs(mixed.state()[i])))
            << p.name << ", w = " << w;
    }
  }
}

TEST(sampling, guidance_may_change_between_steps) {
  const program plan = ddim(test_grid());
  sampling s(plan, {predicts_noise}, start(5), no_noise{}, unchanged{}, guidance_scale(1));
  sampling reference(plan, {predicts_noise}, start(5), no_noise{});
  for (int step = 0;; ++step) {
    const bool going = s.next();
    ASSERT_EQ(reference.next(), going);
    if (!going) break;
    const double w = step % 2 ? 3.0 : 1.0;
    s.set_branch_weights(guidance_scale(w));
    for (std::size_t i = 0; i < 5; ++i) {
      s.output(0)[i] = 0.1 * s.input()[i];
      s.output(1)[i] = 0.3 * s.input()[i];
      reference.output()[i] = (0.1 + w * 0.2) * reference.input()[i];
    }
  }
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(s.state()[i], reference.state()[i], 1e-12);
  EXPECT_THROW(s.set_branch_weights(std::vector{1.0}), std::invalid_argument);
}

TEST(sampling, a_copy_and_a_resumed_run_give_the_same_bits) {
  for (const laws::planner& p : laws::planners()) {
    const program plan = p.plan(test_grid());
    for (const kind& k : kinds()) {
      sampling s(plan, k.network, std::vector<float>(23, 0.7f), gaussian_noise{8});
      int calls = 0;
      std::optional<sampling<std::vector<float>>> fork;
      std::optional<saved_sampling<float>> saved;
      while (s.next()) {
        if (++calls == 3) {
          fork = s;
          saved = s.saved();
        }
        const double c = k.network.input_scale(s.at());
        const node seen{s.at().time, {c * s.at().level.alpha, c * s.at().level.sigma}};
        answer<float>(elements(s.input()), seen, k.network.prediction(seen), elements(s.output()));
        if (calls == 3)
          answer<float>(elements(fork->input()), seen, k.network.prediction(seen),
                        elements(fork->output()));
      }
      finish(*fork, k.network);
      sampling again(plan, k.network, std::vector<float>(23, 0.0f), gaussian_noise{8});
      again.resume(*saved);
      finish(again, k.network);
      for (std::size_t i = 0; i < 23; ++i) {
        EXPECT_EQ(s.state()[i], fork->state()[i]) << p.name << ", " << k.name;
        EXPECT_EQ(s.state()[i], again.state()[i]) << p.name << ", " << k.name;
      }
    }
  }
}

template <class Noise, class Transform>
void expect_threads_change_no_bit(const program& plan, Noise noise, Transform transform) {
  const std::vector<float> x(40003, 0.3f);
  const network_description network{predicts_v, variance_preserving_input};
  sampling alone(plan, network, x, noise, transform);
  finish(alone, network);
  for (const unsigned count : {1u, 2u, 5u}) {
    workers threads(count);
    sampling shared(plan, network, x, noise, transform);
    shared.use(threads);
    finish(shared, network);
    EXPECT_TRUE(std::equal(shared.state().begin(), shared.state().end(), alone.state().begin()));
  }
}

TEST(sampling, threads_change_no_bit) {
  const gaussian_noise noise{5};
  const auto halve = [](std::span<float> clean, std::size_t, const node&) {
    for (float& value : clean) value /= 2;
  };
  const program third_order = dpm_solver_plus_plus(variance_exploding(test_grid()), 3);
  expect_threads_change_no_bit(ddpm(test_grid()), noise, clip{});
  expect_threads_change_no_bit(ddim(test_grid(), 1), noise, halve);
  expect_threads_change_no_bit(ddim(test_grid()), no_noise{}, clip{});
  expect_threads_change_no_bit(third_order, noise, unchanged{});
  expect_threads_change_no_bit(third_order, no_noise{}, unchanged{});
  expect_threads_change_no_bit(third_order, no_noise{}, halve);
}

// Runs that share a program share no memory, whichever way they came to be.
TEST(sampling, an_assigned_run_is_on_its_own) {
  const program plan = dpm_solver_plus_plus(test_grid(), 2);
  sampling alone(plan, {predicts_noise}, start(9), no_noise{});
  finish(alone, {predicts_noise});
  sampling other(plan, {predicts_noise}, std::vector<double>(9, 0.5), no_noise{});
  finish(other, {predicts_noise});
  sampling s(plan, {predicts_noise}, start(9), no_noise{});
  finish(s, {predicts_noise});
  s.restart(start(9));
  other = s;
  finish(s, {predicts_noise});
  s.restart(std::vector<double>(9, 7.0));
  finish(other, {predicts_noise});
  for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(other.state()[i], alone.state()[i]);
}

TEST(sampling, a_branch_of_weight_zero_is_not_read) {
  for (const laws::planner& p : laws::planners()) {
    sampling s(p.plan(test_grid()), {predicts_noise}, start(5), gaussian_noise{1}, unchanged{},
               guidance_scale(3));
    sampling alone(p.plan(test_grid()), {predicts_noise}, start(5), gaussian_noise{1});
    s.set_branch_weights(guidance_scale(1));
    for (;;) {
      const bool going = s.next();
      ASSERT_EQ(alone.next(), going);
      if (!going) break;
      for (double& e : s.output(0)) e = std::nan("");
      answer<double>(s.input(), s.at(), {0, 1}, s.output(1));
      answer<double>(alone.input(), alone.at(), {0, 1}, alone.output());
    }
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(s.state()[i], alone.state()[i]) << p.name;
  }
}

TEST(sampling, allocates_nothing_after_construction) {
  for (const laws::planner& p : laws::planners()) {
    const program plan = p.plan(test_grid());
    const std::vector<float> x(100, 0.3f);
    std::vector<float> preview(100);
    sampling s(plan, {predicts_noise, variance_preserving_input}, x, gaussian_noise{1}, clip{},
               guidance_scale(2));
    const std::size_t before = allocations;
    for (int repeat = 0; repeat < 2; ++repeat) {
      s.restart(x);
      while (s.next()) {
        for (std::size_t b = 0; b < 2; ++b)
          for (float& e : elements(s.output(b))) e = 0.1f;
        s.estimate(preview);
      }
    }
    EXPECT_EQ(allocations, before) << p.name;
  }
}

TEST(sampling, preview_is_the_estimate_the_step_uses) {
  sampling s(ddim(test_grid()), {predicts_v}, start(6), no_noise{});
  std::vector<double> preview(6);
  EXPECT_THROW(s.estimate(preview), std::invalid_argument);
  while (s.next()) {
    answer<double>(elements(s.input()), s.at(), predicts_v(s.at()), elements(s.output()));
    s.estimate(preview);
    std::vector<double> exact(6);
    answer<double>(elements(s.input()), s.at(), {1, 0}, exact);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(preview[i], exact[i], 1e-12);
  }
  std::vector<double> wrong(5);
  EXPECT_THROW(s.estimate(wrong), std::invalid_argument);
}

TEST(sampling, steps_and_levels_are_told) {
  const grid nodes = test_grid();
  sampling s(heun(variance_exploding(nodes)), {predicts_noise, variance_preserving_input}, start(2),
             no_noise{});
  EXPECT_EQ(s.steps_total(), 8u);
  EXPECT_EQ(s.reached().time, nodes[0].time);
  std::size_t steps = 0;
  for (bool going = true; going;) switch (s.advance()) {
      case sampling_event::evaluate: {
        EXPECT_EQ(s.network_time(), s.at().time);
        for (std::size_t i = 0; i < 2; ++i) {
          EXPECT_NEAR(s.input()[i], std::as_const(s).state()[i] * variance_preserving_input(s.at()),
                      1e-15);
          s.output()[i] = 0;
        }
        break;
      }
      case sampling_event::step:
        EXPECT_EQ(s.steps_done(), ++steps);
        EXPECT_EQ(s.reached().time, nodes[steps].time);
        break;
      case sampling_event::finished: going = false; break;
    }
  EXPECT_EQ(steps, 8u);
}

TEST(sampling, a_state_changed_at_a_step_is_what_the_next_step_starts_from) {
  const network_description network{predicts_noise, variance_preserving_input};
  const program plan = ddim(variance_exploding(test_grid()));
  sampling s(plan, network, start(4), no_noise{});
  for (;;) {
    const auto event = s.advance();
    if (event == sampling_event::finished) break;
    if (event == sampling_event::step)
      for (double& e : elements(s.state())) e = 0.25;
    if (event == sampling_event::evaluate) {
      if (s.steps_done() > 0) {
        EXPECT_DOUBLE_EQ(s.input()[0], 0.25 * variance_preserving_input(s.at()));
      }
      for (double& e : elements(s.output())) e = 0;
    }
  }
}

TEST(run, is_the_loop) {
  const program plan = ddpm(test_grid());
  std::vector<double> x = start(10);
  sampling s(plan, {predicts_noise}, x, gaussian_noise{6});
  finish(s, {predicts_noise});
  const auto network = [&](std::span<const double> in, double t, std::span<double> out) {
    answer(in, node{t, linear_beta_schedule(1000)(t)}, {0, 1}, out);
  };
  std::vector<double> y = x;
  run(plan, {}, y, network, gaussian_noise{6});
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(y[i], s.state()[i]);
}

TEST(run, stops_when_told_and_leaves_x_alone_when_something_throws) {
  const program plan = ddim(test_grid());
  const std::vector<double> x = start(3);
  std::vector<double> y = x;
  int steps = 0;
  const auto zero = [](std::span<const double>, double, std::span<double> out) {
    for (double& e : out) e = 0;
  };
  run(plan, {}, y, zero, [&](sampling<std::vector<double>>&) { return ++steps < 2; });
  EXPECT_EQ(steps, 2);
  EXPECT_NE(y, x);
  y = x;
  const auto failing = [](std::span<const double>, double, std::span<double>) {
    throw std::runtime_error("network");
  };
  EXPECT_THROW(run(plan, {}, y, failing), std::runtime_error);
  EXPECT_EQ(y, x);
  EXPECT_THROW(run(ddpm(test_grid()), {}, y, zero), std::invalid_argument);  // draws without noise
  EXPECT_EQ(y, x);
}

// Parts are recognised by what they are, wherever they stand.
TEST(sampling, order_of_the_parts_does_not_matter) {
  const program plan = ddpm(test_grid());
  workers threads(2);
  const auto result = [&](auto&&... parts) {
    sampling s(plan, {predicts_v}, start(9), parts...);
    while (s.next())
      for (std::size_t b = 0; b < 2; ++b)
        for (std::size_t i = 0; i < 9; ++i)
          s.output(b)[i] = std::sin(s.input()[i] + static_cast<double>(b));
    return std::vector<double>(s.state().begin(), s.state().end());
  };
  const auto expected = result(gaussian_noise{6}, clip{-0.5, 0.5}, guidance_scale(3), threads);
  EXPECT_EQ(result(threads, guidance_scale(3), clip{-0.5, 0.5}, gaussian_noise{6}), expected);
  EXPECT_EQ(result(std::array<double, 2>{-2, 3}, gaussian_noise{6}, clip{-0.5, 0.5}), expected);
  EXPECT_NE(result(guidance_scale(3), gaussian_noise{6}), expected);  // not clipped
}

TEST(run, guides_with_two_outputs) {
  const program plan = ddim(test_grid());
  std::vector<double> x = start(9), y = x;
  run(
      plan, {predicts_v}, x,
      [](auto in, double, auto u, auto c) {
        for (std::size_t i = 0; i < in.size(); ++i) {
          u[i] = std::sin(in[i]);
          c[i] = std::cos(in[i]);
        }
      },
      guidance_scale(3));
  const auto mixed = [](auto in, double, auto out) {
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = -2 * std::sin(in[i]) + 3 * std::cos(in[i]);
  };
  run(plan, {predicts_v}, y, mixed);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(x[i], y[i], 1e-12);
  EXPECT_THROW(run(plan, {predicts_v}, y, mixed, guidance_scale(3)), std::invalid_argument);
}

// A pass that reads more draws and writes more registers than the kernels take is split; registers
// that its later parts read are not overwritten before.
TEST(sampling, wide_passes_are_split) {
  recorder r(test_grid().front());
  linear x = r.state();
  std::vector<linear> kept;
  for (int k = 0; k < 7; ++k) kept.push_back((k + 1) * x);
  for (linear& k : kept) r.store(k);
  r.mark(x, test_grid().front());
  const estimate e = r.evaluate(x, test_grid().front());
  std::vector<linear> turned;
  for (std::size_t k = 0; k < 7; ++k)
    turned.push_back(2 * kept[(k + 1) % 7] - 1 * kept[(k + 3) % 7] + 0.5 * e.output + 1 * x);
  for (int d = 0; d < 5; ++d) turned[0] += (0.1 * (d + 1)) * r.draw();
  for (linear& k : turned) r.store(k);
  r.mark(x, test_grid().front());
  linear sum;
  for (std::size_t k = 0; k < 7; ++k) sum += static_cast<double>(k + 1) * turned[k];
  const program plan = r.finish(sum);
  for (const lowered_stage& s : lower(plan, {predicts_noise}).stages)
    for (const linear_pass& p : s.passes) EXPECT_LE(p.outputs.size(), most_pass_outputs);
  sampling s(plan, {predicts_noise}, start(11), gaussian_noise{3});
  while (s.next())
    for (std::size_t i = 0; i < 11; ++i) s.output()[i] = std::cos(static_cast<double>(i));
  std::vector<double> z(11), noise(11);
  for (int d = 0; d < 5; ++d) {
    gaussian_noise{3}.fill({d, {}, 1}, std::span<double>(z));
    for (std::size_t i = 0; i < 11; ++i) noise[i] += 0.1 * (d + 1) * z[i];
  }
  for (std::size_t i = 0; i < 11; ++i) {
    double expected = noise[i];
    for (int k = 0; k < 7; ++k)
      expected += (k + 1) * ((2 * ((k + 1) % 7 + 1) - ((k + 3) % 7 + 1) + 1) * start(11)[i] +
                             0.5 * std::cos(static_cast<double>(i)));
    EXPECT_NEAR(s.state()[i], expected, 1e-12 * (1 + std::abs(expected)));
  }
}

TEST(sampling, refuses_what_does_not_fit) {
  const program plan = ddpm(test_grid());
  sampling s(plan, {predicts_noise}, start(3), gaussian_noise{1});
  EXPECT_THROW(s.restart(start(4)), std::invalid_argument);
  EXPECT_THROW(s.resume({}), std::invalid_argument);
  Eigen::MatrixXd two(3, 2);
  two.setZero();
  EXPECT_THROW(sampling(plan, {predicts_noise}, two, seeded_items{{1}}), std::out_of_range);
  EXPECT_THROW(sampling(plan, {predicts_noise}, start(3), gaussian_noise{1}, std::vector<double>{}),
               std::invalid_argument);
  EXPECT_THROW(sampling(plan, {predicts_noise}, start(3)), std::invalid_argument);  // no noise
  EXPECT_THROW(sampling(plan, {predicts_noise}, start(3), no_noise{}), std::invalid_argument);
  EXPECT_THROW(s.output(1), std::invalid_argument);
  EXPECT_THROW(s.variance_output(), std::invalid_argument);
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    const std::vector<double> weights{bad};
    EXPECT_THROW(sampling(plan, {predicts_noise}, start(3), gaussian_noise{1}, weights),
                 std::invalid_argument);
    EXPECT_THROW(s.set_branch_weights(weights), std::invalid_argument);
  }
  EXPECT_THROW(s.set_branch_weights(std::vector<double>{1, 2}), std::invalid_argument);
  sampling still(program{}, {predicts_noise}, start(3), no_noise{});
  EXPECT_THROW(still.network_time(), std::invalid_argument);
  EXPECT_FALSE(still.next());
  EXPECT_EQ(still.state()[2], start(3)[2]);
  std::vector<double> x = start(3);
  const auto zero = [](auto, double, auto out) { std::fill(out.begin(), out.end(), 0.0); };
  EXPECT_THROW(run(ddpm(test_grid(), learned_range{}), {}, x, zero, gaussian_noise{1}),
               std::invalid_argument);
  EXPECT_EQ(x, start(3));
}

// Items as well as elements must be those of the first start.
TEST(sampling, restart_refuses_swapped_extents) {
  Eigen::MatrixXd tall(6, 2), wide(2, 6);
  tall.setOnes();
  wide.setOnes();
  sampling s(ddim(test_grid()), {predicts_noise}, tall, no_noise{});
  EXPECT_THROW(s.restart(wide), std::invalid_argument);
}

// A resumed run goes on with the weights of when it was saved, whatever it was made with.
TEST(sampling, saved_runs_keep_their_branch_weights) {
  const program plan = dpm_solver_plus_plus(test_grid(), 2);
  const auto answer = [](auto& s) {
    for (std::size_t i = 0; i < 5; ++i) {
      s.output(0)[i] = std::sin(s.input()[i] + s.network_time());
      s.output(1)[i] = std::cos(s.input()[i]);
    }
  };
  const auto made = [&] {
    return sampling(plan, {predicts_noise}, start(5), no_noise{}, std::vector<double>{-1, 2});
  };
  sampling whole = made();
  std::optional<saved_sampling<double>> saved;
  while (whole.next()) {
    if (whole.steps_done() == 2) whole.set_branch_weights(std::vector<double>{0.25, 0.5});
    if (whole.steps_done() == 3) saved = whole.saved();
    answer(whole);
  }
  sampling again = made();
  again.resume(*saved);
  while (again.next()) answer(again);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(again.state()[i], whole.state()[i]);
  saved->branch_weights = {1};
  EXPECT_THROW(again.resume(*saved), std::invalid_argument);
}

// What engines bind to once: whole cache lines that stay, a copy having its own.
TEST(sampling, addresses_stay_and_are_aligned) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 8);
  const network_description scaled{.prediction = predicts_noise,
                                   .input_scale = variance_preserving_input};
  for (const program& plan :
       {euler(nodes), heun(variance_exploding(nodes)), dpm_solver_plus_plus(nodes, 3),
        sde_dpm_solver_plus_plus(variance_exploding(nodes), 2), lms(nodes)}) {
    sampling s(plan, scaled, start(203), gaussian_noise{1}, std::vector<double>{0.25, 0.75});
    const auto places = s.input_places();
    EXPECT_GE(places.size(), 1u);
    EXPECT_LE(places.size(), 5u);
    const auto aligned = [](const double* p) {
      return reinterpret_cast<std::uintptr_t>(p) % 64 == 0;
    };
    for (const auto& place : places) EXPECT_TRUE(aligned(place.data()));
    const double* const first = s.output(0).data();
    const double* const second = s.output(1).data();
    EXPECT_TRUE(aligned(first) && aligned(second));
    const auto run_through = [&](auto& run) {
      while (run.next()) {
        std::size_t found = 0;
        for (const auto& place : places) found += place.data() == run.input().data();
        EXPECT_EQ(found, 1u);
        EXPECT_EQ(run.output(0).data(), first);
        EXPECT_EQ(run.output(1).data(), second);
        std::fill(run.output(0).begin(), run.output(0).end(), 0.1);
        std::fill(run.output(1).begin(), run.output(1).end(), 0.2);
      }
    };
    const auto begun = s.saved();
    run_through(s);
    s.restart(start(203));
    run_through(s);
    s.resume(begun);
    run_through(s);
    sampling copy = s;
    EXPECT_NE(copy.output(0).data(), first);
    EXPECT_NE(copy.input_places().front().data(), places.front().data());
    EXPECT_EQ(copy.input_places().size(), places.size());
  }
}

TEST(sampling, names_itself_where_a_prediction_says_nothing_of_x0) {
  const program plan = ddim(uniform(rectified_flow{}, 4));
  try {
    sampling s(plan, network_description{predicts_noise}, start(3), no_noise{});
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(),
                 "sampling: alpha of an evaluation = 0; x0 is undefined from this prediction; at "
                 "alpha = 0 use a v, sample or velocity prediction");
  }
}

// In the other order every estimate would be one limit.
TEST(sampling, refuses_a_clip_that_leaves_nothing) {
  const program plan = ddim(test_grid());
  const auto said = [&](double low, double high) {
    return refusal([&] { sampling(plan, {predicts_noise}, start(3), clip{low, high}); });
  };
  EXPECT_EQ(said(1, -1), "sampling: low of clip = 1; valid: at most high, -1");
  EXPECT_NE(said(std::nan(""), 1), "");
  EXPECT_NE(said(-1, std::nan("")), "");
  EXPECT_EQ(said(0.5, 0.5), "");
  EXPECT_EQ(said(0, INFINITY), "");
}

TEST(sampling, empty_and_single_elements) {
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}}) {
    sampling s(ddpm(test_grid()), {predicts_noise}, start(n), gaussian_noise{1});
    finish(s, {predicts_noise});
    EXPECT_EQ(s.state().size(), n);
  }
}

// Sampled chain against its exact law.
TEST(sampling, samples_have_the_law_of_the_program) {
  const program plan = ddpm(test_grid());
  constexpr std::size_t n = 100000;
  std::vector<double> x(n);
  gaussian_noise{77}.fill(noise_request{1000, {}, 1}, std::span<double>(x));
  sampling s(plan, {predicts_noise}, x, gaussian_noise{78});
  finish(s, {predicts_noise});
  const scalar_law exact = law(plan, gaussian_denoiser(data_mean, variance_of_data), {0, 1}).result;
  double mean = 0, square = 0;
  for (const double e : s.state()) {
    mean += e / n;
    square += (e - exact.mean) * (e - exact.mean) / n;
  }
  EXPECT_LT(std::abs(mean - exact.mean), 5 * std::sqrt(exact.variance / n));
  EXPECT_LT(std::abs(square - exact.variance), 5 * exact.variance * std::sqrt(2.0 / n));
}

}  // namespace
}  // namespace tweedie::sampling_test
