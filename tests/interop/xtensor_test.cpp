#include "tweedie/interop/xtensor.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace {

using namespace tweedie;

static_assert(writable_tensor<xt::xarray<float>&> && tensor_like<const xt::xarray<double>&>);
static_assert(!writable_tensor<const xt::xarray<double>&>);
static_assert(writable_tensor<xt::xtensor<float, 4>&>);
static_assert(writable_tensor<view_t<xt::xtensor<float, 4>>>);
static_assert(tensor_like<const_view_t<xt::xarray<float>>> &&
              !writable_tensor<const_view_t<xt::xarray<float>>>);
static_assert(!tensor_like<xt::xarray<int>>);
static_assert(!tensor_like<xt::xarray<float, xt::layout_type::dynamic>>);

TEST(xtensor, first_dimension_is_the_batch_in_row_major) {
  xt::xtensor<float, 3> t({2, 3, 4});
  std::iota(t.data(), t.data() + t.size(), 0.0f);
  EXPECT_EQ(traits_of<decltype(t)>::items(t), 2u);
  EXPECT_EQ(item_elements(t, 1)[0], t(1, 0, 0));

  xt::xarray<double, xt::layout_type::column_major> a(std::vector<std::size_t>{2, 3, 4});
  EXPECT_EQ(traits_of<decltype(a)>::items(a), 4u);
  xt::xarray<double> v(std::vector<std::size_t>{9});
  EXPECT_EQ(traits_of<decltype(v)>::items(v), 1u);
}

TEST(xtensor, flat_buffer_comes_back_as_an_adaptor) {
  std::vector<float> buffer(24);
  std::iota(buffer.begin(), buffer.end(), 0.0f);
  const std::vector<float>& read_only = buffer;

  const auto check = [&](const auto& t) {
    using tensor = traits_of<decltype(t)>;
    view_t<decltype(t)> view = tensor::make_view(buffer.data(), tensor::shape(t));
    EXPECT_EQ(view.dimension(), 3u);
    EXPECT_EQ(view(1, 2, 3), 23.0f);
    view(0, 0, 0) = 5;
    EXPECT_EQ(buffer[0], 5.0f);
    const xt::xarray<float> doubled = 2.0f * view;
    EXPECT_EQ(doubled(1, 2, 3), 46.0f);
    EXPECT_EQ(elements(view).data(), buffer.data());
    EXPECT_EQ(tensor::make_view(read_only.data(), tensor::shape(t))(1, 0, 0), 12.0f);
  };
  check(xt::xtensor<float, 3>({2, 3, 4}));
  check(xt::xarray<float>(std::vector<std::size_t>{2, 3, 4}));
}

TEST(xtensor, adaptor_over_the_callers_vector) {
  std::vector<float> buffer(24);
  auto view = xt::adapt(buffer, std::array<std::size_t, 2>{4, 6});
  static_assert(writable_tensor<decltype(view)&>);
  EXPECT_EQ(elements(view).data(), buffer.data());
  EXPECT_EQ(traits_of<decltype(view)>::items(view), 4u);
}

}  // namespace
