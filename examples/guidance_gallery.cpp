// What does each guidance rule do at large scales?
//
// Digits known by heart: the exact denoiser of all of them is the unconditional output, that of one label the conditional one.
// Both are short-sighted, as a network is: below a noise level of 4 they answer as if there were that much noise. So w = 1 samples
// blends, and large scales sharpen them beyond what real digits are. Prints, for each rule and w = 1, 3, 5, 10:
//
//   read     the share of samples whose nearest picture has the wanted label
//   spread   root mean square distance between samples of one label, relative to that of the data
//   strange  root mean square distance of a pixel to the nearest picture
//
// and writes guidance.png: a row a rule, for each w one sample of each label.
//
// Fonts differ between machines, and with them the last digits of the table.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "support/glyphs.hpp"
#include "support/memorised.hpp"
#include "support/png.hpp"
#include "tweedie/guidance.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXf;
using Eigen::VectorXf;
using memory = support::memorised;

constexpr Index side = 20, pixels = side * side, each = 8, labels = 3;

struct gallery {
  memory all;
  std::vector<memory> of_label;
  tweedie::grid nodes = tweedie::karras(tweedie::linear_beta_schedule(1000), 16);

  // `each` guided samples of every label.
  template <class Guidance>
  MatrixXf drawn(const Guidance& guidance) const {
    MatrixXf x(pixels, each * labels);
    tweedie::fill_standard_normal(x, 1);
    tweedie::sampling run(tweedie::ddim(nodes),
                          tweedie::network_description{tweedie::predicts_sample}, x, guidance);
    while (run.next()) {
      auto seen = run.at().level;
      seen.sigma = std::max(seen.sigma, 4 * seen.alpha);
      run.output(0) = all.denoise(seen, run.input());
      for (Index l = 0; l < labels; ++l)
        run.output(1).middleCols(l * each, each) = of_label[static_cast<std::size_t>(l)].denoise(
            seen, run.input().middleCols(l * each, each));
    }
    return run.state();
  }
};

struct measures {
  double read = 0, spread = 0, strange = 0;
};

}  // namespace

int main() {
  const support::dataset set =
      support::draw_digits({.side = static_cast<int>(side), .pictures = 1200});
  const MatrixXf pictures = set.pictures;
  constexpr int wanted[labels] = {2, 5, 8};
  std::vector<memory> of_label;
  std::vector<double> data_spread;
  for (const int label : wanted) {
    MatrixXf own(pixels, pictures.cols());
    Index count = 0;
    for (Index i = 0; i < pictures.cols(); ++i)
      if (set.labels[static_cast<std::size_t>(i)] == label) own.col(count++) = pictures.col(i);
    const MatrixXf kept = own.leftCols(count);
    data_spread.push_back((kept.colwise() - kept.rowwise().mean()).squaredNorm() /
                          static_cast<float>(count));
    of_label.emplace_back(kept);
  }
  const gallery room{memory(pictures), std::move(of_label)};

  using namespace tweedie;
  const plane_shape shape{1, side, side};
  const auto limited = [](double w) {
    return only_where{branch_weights{guidance_scale(w)}, level_interval{0.3, 5}};
  };
  const std::vector<std::pair<const char*, std::function<MatrixXf(double)>>> rules{
      {"classifier-free", [&](double w) { return room.drawn(guidance_scale(w)); }},
      {"on an interval of levels", [&](double w) { return room.drawn(limited(w)); }},
      {"rescaled, 0.7",
       [&](double w) {
         return room.drawn(rescaled{branch_weights{guidance_scale(w)}, 0.7});
       }},
      {"projected (APG)",
       [&](double w) { return room.drawn(adaptive_projected{.w = w, .limit = 10}); }},
      {"zero-star", [&](double w) { return room.drawn(zero_star{w}); }},
      {"tangential", [&](double w) { return room.drawn(tangential{w}); }},
      {"magnitude-aware", [&](double w) { return room.drawn(magnitude_aware{w}); }},
      {"low bands at w, high at 1",
       [&](double w) {
         return room.drawn(frequency_decoupled<branch_weights>{
             shape, {branch_weights{guidance_scale(1)}, branch_weights{guidance_scale(w)}}});
       }},
  };
  constexpr double scales[] = {1, 3, 5, 10};
  MatrixXf sheet(pixels, static_cast<Index>(rules.size()) * 12);
  std::printf("%-26s", "");
  for (const double w : scales) std::printf("  w = %-2.0f read spread strange", w);
  std::printf("\n");
  Index tile = 0;
  std::vector<std::vector<measures>> table;
  for (const auto& [name, draw] : rules) {
    std::printf("%-26s", name);
    table.emplace_back();
    for (const double w : scales) {
      const MatrixXf found = draw(w);
      measures m;
      for (Index l = 0; l < labels; ++l) {
        const auto own = found.middleCols(l * each, each);
        m.spread += std::sqrt((own.colwise() - own.rowwise().mean()).squaredNorm() / (each - 1) /
                              data_spread[static_cast<std::size_t>(l)]) /
                    labels;
        sheet.col(tile++) = own.col(0);
        for (Index i = 0; i < each; ++i) {
          Index nearest = 0;
          const double square = static_cast<double>(
              (pictures.colwise() - own.col(i)).colwise().squaredNorm().minCoeff(&nearest));
          m.strange += std::sqrt(square / pixels) / (each * labels);
          m.read += (set.labels[static_cast<std::size_t>(nearest)] == wanted[l]) /
                    static_cast<double>(each * labels);
        }
      }
      table.back().push_back(m);
      std::printf("         %5.2f %6.2f %7.3f", m.read, m.spread, m.strange);
    }
    std::printf("\n");
  }
  bool agree = true;
  for (const auto& row : table) agree &= std::abs(row[0].spread - table[0][0].spread) < 1e-6;
  const auto further = [&](std::size_t rule) {
    return table[rule][3].strange - table[rule][0].strange;
  };
  std::printf("at w = 1 all rules agree: %s\n", agree ? "yes" : "no");
  std::printf("classifier-free guidance goes where no digits are: %s\n",
              further(0) > 0.03 ? "yes" : "no");
  std::printf("on an interval of levels it does so less: %s\n",
              further(1) < 0.5 * further(0) ? "yes" : "no");
  support::write_contact_sheet("guidance.png", sheet, {side, side}, 12);
}
