// A batch as plain memory: contiguous items, one behind the other.
//
// Every objective takes any tensor the library knows (tensor/traits.hpp: its slowest dimension
// counts the items) or this view of a raw span. Values are per item; how the dimensions of an item
// are added up is an argument without default, since the conventions differ by the number of
// dimensions and by ln 2.
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string>
#include <utility>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// `items` equal blocks in `elements`. Write batch_view{span, items} for raw memory.
template <class S>
struct batch_view {
  std::span<S> elements;
  std::size_t items = 0;
};

template <class Span>
batch_view(Span&&, std::size_t)
    -> batch_view<std::remove_pointer_t<decltype(std::declval<Span>().data())>>;

/// How the dimensions of one item become its value.
enum class reduction {
  sum_over_dimensions,   ///< |.|^2 as in papers; likelihoods in nats per item
  mean_over_dimensions,  ///< as mse_loss of the frameworks; likelihoods in nats per dimension
  bits_per_dimension     ///< mean divided by ln 2: likelihoods as they are published for images
};

/// Factor on the sum over `dimensions` dimensions.
inline double reduction_factor(reduction how, std::size_t dimensions) {
  if (how == reduction::sum_over_dimensions) return 1;
  detail::require(dimensions > 0, "reduction_factor", "dimensions", 0, "valid: dimensions >= 1");
  const double mean = 1 / static_cast<double>(dimensions);
  return how == reduction::mean_over_dimensions ? mean : mean / std::numbers::ln2;
}

/// nats / (d ln 2).
inline double bits_per_dimension(double nats, std::size_t dimensions) {
  return nats * reduction_factor(reduction::bits_per_dimension, dimensions);
}

/// bits * d ln 2.
inline double nats(double bits_per_dimension, std::size_t dimensions) {
  return bits_per_dimension / reduction_factor(reduction::bits_per_dimension, dimensions);
}

/// Mean of per-item values, added in order.
inline double mean_over_items(std::span<const double> values) {
  detail::require(!values.empty(), "mean_over_items", "items", 0, "valid: at least one item");
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

template <class S>
requires storage_scalar<std::remove_const_t<S>>
struct tensor_traits<batch_view<S>> {
  using scalar = std::remove_const_t<S>;
  using shape_type = std::pair<std::size_t, std::size_t>;
  using view_type = batch_view<scalar>;
  using const_view_type = batch_view<const scalar>;

  static S* data(const batch_view<S>& b) { return b.elements.data(); }
  static std::size_t size(const batch_view<S>& b) { return b.elements.size(); }
  static std::size_t items(const batch_view<S>& b) { return b.items; }
  static shape_type shape(const batch_view<S>& b) { return {b.elements.size(), b.items}; }
  static view_type make_view(scalar* p, const shape_type& s) { return {{p, s.first}, s.second}; }
  static const_view_type make_view(const scalar* p, const shape_type& s) {
    return {{p, s.first}, s.second};
  }
};

namespace detail {

/// Refuses elements that do not divide evenly among the items.
inline void require_even(const char* function, std::size_t size, std::size_t items) {
  if (items == 0 ? size != 0 : size % items != 0)
    fail(function, "items", static_cast<double>(items),
         "valid: a divisor of the number of elements, " + std::to_string(size));
}
template <tensor_like T>
std::size_t checked_items(const char* function, const T& t) {
  require_even(function, traits_of<T>::size(t), traits_of<T>::items(t));
  return traits_of<T>::items(t);
}

/// Refuses a tensor of another size or number of items than the first.
inline void require_same_batch(const char* function, const char* argument, std::size_t size,
                               std::size_t items, std::size_t other_size, std::size_t other_items) {
  const auto same = [&](const char* what, std::size_t given, std::size_t wanted) {
    if (given != wanted)
      fail(function, argument + std::string(what), static_cast<double>(given),
           "valid: as many as the first argument, " + std::to_string(wanted));
  };
  same(" elements", other_size, size);
  same(" items", other_items, items);
}
template <tensor_like First, tensor_like Other>
void require_same_batch(const char* function, const char* argument, const First& first,
                        const Other& other) {
  require_same_batch(function, argument, traits_of<First>::size(first),
                     traits_of<First>::items(first), traits_of<Other>::size(other),
                     traits_of<Other>::items(other));
}

inline void require_per_item(const char* function, const char* argument, std::size_t given,
                             std::size_t items) {
  if (given != items)
    fail(function, std::string(argument) + " entries", static_cast<double>(given),
         "valid: one per item, " + std::to_string(items));
}

}  // namespace detail

}  // namespace tweedie
