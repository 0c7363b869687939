// Tensors of Eigen's Tensor module: Tensor, TensorFixedSize and TensorMap.
//
// Column-major, the default, has the batch as its last dimension; row-major as its first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tweedie/tensor/eigen.hpp"

#include <unsupported/Eigen/CXX11/Tensor>

#include "tweedie/tensor/random.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

namespace detail {

// P is the owning tensor type: Tensor or TensorFixedSize.
template <class P>
struct eigen_tensor_traits {
  using scalar = typename P::Scalar;
  using shape_type = typename P::Dimensions;
  using view_type = Eigen::TensorMap<P>;
  using const_view_type = Eigen::TensorMap<const P>;

  template <class T>
  static auto data(T& t) {
    return t.data();
  }
  template <class T>
  static std::size_t size(const T& t) {
    return static_cast<std::size_t>(t.size());
  }
  template <class T>
  static std::size_t items(const T& t) {
    constexpr int rank = P::NumIndices;
    constexpr bool row_major = static_cast<int>(P::Layout) == static_cast<int>(Eigen::RowMajor);
    if constexpr (rank < 2) {
      return 1;
    } else {
      return static_cast<std::size_t>(t.dimensions()[row_major ? 0 : rank - 1]);
    }
  }
  template <class T>
  static shape_type shape(const T& t) {
    return t.dimensions();
  }
  static view_type make_view(scalar* data, const shape_type& s) { return {data, s}; }
  static const_view_type make_view(const scalar* data, const shape_type& s) { return {data, s}; }
};

}  // namespace detail

template <storage_scalar S, int Rank, int O, class Index>
struct tensor_traits<Eigen::Tensor<S, Rank, O, Index>>
    : detail::eigen_tensor_traits<Eigen::Tensor<S, Rank, O, Index>> {};

template <storage_scalar S, class Dimensions, int O, class Index>
struct tensor_traits<Eigen::TensorFixedSize<S, Dimensions, O, Index>>
    : detail::eigen_tensor_traits<Eigen::TensorFixedSize<S, Dimensions, O, Index>> {};

template <class P, int O, template <class> class Pointer>
struct tensor_traits<Eigen::TensorMap<P, O, Pointer>>
    : detail::eigen_tensor_traits<std::remove_const_t<P>> {};

// A new column-major tensor of the given extents, e.g. standard_normal<float>({64, 64, 4, 2}, seed).
template <storage_scalar S, int Rank>
Eigen::Tensor<S, Rank> standard_normal(const Eigen::Index (&extents)[Rank], std::uint64_t seed,
                                       std::uint32_t draw = initial_draw) {
  Eigen::array<Eigen::Index, Rank> dimensions;
  for (std::size_t i = 0; i < Rank; ++i) dimensions[i] = extents[i];
  Eigen::Tensor<S, Rank> tensor(dimensions);
  fill_standard_normal(tensor, seed, draw);
  return tensor;
}

}  // namespace tweedie
