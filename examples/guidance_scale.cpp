// What does the guidance scale w trade? Classifier-free guidance, solved exactly: diversity (entropy) falls, adherence (how
// well a sample tells its class) rises, and beyond w = 1 no sampler draws from the tilted density p(x|c)^w p(x)^(1-w). How far
// each is from it is its 2-Wasserstein distance W2.
//
// First p(x|c) = N(0, 1) and p(x) = N(0, 2), where in the limit of small steps the guided variance is
//   DDIM  2^(1-w)        DDPM  (2 - 2^(2-2w)) / (2w - 1)        tilted density  2 / (w + 1)
// Then two classes, p(x|c) = N(1, 1/4) and p(x) = N(-1, 1/4)/2 + N(1, 1/4)/2: guidance pushes the class away from the other.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <vector>

#include "support/gnuplot.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/metric/wasserstein.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using namespace tweedie;

// D = D(x) + w (D(x, c) - D(x))
auto guided(double w) {
  return [w](const node& n) {
    const affine_denoiser conditional = gaussian_denoiser(0, 1)(n);
    const affine_denoiser unconditional = gaussian_denoiser(0, 2)(n);
    return affine_denoiser{unconditional.gain + w * (conditional.gain - unconditional.gain), 0};
  };
}

// Noise levels 10^4 to 10^-4 in equal ratios, then clean data.
grid fine_grid(int steps) {
  grid nodes;
  for (const double level : exponential_levels(steps, 1e4, 1e-4))
    nodes.push_back({level, variance_exploding(level)});
  nodes.push_back({0, {1, 0}});
  return nodes;
}

// E log p(x|c)/p(x): what a sample tells about its class, in nats.
double adherence(double variance) { return std::log(2.0) / 2 - variance / 4; }

void print_row(const char* name, double w, double variance, double exact) {
  std::printf("%4g  %-16s %10.4g %10.4g %14.3f %16.3f %8.3f\n", w, name, variance, exact,
              normal_entropy(std::log(variance)), adherence(variance),
              std::abs(std::sqrt(variance) - std::sqrt(2 / (w + 1))));
}

support::curve density(const std::string& title, double variance) {
  support::curve curve{title, {}, {}};
  for (int i = -300; i <= 300; ++i) {
    const double x = i / 100.0;
    curve.x.push_back(x);
    curve.y.push_back(std::exp(-x * x / (2 * variance)) /
                      std::sqrt(2 * std::numbers::pi * variance));
  }
  return curve;
}

// The two classes: p(c|x) = 1/(1 + exp(-8 x)) on clean data, and E[x0|x], E[x0|x, c] at a level.
struct two_classes {
  static constexpr double variance = 0.25;
  static double class_probability(double x) { return 1 / (1 + std::exp(-2 * x / variance)); }
  static double of_class(signal_noise l, double x, double mean) {
    const double gain = l.alpha * variance / (l.alpha * l.alpha * variance + l.sigma * l.sigma);
    return mean + gain * (x - l.alpha * mean);
  }
  static double of_any(signal_noise l, double x) {
    const double total = l.alpha * l.alpha * variance + l.sigma * l.sigma;
    const double p = 1 / (1 + std::exp(-2 * l.alpha * x / total));
    return p * of_class(l, x, 1) + (1 - p) * of_class(l, x, -1);
  }
};

std::vector<double> sampled(const program& plan, double w) {
  std::vector<double> x(4000);
  initial_noise(plan, 1, x);
  sampling s(plan, network_description{predicts_sample}, x, gaussian_noise{2}, guidance_scale(w));
  while (s.next())
    for (std::size_t i = 0; i < x.size(); ++i) {
      s.output(0)[i] = two_classes::of_any(s.at().level, s.input()[i]);
      s.output(1)[i] = two_classes::of_class(s.at().level, s.input()[i], 1);
    }
  return {s.state().begin(), s.state().end()};
}

// As many quantiles of p(x|c)^w p(x)^(1-w), which is p(x|c) p(c|x)^(w-1) but for a factor.
std::vector<double> tilted_quantiles(double w, std::size_t count) {
  std::vector<double> mass;
  const auto place = [](std::size_t i) { return -3 + 1e-4 * static_cast<double>(i); };
  for (std::size_t i = 0; i < 100000; ++i) {
    const double x = place(i);
    const double p = std::exp(-(x - 1) * (x - 1) / (2 * two_classes::variance)) *
                     std::pow(two_classes::class_probability(x), w - 1);
    mass.push_back(p + (i > 0 ? mass.back() : 0));
  }
  std::vector<double> out;
  for (std::size_t k = 0, i = 0; k < count; ++k) {
    while (mass[i] < (static_cast<double>(k) + 0.5) / static_cast<double>(count) * mass.back()) ++i;
    out.push_back(place(i));
  }
  return out;
}

void print_classes(const char* name, double w, const std::vector<double>& x) {
  double mean = 0, square = 0, told = 0;
  for (const double v : x) {
    mean += v / static_cast<double>(x.size());
    square += v * v / static_cast<double>(x.size());
    told += std::log(2 * two_classes::class_probability(v)) / static_cast<double>(x.size());
  }
  std::printf("%4g  %-16s %10.2f %10.2f %14.2f %16.2f\n", w, name, mean,
              std::sqrt(square - mean * mean), told,
              std::sqrt(wasserstein_power(x, tilted_quantiles(w, x.size()), 2)));
}

}  // namespace

int main() {
  const grid nodes = fine_grid(100000);
  const program deterministic = ddim(nodes), stochastic = ddpm(nodes);
  const scalar_law start{0, nodes.front().level.sigma * nodes.front().level.sigma};

  std::vector<support::curve> curves;
  std::printf(
      "   w  sampler            variance      limit  entropy (nats)  adherence (nats)       W2\n");
  for (const double w : {1.0, 5.0, 10.0}) {
    const double ode = law(deterministic, guided(w), start).result.variance;
    const double sde = law(stochastic, guided(w), start).result.variance;
    print_row("DDIM", w, ode, std::exp2(1 - w));
    print_row("DDPM", w, sde, (2 - std::exp2(2 - 2 * w)) / (2 * w - 1));
    print_row("tilted density", w, 2 / (w + 1), 2 / (w + 1));
    curves.push_back(density("DDPM, w = " + std::to_string(static_cast<int>(w)), sde));
  }
  curves.push_back(density("p(x)", 2));

  const grid coarse = fine_grid(200);
  std::printf("\n   w  sampler                mean  deviation  adherence (nats)              W2\n");
  for (const double w : {1.0, 5.0, 10.0}) {
    print_classes("DDIM", w, sampled(ddim(coarse), w));
    print_classes("DDPM", w, sampled(ddpm(coarse), w));
    print_classes("tilted density", w, tilted_quantiles(w, 4000));
  }
  support::plot("guidance_scale.png", "set xlabel 'x'\nset ylabel 'density'", curves);
}
