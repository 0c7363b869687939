// PNG files through libpng, and grey contact sheets.
#pragma once

#include <png.h>

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace support {

struct tile_size {
  Eigen::Index height;
  Eigen::Index width;
};

enum class pixel { grey, red_green_blue };

// Writes 8-bit pixels, row by row from the top.
inline void write_png(const std::filesystem::path& path, const std::vector<std::uint8_t>& pixels,
                      Eigen::Index height, Eigen::Index width, pixel kind = pixel::grey) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = kind == pixel::grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  if (png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr) == 0)
    throw std::runtime_error("write_png: " + path.string() + ": " + image.message);
}

// One picture per column of `pictures` (pixels row by row, −1 black to 1 white), laid out row by
// row in a grid of `columns`, every pixel drawn as zoom × zoom.
template <typename Derived>
void write_contact_sheet(const std::filesystem::path& path,
                         const Eigen::MatrixBase<Derived>& pictures, tile_size tile,
                         Eigen::Index columns, Eigen::Index zoom = 3) {
  if (pictures.rows() != tile.height * tile.width || columns < 1 || pictures.cols() < 1)
    throw std::invalid_argument("write_contact_sheet: pictures do not fit the tile size");
  constexpr Eigen::Index gap = 2;
  constexpr std::uint8_t gap_grey = 64;
  const Eigen::Index rows = (pictures.cols() + columns - 1) / columns;
  const Eigen::Index height = rows * (tile.height * zoom + gap) + gap;
  const Eigen::Index width = columns * (tile.width * zoom + gap) + gap;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height * width), gap_grey);
  for (Eigen::Index k = 0; k < pictures.cols(); ++k) {
    const Eigen::Index top = gap + k / columns * (tile.height * zoom + gap);
    const Eigen::Index left = gap + k % columns * (tile.width * zoom + gap);
    for (Eigen::Index y = 0; y < tile.height * zoom; ++y)
      for (Eigen::Index x = 0; x < tile.width * zoom; ++x) {
        const auto value = static_cast<double>(pictures(y / zoom * tile.width + x / zoom, k));
        const double grey = std::clamp((value + 1.0) * 127.5, 0.0, 255.0);
        pixels[static_cast<std::size_t>((top + y) * width + left + x)] =
            static_cast<std::uint8_t>(grey + 0.5);
      }
  }
  write_png(path, pixels, height, width);
}

}  // namespace support
