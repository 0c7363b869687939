// Labelled pictures from MNIST-format IDX files, gzip'd or not.
#pragma once

#include <zlib.h>

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "../support/dataset.hpp"

namespace digits {

using support::dataset;

// The IDX format (yann.lecun.com/exdb/mnist): 0, 0, 8 for unsigned bytes, the number of dimensions,
// each dimension as a big-endian 32-bit integer, then the bytes.
struct idx_file {
  std::vector<std::uint32_t> dimensions;
  std::vector<std::uint8_t> bytes;
};

inline idx_file read_idx(const std::filesystem::path& path, unsigned dimensions) {
  const auto fail = [&path](const std::string& what) {
    throw std::runtime_error("read_idx: " + path.string() + ": " + what);
  };
  const std::unique_ptr<std::remove_pointer_t<gzFile>, int (*)(gzFile)> file(
      gzopen(path.c_str(), "rb"), gzclose);
  if (!file) fail("cannot be opened");
  const auto read = [&](void* into, std::size_t length) {
    constexpr std::size_t piece = std::size_t{1} << 30;
    auto* out = static_cast<std::uint8_t*>(into);
    for (std::size_t done = 0; done < length;) {
      const auto wanted = static_cast<unsigned>(std::min(piece, length - done));
      const int got = gzread(file.get(), out + done, wanted);
      if (got < 0) fail("is damaged");
      if (got == 0) fail("ends early");
      done += static_cast<std::size_t>(got);
    }
  };
  const auto read_integer = [&read] {
    std::array<std::uint8_t, 4> b{};
    read(b.data(), b.size());
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
  };
  if (const std::uint32_t magic = read_integer(); magic != (0x800u | dimensions))
    fail("is not an IDX file of unsigned bytes with " + std::to_string(dimensions) +
         " dimension(s): it starts with " + std::to_string(magic));
  idx_file idx;
  std::uint64_t size = 1;
  for (unsigned i = 0; i < dimensions; ++i) {
    idx.dimensions.push_back(read_integer());
    size *= idx.dimensions.back();
    if (size == 0 || size > std::uint64_t{1} << 34)
      fail("dimension " + std::to_string(i) + " = " + std::to_string(idx.dimensions.back()) +
           " is not plausible");
  }
  // Grows with what is really there: a wrong header must not ask for gigabytes.
  constexpr std::uint64_t block = 1 << 20;
  while (idx.bytes.size() < size) {
    const auto start = idx.bytes.size();
    idx.bytes.resize(static_cast<std::size_t>(std::min(size, start + block)));
    read(idx.bytes.data() + start, idx.bytes.size() - start);
  }
  if (char extra = 0; gzread(file.get(), &extra, 1) != 0) fail("has bytes after the last item");
  return idx;
}

inline dataset read_mnist(const std::filesystem::path& images,
                          const std::filesystem::path& labels) {
  const idx_file pixels = read_idx(images, 3), classes = read_idx(labels, 1);
  if (pixels.dimensions[0] != classes.dimensions[0])
    throw std::runtime_error("read_mnist: " + images.string() + " has " +
                             std::to_string(pixels.dimensions[0]) + " pictures, " +
                             labels.string() + " has " + std::to_string(classes.dimensions[0]) +
                             " labels");
  dataset data;
  data.tile = {pixels.dimensions[1], pixels.dimensions[2]};
  data.labels.assign(classes.bytes.begin(), classes.bytes.end());
  data.pictures = Eigen::Map<const Eigen::Matrix<std::uint8_t, Eigen::Dynamic, Eigen::Dynamic>>(
                      pixels.bytes.data(), data.tile.height * data.tile.width, pixels.dimensions[0])
                      .cast<float>() /
                  127.5f;
  data.pictures.array() -= 1.0f;
  return data;
}

}  // namespace digits
