// Can a network of 20 x 20 pixels draw a line of digits?
//
// It is asked window by window, and the answers are averaged (MultiDiffusion). The network is the exact denoiser of every view of
// 20 x 20 pixels that a line of digits of one face offers: any place between any two digits. No line is known, only its views.
// Windows side by side leave seams, overlapping ones agree on digits across them, but for ghosts where three
// neighbours want two. Prints how far views are from real ones, where
// the windows were and half a window further, and writes panorama.png: four lines of windows side by side, then four that overlap by
// three quarters.
//
// Fonts differ between machines, and with them the last digits of the table.
#include <cstdio>

#include "support/glyphs.hpp"
#include "support/memorised.hpp"
#include "support/png.hpp"
#include "tweedie/edit.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXf;
using Eigen::VectorXf;

constexpr Index side = 20, pitch = 14, width = 120, pixels = side * side;

// All views of two neighbouring digits, and of the third that begins.
MatrixXf views_of(const MatrixXf& digits) {
  MatrixXf views(pixels, 100 * pitch);
  Index count = 0;
  for (Index a = 0; a < 10; ++a)
    for (Index b = 0; b < 10; ++b) {
      const Index line[] = {a, b, (a + b) % 10};
      MatrixXf strip = MatrixXf::Constant(side, 3 * pitch, -1);
      for (Index k = 0; k < 3; ++k)
        for (Index y = 0; y < side; ++y)
          for (Index x = 0; x < pitch; ++x)
            strip(y, k * pitch + x) = digits(y * side + x + (side - pitch) / 2, line[k]);
      for (Index left = 0; left < pitch; ++left, ++count)
        for (Index y = 0; y < side; ++y)
          for (Index x = 0; x < side; ++x) views(y * side + x, count) = strip(y, left + x);
    }
  return views;
}

VectorXf line(const support::memorised& data, Index stride, std::uint64_t seed) {
  tweedie::windowed<float> windows({1, side, width}, side, side, static_cast<std::size_t>(stride));
  std::vector<float> x(side * width);
  tweedie::fill_standard_normal(x, seed);
  tweedie::sampling run(tweedie::ddim(tweedie::karras(tweedie::linear_beta_schedule(1000), 30), 1),
                        tweedie::network_description{tweedie::predicts_sample}, x,
                        tweedie::gaussian_noise{seed});
  while (run.next())
    windows(
        run.input(),
        [&](std::span<const float> in, std::span<float> out) {
          Eigen::Map<VectorXf>(out.data(), pixels) =
              data.denoise(run.at().level, Eigen::Map<const VectorXf>(in.data(), pixels));
        },
        run.output());
  return Eigen::Map<const VectorXf>(run.state().data(), side * width);
}

// Root mean square distance of the view at `left` to the nearest real one.
double strangeness(const support::memorised& data, const VectorXf& picture, Index left) {
  VectorXf view(pixels);
  for (Index y = 0; y < side; ++y)
    for (Index x = 0; x < side; ++x) view[y * side + x] = picture[y * width + left + x];
  return std::sqrt((data.pictures().colwise() - view).colwise().squaredNorm().minCoeff() / pixels);
}

}  // namespace

int main() {
  const support::dataset all = support::draw_digits(
      {.side = side, .pictures = 1, .scale_range = 0, .turn_range = 0, .shift_range = 0});
  const support::memorised data(views_of(all.pictures.leftCols(10)));
  constexpr int lines = 4;
  MatrixXf sheet(side * width, 2 * lines);
  std::printf("%-24s %18s %22s\n", "", "views at windows", "half a window further");
  double between[2] = {};
  for (const int overlapping : {0, 1}) {
    double at = 0;
    for (int k = 0; k < lines; ++k) {
      const VectorXf picture =
          line(data, overlapping ? side / 4 : side, static_cast<std::uint64_t>(k + 1));
      for (Index left = 0; left + side <= width; left += side)
        at += strangeness(data, picture, left) / (lines * width / side);
      for (Index left = side / 2; left + side <= width; left += side)
        between[overlapping] += strangeness(data, picture, left) / (lines * (width / side - 1));
      sheet.col(overlapping * lines + k) = picture;
    }
    std::printf("%-24s %18.3f %22.3f\n", overlapping ? "three quarters in common" : "side by side",
                at, between[overlapping]);
  }
  std::printf("overlapping windows leave fewer seams: %s\n",
              between[1] < 0.6 * between[0] ? "yes" : "no");
  support::write_contact_sheet("panorama.png", sheet, {side, width}, 2);
}
