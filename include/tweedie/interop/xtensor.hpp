// tensor_traits for xtensor: xarray, xtensor and adaptors over somebody else's memory.
//
// Works with the flat include paths of xtensor 0.24 and with the folders of 0.26 and later.
// Layout must be known at compile time (row_major or column_major): dynamic layouts may be strided
// and do not satisfy tensor_like.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>
#include <vector>

#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xtensor.hpp>
#endif

#include "tweedie/tensor/traits.hpp"

namespace tweedie {

namespace detail {

template <xt::layout_type L>
concept contiguous_layout = L == xt::layout_type::row_major || L == xt::layout_type::column_major;

// Pointer gives the adaptors over a plain pointer: Shape is std::vector (any rank) or std::array.
template <storage_scalar S, xt::layout_type L, class Shape>
struct xtensor_traits {
  using scalar = S;
  using shape_type = Shape;

  template <class T>
  static auto data(T& t) {
    return t.data() + t.data_offset();
  }
  template <class T>
  static std::size_t size(const T& t) {
    return t.size();
  }
  template <class T>
  static std::size_t items(const T& t) {
    const std::size_t rank = t.dimension();
    if (rank < 2) return 1;
    return static_cast<std::size_t>(t.shape()[L == xt::layout_type::row_major ? 0 : rank - 1]);
  }
  template <class T>
  static shape_type shape(const T& t) {
    shape_type extents{};
    if constexpr (requires { extents.resize(t.dimension()); }) extents.resize(t.dimension());
    for (std::size_t i = 0; i < t.dimension(); ++i) {
      extents[i] = static_cast<std::size_t>(t.shape()[i]);
    }
    return extents;
  }
  template <class P>
  static auto make_view(P* data, const shape_type& extents) {
    std::size_t n = 1;
    for (const std::size_t extent : extents) n *= extent;
    return xt::adapt<L>(data, n, xt::no_ownership(), extents);
  }

  using view_type = decltype(make_view(std::declval<S*>(), std::declval<Shape>()));
  using const_view_type = decltype(make_view(std::declval<const S*>(), std::declval<Shape>()));
};

template <class Buffer>
using buffer_scalar = std::remove_cv_t<typename Buffer::value_type>;

}  // namespace detail

template <class Buffer, xt::layout_type L, class Shape, class Tag>
requires detail::contiguous_layout<L> && storage_scalar<detail::buffer_scalar<Buffer>>
struct tensor_traits<xt::xarray_container<Buffer, L, Shape, Tag>>
    : detail::xtensor_traits<detail::buffer_scalar<Buffer>, L, std::vector<std::size_t>> {
};

template <class Buffer, std::size_t Rank, xt::layout_type L, class Tag>
requires detail::contiguous_layout<L> && storage_scalar<detail::buffer_scalar<Buffer>>
struct tensor_traits<xt::xtensor_container<Buffer, Rank, L, Tag>>
    : detail::xtensor_traits<detail::buffer_scalar<Buffer>, L, std::array<std::size_t, Rank>> {
};

template <class Buffer, xt::layout_type L, class Shape, class Tag>
requires detail::contiguous_layout<L> &&
    storage_scalar<detail::buffer_scalar<std::remove_reference_t<Buffer>>>
struct tensor_traits<xt::xarray_adaptor<Buffer, L, Shape, Tag>>
    : detail::xtensor_traits<detail::buffer_scalar<std::remove_reference_t<Buffer>>, L,
                             std::vector<std::size_t>> {
};

template <class Buffer, std::size_t Rank, xt::layout_type L, class Tag>
requires detail::contiguous_layout<L> &&
    storage_scalar<detail::buffer_scalar<std::remove_reference_t<Buffer>>>
struct tensor_traits<xt::xtensor_adaptor<Buffer, Rank, L, Tag>>
    : detail::xtensor_traits<detail::buffer_scalar<std::remove_reference_t<Buffer>>, L,
                             std::array<std::size_t, Rank>> {
};

}  // namespace tweedie
