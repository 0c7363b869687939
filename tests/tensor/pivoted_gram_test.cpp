// Sums in the arithmetic type beside the same in double: as many digits for differences as for streams.
#include "tweedie/tensor/pivoted_gram.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "refusal.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {
namespace {

using list = std::vector<double>;
// 36 roundings of float in the worst case; the mean of many is far below.
constexpr double worst = 36 * 0x1p-24;

// Rows, and both matrices of them.
template <class S>
struct matrices {
  std::vector<std::vector<S>> rows;
  list quick, exact;

  matrices(std::vector<std::vector<S>> of, std::size_t pivot, const list& t, std::size_t first = 0)
      : rows(std::move(of)), quick((rows.size() + 1) * (rows.size() + 1), -1), exact(quick) {
    std::vector<const S*> at;
    for (const auto& r : rows) at.push_back(r.data());
    pivoted_gram<S>(at, pivot, t, first, rows[0].size() - first, quick);
    gram<S>(at, first, rows[0].size() - first, exact);
  }
  static double of(const list& g, const list& a, const list& b) {
    const std::size_t width = a.size() + 1;
    double sum = 0;
    for (std::size_t j = 0; j < a.size(); ++j)
      for (std::size_t k = 0; k < b.size(); ++k) sum += a[j] * b[k] * g[j * width + k];
    return sum;
  }
  // |quick - exact| of an inner product of two combinations, in units of their lengths.
  double error(const list& a, const list& b) const {
    return std::abs(of(quick, a, b) - of(exact, a, b)) /
           std::sqrt(of(exact, a, a) * of(exact, b, b));
  }
};

template <class S>
std::vector<std::vector<S>> normals(std::size_t rows, std::size_t size) {
  std::vector<std::vector<S>> out(rows, std::vector<S>(size));
  for (std::uint32_t j = 0; j < rows; ++j) fill_normal<S>({1, 0, j}, 0, std::span(out[j]));
  return out;
}

template <class S>
class pivoted : public testing::Test {};
using scalars = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(pivoted, scalars);

TYPED_TEST(pivoted, equals_sums_in_double) {
  using S = TypeParam;
  for (const std::size_t size : {0u, 1u, 2u, 7u, 31u, 257u, 4099u})
    for (std::size_t rows = 1; rows <= 5; ++rows)
      for (std::size_t pivot = 0; pivot < rows; ++pivot) {
        constexpr std::size_t first = 5;
        list t(rows, -1.0);
        t.back() = 0.7;
        t[pivot] = 0;
        const matrices<S> g(normals<S>(rows, first + size), pivot, t, first);
        for (std::size_t e = 0; e < g.exact.size(); ++e)
          ASSERT_NEAR(g.quick[e], g.exact[e], 8 * worst * static_cast<double>(size)) << size;
        EXPECT_EQ(g.quick.back(), static_cast<double>(size));
      }
}

// Outputs that differ by a ten-thousandth: their difference keeps its digits, which sums of float
// products would lose against the outputs (2^-24 against 10^-8).
TEST(pivoted_gram, keeps_what_differs) {
  for (const std::size_t size : {65u, 1024u, 50'001u}) {
    auto rows = normals<float>(4, size);
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t i = 0; i < size; ++i) rows[j][i] = rows[3][i] + 1e-4f * rows[j][i];
    rows.pop_back();
    const matrices<float> g(rows, 1, {-1, 0, -1});
    const list main{-1, 1, 0}, other{-1, 0, 1}, output{0, 1, 0};
    EXPECT_LT(g.error(main, main), worst);
    EXPECT_LT(g.error(other, main), 2 * worst);
    EXPECT_LT(g.error(output, output), worst);
    EXPECT_LT(g.error(output, main), worst);
  }
}

// x = alpha x0 + sigma z at the end of DDPM's chain, where x0 = (x - sigma z)/alpha is 1/157 of x/alpha.
TEST(pivoted_gram, keeps_what_clean_estimates_are_made_of) {
  constexpr std::size_t size = 16384;
  constexpr double alpha = 0.00635, sigma = 0.99998;
  auto rows = normals<float>(4, size);  // z, another z, clean, clean
  for (std::size_t i = 0; i < size; ++i) {
    const double x = alpha * rows[2][i] + sigma * rows[1][i];
    rows[0][i] = static_cast<float>((x - alpha * rows[3][i]) / sigma);
    rows[2][i] = static_cast<float>(x);
  }
  rows.pop_back();
  const matrices<float> g(rows, 1, {-1, 0, -sigma});
  const list one{0, -sigma / alpha, 1 / alpha}, other{-sigma / alpha, 0, 1 / alpha};
  // Weights and products are rounded before they cancel, 157-fold.
  EXPECT_LT(g.error(one, one), 157 * 2 * 0x1p-24);
  EXPECT_LT(g.error(other, one), 157 * 2 * 0x1p-24);
  EXPECT_LT(g.error({1, -1, 0}, {1, -1, 0}), worst);
}

// The matrix in double, to the bit, where float would not do.
TEST(pivoted_gram, turns_to_double_where_float_would_not_do) {
  constexpr std::size_t size = 300;
  const auto y = normals<float>(2, size);
  const auto expect_exact = [&](std::vector<float> u, std::vector<float> c) {
    const matrices<float> g({std::move(u), std::move(c)}, 1, {-1, 0});
    EXPECT_EQ(g.quick, g.exact);
  };
  const auto times = [](double a, std::vector<float> v, double b = 0) {
    for (float& e : v) e = static_cast<float>(a * e + b);
    return v;
  };
  const std::vector<float> zero(size, 0.0f), constant(size, 0.7f);
  expect_exact(times(1e-3, y[0]), y[1]);   // small beside the pivot
  expect_exact(y[0], constant);            // no spread
  expect_exact(times(1, y[0], 20), y[1]);  // hardly any
  expect_exact(constant, times(1, constant, 0.1));
  expect_exact(times(1e22, y[0]), times(1e22, y[1]));
  expect_exact(times(1e-22, y[0]), times(1e-22, y[1]));
  expect_exact(y[0], zero);
  expect_exact(zero, zero);
  expect_exact({3.0f}, {2.0f});
  // An output of zeros, or equal to the pivot, is no trouble.
  EXPECT_EQ((matrices<float>({zero, y[1]}, 1, {-1, 0}).quick[0]), 0);
  const matrices<float> equal({y[1], y[1]}, 1, {-1, 0});
  EXPECT_EQ(equal.quick[0] - 2 * equal.quick[1] + equal.quick[4], 0);
  auto broken = y[0];
  broken[7] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(matrices<float>({broken, y[1]}, 1, {-1, 0}).quick[0]));
}

TEST(pivoted_gram, refuses_bad_input) {
  const list x(4, 1.0);
  const std::vector<const double*> rows{x.data(), x.data()};
  list out(9);
  const auto with = [&](std::size_t pivot, const list& t, std::size_t room) {
    return refusal([&] { pivoted_gram<double>(rows, pivot, t, 0, 4, std::span(out).first(room)); });
  };
  EXPECT_EQ(with(1, {-1, 0}, 9), "");
  EXPECT_NE(with(2, {-1, 0}, 9), "");
  EXPECT_NE(with(1, {0, -1}, 9), "");
  EXPECT_NE(with(1, {-1}, 9), "");
  EXPECT_NE(with(1, {-1, 0}, 4), "");
}

}  // namespace
}  // namespace tweedie
