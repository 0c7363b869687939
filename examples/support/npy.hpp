// Keeps a vector in a .npy file through xtensor; NumPy reads it too.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <xtensor/xadapt.hpp>
#include <xtensor/xnpy.hpp>

namespace support {

inline void save_npy(const std::filesystem::path& path, const Eigen::VectorXf& values) {
  const auto size = static_cast<std::size_t>(values.size());
  xt::dump_npy(path.string(), xt::adapt(values.data(), size, xt::no_ownership(),
                                        std::array<std::size_t, 1>{size}));
}

inline Eigen::VectorXf load_npy(const std::filesystem::path& path) {
  const xt::xarray<float> values = xt::load_npy<float>(path.string());
  Eigen::VectorXf result(static_cast<Eigen::Index>(values.size()));
  std::copy(values.begin(), values.end(), result.data());
  return result;
}

}  // namespace support
