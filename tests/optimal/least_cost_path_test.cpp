#include "tweedie/optimal/least_cost_path.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "refusal.hpp"
#include "tweedie/discrete/exact_text.hpp"
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

// Texts of four letters of an alphabet of two, and what exact conditionals make of them. A state of unmasking is a
// number of four digits to base 3, 2 being the mask.
class short_texts {
 public:
  static constexpr std::size_t length = 4, states = 81;

  explicit short_texts(const std::vector<double>& weights) : table_(length, 2, weights) {
    for (std::size_t s = 0; s < states; ++s) {
      std::vector<double> evidence(length * 2, 1.0), p(length * 2);
      for (std::size_t i = 0; i < length; ++i)
        if (digit(s, i) < 2) evidence[i * 2 + 1 - digit(s, i)] = 0;
      table_.posterior(evidence, p);
      conditionals_.push_back(p);
    }
  }

  // E[-log p(x^i | x_t)] of a masked token where tokens are known with probability alpha < 1.
  double loss(double alpha) const {
    double sum = 0;
    for (std::size_t k = 0; k < 16; ++k)
      for (unsigned masks = 0; masks < 16; ++masks) {
        double weight = table_.probabilities()[k], nats = 0;
        std::size_t state = 0;
        for (std::size_t i = 0; i < length; ++i) {
          const bool masked = (masks >> i) & 1U;
          weight *= masked ? 1 - alpha : alpha;
          state = state * 3 + (masked ? 2 : letter(k, i));
        }
        for (std::size_t i = 0; i < length; ++i)
          if ((masks >> i) & 1U) nats -= std::log(conditionals_[state][i * 2 + letter(k, i)]);
        sum += weight * nats;
      }
    return sum / (length * (1 - alpha));
  }

  double entropy() const {
    double sum = 0;
    for (const double p : table_.probabilities()) sum -= p * std::log(p);
    return sum;
  }

  // KL(text | made) of ancestral unmasking that stops where tokens are known with these probabilities.
  double divergence(const std::vector<double>& survivals) const {
    std::vector<double> law(states);
    law[states - 1] = 1;
    for (std::size_t leg = 0; leg + 1 < survivals.size(); ++leg) {
      const double reveal = (survivals[leg + 1] - survivals[leg]) / (1 - survivals[leg]);
      std::vector<double> next(states);
      for (std::size_t from = 0; from < states; ++from)
        for (std::size_t to = 0; to < states; ++to) {
          double weight = law[from];
          for (std::size_t i = 0; i < length; ++i) {
            const std::size_t before = digit(from, i), after = digit(to, i);
            if (before < 2)
              weight *= before == after ? 1 : 0;
            else
              weight *= after == 2 ? 1 - reveal : reveal * conditionals_[from][i * 2 + after];
          }
          next[to] += weight;
        }
      law = next;
    }
    double sum = 0;
    for (std::size_t k = 0; k < 16; ++k) {
      std::size_t state = 0;
      for (std::size_t i = 0; i < length; ++i) state = state * 3 + letter(k, i);
      const double p = table_.probabilities()[k];
      sum += p * std::log(p / law[state]);
    }
    return sum;
  }

 private:
  static std::size_t digit(std::size_t state, std::size_t i) {
    for (std::size_t k = length - 1; k > i; --k) state /= 3;
    return state % 3;
  }
  static std::size_t letter(std::size_t text, std::size_t i) {
    return (text >> (length - 1 - i)) & 1U;
  }

  discrete::joint_table table_;
  std::vector<std::vector<double>> conditionals_;
};

// The bound is at least the exact divergence of what is made, and the chosen times have the least bound of all. On
// texts whose letters depend strongly on each other they also make a better text than even times.
TEST(least_bound_times, bound_what_is_made_and_are_the_best_of_all) {
  std::mt19937 random(4);
  std::normal_distribution<double> normal;
  std::vector<double> weights(16);
  for (double& w : weights) w = std::exp(2 * normal(random));
  const short_texts texts(weights);
  const std::size_t nodes = 13;
  std::vector<double> times, survivals, losses;
  for (std::size_t i = 0; i < nodes; ++i) {
    const double t = 1 - static_cast<double>(i) / (nodes - 1);
    times.push_back(t);
    survivals.push_back((1 - t) * (1 - t));
    if (i + 1 < nodes) losses.push_back(texts.loss(survivals.back()));
  }
  for (const std::size_t steps : {1U, 2U, 3U, 4U, 6U, 12U}) {
    const auto alphas = [&](const std::vector<std::size_t>& path) {
      std::vector<double> out;
      for (const std::size_t i : path) out.push_back(survivals[i]);
      return out;
    };
    const auto bound = [&](const std::vector<std::size_t>& path) {
      double sum = 0;
      for (std::size_t k = 0; k + 1 < path.size(); ++k)
        sum += (survivals[path[k + 1]] - survivals[path[k]]) * losses[path[k]];
      return short_texts::length * sum - texts.entropy();
    };
    double least = 1e9;
    each_path(nodes, steps, [&](const auto& path) { least = std::min(least, bound(path)); });
    const std::vector<double> found =
        least_bound_times(times, survivals, losses, static_cast<int>(steps));
    std::vector<std::size_t> path, even;
    for (const double t : found)
      path.push_back(
          static_cast<std::size_t>(std::find(times.begin(), times.end(), t) - times.begin()));
    for (std::size_t k = 0; k <= steps; ++k) even.push_back(k * (nodes - 1) / steps);
    EXPECT_EQ(found.size(), steps + 1);
    EXPECT_NEAR(bound(path), least, 1e-14);
    EXPECT_LE(texts.divergence(alphas(path)), bound(path) + 1e-14);
    if (steps ==
        1) {  // all at once: the divergence is the text's total correlation, and so is the bound
      EXPECT_NEAR(texts.divergence(alphas(path)), bound(path), 1e-14);
    } else if (steps < 12) {
      EXPECT_LT(texts.divergence(alphas(path)), texts.divergence(alphas(even))) << steps;
    }
  }
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
  using numbers = std::vector<double>;
  const auto times = [](const numbers& t, const numbers& alpha, const numbers& h) {
    return refusal([&] { least_bound_times(t, alpha, h, 1); });
  };
  EXPECT_EQ(times({1, 1}, {0, 1}, {1}).find("least_bound_times: time = 1"), 0U);
  EXPECT_EQ(times({1, 0}, {0, 1.5}, {1}).find("least_bound_times: survival = 1.5"), 0U);
  EXPECT_EQ(times({1, 0}, {0.5, 0.2}, {1}).find("least_bound_times: survival = 0.2"), 0U);
  EXPECT_EQ(times({1, 0}, {0, 1}, {-1}).find("least_bound_times: loss = -1"), 0U);
  EXPECT_EQ(times({1, 0}, {0, 1}, {1, 1}).find("least_bound_times: losses = 2"), 0U);
  EXPECT_EQ(times({1}, {0}, {}).find("least_bound_times: times = 1"), 0U);
}

}  // namespace
}  // namespace tweedie
