// What does the guidance scale w trade? Classifier-free guidance between p(x|c) = N(0, 1) and
// p(x) = N(0, 2), solved exactly: diversity (entropy) falls, adherence (how well a sample tells
// its class) rises, and beyond w = 1 no sampler draws from the tilted density p(x|c)^w p(x)^(1-w).
//
// In the limit of small steps the guided variance is
//   DDIM  2^(1-w)        DDPM  (2 - 2^(2-2w)) / (2w - 1)        tilted density  2 / (w + 1)

#include <cmath>
#include <cstdio>
#include <numbers>
#include <vector>

#include "support/gnuplot.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"

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
  std::printf("%4g  %-16s %10.4g %10.4g %14.3f %16.3f\n", w, name, variance, exact,
              normal_entropy(std::log(variance)), adherence(variance));
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

}  // namespace

int main() {
  const grid nodes = fine_grid(100000);
  const program deterministic = ddim(nodes), stochastic = ddpm(nodes);
  const scalar_law start{0, nodes.front().level.sigma * nodes.front().level.sigma};

  std::vector<support::curve> curves;
  std::printf("   w  sampler            variance      limit  entropy (nats)  adherence (nats)\n");
  for (const double w : {1.0, 5.0, 10.0}) {
    const double ode = law(deterministic, guided(w), start).result.variance;
    const double sde = law(stochastic, guided(w), start).result.variance;
    print_row("DDIM", w, ode, std::exp2(1 - w));
    print_row("DDPM", w, sde, (2 - std::exp2(2 - 2 * w)) / (2 * w - 1));
    print_row("tilted density", w, 2 / (w + 1), 2 / (w + 1));
    curves.push_back(density("DDPM, w = " + std::to_string(static_cast<int>(w)), sde));
  }
  curves.push_back(density("p(x)", 2));
  support::plot("guidance_scale.png", "set xlabel 'x'\nset ylabel 'density'", curves);
}
