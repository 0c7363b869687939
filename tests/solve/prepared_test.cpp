#include "tweedie/solve/prepared.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "laws/planners.hpp"
#include "tweedie/sampler/ddpm.hpp"

namespace tweedie {
namespace {

grid nodes() { return trailing(linear_beta_schedule(1000), 6); }

prepared_program prepared(const program& plan, std::size_t size, std::size_t bytes,
                          clean_source clean, draw_source draws) {
  const clean_estimate use =
      clean == clean_source::folded ? clean_estimate::linear : clean_estimate::transformed;
  const network_description network{predicts_noise, variance_preserving_input};
  return {std::make_shared<const bound_program>(bind(plan, network, use)),
          size,
          bytes,
          2,
          clean,
          draws};
}

// Every tensor a pass names starts a cache line, ends before the next one and within the memory.
TEST(prepared_program, tensors_are_whole_cache_lines_apart) {
  for (const laws::planner& p : laws::planners())
    for (const std::size_t bytes : {2u, 4u, 8u})
      for (const std::size_t size : {0u, 1u, 31u, 32u, 33u, 1000u}) {
        const prepared_program made =
            prepared(p.plan(nodes()), size, bytes, clean_source::buffer, draw_source::buffer);
        const std::size_t stride = made.output(1) - made.output(0);
        EXPECT_EQ(stride * bytes % 64, 0u);
        EXPECT_GE(stride, size);
        EXPECT_LT(stride * bytes, size * bytes + 64);
        const auto fits = [&](std::size_t offset) {
          return offset + size <= made.memory() && (stride == 0 || offset % stride == 0);
        };
        for (std::size_t s = 0; s < made.stages(); ++s) {
          for (const auto& in : made.pass(s).inputs) EXPECT_TRUE(fits(in.offset)) << p.name;
          for (const std::size_t out : made.pass(s).outputs) {
            EXPECT_TRUE(fits(out)) << p.name;
            EXPECT_LE(out + stride, made.resumable()) << p.name;  // so that it is saved
          }
        }
      }
}

// The head's streams are among the inputs, with weight 0 where the pass itself does not read them.
TEST(prepared_program, passes_have_a_weight_for_every_column) {
  for (const laws::planner& p : laws::planners())
    for (const clean_source clean :
         {clean_source::folded, clean_source::head, clean_source::buffer}) {
      const prepared_program made = prepared(p.plan(nodes()), 8, 4, clean, draw_source::inside);
      for (std::size_t s = 0; s < made.stages(); ++s) {
        const prepared_pass& pass = made.pass(s);
        const std::size_t columns =
            pass.inputs.size() + (pass.head.empty() ? 0 : 1) + pass.draws.size();
        EXPECT_EQ(pass.weights.size(), pass.outputs.size() * columns) << p.name;
        if (!pass.head.empty()) {
          EXPECT_EQ(pass.head.size(), pass.inputs.size()) << p.name;
        }
        EXPECT_EQ(pass.sums_only, pass.head.empty() && pass.draws.empty() && !pass.transforms);
      }
    }
}

// The next input is the new state times the next scale, made in the same pass.
TEST(prepared_program, scaled_input_is_a_multiple_of_the_state) {
  const prepared_program made =
      prepared(ddim(variance_exploding(nodes())), 8, 4, clean_source::folded, draw_source::inside);
  int scaled = 0;
  for (std::size_t s = 0; s + 1 < made.stages(); ++s) {
    const prepared_pass& pass = made.pass(s);
    const bound_stage& next = made.plan().stages[s + 1];
    if (!next.evaluates || next.input_scale == 1) continue;
    ASSERT_TRUE(pass.scales_input);
    EXPECT_TRUE(made.pass(s + 1).reads_scaled);
    EXPECT_EQ(pass.outputs.back(), made.input_of(next));
    const std::size_t columns = pass.inputs.size();
    for (std::size_t c = 0; c < columns; ++c)
      EXPECT_EQ(pass.weights[columns + c], next.input_scale * pass.weights[c]);
    ++scaled;
  }
  EXPECT_EQ(scaled, 5);
}

}  // namespace
}  // namespace tweedie
