// Sums in the arithmetic type beside the same in double: as many digits for differences as for streams.
#include "tweedie/tensor/pivoted_gram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
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

#if TWEEDIE_SUMS_IN_LANES
// Whatever vectors the processor has, the bits of four lanes.
template <std::size_t R, std::size_t From>
void sums_by_width(std::size_t size) {
  const auto rows = normals<float>(R, size);
  const float* at[R];
  for (std::size_t j = 0; j < R; ++j) at[j] = rows[j].data();
  const float t[] = {0, -1, 0.7f, -1.3f};
  constexpr std::size_t count = detail::sum_count<R, From>;
  double narrow[count], wide[count];
  detail::add_pivoted_floats<R, From>(at, t, size, narrow, 4);
  for (const std::size_t lanes : {8u, 16u}) {
    if (lanes > detail::widest_vector()) continue;
    detail::add_pivoted_floats<R, From>(at, t, size, wide, lanes);
    EXPECT_TRUE(std::equal(narrow, narrow + count, wide)) << R << From << ' ' << size;
  }
}

TEST(pivoted_sums, have_the_same_bits_on_every_processor) {
  for (const std::size_t size : {0u, 1u, 15u, 16u, 31u, 512u, 700u, 5000u}) {
    sums_by_width<2, 0>(size);
    sums_by_width<3, 0>(size);
    sums_by_width<4, 0>(size);
    sums_by_width<2, 1>(size);
    sums_by_width<3, 1>(size);
    sums_by_width<4, 1>(size);
  }
}
#endif

// The matrix of x0 estimates c_x x + c_y y, what is remembered and ones, beside sums in double of the estimates themselves.
template <class S>
void estimates_are_right(double alpha, double sigma, bool remembers, std::size_t size,
                         double tolerance) {
  const double c_x = 1 / alpha, c_y = -sigma / alpha;
  constexpr std::size_t first = 3;
  const std::size_t count = remembers ? 3 : 2, width = count + 1;
  const auto z = normals<double>(5, first + size);
  std::vector<std::vector<S>> rows(count + 1, std::vector<S>(first + size));
  std::vector<list> estimates(width, list(first + size, 1));  // the last are ones
  for (std::size_t i = 0; i < first + size; ++i) {
    // Two clean estimates of one state, as outputs that predict its noise.
    const double x = alpha * (0.5 * z[0][i] + 0.2) + sigma * z[1][i];
    rows[count][i] = static_cast<S>(x);
    for (const std::size_t b : {0u, 1u})
      rows[b][i] = static_cast<S>((x - alpha * (0.5 * z[2 + b][i] + 0.3)) / sigma);
    if (remembers) estimates[2][i] = static_cast<double>(rows[2][i] = static_cast<S>(z[4][i]));
    for (const std::size_t b : {0u, 1u})
      estimates[b][i] =
          c_x * static_cast<double>(rows[count][i]) + c_y * static_cast<double>(rows[b][i]);
  }
  std::vector<const S*> at;
  for (const auto& r : rows) at.push_back(r.data());
  list t(count + 1, -1.0), ours(width * width, -7), exact(width * width, 0);
  t[1] = 0;
  if (remembers) t[2] = 0;
  t.back() = c_y / c_x;
  ASSERT_TRUE(detail::estimates_gram<S>(at, 2, 1, t, c_x, c_y, first, size, ours));
  for (std::size_t j = 0; j < width; ++j)
    for (std::size_t k = 0; k < width; ++k)
      for (std::size_t i = first; i < first + size; ++i)
        exact[j * width + k] += estimates[j][i] * estimates[k][i];
  for (std::size_t j = 0; j < width; ++j)
    for (std::size_t k = 0; k < width; ++k)
      EXPECT_NEAR(ours[j * width + k], exact[j * width + k],
                  tolerance * std::sqrt(exact[j * (width + 1)] * exact[k * (width + 1)]))
          << j << k << ' ' << alpha;
}

TEST(estimates_gram, is_that_of_the_estimates_themselves) {
  for (const bool remembers : {false, true})
    for (const std::size_t size : {40u, 257u, 10'007u}) {
      for (const auto& [alpha, sigma] :
           {std::pair{0.8, 0.6}, {0.3, 0.95}, {0.999, 0.04}, {1.0, 80.0}}) {
        // Elements of an estimate are rounded, products and weights before they cancel.
        const double cancels = 1 + 2 * sigma / alpha;
        estimates_are_right<float>(alpha, sigma, remembers, size, worst * cancels);
        estimates_are_right<float16>(alpha, sigma, remembers, size, worst * cancels);
        estimates_are_right<bfloat16>(alpha, sigma, remembers, size, worst * cancels);
      }
    }
}

TEST(estimates_gram, leaves_to_double_what_float_would_lose) {
  constexpr std::size_t size = 300;
  const auto y = normals<float>(3, size);
  list out(9);
  const auto quick = [&](std::vector<float> u, std::vector<float> c, std::vector<float> x,
                         double c_x, double c_y) {
    const std::vector<const float*> rows{u.data(), c.data(), x.data()};
    return detail::estimates_gram<float>(rows, 2, 1, list{-1, 0, c_y / c_x}, c_x, c_y, 0, size,
                                         out);
  };
  EXPECT_TRUE(quick(y[0], y[1], y[2], 1.25, -0.75));
  EXPECT_TRUE(quick(y[1], y[1], y[2], 1.25, -0.75));       // equal outputs
  EXPECT_FALSE(quick(y[0], y[1], y[2], 300, -299 * 300));  // hardly any signal
  const std::vector<float> constant(size, 0.7f);
  EXPECT_FALSE(quick(y[0], constant, constant, 1.25, -0.75));  // an estimate without spread
  auto broken = y[0];
  broken[7] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(quick(broken, y[1], y[2], 1.25, -0.75));
  // y_u = -x/2: its estimate is a difference of larger ones, and nearly nothing.
  std::vector<float> u(size), x = y[2];
  for (std::size_t i = 0; i < size; ++i) u[i] = x[i] * 0.999f;
  EXPECT_FALSE(quick(u, y[1], x, 1, -1));
  // A network that predicts x0 itself needs no state: a NaN there is not read.
  x[3] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<const float*> rows{y[0].data(), y[1].data(), x.data()};
  ASSERT_TRUE(detail::estimates_gram<float>(rows, 2, 1, list{-1, 0, 0}, 0, 2, 0, size, out));
  list plain(9);
  const std::vector<const float*> both{y[0].data(), y[1].data()};
  gram<float>(both, 0, size, plain);
  for (const std::size_t j : {0u, 1u, 2u})
    for (const std::size_t k : {0u, 1u, 2u})
      EXPECT_NEAR(out[j * 3 + k], plain[j * 3 + k] * (j < 2 ? 2 : 1) * (k < 2 ? 2 : 1),
                  4 * worst * size);
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
