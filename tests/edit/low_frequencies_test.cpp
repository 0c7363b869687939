#include "tweedie/edit/low_frequencies.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tweedie/edit/known_region.hpp"
#include "tweedie/schedule/schedule.hpp"

namespace tweedie {
namespace {

template <class S>
struct stopped_run {
  std::vector<S> x;
  node at;
  std::size_t done = 3;
  std::span<S> state() { return x; }
  std::size_t steps_done() const { return done; }
  node reached() const { return at; }
};

constexpr image_shape shape{2, 4, 6};

template <class S>
std::vector<S> means(const std::vector<S>& x, std::size_t f) {
  std::vector<S> out(x.size() / (f * f));
  for (std::size_t c = 0; c < x.size() / 24; ++c)
    for (std::size_t y = 0; y < 4; ++y)
      for (std::size_t z = 0; z < 6; ++z)
        out[(c * (4 / f) + y / f) * (6 / f) + z / f] +=
            x[(c * 4 + y) * 6 + z] / static_cast<S>(f * f);
  return out;
}

template <class S>
void takes_means_from_the_reference(S tolerance) {
  std::vector<S> reference(96), x(96);  // two pictures
  fill_normal(noise_key{1, 0, 0}, 0, std::span<S>(reference));
  fill_normal(noise_key{2, 0, 0}, 0, std::span<S>(x));
  low_frequencies<S> follow(shape, 2, reference, 9);
  stopped_run<S> run{x, {0, {0.6, 0.8}}};
  follow.apply(run);
  std::vector<S> z(96), noised(96);
  fill_normal(noise_key{9, 0, 3}, 0, std::span<S>(z));
  for (std::size_t i = 0; i < 96; ++i) noised[i] = S(0.6) * reference[i] + S(0.8) * z[i];
  const auto low = means(run.x, 2), wanted = means(noised, 2), before = means(x, 2);
  for (std::size_t b = 0; b < low.size(); ++b) EXPECT_NEAR(low[b], wanted[b], tolerance);
  for (std::size_t i = 0; i < 96; ++i) {
    const std::size_t b = i / 12 * 3 + i % 6 / 2;
    EXPECT_NEAR(run.x[i] - low[b], x[i] - before[b], tolerance);  // all detail is the sample's
  }
}

TEST(low_frequencies, takes_means_of_blocks_from_the_reference_and_detail_from_the_sample) {
  takes_means_from_the_reference<double>(1e-14);
  takes_means_from_the_reference<float>(1e-6f);
}

TEST(low_frequencies, blocks_of_one_are_the_reference_and_clean_data_needs_no_noise) {
  const std::vector<double> reference(48, 0.25);
  low_frequencies<double> follow(shape, 1, reference, 9);
  stopped_run<double> run{std::vector<double>(48, 7), {0, {1, 0}}};
  follow.apply(run);
  for (const double v : run.x) EXPECT_NEAR(v, 0.25, 1e-14);
}

TEST(low_frequencies, lets_go_at_the_lowest_level) {
  const std::vector<double> reference(48, 0.25), x(48, 7);
  low_frequencies<double> follow(shape, 2, reference, 9, 0.5);
  stopped_run<double> below{x, {0, {0.8, 0.4}}}, above{x, {0, {0.8, 0.41}}}, clean{x, {0, {1, 0}}};
  follow.apply(below);
  follow.apply(clean);
  follow.apply(above);
  EXPECT_EQ(below.x, x);
  EXPECT_EQ(clean.x, x);
  EXPECT_NE(above.x, x);
}

TEST(low_frequencies, refuses_blocks_that_do_not_fit) {
  const std::vector<double> reference(48), odd(47);
  EXPECT_THROW(low_frequencies<double>(shape, 3, reference, 1), std::invalid_argument);
  EXPECT_THROW(low_frequencies<double>(shape, 0, reference, 1), std::invalid_argument);
  EXPECT_THROW(low_frequencies<double>(shape, 2, odd, 1), std::invalid_argument);
  EXPECT_THROW(low_frequencies<double>(shape, 2, reference, 1, -1), std::invalid_argument);
  low_frequencies<double> follow(shape, 2, reference, 9);
  stopped_run<double> other{odd, {0, {1, 0}}};
  EXPECT_THROW(follow.apply(other), std::invalid_argument);
  EXPECT_EQ(other.x, odd);
}

TEST(latent_mask, knows_a_latent_as_far_as_all_its_pixels_are) {
  const std::vector<float> mask{1, 1, 1, 0.5f,  //
                                1, 1, 1, 1,     //
                                1, 1, 0, 0,     //
                                1, 0, 0, 0};
  EXPECT_EQ(latent_mask<float>(mask, 4, 4, 2), (std::vector<float>{1, 0.5f, 0, 0}));
  EXPECT_EQ(latent_mask<float>(mask, 4, 4, 1), mask);
  EXPECT_THROW(latent_mask<float>(mask, 4, 4, 3), std::invalid_argument);
  EXPECT_THROW(latent_mask<float>(mask, 4, 5, 1), std::invalid_argument);
  const std::vector<float> none(4, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(latent_mask<float>(none, 2, 2, 2)[0]));  // for known_region to refuse
}

}  // namespace
}  // namespace tweedie
