#include "tweedie/conditioning/attention.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <limits>

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

constexpr double inf = std::numeric_limits<double>::infinity();

struct tokens {
  MatrixXd q = MatrixXd::Random(5, 130), k = MatrixXd::Random(5, 9), v = MatrixXd::Random(3, 9);
};

// Equation 1 as it is written, one query and one key at a time.
MatrixXd written_out(const MatrixXd& q, const MatrixXd& k, const MatrixXd& v,
                     const MatrixXd& bias) {
  MatrixXd out = MatrixXd::Zero(v.rows(), q.cols());
  for (Eigen::Index j = 0; j < q.cols(); ++j) {
    double total = 0;
    for (Eigen::Index i = 0; i < k.cols(); ++i) {
      const double w = std::exp(q.col(j).dot(k.col(i)) / std::sqrt(double(q.rows())) + bias(i, j));
      out.col(j) += w * v.col(i);
      total += w;
    }
    out.col(j) /= total;
  }
  return out;
}

TEST(attention, is_the_formula_written_out) {
  const tokens t;
  MatrixXd bias = MatrixXd::Random(9, 130);
  bias(4, 7) = -inf;
  EXPECT_LT(
      (attention(t.q, t.k, t.v, bias) - written_out(t.q, t.k, t.v, bias)).cwiseAbs().maxCoeff(),
      1e-14);
  const MatrixXf f = attention(t.q.cast<float>(), t.k.cast<float>(), t.v.cast<float>());
  EXPECT_LT((f.cast<double>() - attention(t.q, t.k, t.v)).cwiseAbs().maxCoeff(), 1e-6);
}

TEST(attention, does_not_depend_on_the_order_of_keys) {
  const tokens t;
  const MatrixXd k = t.k.rowwise().reverse(), v = t.v.rowwise().reverse();
  EXPECT_LT((attention(t.q, k, v) - attention(t.q, t.k, t.v)).cwiseAbs().maxCoeff(), 1e-15);
}

// Temporal attention: frames in another order come out in that order.
TEST(attention, of_frames_goes_with_their_order) {
  const MatrixXd frames = MatrixXd::Random(4, 6);
  Eigen::PermutationMatrix<Eigen::Dynamic> order(6);
  order.indices() << 3, 0, 5, 1, 4, 2;
  const MatrixXd moved = frames * order;
  EXPECT_LT((attention(moved, moved, moved) - attention(frames, frames, frames) * order).norm(),
            1e-13);
}

TEST(attention, of_equal_values_is_the_value_and_of_one_key_its_value) {
  const tokens t;
  const MatrixXd equal = t.v.col(0).replicate(1, 9);
  EXPECT_LT((attention(t.q, t.k, equal).colwise() - t.v.col(0)).cwiseAbs().maxCoeff(), 1e-15);
  const MatrixXd one = attention(t.q, t.k.leftCols(1), t.v.leftCols(1));
  EXPECT_TRUE(one == t.v.col(0).replicate(1, 130));
}

TEST(attention, masked_keys_do_not_exist) {
  const tokens t;
  Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic> allowed(9, 130);
  allowed.setConstant(true);
  allowed.bottomRows(4) = false;
  const MatrixXd masked = attention(t.q, t.k, t.v, mask_bias<double>(allowed));
  EXPECT_LT((masked - attention(t.q, t.k.leftCols(5), t.v.leftCols(5))).cwiseAbs().maxCoeff(),
            1e-15);
}

TEST(attention, a_query_without_keys_is_refused_or_zero) {
  const tokens t;
  MatrixXd bias = MatrixXd::Zero(9, 130);
  bias.col(70).setConstant(-inf);
  EXPECT_THROW(attention(t.q, t.k, t.v, bias), std::invalid_argument);
  const MatrixXd out = attention(t.q, t.k, t.v, bias, masked_query::zero);
  EXPECT_TRUE((out.col(70).array() == 0).all());
  EXPECT_TRUE(out.col(69) == attention(t.q, t.k, t.v).col(69));
  EXPECT_THROW(attention(t.q, t.k.leftCols(0), t.v.leftCols(0)), std::invalid_argument);
  EXPECT_EQ(attention(t.q.leftCols(0), t.k, t.v).cols(), 0);
}

TEST(attention, huge_scores_select_and_never_overflow) {
  MatrixXf q(1, 1), k(1, 3), v(1, 3);
  q << 1e18f;
  k << 1, 2, 1.5f;
  v << 10, 20, 30;
  EXPECT_EQ(attention(q, k, v)(0, 0), 20);
}

TEST(attention, refuses_scores_that_are_none_and_shapes_that_disagree) {
  tokens t;
  EXPECT_THROW(attention(t.q, t.k.topRows(4), t.v), std::invalid_argument);
  EXPECT_THROW(attention(t.q, t.k, t.v.leftCols(8)), std::invalid_argument);
  EXPECT_THROW(attention(t.q, t.k, t.v, MatrixXd::Zero(9, 129)), std::invalid_argument);
  t.k(0, 3) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(attention(t.q, t.k, t.v), std::invalid_argument);
}

TEST(decoupled_attention, adds_the_image_at_its_scale) {
  const tokens t;
  const MatrixXd text = attention(t.q, t.k, t.v);
  EXPECT_TRUE(decoupled_attention(t.q, t.k, t.v, t.k, t.v, 0) == text);
  EXPECT_LT((decoupled_attention(t.q, t.k, t.v, t.k, t.v, 1) - 2 * text).cwiseAbs().maxCoeff(),
            1e-15);
  EXPECT_THROW(decoupled_attention(t.q, t.k, t.v, t.k, t.v, inf), std::invalid_argument);
  EXPECT_THROW(decoupled_attention(t.q, t.k, t.v, t.k, t.v.topRows(2), 1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
