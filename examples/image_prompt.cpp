// Can a picture be part of the prompt?
//
// The exact denoiser of pictures known by heart is attention: the query is the noisy picture, keys and values are the pictures
// (support/memorised.hpp). A text prompt ("a 5") chooses the keys: all 5s in all typefaces. An image prompt adds keys of its own,
// the digits of a reference face, in a second attention whose scale is chosen at run time (IP-Adapter); it acts while the noise
// level is above 0.1, where layout is decided. At scale 0 the text is alone, bit for bit; as the scale grows the digit stays what the
// text says and its typeface becomes the reference's. Prints the share of pictures that are read as the text and in the face of the
// reference, their distance from the text's digit in that face, and writes image_prompt.png: a row a reference, a digit of it, then one picture a scale.
//
// Fonts differ between machines, and with them the last digits of the table.
#include <cstdio>

#include "support/glyphs.hpp"
#include "support/memorised.hpp"
#include "support/png.hpp"
#include "tweedie/conditioning.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXf;
using Eigen::VectorXf;

constexpr Index side = 20, pixels = side * side;

VectorXf drawn(const MatrixXf& text, const MatrixXf& image, double scale, std::uint64_t seed) {
  const support::memorised words(text), picture(image);
  std::vector<float> x(pixels);
  tweedie::fill_standard_normal(x, seed);
  tweedie::sampling run(tweedie::ddim(tweedie::karras(tweedie::linear_beta_schedule(1000), 25), 1),
                        tweedie::network_description{tweedie::predicts_sample}, x,
                        tweedie::gaussian_noise{seed});
  while (run.next()) {
    const auto level = run.at().level;
    const auto query =
        support::memorised::queries(level, Eigen::Map<const VectorXf>(run.input().data(), pixels));
    const double now = level.sigma > 0.1 * level.alpha ? scale : 0;
    // The attentions add up; an x0 estimate is their mean.
    Eigen::Map<VectorXf>(run.output().data(), pixels) =
        tweedie::decoupled_attention(query, words.keys(), text, picture.keys(), image, now) /
        static_cast<float>(1 + now);
  }
  return Eigen::Map<const VectorXf>(run.state().data(), pixels);
}

}  // namespace

int main() {
  // One copy of each digit of each face: face f has columns 10 f to 10 f + 9.
  const support::dataset all =
      support::draw_digits({.side = side, .pictures = 1, .turn_range = 0, .shift_range = 0});
  const MatrixXf pictures = all.pictures;
  const Index faces = pictures.cols() / 10;
  const auto digit = [&](int label) {
    MatrixXf out(pixels, faces);
    for (Index f = 0; f < faces; ++f) out.col(f) = pictures.col(10 * f + label);
    return out;
  };

  constexpr double scales[] = {0, 0.25, 0.5, 0.75, 1};
  constexpr int references = 6, tries = 4;
  MatrixXf sheet(pixels, references * 6);
  std::printf("%6s %18s %24s %20s\n", "scale", "read as the text", "in the reference's face",
              "distance from that");
  double in_face[5] = {}, as_text[5] = {}, away[5] = {};
  bool same_bits = true;
  for (int r = 0; r < references; ++r) {
    const Index face = faces / references * r;
    const int label = (3 * r + 5) % 10;
    const MatrixXf text = digit(label);
    const MatrixXf image = pictures.middleCols(10 * face, 10);
    sheet.col(6 * r) = image.col((label + 3) % 10);
    for (std::size_t s = 0; s < 5; ++s)
      for (int k = 0; k < tries; ++k) {
        const auto seed = static_cast<std::uint64_t>(10 * r + k + 1);
        const VectorXf found = drawn(text, image, scales[s], seed);
        if (k == 0) sheet.col(6 * r + 1 + static_cast<Index>(s)) = found;
        if (s == 0) same_bits &= found == drawn(text, pictures.leftCols(3), 0, seed);
        Index nearest = 0;
        (pictures.colwise() - found).colwise().squaredNorm().minCoeff(&nearest);
        away[s] += static_cast<double>((pictures.col(10 * face + label) - found).norm()) /
                   (references * tries * std::sqrt(double(pixels)));
        as_text[s] += (nearest % 10 == label) / double(references * tries);
        in_face[s] += ((pictures.col(10 * face + label) - found).squaredNorm() <=
                       (pictures.col(nearest) - found).squaredNorm() + 1e-4f) /
                      double(references * tries);
      }
  }
  for (std::size_t s = 0; s < 5; ++s)
    std::printf("%6.2f %18.2f %24.2f %20.3f\n", scales[s], as_text[s], in_face[s], away[s]);
  std::printf("scale 0 gives the same bits whatever the image: %s\n", same_bits ? "yes" : "no");
  std::printf(
      "the text decides the digit, the image its face: %s\n",
      as_text[4] > 0.9 && in_face[4] > in_face[0] && away[4] < 0.9 * away[0] ? "yes" : "no");
  support::write_contact_sheet("image_prompt.png", sheet, {side, side}, 6);
}
