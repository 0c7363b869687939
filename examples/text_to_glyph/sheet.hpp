// Colour contact sheets.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "../support/png.hpp"

namespace glyphs {

// N x 3 x height x width pictures, row by row in a grid of `columns`, every pixel drawn zoom x zoom.
inline void write_sheet(const std::filesystem::path& file, const torch::Tensor& pictures,
                        std::int64_t columns, std::int64_t zoom = 2) {
  constexpr std::int64_t gap = 2;
  const std::int64_t high = pictures.size(2) * zoom, wide = pictures.size(3) * zoom;
  const std::int64_t rows = (pictures.size(0) + columns - 1) / columns;
  torch::Tensor sheet =
      torch::full({3, rows * (high + gap) + gap, columns * (wide + gap) + gap}, 0.5);
  const torch::Tensor large =
      pictures.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3).clamp(-1, 1) / 2 + 0.5;
  for (std::int64_t i = 0; i < pictures.size(0); ++i)
    sheet.narrow(1, gap + i / columns * (high + gap), high)
        .narrow(2, gap + i % columns * (wide + gap), wide)
        .copy_(large[i]);
  const torch::Tensor bytes =
      (255 * sheet).round().to(torch::kByte).permute({1, 2, 0}).contiguous();
  const auto* first = bytes.data_ptr<std::uint8_t>();
  support::write_png(file, std::vector<std::uint8_t>(first, first + bytes.numel()), bytes.size(0),
                     bytes.size(1), support::pixel::red_green_blue);
}

}  // namespace glyphs
