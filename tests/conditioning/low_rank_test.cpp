#include "tweedie/conditioning/low_rank.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <limits>

namespace tweedie {
namespace {

template <class S>
struct low_rank : testing::Test {
  using dense = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
  dense base = dense::Random(7, 11);
  low_rank_update<S> style{dense::Random(3, 11), dense::Random(7, 3), 6};
  low_rank_update<S> subject{dense::Random(1, 11), dense::Random(7, 1), 0.5};
  S eps = std::numeric_limits<S>::epsilon();
};
using scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(low_rank, scalars);

TYPED_TEST(low_rank, merged_equals_applied_beside) {
  using matrix = typename TestFixture::dense;
  const matrix x = matrix::Random(11, 5);
  matrix merged = this->base, y = this->base * x;
  merge_update(merged, this->style, 0.7);
  merge_update(merged, this->subject, -0.3);
  add_update(y, this->style, x, 0.7);
  add_update(y, this->subject, x, -0.3);
  EXPECT_LT((merged * x - y).cwiseAbs().maxCoeff(), 100 * this->eps);
}

TYPED_TEST(low_rank, unmerge_takes_out_what_merge_put_in) {
  auto w = this->base;
  merge_update(w, this->style, 0.7);
  EXPECT_GT((w - this->base).cwiseAbs().maxCoeff(), 0.1);
  unmerge_update(w, this->style, 0.7);
  EXPECT_LT((w - this->base).cwiseAbs().maxCoeff(), 20 * this->eps);
}

TYPED_TEST(low_rank, neutral_settings_keep_the_bits) {
  auto w = this->base;
  merge_update(w, this->style, 0);
  EXPECT_TRUE(w == this->base);
  auto none = this->style;
  none.up.setZero();
  merge_update(w, none);
  EXPECT_TRUE(w == this->base);
}

TYPED_TEST(low_rank, changes_the_rank_by_at_most_its_own) {
  using matrix = typename TestFixture::dense;
  matrix change = matrix::Zero(7, 11);
  merge_update(change, this->style);
  Eigen::FullPivLU<matrix> lu(change);
  lu.setThreshold(100 * this->eps);
  EXPECT_EQ(lu.rank(), 3);
  // alpha / rank = 6 / 3
  EXPECT_LT((change - 2 * this->style.up * this->style.down).cwiseAbs().maxCoeff(), 20 * this->eps);
}

TYPED_TEST(low_rank, a_convolution_is_the_matrix_of_its_memory) {
  using S = TypeParam;
  // 2 outputs, 3 inputs, window 2 x 2: up (1 x 1) after down (2 x 2) is one convolution.
  std::vector<S> kernel(2 * 3 * 4, S(0));
  Eigen::Map<Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> w(kernel.data(), 2,
                                                                                  12);
  low_rank_update<S> u{Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>::Random(1, 12),
                       Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>::Random(2, 1), 1};
  merge_update(w, u);
  for (Eigen::Index o = 0; o < 2; ++o)
    for (Eigen::Index i = 0; i < 12; ++i)
      EXPECT_NEAR(kernel[static_cast<std::size_t>(12 * o + i)], u.up(o, 0) * u.down(0, i),
                  this->eps);
}

TYPED_TEST(low_rank, decomposed_update_sets_the_norms_of_rows) {
  auto w = this->base;
  auto none = this->style;
  none.up.setZero();
  merge_decomposed(w, none, row_magnitudes(this->base));
  EXPECT_LT((w - this->base).cwiseAbs().maxCoeff(), 4 * this->eps);
  const Eigen::Matrix<TypeParam, Eigen::Dynamic, 1> m =
      Eigen::Matrix<TypeParam, Eigen::Dynamic, 1>::LinSpaced(7, 1, 7);
  merge_decomposed(w, this->style, m, 0.5);
  EXPECT_LT((row_magnitudes(w) - m).cwiseAbs().maxCoeff(), 20 * this->eps);
  auto direction = this->base;
  merge_update(direction, this->style, 0.5);
  EXPECT_LT((w.row(3).normalized() - direction.row(3).normalized()).cwiseAbs().maxCoeff(),
            20 * this->eps);
}

TYPED_TEST(low_rank, refuses_what_does_not_fit_and_leaves_the_weights) {
  using matrix = typename TestFixture::dense;
  matrix w = this->base, small = matrix::Random(6, 11);
  EXPECT_THROW(merge_update(small, this->style), std::invalid_argument);
  EXPECT_THROW(merge_update(w, low_rank_update<TypeParam>{}), std::invalid_argument);
  EXPECT_THROW(merge_update(w, this->style, std::nan("")), std::invalid_argument);
  matrix y = w;
  EXPECT_THROW(add_update(y, this->style, matrix::Random(11, 4)), std::invalid_argument);
  matrix zero = matrix::Zero(7, 11);
  auto none = this->style;
  none.up.setZero();
  EXPECT_THROW(merge_decomposed(zero, none, row_magnitudes(w)), std::invalid_argument);
  EXPECT_TRUE(w == this->base);
  EXPECT_TRUE(y == this->base);
  EXPECT_TRUE(zero.isZero(0));
}

}  // namespace
}  // namespace tweedie
