#include "tweedie/conditioning/embedding.hpp"

#include <gtest/gtest.h>

namespace tweedie {
namespace {

TEST(time_embedding, time_zero_is_zeros_and_ones) {
  EXPECT_EQ(time_embedding(0, 6, embedding_form::adm), (std::vector<double>{1, 1, 1, 0, 0, 0}));
  EXPECT_EQ(time_embedding(0, 6, embedding_form::ddpm), (std::vector<double>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(time_embedding(0, 7, embedding_form::adm), (std::vector<double>{1, 1, 1, 0, 0, 0, 0}));
}

TEST(time_embedding, frequencies_run_geometrically_from_one) {
  const auto adm = embedding_frequencies(8, embedding_form::adm);
  const auto ddpm = embedding_frequencies(8, embedding_form::ddpm);
  for (int k = 0; k < 4; ++k) {
    EXPECT_NEAR(adm[static_cast<std::size_t>(k)], std::pow(10000, -k / 4.0), 1e-15);
    EXPECT_NEAR(ddpm[static_cast<std::size_t>(k)], std::pow(10000, -k / 3.0), 1e-15);
  }
  EXPECT_NEAR(ddpm.back(), 1e-4, 1e-18);  // reaches the period, the adm form stops before
}

TEST(time_embedding, has_the_norm_of_its_frequencies_and_adds_angles) {
  for (const auto form : {embedding_form::ddpm, embedding_form::adm}) {
    const auto a = time_embedding(3.5, 8, form), b = time_embedding(120, 8, form);
    double norm = 0, dot = 0, expected = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      norm += a[i] * a[i];
      dot += a[i] * b[i];
    }
    for (const double f : embedding_frequencies(8, form)) expected += std::cos(f * (120 - 3.5));
    EXPECT_NEAR(norm, 4, 1e-14);
    EXPECT_NEAR(dot, expected, 1e-13);
  }
}

TEST(gaussian_fourier_features, have_a_gaussian_kernel) {
  // E cos(f (a - b)) = exp(-(2 pi s (a - b))^2 / 2) over f = 2 pi s w; 200,000 frequencies put the
  // mean of cosines within 5 / sqrt(2 * 200,000) = 0.008 of it.
  const std::size_t count = 200000;
  const auto f = gaussian_frequencies(count, 0.5, 3);
  std::vector<double> a(2 * count), b(2 * count);
  embed_time<double>(0.3, f, embedding_form::ddpm, a);
  embed_time<double>(0.7, f, embedding_form::ddpm, b);
  double dot = 0;
  for (std::size_t i = 0; i < 2 * count; ++i) dot += a[i] * b[i];
  const double width = 2 * std::numbers::pi * 0.5 * 0.4;
  EXPECT_NEAR(dot / count, std::exp(-width * width / 2), 0.008);
  EXPECT_EQ(gaussian_frequencies(4, 0.5, 3), gaussian_frequencies(4, 0.5, 3));
  EXPECT_THROW(gaussian_frequencies(4, 0, 3), std::invalid_argument);
}

TEST(time_embedding, refuses_bad_input) {
  EXPECT_THROW(embedding_frequencies(1, embedding_form::adm), std::invalid_argument);
  EXPECT_THROW(embedding_frequencies(3, embedding_form::ddpm), std::invalid_argument);
  EXPECT_THROW(embedding_frequencies(8, embedding_form::adm, 1), std::invalid_argument);
  std::vector<float> out(5);
  const auto f = embedding_frequencies(8, embedding_form::adm);
  EXPECT_THROW(embed_time<float>(1, f, embedding_form::adm, out), std::invalid_argument);
  EXPECT_THROW(time_embedding(1, -2, embedding_form::adm), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
