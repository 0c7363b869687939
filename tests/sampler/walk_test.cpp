// The loop of every sampler, and steps that do not end where the next one starts.
#include "tweedie/sampler/walk.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {
namespace {

grid nodes() { return trailing(linear_beta_schedule(1000), 4); }

linear onto_clean(recorder& r, const linear& x, const leg& l) {
  const estimate e = r.evaluate(x, l.from);
  return l.to.level.alpha * e.clean + l.to.level.sigma * e.noise;
}

TEST(walk, of_a_grid_is_the_walk_of_the_legs_between_its_neighbours) {
  const grid g = nodes();
  const legs steps{{g[0], g[1]}, {g[1], g[2]}, {g[2], g[3]}, {g[3], g[4]}};
  std::vector<std::size_t> counted;
  const program plan = walk("x", g, [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
    counted.push_back(i);
    return onto_clean(r, x, l);
  });
  EXPECT_EQ(counted, (std::vector<std::size_t>{0, 1, 2, 3}));
  const program same = walk("x", steps, onto_clean);
  ASSERT_EQ(plan.stages.size(), same.stages.size());
  for (std::size_t i = 0; i < plan.stages.size(); ++i)
    EXPECT_EQ(plan.stages[i].pass.weights, same.stages[i].pass.weights);
}

TEST(walk, asks_and_marks_where_its_legs_say) {
  const grid g = nodes();
  const program plan = ddim(legs{{g[0], g[2]}, {g[1], g[3]}});
  EXPECT_EQ(plan.start, g[0]);
  std::vector<node> asked, marked;
  for (const stage& s : plan.stages) {
    if (s.evaluate) asked.push_back(s.evaluate->at);
    if (s.mark) marked.push_back(s.mark->at);
  }
  EXPECT_EQ(asked, (std::vector<node>{g[0], g[1]}));
  EXPECT_EQ(marked, (std::vector<node>{g[2], g[3]}));
}

TEST(walk, refuses_no_steps_and_legs_that_rise_unless_they_may) {
  const grid g = nodes();
  const leg rising{g[1], g[0]};
  EXPECT_EQ(refusal([] { walk("x", {}, onto_clean); }),
            "x: steps = 0; valid: at least 1, a grid of 2 nodes");
  EXPECT_NE(refusal([&] { walk("x", {rising}, onto_clean); }).find("strictly below"),
            std::string::npos);
  EXPECT_EQ(refusal([&] { walk_anywhere("x", {rising}, onto_clean); }), "");
}

}  // namespace
}  // namespace tweedie
