#include "tweedie/tensor/random.hpp"

#include <gtest/gtest.h>

#include "tweedie/tensor/eigen_tensor.hpp"

namespace {

using namespace tweedie;

TEST(standard_normal, batch_items_are_the_items_alone) {
  const Eigen::Tensor<float, 4> batch = standard_normal<float>({5, 3, 2, 4}, 17);
  const Eigen::Tensor<float, 4> single = standard_normal<float>({5, 3, 2, 1}, 17);
  for (Eigen::Index i = 0; i < 30; ++i) EXPECT_EQ(batch.data()[i], single.data()[i]);
  EXPECT_EQ(batch(1, 2, 1, 3), normal_at<float>({17, 3, initial_draw}, 1 + 5 * (2 + 3 * 1)));
}

TEST(standard_normal, layouts_and_containers_agree_item_by_item) {
  Eigen::Matrix<double, -1, -1, Eigen::RowMajor> rows(4, 9);
  Eigen::MatrixXd columns(9, 4);
  fill_standard_normal(rows, 5);
  fill_standard_normal(columns, 5);
  EXPECT_EQ(rows, columns.transpose());
  std::vector<double> flat(9);
  fill_standard_normal(flat, 5);
  EXPECT_EQ(flat[7], rows(0, 7));
}

TEST(standard_normal, initial_draw_is_no_draw_of_a_program) {
  Eigen::VectorXd start(8), first(8);
  fill_standard_normal(start, 5);
  fill_standard_normal(first, 5, 0);
  for (Eigen::Index i = 0; i < 8; ++i) EXPECT_NE(start[i], first[i]);
}

TEST(standard_uniform, fills_in_the_unit_interval) {
  Eigen::ArrayXXf u(100, 3);
  fill_standard_uniform(u, 5);
  EXPECT_TRUE((u >= 0).all() && (u < 1).all());
  EXPECT_EQ(u(42, 2), uniform_at<float>({5, 2, initial_draw}, 42));
}

}  // namespace
