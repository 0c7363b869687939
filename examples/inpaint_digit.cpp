// What does each way of inpainting know of the part that it fills?
//
// The upper half of a digit is known. The data are 900 digits known by heart: their exact denoiser
// stands for a network, and which of them fit the known half is known, too. Replacement pastes the known
// half after each step; going up and down again (RePaint) lets both halves settle; moment matching
// conditions every x0 estimate; a change map frees pixels the later the more they are to be kept. Prints
// how much of the posterior stands on the digit that each run ends in, averaged over starts, and writes
// inpainted.png, a row for each digit: the digit, its known half, the mean of the exact posterior,
// replacement, RePaint with 3 and 10 visits, moment matching, and a change map from 0.2 at the top to 1 at
// the bottom.
//
// Fonts differ between machines, and with them the last digits of the table.
#include <cstdio>

#include "support/glyphs.hpp"
#include "support/png.hpp"
#include "tweedie/edit.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/restore.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using memory = tweedie::oracle::empirical<double>;

constexpr std::size_t side = 20, pixels = side * side;

std::span<const double> span_of(const VectorXd& v) { return {v.data(), pixels}; }

// Runs `plan` on the memorised data; `paste` is called after each step.
template <class Transform, class Paste>
VectorXd run(const memory& data, const tweedie::program& plan, std::uint64_t seed,
             VectorXd& weights, Transform transform, Paste paste) {
  std::vector<double> x(pixels);
  tweedie::fill_standard_normal(x, seed);
  tweedie::sampling s(plan, tweedie::network_description{tweedie::predicts_sample}, x,
                      tweedie::gaussian_noise{seed}, transform);
  for (;;) {
    const auto event = s.advance();
    if (event == tweedie::sampling_event::finished) break;
    if (event == tweedie::sampling_event::step) {
      paste(s);
      continue;
    }
    weights =
        data.responsibilities(s.at().level, Eigen::Map<const VectorXd>(s.input().data(), pixels));
    Eigen::Map<VectorXd>(s.output().data(), pixels) = data.points() * weights;
  }
  return Eigen::Map<const VectorXd>(s.state().data(), pixels);
}

}  // namespace

int main() {
  const support::dataset all =
      support::draw_digits({.side = static_cast<int>(side), .pictures = 1200});
  const MatrixXd pictures = all.pictures.cast<double>();
  const memory data(pictures.rightCols(pictures.cols() - 300));
  const memory upper_halves(data.points().topRows(pixels / 2));
  const memory lower_halves(data.points().bottomRows(pixels / 2));
  const auto nodes = tweedie::karras(tweedie::linear_beta_schedule(1000), 25);
  const auto once = tweedie::ddim(nodes, 1);
  VectorXd upper = VectorXd::Zero(pixels), change(pixels);
  upper.head(pixels / 2).setOnes();
  std::vector<std::size_t> kept(pixels / 2);
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = i;
  for (std::size_t i = 0; i < pixels; ++i)
    change[static_cast<Index>(i)] = 0.2 + 0.8 * static_cast<double>(i / side) / (side - 1);

  constexpr int digits = 4, starts = 4;
  constexpr double deviation = 0.2;  // of what counts as fitting
  const std::vector<const char*> names{"replacement", "RePaint, 3 visits", "RePaint, 10 visits",
                                       "moment matching"};
  std::vector<double> misfit(names.size()), fit(names.size());
  MatrixXd sheet(pixels, digits * (4 + static_cast<Index>(names.size())));
  Index tile = 0;
  for (int d = 0; d < digits; ++d) {
    const VectorXd truth = pictures.col(37 * d + 2);
    const VectorXd posterior =
        upper_halves.responsibilities({1, deviation}, truth.head(pixels / 2));
    sheet.col(tile++) = truth;
    sheet.col(tile++) = truth.cwiseProduct(upper);
    sheet.col(tile++) = data.points() * posterior;
    for (std::size_t m = 0; m < names.size(); ++m)
      for (int start = 0; start < starts; ++start) {
        const auto seed = static_cast<std::uint64_t>(10 * d + start + 1);
        VectorXd weights, found;
        if (m < 3) {
          const int visits[] = {1, 3, 10};
          tweedie::known_region<double> known(span_of(truth), span_of(upper), seed + 1000);
          found = run(data, tweedie::resampled(nodes, 1, visits[m]), seed, weights,
                      tweedie::unchanged{}, [&](auto& s) { known.paste(s); });
        } else {
          tweedie::signal_noise level;
          const auto jacobian = [&](std::span<const double> v, std::size_t, std::span<double> out) {
            const Eigen::Map<const VectorXd> from(v.data(), pixels);
            const VectorXd mean = data.points() * weights, along = data.points().transpose() * from;
            Eigen::Map<VectorXd>(out.data(), pixels) =
                level.alpha / (level.sigma * level.sigma) *
                (data.points() * weights.cwiseProduct(along) - mean * mean.dot(from));
          };
          tweedie::restored method(tweedie::moment_matching(), tweedie::selection(pixels, kept),
                                   {truth.begin(), truth.begin() + pixels / 2}, deviation,
                                   jacobian);
          found = run(
              data, once, seed, weights,
              [&](std::span<double> clean, std::size_t items, const tweedie::node& at) {
                level = at.level;
                method(clean, items, at);
              },
              [](auto&) {});
        }
        Index nearest = 0;  // of the filled half
        lower_halves.responsibilities({1, deviation}, found.tail(pixels / 2)).maxCoeff(&nearest);
        fit[m] += posterior[nearest] / (digits * starts);
        misfit[m] += (data.points().col(nearest) - truth).head(pixels / 2).norm() /
                     (digits * starts * std::sqrt(pixels / 2.0));
        if (start == 0) sheet.col(tile++) = found;
      }
    auto gradual =
        tweedie::known_region<double>::with_change_map(span_of(truth), span_of(change), 77);
    VectorXd weights;
    sheet.col(tile++) = run(data, once, static_cast<std::uint64_t>(d + 1), weights,
                            tweedie::unchanged{}, [&](auto& s) { gradual.paste(s); });
  }
  std::printf("%-20s %-34s %s\n", "", "upper half of the digit it chose,", "posterior weight");
  std::printf("%-20s %-34s %s\n", "", "rms distance to the known one", "of that digit");
  for (std::size_t m = 0; m < names.size(); ++m)
    std::printf("%-20s %-34.3f %.3f\n", names[m], misfit[m], fit[m]);
  const bool ordered = misfit[1] < misfit[0] && misfit[2] < misfit[1];
  std::printf("going up and down again brings the halves together: %s\n", ordered ? "yes" : "no");
  support::write_contact_sheet("inpainted.png", sheet, {side, side},
                               4 + static_cast<Index>(names.size()));
}
