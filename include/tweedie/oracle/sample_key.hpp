// Where samples of an oracle take their numbers: counter noise, so that sample i is the same however
// many are drawn.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie::oracle {

/// The draw of data: neither a program's own nor that of initial states, so that data and the run that
/// starts from them are independent under one seed.
inline constexpr std::uint32_t data_draw = initial_draw - 1;

/// Sample i reads the normals and uniforms of (seed, item i, draw); its coordinate j those at `first` + j.
struct sample_key {
  std::uint64_t seed = 0;
  std::uint32_t draw = data_draw;
  std::uint64_t first = 0;
};

}  // namespace tweedie::oracle

namespace tweedie::detail {

template <class Scalar>
std::span<Scalar> column(Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>& m, Eigen::Index i) {
  return {m.col(i).data(), static_cast<std::size_t>(m.rows())};
}

inline void require_count(const char* function, Eigen::Index count) {
  require(count >= 0, function, "count", static_cast<double>(count), "valid: at least 0");
}

/// Standard normals, one column a sample.
template <class Scalar>
auto sample_normals(const char* function, Eigen::Index dimension, Eigen::Index count,
                    const oracle::sample_key& key) {
  require_count(function, count);
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> z(dimension, count);
  for (Eigen::Index i = 0; i < count; ++i)
    fill_normal(noise_key{key.seed, static_cast<std::uint32_t>(i), key.draw}, key.first,
                column(z, i));
  return z;
}

/// One uniform in [0, 1) a sample.
template <class Scalar>
auto sample_uniforms(const char* function, Eigen::Index count, const oracle::sample_key& key) {
  require_count(function, count);
  Eigen::Vector<Scalar, Eigen::Dynamic> u(count);
  for (Eigen::Index i = 0; i < count; ++i)
    u[i] =
        uniform_at<Scalar>(noise_key{key.seed, static_cast<std::uint32_t>(i), key.draw}, key.first);
  return u;
}

}  // namespace tweedie::detail
