// What the library needs to know of a user's tensor type: its scalar, its contiguous storage, how
// many items the batch has, and how to hand a flat buffer back in the type the user knows.
//
// The slowest dimension is the batch (last for column-major, first for row-major), so that item i
// is the contiguous block [i * size / items, (i + 1) * size / items). Vectors, spans and every
// one-dimensional tensor are one item. Storage must be contiguous: types that can only be strided
// do not satisfy tensor_like; types that may be strided are checked when their data is asked for.
// Eigen's Tensor module is long to compile and has a header of its own (tensor/eigen_tensor.hpp).
#pragma once

#include <Eigen/Core>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

// To be specialised for a tensor type. Members:
//   scalar, shape_type                       types
//   view_type, const_view_type               non-owning tensors over a flat buffer
//   data(t), size(t), items(t), shape(t)     storage, elements, batch items, extents
//   make_view(pointer, shape)                view_type or const_view_type by the pointer's type
//   unset_like(t)                            another of the same shape; only where copies share memory
template <class T>
struct tensor_traits;

/// The traits of T without const and reference.
template <class T>
using traits_of = tensor_traits<std::remove_cvref_t<T>>;

/// What a tensor is made of.
template <class T>
using scalar_t = typename traits_of<T>::scalar;

// The user's kind of tensor over memory he does not own; the const form is read-only.
template <class T>
using view_t = typename traits_of<T>::view_type;
template <class T>
using const_view_t = typename traits_of<T>::const_view_type;

// A tensor whose elements are contiguous and can be read.
template <class T>
concept tensor_like = storage_scalar<scalar_t<T>> && requires(T&& t, const scalar_t<T>* p) {
  { traits_of<T>::data(t) } -> std::convertible_to<const scalar_t<T>*>;
  { traits_of<T>::size(t) } -> std::same_as<std::size_t>;
  { traits_of<T>::items(t) } -> std::same_as<std::size_t>;
  { traits_of<T>::make_view(p, traits_of<T>::shape(t)) } -> std::same_as<const_view_t<T>>;
};

// A tensor whose elements can be written too.
template <class T>
concept writable_tensor = tensor_like<T> && requires(T&& t, scalar_t<T>* p) {
  { traits_of<T>::data(t) } -> std::same_as<scalar_t<T>*>;
  { traits_of<T>::make_view(p, traits_of<T>::shape(t)) } -> std::same_as<view_t<T>>;
};

// All elements, writable where the tensor is.
template <tensor_like T>
auto elements(T&& t) {
  return std::span(traits_of<T>::data(t), traits_of<T>::size(t));
}

// Elements of one batch item; 0 for an empty batch.
template <tensor_like T>
std::size_t item_size(const T& t) {
  const std::size_t items = traits_of<T>::items(t);
  return items == 0 ? 0 : traits_of<T>::size(t) / items;
}

/// A span over the elements of one batch item.
/// \throws std::out_of_range for an item that is not there.
template <tensor_like T>
auto item_elements(T&& t, std::size_t item) {
  if (item >= traits_of<T>::items(t)) {
    detail::raise(std::out_of_range(
        "item_elements: item = " + std::to_string(item) +
        "; valid is 0 to items - 1, items = " + std::to_string(traits_of<T>::items(t))));
  }
  const std::size_t n = item_size(t);
  return elements(t).subspan(item * n, n);
}

namespace detail {

template <storage_scalar S>
struct flat_traits {
  using scalar = S;
  using shape_type = std::size_t;
  using view_type = std::span<S>;
  using const_view_type = std::span<const S>;

  template <class T>
  static auto data(T& t) {
    return t.data();
  }
  template <class T>
  static std::size_t size(const T& t) {
    return t.size();
  }
  template <class T>
  static std::size_t items(const T&) {
    return 1;
  }
  template <class T>
  static shape_type shape(const T& t) {
    return t.size();
  }
  static view_type make_view(S* data, shape_type n) { return {data, n}; }
  static const_view_type make_view(const S* data, shape_type n) { return {data, n}; }
};

// P is the owning dense type: Matrix or Array.
template <class P>
struct dense_traits {
  using scalar = typename P::Scalar;
  using shape_type = std::array<Eigen::Index, 2>;
  using view_type = Eigen::Map<P>;
  using const_view_type = Eigen::Map<const P>;

  template <class T>
  static auto data(T& t) {
    if (t.size() > 0 && t.outerSize() > 1 && t.outerStride() != t.innerSize()) {
      detail::raise(std::invalid_argument(
          "tensor_traits: outer stride = " + std::to_string(t.outerStride()) +
          "; storage must be contiguous, stride = inner size = " + std::to_string(t.innerSize())));
    }
    return t.data();
  }
  template <class T>
  static std::size_t size(const T& t) {
    return static_cast<std::size_t>(t.size());
  }
  template <class T>
  static std::size_t items(const T& t) {
    return P::IsVectorAtCompileTime ? 1 : static_cast<std::size_t>(t.outerSize());
  }
  template <class T>
  static shape_type shape(const T& t) {
    return {t.rows(), t.cols()};
  }
  static view_type make_view(scalar* data, const shape_type& s) { return {data, s[0], s[1]}; }
  static const_view_type make_view(const scalar* data, const shape_type& s) {
    return {data, s[0], s[1]};
  }
};

template <class Stride>
concept unit_inner_stride =
    Stride::InnerStrideAtCompileTime == 0 || Stride::InnerStrideAtCompileTime == 1;

}  // namespace detail

template <storage_scalar S, class Allocator>
struct tensor_traits<std::vector<S, Allocator>> : detail::flat_traits<S> {};

template <storage_scalar S, std::size_t N>
struct tensor_traits<std::array<S, N>> : detail::flat_traits<S> {};

template <class S, std::size_t N>
requires storage_scalar<std::remove_const_t<S>>
struct tensor_traits<std::span<S, N>> : detail::flat_traits<std::remove_const_t<S>> {
};

template <storage_scalar S, int R, int C, int O, int MR, int MC>
struct tensor_traits<Eigen::Matrix<S, R, C, O, MR, MC>>
    : detail::dense_traits<Eigen::Matrix<S, R, C, O, MR, MC>> {};

template <storage_scalar S, int R, int C, int O, int MR, int MC>
struct tensor_traits<Eigen::Array<S, R, C, O, MR, MC>>
    : detail::dense_traits<Eigen::Array<S, R, C, O, MR, MC>> {};

template <class P, int O, detail::unit_inner_stride Stride>
struct tensor_traits<Eigen::Map<P, O, Stride>> : detail::dense_traits<std::remove_const_t<P>> {};

template <class P, int O, detail::unit_inner_stride Stride>
struct tensor_traits<Eigen::Ref<P, O, Stride>> : detail::dense_traits<std::remove_const_t<P>> {};

/// `items` items of `size` elements each, one after the other in memory that the caller owns: buffers
/// of ONNX Runtime, TensorRT or OpenVINO. A bare span is one item.
template <class S>
requires storage_scalar<std::remove_const_t<S>>
auto as_batch(S* data, std::size_t items, std::size_t size) {
  using tensor = Eigen::Array<std::remove_const_t<S>, Eigen::Dynamic, Eigen::Dynamic>;
  using view = Eigen::Map<std::conditional_t<std::is_const_v<S>, const tensor, tensor>>;
  return view(data, static_cast<Eigen::Index>(size), static_cast<Eigen::Index>(items));
}

}  // namespace tweedie
