#include "tweedie/program/recorder.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <sstream>

#include "tweedie/program/law.hpp"
#include "tweedie/program/lower.hpp"
#include "tweedie/program/print.hpp"

namespace tweedie::recorder_test {
namespace {

const node start{10, {0.6, 0.8}};
const node middle{5, {0.8, 0.6}};
const node end{-1, {1, 0}};

TEST(linear, is_a_vector_space) {
  const linear a(1), b(2);
  EXPECT_EQ(a + b, b + a);
  EXPECT_EQ(2.0 * (a + b), 2.0 * a + 2.0 * b);
  EXPECT_EQ(a - a, linear());
  EXPECT_EQ(0.0 * a, linear());
  EXPECT_EQ((a + b) / 2, 0.5 * a + 0.5 * b);
  EXPECT_EQ(-a + a, linear());
  EXPECT_TRUE(a.is_tensor());
  EXPECT_FALSE((2.0 * a).is_tensor());
  EXPECT_FALSE((a + b).is_tensor());
}

TEST(recorder, a_value_stored_in_a_stage_can_be_used_in_the_same_stage) {
  recorder r(start);
  linear x = r.state();
  const estimate e = r.evaluate(x, start);
  x = 0.5 * x + e.clean;
  r.store(x);
  linear y = 2.0 * x + e.clean;
  r.mark(y, middle);
  const estimate f = r.evaluate(y, middle);
  const program plan = r.finish(x + y + f.clean);
  // x = 0.5 * 3 + 7 = 8.5, y = 2 * 8.5 + 7 = 24.
  EXPECT_EQ(law(plan, perfect_denoiser(7), {3, 0}).result.mean, 8.5 + 24 + 7);
}

TEST(recorder, program_without_instructions_returns_its_input) {
  recorder r(start);
  const program plan = r.finish(r.state());
  EXPECT_EQ(plan.result, 0);
  EXPECT_EQ(plan.registers, 1);
  EXPECT_EQ(law(plan, perfect_denoiser(0), {3, 4}).result.mean, 3);
}

TEST(recorder, keeps_history_and_reuses_registers) {
  recorder r(start);
  linear x = r.state();
  std::vector<linear> history;
  for (int i = 0; i < 20; ++i) {
    history.push_back(r.evaluate(x, start).clean);
    linear next = 0.5 * x;
    for (std::size_t k = history.size() >= 3 ? history.size() - 3 : 0; k < history.size(); ++k)
      next += 0.1 * history[k];
    x = next;
    r.mark(x, middle);
  }
  const program plan = r.finish(x);
  EXPECT_EQ(plan.evaluations(), 20u);
  EXPECT_EQ(plan.steps(), 20u);
  EXPECT_LE(plan.registers, 4);  // the state and two estimates, and one to write into
}

TEST(recorder, a_draw_used_twice_is_one_tensor) {
  recorder r(start);
  linear x = r.state();
  const linear z = r.draw();
  x = x + z;
  r.mark(x, middle);
  x = x - z;
  r.mark(x, middle);
  const program_law l = law(r.finish(x), perfect_denoiser(0), {2, 3});
  EXPECT_DOUBLE_EQ(l.marks[0].second.variance, 4);
  EXPECT_DOUBLE_EQ(l.result.variance, 3);
}

TEST(recorder, draws_are_numbered_in_the_order_they_are_asked_for) {
  recorder r(start);
  linear x = r.state();
  r.draw();
  x += r.draw();
  const program plan = r.finish(x);
  EXPECT_EQ(plan.draws.size(), 2u);
  ASSERT_EQ(plan.stages.back().pass.inputs.size(), 2u);
  EXPECT_EQ(plan.stages.back().pass.inputs.back(), (operand{operand_kind::draw, 1}));
}

// Interprets a program the plain way: every recorded tensor in its own variable.
TEST(recorder, register_allocation_changes_no_value) {
  std::mt19937 engine(7);
  std::uniform_real_distribution<double> weight(-1, 1);
  for (int trial = 0; trial < 200; ++trial) {
    recorder r(start);
    linear x = r.state();
    // Values carried beside the forms: tensor values are x = 2 initially, D = 0.3 x + 0.1.
    double value = 2;
    std::vector<linear> known{x};
    std::vector<double> values{value};
    const int steps = 1 + static_cast<int>(engine() % 8);
    for (int i = 0; i < steps; ++i) {
      known.push_back(r.evaluate(x, start).clean);
      values.push_back(0.3 * value + 0.1);
      linear next;
      double next_value = 0;
      for (std::size_t k = 0; k < known.size(); ++k) {
        if (engine() % 2 == 0) continue;
        const double w = weight(engine);
        next += w * known[k];
        next_value += w * values[k];
      }
      x = next;
      value = next_value;
      if (engine() % 2 == 0) {
        r.mark(x, middle);
        known.push_back(x);
        values.push_back(value);
      }
    }
    const program plan = r.finish(x);
    const auto affine = [](const node&) { return affine_denoiser{0.3, 0.1}; };
    EXPECT_NEAR(law(plan, affine, {2, 0}).result.mean, value, 1e-12 * (1 + std::abs(value)));
  }
}

TEST(lower, folds_the_prediction_kind_into_the_weights) {
  recorder r(start);
  linear x = r.state();
  const estimate e = r.evaluate(x, start);
  x = 0.25 * x + 0.5 * e.clean + 0.125 * e.noise;
  const program plan = r.finish(x);
  // x0 = 0.7, z = -0.4.
  const double state = 0.6 * 0.7 - 0.8 * 0.4;
  for (const double scale : {1.0, 2.5}) {
    network_description network{predicts_v};
    network.input_scale = [scale](const node&) { return scale; };
    const lowered_program lowered = lower(plan, network);
    const plane_row row = predicts_v({0, {scale * 0.6, scale * 0.8}});
    const double output = row.x0 * 0.7 - row.z * 0.4;
    const lowered_stage& s = lowered.stages.back();
    const linear_pass& pass = s.passes.at(0);
    double result = 0;
    for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
      EXPECT_NE(pass.inputs[i].from, operand_kind::clean);
      result += pass.weight(0, i) * (pass.inputs[i].from == operand_kind::output ? output : state);
    }
    EXPECT_NEAR(result, 0.25 * state + 0.5 * 0.7 - 0.125 * 0.4, 1e-14);
    EXPECT_NEAR(s.clean.x * state + s.clean.y * output, 0.7, 1e-14);
  }
}

TEST(lower, keeps_the_estimate_where_it_is_transformed) {
  recorder r(start);
  linear x = r.state();
  const estimate e = r.evaluate(x, start);
  x = e.clean + e.noise;
  const lowered_program lowered = lower(r.finish(x), network_description{}, {.transformed = true});
  std::set<operand_kind> sources;
  for (const operand& in : lowered.stages.back().passes.at(0).inputs) sources.insert(in.from);
  EXPECT_TRUE(sources.count(operand_kind::clean));
  EXPECT_TRUE(sources.count(operand_kind::output));
}

TEST(lower, refuses_what_the_prediction_does_not_determine) {
  const node pure{0, {0, 1}};
  recorder r(pure);
  linear x = r.state();
  x = r.evaluate(x, pure).clean;
  const program plan = r.finish(x);
  EXPECT_THROW(lower(plan, {predicts_noise}), std::invalid_argument);
  EXPECT_NO_THROW(lower(plan, {predicts_v}));
}

TEST(print, shows_formulas_and_cost) {
  recorder r(start);
  linear x = r.state();
  const estimate e = r.evaluate(x, start);
  x = 0.5 * x - 0.25 * e.clean + r.draw();
  r.mark(x, middle);
  std::ostringstream text;
  text << r.finish(x);
  EXPECT_EQ(text.str(),
            "r0 at t = 10, alpha = 0.6, sigma = 0.8\n"
            "ask the network at r0 (t = 10, alpha = 0.6, sigma = 0.8)\n"
            "  r0 = 0.5 r0 - 0.25 D + z0\n"
            "step 1: r0 at t = 5, alpha = 0.8, sigma = 0.6\n"
            "result: r0; 1 evaluations, 1 draws, 1 registers, 2 tensors read, 1 written\n");
}

}  // namespace
}  // namespace tweedie::recorder_test
