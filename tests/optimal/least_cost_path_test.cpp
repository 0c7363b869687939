#include "tweedie/optimal/least_cost_path.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "refusal.hpp"
#include "tweedie/objective/diffusion_bound.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace tweedie {
namespace {

// Every subset of the inner nodes that has legs - 1 of them.
template <class Visit>
void each_path(std::size_t nodes, std::size_t legs, const Visit& visit) {
  const std::size_t inner = nodes - 2;
  for (unsigned set = 0; set < (1U << inner); ++set) {
    if (static_cast<std::size_t>(std::popcount(set)) != legs - 1) continue;
    std::vector<std::size_t> path{0};
    for (std::size_t i = 0; i < inner; ++i)
      if ((set >> i) & 1U) path.push_back(i + 1);
    path.push_back(nodes - 1);
    visit(path);
  }
}

TEST(least_cost_path, is_what_trying_every_path_finds) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> uniform;
  constexpr std::size_t nodes = 10;
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<double> table(nodes * nodes * nodes);
    for (double& c : table) c = uniform(random) - 0.3;
    const auto at = [&](std::size_t b, std::size_t i, std::size_t j) {
      return table[(b * nodes + i) * nodes + j];
    };
    for (const bool looks_back : {false, true})
      for (std::size_t legs = 1; legs < nodes; ++legs) {
        const auto total = [&](const std::vector<std::size_t>& path) {
          double sum = 0;
          for (std::size_t k = 0; k + 1 < path.size(); ++k)
            sum += at(looks_back && k > 0 ? path[k - 1] : path[k], path[k], path[k + 1]);
          return sum;
        };
        double least = 1e9;
        each_path(nodes, legs, [&](const auto& path) { least = std::min(least, total(path)); });
        const auto found = least_cost_path(nodes, legs, looks_back, at);
        ASSERT_EQ(found.size(), legs + 1);
        EXPECT_NEAR(total(found), least, 1e-14) << legs;
      }
  }
}

// T = 10 levels of a Gaussian's exact denoiser: the bound of each grid by objective/diffusion_bound.hpp.
TEST(least_bound_grid, has_the_least_bound_of_all_grids) {
  const discrete_schedule schedule = cosine_schedule(10);
  grid nodes;
  std::vector<double> errors;
  const auto error = [](signal_noise s) {
    double sum = 0;
    for (const double v : {2.0, 0.1})
      sum += s.sigma * s.sigma * v / (s.alpha * s.alpha * v + s.sigma * s.sigma);
    return sum;
  };
  for (int k = 9; k >= 0; --k) {
    nodes.push_back(node_at(schedule, k));
    if (k > 0) errors.push_back(error(nodes.back().level));
  }
  for (int steps = 1; steps <= 9; ++steps) {
    const auto bound = [&](const grid& g) {
      std::vector<signal_noise> levels;
      for (const node& n : g) levels.push_back(n.level);
      return discrete_diffusion_bound(levels, error);
    };
    double least = 1e9;
    each_path(10, static_cast<std::size_t>(steps), [&](const auto& path) {
      grid g;
      for (const std::size_t i : path) g.push_back(nodes[i]);
      least = std::min(least, bound(g));
    });
    const grid found = least_bound_grid(nodes, errors, steps);
    EXPECT_EQ(found.size(), static_cast<std::size_t>(steps) + 1);
    EXPECT_NEAR(bound(found), least, 1e-12 * least);
  }
  EXPECT_EQ(least_bound_grid(nodes, errors, 9), nodes);
}

TEST(least_cost_path, refuses_what_has_no_path) {
  const auto one = [](std::size_t, std::size_t, std::size_t) { return 1.0; };
  const auto never = [](std::size_t, std::size_t, std::size_t) {
    return std::numeric_limits<double>::infinity();
  };
  EXPECT_EQ(refusal([&] { least_cost_path(3, 3, false, one); }).find("least_cost_path: legs = 3"),
            0U);
  EXPECT_THROW(least_cost_path(3, 0, false, one), std::invalid_argument);
  EXPECT_THROW(least_cost_path(3, 2, false, never), std::invalid_argument);
  const grid two = {{1, {0.5, 0.8}}, {0, {0.8, 0.5}}};
  EXPECT_THROW(least_bound_grid(two, std::vector<double>{1, 1}, 1), std::invalid_argument);
  EXPECT_THROW(least_bound_grid(two, std::vector<double>{-1}, 1), std::invalid_argument);
  EXPECT_THROW(least_bound_grid({two[1], two[0]}, std::vector<double>{1}, 1),
               std::invalid_argument);
  EXPECT_THROW(least_bound_grid({two[0], clean_node(-1)}, std::vector<double>{1}, 1),
               std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
