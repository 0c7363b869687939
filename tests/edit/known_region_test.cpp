#include "tweedie/edit/known_region.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <limits>
#include <utility>

#include "tweedie/tweedie.hpp"

namespace tweedie {
namespace {

struct no_randomness {
  template <class S>
  void fill(const noise_request&, std::span<S> out) const {
    std::fill(out.begin(), out.end(), S(0));
  }
};

// x, moved along the program by the exact denoiser of N(0, [[1, .8], [.8, 1]]) with x_1 = 1.5 pasted at every mark.
// The denoiser is linear, so the means of a run are the run without noise.
std::vector<double> pasted_run(const program& plan, const std::vector<double>& x) {
  Eigen::Matrix2d covariance;
  covariance << 1, 0.8, 0.8, 1;
  const std::vector<double> original{1.5, 0}, mask{1, 0}, z{0, 0};
  sampling s(plan, network_description{predicts_sample}, x, no_randomness{});
  for (;;) {
    const sampling_event event = s.advance();
    if (event == sampling_event::finished) return {s.state().begin(), s.state().end()};
    if (event == sampling_event::evaluate) {
      const auto [alpha, sigma] = s.at().level;
      const Eigen::Matrix2d total =
          alpha * alpha * covariance + sigma * sigma * Eigen::Matrix2d::Identity();
      Eigen::Map<Eigen::Vector2d>(s.output().data()) =
          alpha * covariance * total.inverse() *
          Eigen::Map<const Eigen::Vector2d>(s.input().data());
    } else {
      blend_known<double>(std::span<double>(s.state().data(), 2), original, mask, z,
                          s.reached().level);
    }
  }
}

// Mean of x_2 after RePaint's algorithm 1, which does not go up again from clean data: t = 1 comes once.
double replaced_mean(int times, int jump = 1) {
  grid nodes = trailing(linear_beta_schedule(1000), 250);
  const grid last{nodes[249], nodes[250]};
  nodes.pop_back();
  const auto lowest =
      pasted_run(resampled(nodes, jump, times), {nodes.front().level.alpha * 1.5, 0});
  return pasted_run(ddim(last, 1), lowest)[1];
}

// The table of T67: visits of each level of 250, and the mean that RePaint (jump 1) ends with.
TEST(known_region, replacement_misses_the_posterior_and_going_up_again_closes_the_gap) {
  const double posterior = 0.8 * 1.5;
  const std::pair<int, double> table[] = {{1, 0.7443},  {2, 0.9423},  {5, 1.0971},
                                          {10, 1.1498}, {20, 1.1749}, {50, 1.1893}};
  for (const auto& [times, mean] : table) EXPECT_NEAR(replaced_mean(times), mean, 6e-5) << times;
  for (const int times : {2, 5, 10, 20}) {
    const double gap = (posterior - replaced_mean(times)) * times;
    EXPECT_GT(gap, 0.49);
    EXPECT_LT(gap, 0.52);
  }
  // Ten steps down and up at once mix about as well as single ones, visit for visit.
  EXPECT_NEAR(replaced_mean(10, 10), replaced_mean(10), 0.01);
}

template <class S>
std::vector<S> inpainted(const std::vector<S>& original, const std::vector<S>& mask,
                         bool change_map) {
  const grid nodes = trailing(linear_beta_schedule(1000), 10);
  std::vector<S> x(original.size());
  fill_standard_normal(x, 1);
  auto known = change_map ? known_region<S>::with_change_map(original, mask, 9)
                          : known_region<S>(original, mask, 9);
  sampling s(ddim(nodes), network_description{predicts_sample}, x, no_noise{});
  for (;;) {
    const sampling_event event = s.advance();
    if (event == sampling_event::finished) break;
    if (event == sampling_event::evaluate)
      for (std::size_t i = 0; i < x.size(); ++i) s.output()[i] = s.input()[i] / S(2);
    else
      known.paste(s);
  }
  return {s.state().begin(), s.state().end()};
}

TEST(known_region, known_elements_end_with_the_callers_bits) {
  const std::vector<float> original{0.1f, -0.7f, 3e-39f, 0.3f}, mask{1, 0, 1, 0.5f};
  const auto out = inpainted<float>(original, mask, false);
  EXPECT_EQ(out[0], original[0]);
  EXPECT_EQ(out[2], original[2]);
  EXPECT_NE(out[1], original[1]);
  EXPECT_NE(out[3], original[3]);
}

TEST(known_region, a_change_map_of_zeros_and_ones_is_a_mask) {
  const std::vector<double> original{0.1, -0.7, 0.2, 0.3};
  EXPECT_EQ(inpainted<double>(original, {0, 1, 0, 1}, true),
            inpainted<double>(original, {1, 0, 1, 0}, false));
}

// The time at which an element is let go is that of image-to-image of its strength.
TEST(known_region, a_change_map_frees_an_element_in_its_part_of_the_steps) {
  struct steps_of {
    std::vector<double> x{0, 0, 0, 0};
    std::size_t done = 0;
    std::span<double> state() { return x; }
    std::size_t steps_done() const { return done; }
    std::size_t steps_total() const { return 10; }
    node reached() const { return clean_node(-1); }
  } run;
  auto known = known_region<double>::with_change_map(std::vector<double>{1, 1, 1, 1},
                                                     std::vector<double>{0, 0.3, 0.95, 1}, 9);
  std::vector<std::size_t> freed(4, 0);
  for (run.done = 1; run.done <= 10; ++run.done) {
    run.x = {0, 0, 0, 0};
    known.paste(run);
    for (std::size_t i = 0; i < 4; ++i) freed[i] += run.x[i] == 0;
  }
  EXPECT_EQ(freed, (std::vector<std::size_t>{0, 4, 10, 10}));
}

TEST(known_region, has_the_law_of_the_forward_process) {
  const std::size_t n = 100000;
  std::vector<float> x(n, 5.f), original(n, 2.f), mask(n, 1.f), z(n);
  fill_standard_normal(z, 3);
  blend_known<float>(x, original, mask, z, {0.6, 0.8});
  const Eigen::Map<const Eigen::ArrayXf> a(x.data(), static_cast<Eigen::Index>(n));
  EXPECT_NEAR(a.mean(), 1.2, 5 * 0.8 / std::sqrt(1e5));
  EXPECT_NEAR((a - a.mean()).square().mean(), 0.64, 5 * 0.64 * std::sqrt(2e-5));
}

TEST(known_region, refuses_masks_that_are_none_and_leaves_the_state) {
  std::vector<float> x{1, 2};
  const std::vector<float> two{0.5f, 0.5f}, one{0.5f}, bad{0.5f, 1.5f},
      none{0.5f, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THROW(blend_known<float>(x, one, two, two, {1, 0}), std::invalid_argument);
  EXPECT_THROW(blend_known<float>(x, two, one, two, {1, 0}), std::invalid_argument);
  EXPECT_THROW(blend_known<float>(x, two, bad, two, {1, 0}), std::invalid_argument);
  EXPECT_THROW(blend_known<float>(x, two, none, two, {1, 0}), std::invalid_argument);
  EXPECT_THROW(known_region<float>(two, bad, 1), std::invalid_argument);
  EXPECT_THROW(known_region<float>(two, one, 1), std::invalid_argument);
  EXPECT_EQ(x, (std::vector<float>{1, 2}));
}

}  // namespace
}  // namespace tweedie
