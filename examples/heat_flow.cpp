// Is generation the heat equation run backwards? Adding noise makes the density of the data flow as heat does,
// dp/du = 1/2 d^2p/dx^2 with u the variance of the noise, so it looks as if. It is not: the heat equation cannot be run
// backwards, and the reverse flow of a diffusion model is another equation.
//
// A density with three peaks is heated to u = 0.25 on a grid. Then both ways back, from what was stored:
//
//   backwards heat   wave number k grows by exp(k^2 u/2), and with it what storing has rounded, here to 3 and to 12 digits
//   probability flow dx/du = -1/2 score(x, u): points move, and their density with them
//
// Prints the size of the largest error of the density, and writes heat_flow.png.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "support/gnuplot.hpp"
#include "tweedie/continuous/heat.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/schedule/signal_noise.hpp"

namespace {

using namespace tweedie;

constexpr int cells = 144;
constexpr double length = 12, heated = 0.25;

double place(int cell) { return length * (cell + 0.5) / cells - length / 2; }

struct peak {
  double weight, mean, variance;
};
constexpr peak peaks[] = {{0.4, -1.2, 0.03}, {0.35, 0.1, 0.02}, {0.25, 1.1, 0.05}};

// Density and score after noise of variance u.
struct density_and_score {
  double density = 0, score = 0;
};
density_and_score at(double x, double u) {
  density_and_score out;
  for (const peak& p : peaks) {
    const double share =
        p.weight * std::exp(normal_log_density(x, p.mean, std::log(p.variance + u)));
    out.density += share;
    out.score -= share * (x - p.mean) / (p.variance + u);
  }
  out.score /= out.density;
  return out;
}

std::vector<double> exact(double u) {
  std::vector<double> p;
  for (int i = 0; i < cells; ++i) p.push_back(at(place(i), u).density);
  return p;
}

double largest_difference(std::span<const double> a, std::span<const double> b) {
  double out = 0;
  for (std::size_t i = 0; i < a.size(); ++i) out = std::max(out, std::abs(a[i] - b[i]));
  return out;
}

// To so many significant digits of the largest.
std::vector<double> stored(std::vector<double> p, int digits) {
  const double unit = *std::max_element(p.begin(), p.end()) * std::pow(10, -digits);
  for (double& v : p) v = unit * std::round(v / unit);
  return p;
}

// A point at u = 0.25, carried back to u = 0 along the probability flow by steps of Runge-Kutta of order 4 over the
// deviation of the noise r = sqrt(u), dx/dr = -r score.
double carried(double x) {
  constexpr int steps = 400;
  const double h = -std::sqrt(heated) / steps;
  const auto slope = [](double y, double r) { return -r * at(y, r * r).score; };
  for (int k = 0; k < steps; ++k) {
    const double r = -h * (steps - k);
    const double a = slope(x, r), b = slope(x + h / 2 * a, r + h / 2);
    const double c = slope(x + h / 2 * b, r + h / 2), d = slope(x + h * c, r + h);
    x += h / 6 * (a + 2 * b + 2 * c + d);
  }
  return x;
}

}  // namespace

int main() {
  const std::vector<double> start = exact(0), end = heat_flow(start, length, heated);
  std::printf("heated to u = %.2f: within %s of the mixture known there\n\n", heated,
              largest_difference(end, exact(heated)) < 1e-10 ? "1e-10" : "MORE THAN 1e-10");

  std::printf("%-34s", "error of the density, size, at u =");
  constexpr double levels[] = {0.24, 0.2, 0.1, 0.0};
  for (const double u : levels) std::printf(" %8.2f", u);
  std::printf("\n");
  for (const int digits : {3, 12}) {
    std::printf("backwards heat, %2d digits stored   ", digits);
    for (const double u : levels) {
      const auto back = heat_flow(stored(end, digits), length, u - heated);
      std::printf("     1e%+03.0f", std::round(std::log10(largest_difference(back, exact(u)))));
    }
    std::printf("\n");
  }

  // p_0(x_0) = p_u(x_u) dx_u/dx_0.
  support::curve flow{
      "probability flow back to u = 0", {}, {}, "lines lw 2 dt (12, 6) lc rgb '#1b66a8'"};
  double worst = 0;
  for (double x = -2.7; x < 2.7; x += 0.005) {
    constexpr double h = 1e-6;
    const double there = carried(x);
    const double density = at(x, heated).density * 2 * h / (carried(x + h) - carried(x - h));
    flow.x.push_back(there);
    flow.y.push_back(density);
    worst = std::max(worst, std::abs(density - at(there, 0).density));
  }
  std::printf("%-34s %31s1e%+03.0f\n", "probability flow, 400 steps", "",
              std::round(std::log10(worst)));

  const auto curve = [](const char* title, const std::vector<double>& p, const char* style) {
    support::curve c{title, {}, p, style};
    for (int i = 0; i < cells; ++i) c.x.push_back(place(i));
    return c;
  };
  support::curve data{"data, u = 0", {}, {}, "filledcurves y1=0 lc rgb '#d8d8d8'"};
  for (double x = -2.6; x < 2.6; x += 0.01) {
    data.x.push_back(x);
    data.y.push_back(at(x, 0).density);
  }
  support::plot(
      "heat_flow.png",
      "set xlabel 'x'\nset ylabel 'density'\nset xrange [-2.6:2.6]\nset yrange [-0.1:1.4]",
      {data,
       curve("heat run backwards to u = 0.24, from three digits",
             heat_flow(stored(end, 3), length, -0.01), "lines lw 1.5 lc rgb '#e7298a'"),
       curve("heated, u = 0.25", end, "lines lw 2.5 lc rgb '#d95f02'"), flow});
}
