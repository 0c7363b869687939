#include "tweedie/restore/operators.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>

namespace tweedie {
namespace {

// The operator as a matrix, column by column, and its adjoint, row by row.
template <class A>
Eigen::MatrixXd matrix_of(const A& a) {
  Eigen::MatrixXd m(a.outputs(), a.inputs());
  std::vector<double> x(a.inputs(), 0.0), y(a.outputs(), 7.0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = 1;
    a.apply(x, y);
    for (std::size_t j = 0; j < y.size(); ++j)
      m(static_cast<Eigen::Index>(j), static_cast<Eigen::Index>(i)) = y[j];
    x[i] = 0;
  }
  return m;
}
template <class A>
Eigen::MatrixXd adjoint_of(const A& a) {
  Eigen::MatrixXd m(a.inputs(), a.outputs());
  std::vector<double> x(a.inputs(), 7.0), y(a.outputs(), 0.0);
  for (std::size_t j = 0; j < y.size(); ++j) {
    y[j] = 1;
    a.adjoint(y, x);
    for (std::size_t i = 0; i < x.size(); ++i)
      m(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) = x[i];
    y[j] = 0;
  }
  return m;
}

template <linear_operator A>
void adjoint_is_the_transpose(const A& a) {
  EXPECT_LT((matrix_of(a).transpose() - adjoint_of(a)).cwiseAbs().maxCoeff(), 1e-16);
}

TEST(operators, adjoints_are_transposes) {
  adjoint_is_the_transpose(selection(5, {3, 0}));
  adjoint_is_the_transpose(selection::every({2, 3, 5}, 2));
  adjoint_is_the_transpose(average_pooling({2, 4, 6}, 2));
  adjoint_is_the_transpose(blur({1, 3, 5}, {0.1, 0.7, 0.5}));
  adjoint_is_the_transpose(dense_operator{Eigen::MatrixXd::Random(3, 4)});
}

TEST(operators, selections_and_averages_have_orthogonal_rows) {
  const auto every = matrix_of(selection::every({2, 3, 5}, 2));
  EXPECT_EQ(every.rows(), 2 * 2 * 3);
  EXPECT_TRUE((every * every.transpose()).isIdentity(0));
  const std::vector<float> mask{0, 1, 0.5f, 0};
  EXPECT_EQ(selection::of_mask<float>(mask).outputs(), 2u);
  const auto means = matrix_of(average_pooling({1, 4, 6}, 2));
  EXPECT_LT((means * means.transpose() - Eigen::MatrixXd::Identity(6, 6) / 4).cwiseAbs().maxCoeff(),
            1e-16);
  EXPECT_EQ(means(0, 0), 0.25);
  EXPECT_EQ(means(0, 7), 0.25);
}

TEST(operators, a_blur_keeps_constants_and_is_a_convolution) {
  const blur soft = blur::gaussian({1, 7, 9}, 0.8);
  const auto m = matrix_of(soft);
  EXPECT_LT((m.rowwise().sum().array() - 1).abs().maxCoeff(), 1e-15);
  // Every row is the first, moved around the torus.
  for (Eigen::Index y = 0; y < 7; ++y)
    for (Eigen::Index x = 0; x < 9; ++x)
      EXPECT_EQ(m(9 * ((y + 2) % 7) + (x + 3) % 9, 9 * y + x), m(21, 0));
  const auto uneven = matrix_of(blur({1, 1, 5}, {1}));
  EXPECT_TRUE(uneven.isIdentity(0));
  // The weight at offset +1 is what the right neighbour adds.
  const auto right = matrix_of(blur({1, 3, 3}, {0, 0, 1}));
  EXPECT_EQ(right(0, 4), 1);
}

TEST(operators, refuse_what_is_no_measurement) {
  for (const double bad : {2.0, -1.0, std::nan("")}) {
    const std::vector<double> mask{1, 0, bad};
    EXPECT_THROW(selection::of_mask<double>(mask), std::invalid_argument);
  }
  EXPECT_THROW(selection(3, {3}), std::invalid_argument);
  EXPECT_THROW(selection(3, {1, 1}), std::invalid_argument);
  EXPECT_THROW(selection::every({1, 2, 2}, 0), std::invalid_argument);
  EXPECT_THROW(average_pooling({1, 4, 6}, 4), std::invalid_argument);
  EXPECT_THROW(average_pooling({1, 4, 6}, 0), std::invalid_argument);
  EXPECT_THROW(blur({1, 4, 4}, {0.5, 0.5}), std::invalid_argument);
  EXPECT_THROW(blur({1, 1, 4}, {1, 1, 1}), std::invalid_argument);
  EXPECT_THROW(blur::gaussian({1, 4, 4}, 0), std::invalid_argument);
  EXPECT_THROW(blur::gaussian({1, 4, 4}, 1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
