// What do 50 steps cost against 1000, and does the answer depend on the data? The exact law of
// the samples of DDPM and DDIM for Gaussian data and an exact denoiser: no Monte Carlo error.

#include <Eigen/Core>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "support/gnuplot.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/solve/run.hpp"

namespace {

using namespace tweedie;

const discrete_schedule schedule = linear_beta_schedule(1000);

double kl_divergence(scalar_law p, scalar_law q) {
  return normal_divergence(p.mean, std::log(p.variance), q.mean, std::log(q.variance));
}

// Var(x0 | x_t): with it the ancestral steps are exact for Gaussian data.
analytic_variance optimal_variance(scalar_law data) {
  return {[data](const node& n) {
    const auto [alpha, sigma] = n.level;
    return data.variance * sigma * sigma / (alpha * alpha * data.variance + sigma * sigma);
  }};
}

scalar_law sampled(const program& plan, scalar_law data) {
  return law(plan, gaussian_denoiser(data.mean, data.variance), {0, 1}).result;
}

void compare(scalar_law data) {
  std::printf("data N(%g, %g)             evaluations      mean  deviation  KL (nats)         W2\n",
              data.mean, data.variance);
  const auto report = [&data](const std::string& name, const program& plan) {
    const scalar_law got = sampled(plan, data);
    std::printf("%-28s %8zu  %8.5f   %8.5f  %9.2g  %9.2g\n", name.c_str(), plan.evaluations(),
                got.mean, std::sqrt(got.variance), kl_divergence(got, data),
                std::sqrt(normal_transport(got.mean, std::log(got.variance), data.mean,
                                           std::log(data.variance))));
  };
  for (const int steps : {1000, 50, 10}) {
    const grid nodes = trailing(schedule, steps);
    report("DDPM, posterior variance", ddpm(nodes, fixed_small{}));
    report("DDPM, forward variance", ddpm(nodes, fixed_large{}));
    report("DDPM, optimal variance", ddpm(nodes, optimal_variance(data)));
    report("the same, last draw, too", ddpm(nodes, optimal_variance(data), last_noise::drawn));
    report("DDIM", ddim(nodes));
  }
  std::printf("\n");
}

// The same on tensors: 64 items of 1024 numbers, the denoiser costing nothing.
void report_time(const char* name, const program& plan) {
  Eigen::ArrayXXf x(1024, 64);
  gaussian_noise{1}.fill({.draw = 0, .kind = {}, .items = 64}, elements(x));
  const auto start = std::chrono::steady_clock::now();
  run(
      plan, {.prediction = predicts_sample}, x,
      [](const auto& input, double, auto&& output) { output = input; }, gaussian_noise{2});
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  std::fprintf(stderr, "%s: %zu evaluations, %.2g s without the network\n", name,
               plan.evaluations(), taken.count());
}

}  // namespace

int main() {
  compare({0.5, 0.25});  // spread-out data
  compare({0.5, 0.01});  // closer to one point: every sampler needs more steps

  report_time("DDPM", ddpm(trailing(schedule, 1000)));
  report_time("DDIM", ddim(trailing(schedule, 50)));

  const scalar_law data{0.5, 0.25};
  support::curve small{"DDPM, posterior variance", {}, {}}, large{"DDPM, forward variance", {}, {}},
      deterministic{"DDIM", {}, {}};
  for (const int steps : {5, 10, 20, 50, 100, 200, 500, 1000}) {
    const grid nodes = trailing(schedule, steps);
    const auto add = [&](support::curve& curve, const program& plan) {
      curve.x.push_back(steps);
      curve.y.push_back(kl_divergence(sampled(plan, data), data));
    };
    add(small, ddpm(nodes, fixed_small{}));
    add(large, ddpm(nodes, fixed_large{}));
    add(deterministic, ddim(nodes));
  }
  support::plot("ddpm_vs_ddim.png",
                "set logscale xy\nset format y '%.0e'\nset xlabel 'network evaluations'\n"
                "set ylabel 'KL(samples || data), nats'",
                {small, large, deterministic}, "linespoints lw 2 pt 7");
}
