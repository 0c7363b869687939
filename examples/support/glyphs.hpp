// Digits 0 to 9 drawn with FreeType from the fonts of the machine: many faces and weights, each
// a little shifted, turned and scaled.
#pragma once

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "dataset.hpp"
#include "random.hpp"

namespace support {

struct glyph_options {
  std::filesystem::path fonts = "/usr/share/fonts";
  int side = 20;              // of a picture, in pixels
  int pictures = 16000;       // at least; every digit of every face equally often
  double height = 0.75;       // of a digit, as part of the side
  double scale_range = 0.06;  // relative, both ways
  double turn_range = 0.08;   // radians, both ways
  double shift_range = 0.5;   // pixels, both ways
  std::uint64_t seed = 1;
};

namespace detail {

using font_library = std::unique_ptr<std::remove_pointer_t<FT_Library>, FT_Error (*)(FT_Library)>;
using font_face = std::unique_ptr<std::remove_pointer_t<FT_Face>, FT_Error (*)(FT_Face)>;

inline font_library open_library() {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) throw std::runtime_error("glyphs: FreeType does not start");
  return {library, FT_Done_FreeType};
}

inline bool load_outline(FT_Face face, char digit) {
  const FT_UInt index = FT_Get_Char_Index(face, static_cast<FT_ULong>(digit));
  return index != 0 && FT_Load_Glyph(face, index, FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP) == 0 &&
         face->glyph->format == FT_GLYPH_FORMAT_OUTLINE && face->glyph->outline.n_points > 0;
}

// Symbol fonts may draw a pencil at the place of 0, but then they do not call it "zero".
inline bool is_symbol_font(FT_Face face) {
  char name[16] = "zero";
  if (FT_HAS_GLYPH_NAMES(face))
    FT_Get_Glyph_Name(face, FT_Get_Char_Index(face, '0'), name, sizeof name);
  return std::string(name).compare(0, 4, "zero") != 0;
}

// A scalable face whose Unicode map holds all ten digits as outlines.
inline bool has_digits(FT_Face face) {
  if (!FT_IS_SCALABLE(face) || FT_Select_Charmap(face, FT_ENCODING_UNICODE) != 0 ||
      FT_Set_Pixel_Sizes(face, 0, 64) != 0 || is_symbol_font(face))
    return false;
  for (char digit = '0'; digit <= '9'; ++digit)
    if (!load_outline(face, digit)) return false;
  return true;
}

inline std::vector<font_face> open_faces(FT_Library library, const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  if (std::filesystem::is_directory(folder))
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
      if (const auto extension = entry.path().extension();
          extension == ".ttf" || extension == ".otf")
        paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<font_face> faces;
  for (const auto& path : paths) {
    FT_Face face = nullptr;
    if (FT_New_Face(library, path.c_str(), 0, &face) != 0) continue;
    font_face owner(face, FT_Done_Face);
    if (has_digits(face)) faces.push_back(std::move(owner));
  }
  return faces;
}

// Draws the outline into side × side bytes: `pixels_high`, turned by `angle`, its middle moved by
// (right, up) from the middle of the picture.
inline void draw(FT_Library library, FT_Outline& outline, int side, double pixels_high,
                 double angle, double right, double up, std::uint8_t* bytes) {
  FT_BBox box;
  FT_Outline_Get_CBox(&outline, &box);
  constexpr double unit = 64.0;  // FreeType counts in 1/64 pixel
  const double wide = std::max(1.0, static_cast<double>(box.xMax - box.xMin));
  const double high = std::max(1.0, static_cast<double>(box.yMax - box.yMin));
  const double scale = unit * std::min(pixels_high / high, (side - 2.0) / wide);
  const auto fixed = [](double value) { return static_cast<FT_Fixed>(std::lround(value * 65536)); };
  const FT_Matrix turn{fixed(scale * std::cos(angle)), fixed(-scale * std::sin(angle)),
                       fixed(scale * std::sin(angle)), fixed(scale * std::cos(angle))};
  FT_Outline_Transform(&outline, &turn);
  FT_Outline_Get_CBox(&outline, &box);
  const auto centre = [side](FT_Pos low, FT_Pos top, double shift) {
    return static_cast<FT_Pos>(std::lround((side / 2.0 + shift) * unit)) - (low + top) / 2;
  };
  FT_Outline_Translate(&outline, centre(box.xMin, box.xMax, right), centre(box.yMin, box.yMax, up));
  FT_Bitmap bitmap{};
  bitmap.rows = bitmap.width = static_cast<unsigned>(side);
  bitmap.pitch = side;
  bitmap.buffer = bytes;
  bitmap.num_grays = 256;
  bitmap.pixel_mode = FT_PIXEL_MODE_GRAY;
  if (FT_Outline_Get_Bitmap(library, &outline, &bitmap) != 0)
    throw std::runtime_error("glyphs: FreeType cannot draw an outline");
}

}  // namespace detail

// All copies of all digits of all faces; the pictures of one face are consecutive.
inline dataset draw_digits(const glyph_options& options) {
  if (options.side < 8 || options.side > 256 || options.pictures < 1)
    throw std::invalid_argument("draw_digits: side must be 8 to 256, pictures at least 1");
  const auto library = detail::open_library();
  const auto faces = detail::open_faces(library.get(), options.fonts);
  if (faces.empty())
    throw std::runtime_error("draw_digits: no font with digits under " + options.fonts.string() +
                             "; install fonts-dejavu, or pass --images and --labels");
  const auto side = static_cast<Eigen::Index>(options.side);
  const auto outlines = static_cast<Eigen::Index>(faces.size()) * 10;
  const Eigen::Index copies = (options.pictures + outlines - 1) / outlines;
  const Eigen::Index count = outlines * copies;
  Eigen::Matrix<std::uint8_t, Eigen::Dynamic, Eigen::Dynamic> bytes(side * side, count);
  bytes.setZero();
  dataset data;
  data.tile = {side, side};
  random_draws random(options.seed);
  for (const auto& face : faces)
    for (Eigen::Index copy = 0; copy < copies; ++copy)
      for (int digit = 0; digit < 10; ++digit) {
        const std::vector<double> u = random.uniform(4);
        const auto within = [&u](std::size_t i, double range) { return (2 * u[i] - 1) * range; };
        const double high = options.side * options.height * (1.0 + within(0, options.scale_range));
        const double angle = within(1, options.turn_range);
        const double right = within(2, options.shift_range), up = within(3, options.shift_range);
        detail::load_outline(face.get(), static_cast<char>('0' + digit));
        detail::draw(library.get(), face->glyph->outline, options.side, high, angle, right, up,
                     bytes.col(static_cast<Eigen::Index>(data.labels.size())).data());
        data.labels.push_back(digit);
      }
  data.pictures = bytes.cast<float>() / 127.5f;
  data.pictures.array() -= 1.0f;
  return data;
}

}  // namespace support
