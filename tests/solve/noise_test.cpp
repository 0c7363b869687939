#include "tweedie/solve/noise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace tweedie {
namespace {

static_assert(counter_noise<gaussian_noise> && counter_noise<seeded_items>);
static_assert(!counter_noise<no_noise>);
static_assert(noise_source<gaussian_noise, float> && noise_source<no_noise, double>);

template <class Source>
std::vector<double> filled(const Source& source, int draw, std::size_t items, std::size_t each) {
  std::vector<double> out(items * each);
  source.fill(noise_request{draw, {}, items}, std::span<double>(out));
  return out;
}

bool same(std::span<const double> a, std::span<const double> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// Values belong to seed, item, draw and position; nothing else, and all of them.
TEST(gaussian_noise, is_the_counter_function_of_its_key) {
  const gaussian_noise source{42};
  const std::vector<double> batch = filled(source, 3, 4, 37);
  for (std::uint32_t item = 0; item < 4; ++item) {
    std::vector<double> expected(37);
    fill_normal<double>({42, item, 3}, 0, std::span<double>(expected));
    EXPECT_TRUE(same(std::span(batch).subspan(item * 37, 37), expected)) << item;
  }
  EXPECT_FALSE(same(batch, filled(source, 4, 4, 37)));
  EXPECT_FALSE(same(batch, filled(gaussian_noise{43}, 3, 4, 37)));
  EXPECT_FALSE(same(std::span(batch).first(37), std::span(batch).subspan(37, 37)));
}

TEST(seeded_items, give_each_item_what_it_would_get_alone) {
  const seeded_items source{{7, 5, 7}};
  const std::vector<double> batch = filled(source, 2, 3, 19);
  for (std::size_t item = 0; item < 3; ++item)
    EXPECT_TRUE(same(std::span(batch).subspan(item * 19, 19),
                     filled(gaussian_noise{source.seeds[item]}, 2, 1, 19)));
  EXPECT_THROW(filled(source, 0, 4, 19), std::out_of_range);
}

TEST(noise, of_no_items_is_nothing) {
  EXPECT_TRUE(filled(gaussian_noise{1}, 0, 0, 8).empty());
  EXPECT_TRUE(filled(seeded_items{}, 0, 0, 8).empty());
}

TEST(no_noise, names_the_draw_it_is_asked_for) {
  try {
    filled(no_noise{}, 6, 1, 2);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("no_noise: draw = 6"), std::string::npos);
  }
}

TEST(seeded_items, nothing_is_written_if_seeds_are_missing) {
  const seeded_items source{{7, 5}};
  std::vector<float> z(6, 1.5f);
  EXPECT_THROW(source.fill(noise_request{0, {}, 3}, std::span<float>(z)), std::out_of_range);
  EXPECT_EQ(z, std::vector<float>(6, 1.5f));
}

}  // namespace
}  // namespace tweedie
