#include "tweedie/tensor/traits.hpp"

#include <gtest/gtest.h>

#include "tweedie/tensor/eigen_tensor.hpp"

namespace {

using namespace tweedie;

static_assert(writable_tensor<std::vector<float>&>);
static_assert(tensor_like<const std::vector<float>&> &&
              !writable_tensor<const std::vector<float>&>);
static_assert(writable_tensor<std::span<bfloat16>> && !writable_tensor<std::span<const double>>);
static_assert(writable_tensor<std::array<float16, 3>&>);
static_assert(writable_tensor<Eigen::MatrixXf&> && tensor_like<const Eigen::ArrayXXd&>);
static_assert(writable_tensor<Eigen::Tensor<float16, 4>&>);
static_assert(writable_tensor<Eigen::TensorMap<Eigen::Tensor<float, 4>>>);
static_assert(tensor_like<Eigen::TensorMap<const Eigen::Tensor<float, 4>>> &&
              !writable_tensor<Eigen::TensorMap<const Eigen::Tensor<float, 4>>>);
static_assert(writable_tensor<Eigen::Map<Eigen::VectorXd>> &&
              !writable_tensor<Eigen::Map<const Eigen::VectorXd>>);
static_assert(writable_tensor<Eigen::Ref<Eigen::MatrixXf>>);

// Strided views, expressions and unsupported scalars are refused by the compiler.
static_assert(!tensor_like<Eigen::Map<Eigen::VectorXf, 0, Eigen::InnerStride<>>>);
static_assert(!tensor_like<Eigen::Map<Eigen::MatrixXf, 0, Eigen::Stride<2, 2>>>);
static_assert(!tensor_like<decltype(Eigen::MatrixXf().block(0, 0, 1, 1))>);
static_assert(!tensor_like<std::vector<int>> && !tensor_like<std::vector<bool>>);
static_assert(!tensor_like<Eigen::Tensor<int, 2>> && !tensor_like<float*>);

TEST(tensor_traits, slowest_dimension_is_the_batch) {
  Eigen::Tensor<float, 4> column(2, 3, 5, 7);
  EXPECT_EQ(traits_of<decltype(column)>::items(column), 7u);
  Eigen::Tensor<float, 4, Eigen::RowMajor> row(2, 3, 5, 7);
  EXPECT_EQ(traits_of<decltype(row)>::items(row), 2u);
  EXPECT_EQ(item_size(row), 105u);

  Eigen::MatrixXd m(4, 6);
  EXPECT_EQ(traits_of<decltype(m)>::items(m), 6u);
  Eigen::Array<double, -1, -1, Eigen::RowMajor> a(4, 6);
  EXPECT_EQ(traits_of<decltype(a)>::items(a), 4u);
}

TEST(tensor_traits, one_dimensional_tensors_are_one_item) {
  Eigen::Tensor<double, 1> t(9);
  Eigen::Tensor<double, 0> scalar;
  Eigen::RowVectorXf r(9);
  std::vector<float16> v(9);
  EXPECT_EQ(traits_of<decltype(t)>::items(t), 1u);
  EXPECT_EQ(traits_of<decltype(scalar)>::size(scalar), 1u);
  EXPECT_EQ(traits_of<decltype(r)>::items(r), 1u);
  EXPECT_EQ(item_size(v), 9u);
}

TEST(tensor_traits, item_is_a_contiguous_block) {
  Eigen::Tensor<float, 3> t(2, 3, 4);
  for (int i = 0; i < 24; ++i) t.data()[i] = static_cast<float>(i);
  const auto block = item_elements(t, 2);
  const Eigen::Tensor<float, 2> chip = t.chip(2, 2);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(block[i], chip.data()[i]);
  EXPECT_THROW(item_elements(t, 4), std::out_of_range);
}

TEST(tensor_traits, flat_buffer_comes_back_in_the_users_type) {
  std::vector<float> buffer(24);
  for (std::size_t i = 0; i < 24; ++i) buffer[i] = static_cast<float>(i);
  const std::vector<float>& read_only = buffer;

  Eigen::Tensor<float, 3, Eigen::RowMajor> t(2, 3, 4);
  using tensor = traits_of<decltype(t)>;
  view_t<decltype(t)> view = tensor::make_view(buffer.data(), tensor::shape(t));
  EXPECT_EQ(view(1, 2, 3), 23.0f);
  view(0, 0, 1) = -1;
  EXPECT_EQ(buffer[1], -1.0f);
  EXPECT_EQ(tensor::make_view(read_only.data(), tensor::shape(t))(1, 0, 0), 12.0f);

  Eigen::MatrixXf m(4, 6);
  using matrix = traits_of<decltype(m)>;
  EXPECT_EQ(matrix::make_view(read_only.data(), matrix::shape(m))(3, 5), 23.0f);
  Eigen::Matrix<float, 3, 1> fixed;
  using vector = traits_of<decltype(fixed)>;
  EXPECT_EQ(vector::make_view(read_only.data(), vector::shape(fixed))(2), 2.0f);

  Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3>> small;
  using fixed_tensor = traits_of<decltype(small)>;
  EXPECT_EQ(fixed_tensor::items(small), 3u);
  EXPECT_EQ(fixed_tensor::make_view(read_only.data(), fixed_tensor::shape(small))(1, 2), 5.0f);
}

TEST(tensor_traits, padded_map_is_refused_with_its_stride) {
  std::vector<float> buffer(20);
  using padded = Eigen::Map<Eigen::MatrixXf, 0, Eigen::OuterStride<>>;
  padded contiguous(buffer.data(), 4, 3, Eigen::OuterStride<>(4));
  EXPECT_EQ(elements(contiguous).size(), 12u);
  padded strided(buffer.data(), 4, 3, Eigen::OuterStride<>(5));
  try {
    elements(strided);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("outer stride = 5"), std::string::npos);
  }
}

TEST(tensor_traits, empty_batch) {
  Eigen::Tensor<float, 3> t(2, 3, 0);
  EXPECT_EQ(elements(t).size(), 0u);
  EXPECT_EQ(item_size(t), 0u);
}

TEST(tensor_traits, views_with_gaps_are_refused) {
  Eigen::ArrayXXf big = Eigen::ArrayXXf::Random(4, 3);
  Eigen::Ref<Eigen::ArrayXXf> row(big.block(0, 0, 1, 3)), corner(big.block(0, 0, 2, 2));
  EXPECT_THROW(elements(row), std::invalid_argument);
  EXPECT_THROW(elements(corner), std::invalid_argument);
  Eigen::Ref<Eigen::ArrayXXf> columns(big.middleCols(1, 2)), column(big.col(1)), whole(big);
  EXPECT_EQ(elements(columns).size(), 8u);
  EXPECT_EQ(elements(column).size(), 4u);
  EXPECT_EQ(elements(whole).data(), big.data());
  Eigen::Ref<Eigen::ArrayXXf> nothing(big.block(0, 0, 0, 3));
  EXPECT_TRUE(elements(nothing).empty());
}

TEST(as_batch, is_items_in_place) {
  std::vector<float> buffer(12, 1);
  auto batch = as_batch(buffer.data(), 3, 4);
  static_assert(writable_tensor<decltype(batch)>);
  EXPECT_EQ(traits_of<decltype(batch)>::items(batch), 3u);
  EXPECT_EQ(item_elements(batch, 2).data(), buffer.data() + 8);
  EXPECT_EQ(item_elements(batch, 2).size(), 4u);
  const auto fixed = as_batch(static_cast<const float*>(buffer.data()), 3, 4);
  static_assert(tensor_like<decltype(fixed)>);
  EXPECT_EQ(elements(fixed).data(), buffer.data());
}

}  // namespace
