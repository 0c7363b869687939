// A program is public data: what nobody can run is refused, by whoever is given it.
#include "tweedie/program/program.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/program/lower.hpp"
#include "tweedie/program/unrolled.hpp"
#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

// x <- x/2 + D/2 + z, of two registers.
program valid() {
  program plan;
  plan.registers = 2;
  plan.draws.resize(1);
  plan.start = {1, {0.6, 0.8}};
  plan.stages.resize(1);
  stage& s = plan.stages[0];
  s.evaluate = evaluation{0, plan.start};
  s.pass = {{{operand_kind::stored, 0}, {operand_kind::clean, 0}, {operand_kind::draw, 0}},
            {1},
            {0.5, 0.5, 1}};
  s.mark = step_mark{1, {0.5, {0.8, 0.6}}};
  plan.result = 1;
  return plan;
}

TEST(check_program, takes_what_can_be_run) {
  EXPECT_NO_THROW(check_program("f", valid()));
  EXPECT_NO_THROW(check_program("f", program{}));
}

TEST(check_program, says_what_is_not_there) {
  struct fault {
    const char* text;
    void (*make)(program&);
  };
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  static const fault faults[] = {
      {"f: registers = 0;", [](program& p) { p.registers = 0; }},
      {"f: result = 2; valid: a register, 0 ... 1", [](program& p) { p.result = 2; }},
      {"f: result = -1;", [](program& p) { p.result = -1; }},
      {"f: evaluated register of stage 0 = 2;",
       [](program& p) { p.stages[0].evaluate->state = 2; }},
      {"f: alpha of stage 0 = nan;",
       [](program& p) { p.stages[0].evaluate->at.level.alpha = nan; }},
      {"f: an input of stage 0 is a product of an evaluation; there is none",
       [](program& p) { p.stages[0].evaluate.reset(); }},
      {"f: input register of stage 0 = -1;",
       [](program& p) { p.stages[0].pass.inputs[0].index = -1; }},
      {"f: draw of stage 0 = 1; valid: 0 ... number of them - 1, 1 are there",
       [](program& p) { p.stages[0].pass.inputs[2].index = 1; }},
      {"f: output register of stage 0 = 5;", [](program& p) { p.stages[0].pass.outputs[0] = 5; }},
      {"f: number of weights of stage 0 = 2; valid: inputs times outputs, 3",
       [](program& p) { p.stages[0].pass.weights.pop_back(); }},
      {"f: weight of stage 0 = nan;", [](program& p) { p.stages[0].pass.weights[1] = nan; }},
      {"f: output register of stage 0 = 1; valid: written once",
       [](program& p) {
         p.stages[0].pass.outputs = {1, 1};
         p.stages[0].pass.weights.resize(6);
       }},
      {"f: marked register of stage 0 = 9;", [](program& p) { p.stages[0].mark->state = 9; }},
      {"f: sigma of stage 0 = inf;",
       [](program& p) {
         p.stages[0].mark->at.level.sigma = std::numeric_limits<double>::infinity();
       }},
  };
  for (const fault& f : faults) {
    program plan = valid();
    f.make(plan);
    const std::string said = refusal([&] { check_program("f", plan); });
    EXPECT_EQ(said.substr(0, std::string(f.text).size()), f.text);
    // Whoever is given it refuses it before reading what is not there.
    EXPECT_THROW((void)law(plan, gaussian_denoiser(0, 1), {0, 1}), std::invalid_argument) << f.text;
    EXPECT_THROW((void)lower(plan, {}), std::invalid_argument) << f.text;
    EXPECT_THROW((void)unroll(plan), std::invalid_argument) << f.text;
  }
}

// Every level is a number, but their ratio is none of double.
TEST(every_planner, refuses_levels_too_far_apart_for_double) {
  const grid g{{1, {1e-150, 1}}, {0.9, {1e-149, 1}}, {0.5, {1, 1e-75}}, {0.2, {1, 1e-142}}};
  const auto inner = [](double level) {
    return node{level, {1 / std::hypot(1, level), level / std::hypot(1, level)}};
  };
  const std::string said = refusal([&] { (void)dpm_solver_ancestral(g, 2, inner); });
  EXPECT_NE(said.find("valid: finite; levels whose products and ratios are in the range of double"),
            std::string::npos)
      << said;
}

}  // namespace
}  // namespace tweedie
