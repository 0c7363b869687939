// Pictures with captions, drawn from the fonts of the machine: 32 x 32 pixels in colour.
#pragma once

#include <torch/torch.h>

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "../support/glyphs.hpp"
#include "../support/random.hpp"
#include "caption.hpp"
#include "tweedie/interop/libtorch.hpp"

namespace glyphs {

inline constexpr int side = 32;

// Pictures, N x 3 x 32 x 32 from -1 to 1, and what they show.
struct picture_batch {
  torch::Tensor pictures;
  std::vector<description> shown;
};

// Outlines of one font file.
class typeface {
 public:
  typeface(FT_Library library, const std::filesystem::path& file)
      : library_(library), face_(nullptr, FT_Done_Face) {
    FT_Face face = nullptr;
    if (FT_New_Face(library, file.c_str(), 0, &face) != 0)
      throw std::runtime_error("typeface: " + file.string() +
                               " is not there; install fonts-dejavu-core, fonts-liberation and "
                               "fonts-freefont-ttf, or pass --fonts");
    face_.reset(face);
    if (FT_Select_Charmap(face, FT_ENCODING_UNICODE) != 0 || FT_Set_Pixel_Sizes(face, 0, 64) != 0)
      throw std::runtime_error("typeface: " + file.string() + " has no outlines");
  }

  // How much of each pixel the glyph covers, 0 to 255. `up` and `right` in pixels, `angle` in radians
  // against the clock.
  void draw(char symbol, double height, double angle, double right, double up,
            std::uint8_t* coverage) const {
    if (!support::detail::load_outline(face_.get(), symbol))
      throw std::runtime_error(std::string("typeface: no outline of ") + symbol);
    support::detail::draw(library_, face_->glyph->outline, side, height, angle, right, up,
                          coverage);
  }

 private:
  FT_Library library_;
  support::detail::font_face face_;
};

// Where a glyph is within its picture.
struct placement {
  double height, angle, right, up;
};

class glyph_fonts {
 public:
  explicit glyph_fonts(const std::filesystem::path& folder)
      : library_(support::detail::open_library()) {
    const std::array<std::vector<std::array<const char*, 2>>, 3> files{{
        {{"dejavu/DejaVuSans", "dejavu/DejaVuSans-Bold"},
         {"liberation/LiberationSans-Regular", "liberation/LiberationSans-Bold"},
         {"freefont/FreeSans", "freefont/FreeSansBold"}},
        {{"dejavu/DejaVuSerif", "dejavu/DejaVuSerif-Bold"},
         {"liberation/LiberationSerif-Regular", "liberation/LiberationSerif-Bold"},
         {"freefont/FreeSerif", "freefont/FreeSerifBold"}},
        {{"freefont/FreeMono", "freefont/FreeMonoBold"}},
    }};
    const auto open = [&](const char* name) {
      return typeface(library_.get(), folder / "truetype" / (std::string(name) + ".ttf"));
    };
    for (const auto& of_family : files) {
      families_.emplace_back();
      for (const auto& [regular, bold] : of_family)
        families_.back().push_back({open(regular), open(bold)});
    }
  }

  // One of the faces of a family and weight.
  const typeface& face(int family, int bold, double uniform) const {
    const auto& faces = families_[static_cast<std::size_t>(family)];
    return faces[static_cast<std::size_t>(uniform * static_cast<double>(faces.size()))]
                [static_cast<std::size_t>(bold)];
  }

  static placement random_placement(int tilted, const std::vector<double>& u) {
    const auto within = [](double v, double range) { return (2 * v - 1) * range; };
    constexpr double degree = 0.017453292519943295;
    return {.height = side * (0.66 + within(u[0], 0.04)),
            .angle = ((1 - tilted) * 22 + within(u[1], 4)) * degree,
            .right = within(u[2], 1),
            .up = within(u[3], 1)};
  }

  // `count` pictures of random descriptions.
  picture_batch draw(support::random_draws& random, Eigen::Index count) const {
    return draw(random, random_descriptions(random, static_cast<std::size_t>(count)));
  }

  // One picture of each description, in a face of its family.
  picture_batch draw(support::random_draws& random, const std::vector<description>& wanted) const {
    picture_batch out{torch::empty({static_cast<std::int64_t>(wanted.size()), 3, side, side}),
                      wanted};
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const description& d = wanted[i];
      const std::vector<double> u = random.uniform(5);
      paint(face(d[family], d[weight], u[4]), static_cast<char>('0' + d[symbol]),
            random_placement(d[tilt], u), d, random.uniform(6),
            out.pictures.data_ptr<float>() + 3 * side * side * i);
    }
    return out;
  }

  // A glyph of a typeface in the description's colours, each a little off: `shades` are 6 uniforms.
  static void paint(const typeface& in, char symbol, const placement& at, const description& d,
                    const std::vector<double>& shades, float* out) {
    std::array<std::uint8_t, side * side> coverage{};
    in.draw(symbol, at.height, at.angle, at.right, at.up, coverage.data());
    for (std::size_t c = 0; c < 3; ++c) {
      const float ink = shade(d[colour], c, shades[c]);
      const float paper = shade(d[background], c, shades[3 + c]);
      for (std::size_t p = 0; p < coverage.size(); ++p)
        out[c * coverage.size() + p] =
            paper + (ink - paper) * static_cast<float>(coverage[p]) / 255.0f;
    }
  }

 private:
  static float shade(int which, std::size_t channel, double uniform) {
    constexpr std::array<std::array<double, 3>, 6> colours{{{0.75, -0.7, -0.7},
                                                            {-0.6, 0.4, -0.6},
                                                            {-0.6, -0.4, 0.75},
                                                            {0.8, 0.65, -0.6},
                                                            {-0.85, -0.85, -0.85},
                                                            {0.85, 0.85, 0.85}}};
    return static_cast<float>(colours[static_cast<std::size_t>(which)][channel] +
                              0.12 * (2 * uniform - 1));
  }

  support::detail::font_library library_;
  std::vector<std::vector<std::array<typeface, 2>>> families_;
};

// Tokens of captions, N x 8.
inline torch::Tensor caption_tensor(const std::vector<description>& told) {
  torch::Tensor out =
      torch::empty({static_cast<std::int64_t>(told.size()), caption_length}, torch::kLong);
  auto* to = out.data_ptr<std::int64_t>();
  for (const description& d : told) {
    const caption words = tokens(d);
    to = std::copy(words.begin(), words.end(), to);
  }
  return out;
}

}  // namespace glyphs
