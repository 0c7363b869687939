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
// Some rules guide away from something else than the unconditional output: autoguidance from a worse
// network, one that is more short-sighted; smoothed energy (SEG; the rule is that of PAG) from one whose
// attention is smoothed. The denoiser is softmax attention over pictures, smoothed without end it is their
// mean. Its differences are larger: s = (w - 1)/10. Perp-Neg has the next digit as its negative prompt, with
// a tenth of the weight. CFG++ is a sampler of its own, its lambda w/10.
//
// Writes guidance.png: a row a rule, for each w one sample of each label.
//
// Fonts differ between machines, and with them the last digits of the table.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "support/glyphs.hpp"
#include "support/memorised.hpp"
#include "support/nearest.hpp"
#include "support/png.hpp"
#include "tweedie/guidance.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXf;
using Eigen::VectorXf;
using memory = support::memorised;

constexpr Index side = 20, pixels = side * side, each = 8, labels = 3;

// `each` samples of every label, side by side; a memory for each label answers for its own.
struct class_memories {
  std::vector<memory> of_label;
  MatrixXf means{pixels, labels};

  class_memories(const support::dataset& set, const std::vector<int>& wanted) {
    for (const int label : wanted) {
      MatrixXf own(pixels, set.pictures.cols());
      Index count = 0;
      for (Index i = 0; i < set.pictures.cols(); ++i)
        if (set.labels[static_cast<std::size_t>(i)] == label)
          own.col(count++) = set.pictures.col(i);
      own.conservativeResize(pixels, count);
      means.col(static_cast<Index>(of_label.size())) = own.rowwise().mean();
      of_label.emplace_back(own);
    }
  }
  MatrixXf denoise(tweedie::signal_noise level, const MatrixXf& x) const {
    MatrixXf clean(x.rows(), x.cols());
    for (Index l = 0; l < labels; ++l)
      clean.middleCols(l * each, each) =
          of_label[static_cast<std::size_t>(l)].denoise(level, x.middleCols(l * each, each));
    return clean;
  }
  // Root mean square distance of its pictures from their mean.
  double spread(Index label) const {
    const MatrixXf& own = of_label[static_cast<std::size_t>(label)].pictures();
    return std::sqrt((own.colwise() - means.col(label)).squaredNorm() /
                     static_cast<float>(own.cols()));
  }
};

tweedie::signal_noise short_sighted(tweedie::signal_noise level, float floor = 4) {
  level.sigma = std::max(level.sigma, floor * level.alpha);
  return level;
}

using tweedie::node;
using answer = std::function<MatrixXf(const MatrixXf&, const node&)>;

struct gallery {
  memory all;
  class_memories wanted, next_digit;
  tweedie::grid nodes = tweedie::karras(tweedie::linear_beta_schedule(1000), 16);
  tweedie::network_description network{tweedie::predicts_sample};

  MatrixXf noise() const {
    MatrixXf x(pixels, each * labels);
    tweedie::fill_standard_normal(x, 1);
    return x;
  }
  // Samples of `guidance` on what these answer.
  template <class Guidance>
  MatrixXf drawn(const Guidance& guidance, const std::vector<answer>& branches) const {
    tweedie::sampling run(tweedie::ddim(nodes), network, noise(), guidance);
    while (run.next())
      for (std::size_t b = 0; b < branches.size(); ++b)
        run.output(b) = branches[b](run.input(), run.at());
    return run.state();
  }
  template <class Guidance>
  MatrixXf drawn(const Guidance& guidance) const {
    return drawn(guidance, {everything, conditional});
  }
  MatrixXf drawn_plus_plus(float lambda) const {
    MatrixXf aim;
    tweedie::sampling run(tweedie::cfg_plus_plus(nodes), network, noise(),
                          [&](std::span<float> clean, std::size_t, const node&) {
                            Eigen::Map<MatrixXf> estimate(clean.data(), aim.rows(), aim.cols());
                            estimate += lambda * (aim - estimate);
                          });
    while (run.next()) {
      aim = conditional(run.input(), run.at());
      run.output() = everything(run.input(), run.at());
    }
    return run.state();
  }

  answer everything = [this](const MatrixXf& x, const node& at) {
    return MatrixXf(all.denoise(short_sighted(at.level), x));
  };
  answer conditional = [this](const MatrixXf& x, const node& at) {
    return wanted.denoise(short_sighted(at.level), x);
  };
  answer negative = [this](const MatrixXf& x, const node& at) {
    return next_digit.denoise(short_sighted(at.level), x);
  };
  answer worse = [this](const MatrixXf& x, const node& at) {
    return wanted.denoise(short_sighted(at.level, 5), x);
  };
  answer smoothed = [this](const MatrixXf& x, const node&) {
    MatrixXf clean(x.rows(), x.cols());
    for (Index i = 0; i < x.cols(); ++i) clean.col(i) = wanted.means.col(i / each);
    return clean;
  };
};

struct measures {
  double read = 0, spread = 0, strange = 0;
};

}  // namespace

int main() {
  const support::dataset set =
      support::draw_digits({.side = static_cast<int>(side), .pictures = 1200});
  const std::vector<int> wanted{2, 5, 8};
  const gallery room{memory(set.pictures), {set, wanted}, {set, {3, 6, 9}}};

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
      {"autoguidance",
       [&](double w) {
         return room.drawn(guidance_scale(w), {room.worse, room.conditional});
       }},
      {"smoothed energy (SEG)",
       [&](double w) {
         return room.drawn(perturbed_guidance(1, (w - 1) / 10),
                           {room.everything, room.conditional, room.smoothed});
       }},
      {"Perp-Neg",
       [&](double w) {
         return room.drawn(perpendicular_negative{w, {-0.1}},
                           {room.everything, room.conditional, room.negative});
       }},
      {"CFG++", [&](double w) { return room.drawn_plus_plus(static_cast<float>(w / 10)); }},
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
        m.spread += std::sqrt((own.colwise() - own.rowwise().mean()).squaredNorm() / (each - 1)) /
                    room.wanted.spread(l) / labels;
        sheet.col(tile++) = own.col(0);
      }
      const auto nearest = support::nearest_pictures(set, found);
      for (std::size_t i = 0; i < nearest.size(); ++i) {
        m.strange += nearest[i].distance / std::sqrt(double{pixels}) / (each * labels);
        m.read += (set.labels[static_cast<std::size_t>(nearest[i].index)] == wanted[i / each]) /
                  static_cast<double>(each * labels);
      }
      table.back().push_back(m);
      std::printf("         %5.2f %6.2f %7.3f", m.read, m.spread, m.strange);
    }
    std::printf("\n");
  }
  bool agree = true;  // but those with a negative prompt or a sampler of their own
  for (std::size_t rule = 0; rule + 2 < table.size(); ++rule)
    agree &= std::abs(table[rule][0].spread - table[0][0].spread) < 1e-6;
  const auto further = [&](std::size_t rule) {
    return table[rule][3].strange - table[rule][0].strange;
  };
  std::printf("at w = 1 all rules but the last two agree: %s\n", agree ? "yes" : "no");
  std::printf("classifier-free guidance goes where no digits are: %s\n",
              further(0) > 0.03 ? "yes" : "no");
  std::printf("on an interval of levels it does so less: %s\n",
              further(1) < 0.5 * further(0) ? "yes" : "no");
  std::printf("smoothed energy comes nearer to real digits: %s\n", further(9) < 0 ? "yes" : "no");
  support::write_contact_sheet("guidance.png", sheet, {side, side}, 12);
}
