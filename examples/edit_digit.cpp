// How much of a picture survives image-to-image, and how much does the prompt decide?
//
// A 7 is noised to the level of a strength and denoised as a 2 (SDEdit). The data are digits known by heart: the exact
// denoiser of all 2s stands for a network that was told "a 2". Small strengths give the 2 that looks like the 7 most, strength 1
// a 2 that knows nothing of it; in between shape, slant and weight are handed over. Prints, for each strength, the steps that are
// run, how far the edit is from the picture, how far two edits of one picture with different noise are apart, and how far edits of
// different pictures with the same noise are: what is left of the picture. Writes edited.png, a row a digit: the picture, then its
// edits at strengths 0.2 to 1.
//
// Fonts differ between machines, and with them the last digits of the table.
#include <cstdio>

#include "support/glyphs.hpp"
#include "support/png.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using memory = tweedie::oracle::empirical<double>;

constexpr Index side = 20, pixels = side * side;

VectorXd edited(const memory& data, const tweedie::grid& nodes, const VectorXd& picture,
                std::uint64_t seed) {
  VectorXd start(pixels);
  tweedie::fill_standard_normal(start, seed);
  tweedie::add_noise(picture, start, std::span(&nodes.front().level, 1), start);
  tweedie::sampling run(tweedie::ddim(nodes),
                        tweedie::network_description{tweedie::predicts_sample},
                        std::vector<double>(start.begin(), start.end()));
  while (run.next())
    Eigen::Map<VectorXd>(run.output().data(), pixels) =
        data.denoise(run.at().level, Eigen::Map<const VectorXd>(run.input().data(), pixels));
  return Eigen::Map<const VectorXd>(run.state().data(), pixels);
}

MatrixXd with_label(const support::dataset& all, int label) {
  MatrixXd out(pixels, all.pictures.cols());
  Index count = 0;
  for (Index i = 0; i < all.pictures.cols(); ++i)
    if (all.labels[static_cast<std::size_t>(i)] == label)
      out.col(count++) = all.pictures.col(i).cast<double>();
  return out.leftCols(count);
}

double distance(const VectorXd& a, const VectorXd& b) {
  return (a - b).norm() / std::sqrt(static_cast<double>(pixels));
}

}  // namespace

int main() {
  const support::dataset all =
      support::draw_digits({.side = static_cast<int>(side), .pictures = 4000});
  const MatrixXd sevens = with_label(all, 7);
  const memory twos(with_label(all, 2));
  constexpr int steps = 50, digits = 6;
  constexpr double strengths[] = {0.2, 0.4, 0.6, 0.8, 1};
  const tweedie::grid nodes = tweedie::trailing(tweedie::linear_beta_schedule(1000), steps);

  MatrixXd sheet(pixels, digits * 6);
  std::printf("%8s %6s %22s %12s %14s\n", "strength", "steps", "from its picture", "two noises",
              "two pictures");
  std::vector<double> from_picture, of_pictures;
  for (std::size_t s = 0; s < 5; ++s) {
    const int run_steps = tweedie::steps_of_strength(steps, strengths[s]);
    const tweedie::grid part =
        tweedie::starting_at(nodes, static_cast<std::size_t>(steps - run_steps));
    double moved = 0, noises = 0, pictures = 0;
    VectorXd before;
    for (int d = 0; d < digits; ++d) {
      const VectorXd picture = sevens.col(sevens.cols() / digits * d);
      const VectorXd one = edited(twos, part, picture, 1), other = edited(twos, part, picture, 2);
      moved += distance(one, picture) / digits;
      noises += distance(one, other) / digits;
      if (d > 0) pictures += distance(one, before) / (digits - 1);
      before = one;
      sheet.col(6 * d) = picture;
      sheet.col(6 * d + 1 + static_cast<Index>(s)) = one;
    }
    std::printf("%8.1f %6d %22.3f %12.3f %14.3f\n", strengths[s], run_steps, moved, noises,
                pictures);
    from_picture.push_back(moved);
    of_pictures.push_back(pictures);
  }
  std::printf(
      "a larger strength moves further: %s\n",
      from_picture.front() < from_picture[2] && from_picture[2] < from_picture[4] ? "yes" : "no");
  std::printf("at strength 1 the picture is forgotten: %s\n",
              of_pictures.back() < 0.05 * of_pictures.front() ? "yes" : "no");
  support::write_contact_sheet("edited.png", sheet, {side, side}, 6);
}
