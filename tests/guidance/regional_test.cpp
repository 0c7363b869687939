#include "tweedie/guidance/regional.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "refusal.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie::regional_test {
namespace {

using masks = std::vector<std::vector<double>>;

const grid nodes = trailing(linear_beta_schedule(1000), 7);
const network_description network{predicts_sample};

// Pixels N(mean, 0.3) and nothing else is known of condition 1 and 2, N(0, 1) of none.
constexpr double mean_of[] = {0, -1, 2};
double denoised(std::size_t condition, signal_noise at, double x) {
  const double variance = condition == 0 ? 1 : 0.3, mean = mean_of[condition];
  const double gain = at.alpha * variance / (at.alpha * at.alpha * variance + at.sigma * at.sigma);
  return mean + gain * (x - at.alpha * mean);
}

template <class S, class Guidance>
std::vector<S> sampled(std::vector<S> x, const Guidance& guidance) {
  sampling s(ddim(nodes), network, x, guidance);
  while (s.next())
    for (std::size_t branch = 0; branch < s.branches(); ++branch)
      for (std::size_t i = 0; i < x.size(); ++i)
        s.output(branch)[i] =
            static_cast<S>(denoised(branch, s.at().level, static_cast<double>(s.input()[i])));
  return {s.state().begin(), s.state().end()};
}

template <class S>
std::vector<S> normals(std::size_t n) {
  std::vector<S> x(n);
  fill_standard_normal(x, 3);
  return x;
}

template <class S>
void regions_are_sampled_each_by_its_condition() {
  // Two items of three planes of four pixels: two of the first condition, one of the second, one of none.
  const auto x = normals<S>(2 * 3 * 4);
  const auto found = sampled(x, regional({1, 1}, {{1, 1, 0, 0}, {0, 0, 1, 0}}));
  const auto alone = [&](std::vector<double> weights) { return sampled(x, weights); };
  const auto none = alone({1, 0, 0}), first = alone({0, 1, 0}), second = alone({0, 0, 1});
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(found[i], i % 4 < 2 ? first[i] : i % 4 == 2 ? second[i] : none[i]);
}

TEST(regional, samples_every_region_by_its_condition_alone) {
  regions_are_sampled_each_by_its_condition<double>();
  regions_are_sampled_each_by_its_condition<float>();
}

TEST(regional, of_masks_everywhere_is_composition) {
  const auto x = normals<double>(12);
  const auto found = sampled(x, regional({2, -0.5}, {{1, 1, 1}, {1, 1, 1}}));
  const auto composed = sampled(x, composed_scales(std::vector<double>{2, -0.5}));
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(found[i], composed[i], 1e-13);
  EXPECT_EQ(sampled(x, regional({0}, {{1}})), sampled(x, guidance_scale(0)));
  EXPECT_EQ(sampled(x, regional({1}, {{1}})), sampled(x, guidance_scale(1)));
}

// Where both stand by halves the guided output is the mean of both.
TEST(regional, blends_where_masks_share) {
  const masks shares = shares_of_one({{1, 3, 0, 0}, {1, 1, 2, 0}});
  EXPECT_EQ(shares, (masks{{0.5, 0.75, 0, 0}, {0.5, 0.25, 1, 0}}));
  const double none[] = {10, 10, 10, 10}, first[] = {1, 1, 1, 1}, second[] = {3, 3, 3, 3};
  const double* const outputs[] = {none, first, second};
  double guided[4];
  regional({1, 1}, shares)(guidance_point{}, std::span<const double* const>(outputs),
                           std::span<double>(guided));
  EXPECT_EQ(std::vector<double>(guided, guided + 4), (std::vector<double>{2, 1.5, 3, 10}));
}

TEST(regional, does_not_read_a_condition_outside_its_mask) {
  const double unread = std::numeric_limits<double>::quiet_NaN();
  const double none[] = {unread, 5}, first[] = {2, unread};
  const double* const outputs[] = {none, first};
  double guided[2];
  regional({1}, {{1, 0}})(guidance_point{}, std::span<const double* const>(outputs),
                          std::span<double>(guided));
  EXPECT_EQ(guided[0], 2);
  EXPECT_EQ(guided[1], 5);
}

TEST(regional, refuses_what_is_no_mask) {
  EXPECT_EQ(refusal([] { regional({}, {}); }), "regional: conditions = 0; valid: at least 1");
  EXPECT_EQ(refusal([] { regional({1, 2}, {{1}}); }), "regional: masks = 1; valid: 2");
  EXPECT_EQ(refusal([] { regional({1}, {{}}); }),
            "regional: size of a mask = 0; valid: at least 1");
  EXPECT_EQ(refusal([] {
              regional({1, 1}, {{1, 0}, {1}});
            }),
            "regional: size of a mask = 1; valid: 2");
  EXPECT_EQ(refusal([] { regional({INFINITY}, {{1}}); }), "regional: scale = inf; valid: finite");
  EXPECT_EQ(refusal([] { regional({1}, {{-INFINITY}}); }), "regional: mask = -inf; valid: finite");
  EXPECT_EQ(refusal([] {
              (void)shares_of_one({{1}, {-1}});
            }),
            "shares_of_one: mask = -1; valid: finite and at least 0");
  EXPECT_EQ(refusal([] {
              (void)shares_of_one({{1}, {1, 2}});
            }),
            "shares_of_one: size of a mask = 2; valid: 1");
  const std::vector<double> x(5, 1.0);
  EXPECT_EQ(refusal([&] {
              sampled(x, regional({1}, {{1, 0}}));
            }),
            "regional: size = 5; valid: a multiple of the masks' size");
}

}  // namespace
}  // namespace tweedie::regional_test
