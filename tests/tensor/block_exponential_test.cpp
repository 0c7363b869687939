#include "tweedie/tensor/block_exponential.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tweedie/tensor/numeric.hpp"

namespace {

using tweedie::detail::block;

template <class A>
class exponentials : public testing::Test {
 protected:
  static constexpr A infinity = std::numeric_limits<A>::infinity();
  static constexpr A highest = sizeof(A) == 4 ? A(88) : A(709);

  // A function of blocks at one number.
  template <class F>
  static A at(const F& f, A x) {
    A out[block<A>::size];
    f(block<A>(static_cast<double>(x))).store(out);
    return out[0];
  }

  // Largest relative error over [from, to], in units of epsilon.
  template <class F, class G>
  static double error(const F& f, const G& exact, A from, A to) {
    double worst = 0;
    constexpr int points = 20000;
    for (int i = 0; i <= points; ++i) {
      const A x = from + (to - from) * static_cast<A>(i) / points;
      const long double expected = exact(static_cast<long double>(x));
      if (expected == 0) {
        EXPECT_EQ(at(f, x), A(0)) << x;
        continue;
      }
      const long double off = (static_cast<long double>(at(f, x)) - expected) / expected;
      worst = std::max(worst, static_cast<double>(std::abs(off)));
    }
    return worst / static_cast<double>(std::numeric_limits<A>::epsilon());
  }
};
using scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(exponentials, scalars);

// x^2/2! + x^3/3! + ..., which does not cancel.
long double excess(long double x) {
  if (std::abs(x) > 1) return std::expm1(x) - x;
  long double sum = 0;
  for (int k = 30; k >= 2; --k) sum = (sum * x + 1) / static_cast<long double>(k);
  return sum * x * x;
}

TYPED_TEST(exponentials, are_exact_to_a_few_units_of_the_last_place) {
  using A = TypeParam;
  const A top = this->highest;
  const auto e = [](auto x) { return exp(x); };
  const auto e1 = [](auto x) { return expm1(x); };
  const auto e2 = [](auto x) { return expm1_minus(x); };
  const auto l1 = [](auto x) { return log1p(x); };
  using wide = long double;
  EXPECT_LT(this->error(
                e, [](wide x) { return std::exp(x); }, 1 - top, top),
            3);
  EXPECT_LT(this->error(
                e1, [](wide x) { return std::expm1(x); }, 1 - top, top),
            3);
  EXPECT_LT(this->error(
                e1, [](wide x) { return std::expm1(x); }, A(-1e-3), A(1e-3)),
            3);
  EXPECT_LT(this->error(e2, excess, 1 - top, top), 9);
  EXPECT_LT(this->error(e2, excess, A(-1), A(1)), 9);
  EXPECT_LT(this->error(e2, excess, A(-1e-3), A(1e-3)), 9);
  EXPECT_LT(this->error(
                l1, [](wide x) { return std::log1p(x); }, A(0), A(1)),
            3);
}

TYPED_TEST(exponentials, vanish_below_and_are_held_above_what_fits) {
  using A = TypeParam;
  const auto e = [](auto x) { return exp(x); };
  const auto e1 = [](auto x) { return expm1(x); };
  const auto e2 = [](auto x) { return expm1_minus(x); };
  const A top = this->highest;
  for (const A x : {2 * top, std::numeric_limits<A>::max(), this->infinity}) {
    EXPECT_EQ(this->at(e, -x), A(0)) << x;
    EXPECT_EQ(this->at(e1, -x), A(-1)) << x;
    EXPECT_EQ(this->at(e2, -x), x == 2 * top ? x - 1 : x) << x;
    EXPECT_EQ(this->at(e, x), this->at(e, top)) << x;
    EXPECT_EQ(this->at(e1, x), this->at(e1, top)) << x;
    EXPECT_EQ(this->at(e2, x), this->at(e2, top)) << x;
  }
  EXPECT_EQ(this->at(e, A(0)), A(1));
  EXPECT_EQ(this->at(e2, A(0)), A(0));
}

TYPED_TEST(exponentials, keep_nan) {
  const auto nan = std::numeric_limits<TypeParam>::quiet_NaN();
  EXPECT_TRUE(std::isnan(this->at([](auto x) { return exp(x); }, nan)));
  EXPECT_TRUE(std::isnan(this->at([](auto x) { return expm1(x); }, nan)));
  EXPECT_TRUE(std::isnan(this->at([](auto x) { return expm1_minus(x); }, nan)));
  EXPECT_TRUE(std::isnan(this->at([](auto x) { return log1p(x); }, nan)));
}

}  // namespace
