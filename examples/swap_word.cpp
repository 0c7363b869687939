// Can one word of a prompt be exchanged and the rest of the picture kept?
//
// The exact denoiser of pictures known by heart is attention (support/memorised.hpp). "A 5" has a token for each typeface that a
// 5 may be in, and its attention maps say which: that is all the layout there is. "An 8" has a token for the same faces. Both prompts
// start from the same noise; in the first share of the steps the 8 is given the maps of the 5 (prompt-to-prompt). At share 0 the 8
// finds a face of its own, at share 1 it is in the face of the 5. Then one word is weighed more: maps times 1 for every face but one.
// Prints how often source and edit are in one face, and writes swapped.png: a row a noise, the 5, then its 8 at each share.
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

struct edit {
  VectorXf source, edited;
};

// `weights` of the faces in the maps of the edited prompt.
edit drawn(const support::memorised& from, const support::memorised& to, double share,
           std::span<const double> weights, std::uint64_t seed) {
  const tweedie::program plan =
      tweedie::ddim(tweedie::karras(tweedie::linear_beta_schedule(1000), 25), 1);
  const tweedie::network_description network{tweedie::predicts_sample};
  std::vector<float> x(pixels);
  tweedie::fill_standard_normal(x, seed);
  tweedie::sampling source(plan, network, x, tweedie::gaussian_noise{seed}), edited = source;
  const auto maps = [](const support::memorised& words, auto& run) {
    const Eigen::Map<const VectorXf> now(run.input().data(), pixels);
    return tweedie::attention_maps(support::memorised::queries(run.at().level, now), words.keys());
  };
  const MatrixXf same = MatrixXf::Identity(from.keys().cols(), from.keys().cols());
  while (source.next() && edited.next()) {
    const MatrixXf of_source = maps(from, source);
    const bool kept =
        tweedie::control_scale(1, edited.steps_done(), edited.steps_total(), 0, share) > 0;
    const MatrixXf own = kept ? tweedie::swapped_maps(of_source, same) : maps(to, edited);
    const MatrixXf weighed = tweedie::reweighted_maps(own, weights);
    Eigen::Map<VectorXf>(source.output().data(), pixels) = from.pictures() * of_source;
    Eigen::Map<VectorXf>(edited.output().data(), pixels) =
        to.pictures() * weighed / weighed.sum();  // an x0 estimate is a mean
  }
  return {Eigen::Map<const VectorXf>(source.state().data(), pixels),
          Eigen::Map<const VectorXf>(edited.state().data(), pixels)};
}

Index nearest(const MatrixXf& pictures, const VectorXf& picture) {
  Index at = 0;
  (pictures.colwise() - picture).colwise().squaredNorm().minCoeff(&at);
  return at;
}

}  // namespace

int main() {
  // One copy of each digit of each face: face f has columns 10 f to 10 f + 9.
  const MatrixXf all =
      support::draw_digits({.side = side, .pictures = 1, .turn_range = 0, .shift_range = 0})
          .pictures;
  const Index faces = all.cols() / 10;
  MatrixXf fives(pixels, faces), eights(pixels, faces);
  for (Index f = 0; f < faces; ++f) {
    fives.col(f) = all.col(10 * f + 5);
    eights.col(f) = all.col(10 * f + 8);
  }
  const support::memorised from(fives), to(eights);

  constexpr double shares[] = {0, 0.25, 0.5, 0.75, 1};
  constexpr int tries = 24, rows = 6;
  std::vector<double> weights(static_cast<std::size_t>(faces), 1.0);
  MatrixXf sheet(pixels, 6 * rows);
  double together[5] = {};
  std::printf("%6s %16s\n", "share", "in one face");
  for (std::size_t s = 0; s < 5; ++s) {
    for (int k = 0; k < tries; ++k) {
      const edit e = drawn(from, to, shares[s], weights, static_cast<std::uint64_t>(k + 1));
      together[s] +=
          (eights.col(nearest(fives, e.source)) - e.edited).squaredNorm() <=
                  (eights.col(nearest(eights, e.edited)) - e.edited).squaredNorm() + 1e-4f
              ? 1.0 / tries
              : 0;
      if (k >= rows) continue;
      sheet.col(6 * k) = e.source;
      sheet.col(6 * k + 1 + static_cast<Index>(s)) = e.edited;
    }
    std::printf("%6.2f %16.2f\n", shares[s], together[s]);
  }
  double chosen[2] = {};
  for (const int heavy : {0, 1}) {
    weights[3] = heavy ? 1e4 : 1;
    for (int k = 0; k < tries; ++k)
      chosen[heavy] +=
          nearest(eights, drawn(from, to, 0, weights, static_cast<std::uint64_t>(k + 1)).edited) ==
                  3
              ? 1.0 / tries
              : 0;
  }
  std::printf("in face 3: %.2f, with its word weighed 10,000 times %.2f\n", chosen[0], chosen[1]);
  std::printf("maps keep the face: %s\n", together[4] > 0.99 && together[0] < 0.5 ? "yes" : "no");
  std::printf("weights choose it: %s\n", chosen[1] > chosen[0] + 0.3 ? "yes" : "no");
  support::write_contact_sheet("swapped.png", sheet, {side, side}, 6);
}
