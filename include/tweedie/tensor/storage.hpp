// The scalars a tensor may store and the type in which arithmetic on them is done.
//
// float16 (IEEE half precision) and bfloat16 are storage formats here: every kernel reads them, computes in float and
// rounds once on writing.
#pragma once

#include <concepts>
#include <type_traits>

#include "tweedie/tensor/eigen.hpp"

namespace tweedie {

/// Half precision and bfloat16, as Eigen has them.
using float16 = Eigen::half;
using bfloat16 = Eigen::bfloat16;

/// Scalars that states may be stored in. Arithmetic on the 16-bit ones is in float.
template <class S>
concept storage_scalar = std::same_as<S, float> || std::same_as<S, double> ||
    std::same_as<S, float16> || std::same_as<S, bfloat16>;

// float for float16 and bfloat16, S itself for float and double.
template <storage_scalar S>
using arithmetic_t = std::conditional_t<std::same_as<S, double>, double, float>;

}  // namespace tweedie
