// How do I write a sampler of my own? Like its paper: ask, mix, mark. Here DDIM remembers its last
// estimate and extrapolates the next one, for the same number of network calls. The program it
// gives is checked without a network: exactly, on Gaussian data.

#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/program/print.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace {

using namespace tweedie;

// Along a step of length h in half log-SNR the x0 estimate D is taken as a straight line through
// this and the last value: D + (h / h_last) (D - D_last) / 2 on average (DPM-Solver++(2M)).
program remembering_ddim(const grid& nodes) {
  recorder r(nodes.front());
  linear x = r.state();
  std::optional<linear> last;
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const signal_noise from = nodes[i].level, to = nodes[i + 1].level;
    const linear clean = r.evaluate(x, nodes[i]).clean;
    linear straight = clean;
    if (last && to.sigma > 0) {
      const double h = half_log_snr(to) - half_log_snr(from);
      const double h_last = half_log_snr(from) - half_log_snr(nodes[i - 1].level);
      straight += h / h_last / 2 * (clean - *last);
    }
    const ddim_weights w = ddim_step(from, to);
    x = w.state * x + w.clean * straight;
    last = clean;
    r.mark(x, nodes[i + 1]);
  }
  return r.finish(x);
}

// Standard deviation of data N(0.5, 0.25) at a noise level.
double deviation(signal_noise level) { return std::hypot(level.alpha * 0.5, level.sigma); }

// How far the deviation of the samples is from the exact one at the level where the program ends.
double error(const program& plan) {
  const scalar_law start{plan.start.level.alpha * 0.5, std::pow(deviation(plan.start.level), 2)};
  const program_law samples = law(plan, gaussian_denoiser(0.5, 0.25), start);
  return std::abs(std::sqrt(samples.result.variance) - deviation(samples.marks.back().first.level));
}

}  // namespace

int main() {
  const discrete_schedule schedule = linear_beta_schedule(1000);
  // Without the last step into clean data, which is of first order in every method.
  const auto nodes = [&schedule](int steps) {
    grid all = over_levels(schedule, exponential_levels, steps);
    all.pop_back();
    return all;
  };
  std::cout << "Four levels, three steps:\n" << remembering_ddim(nodes(4)) << std::endl;

  std::printf("steps  DDIM error  order   with memory  order   network calls\n");
  double ddim_before = 0, memory_before = 0;
  for (const int steps : {10, 20, 40, 80, 160, 320}) {
    const program plan = remembering_ddim(nodes(steps));
    const double plain = error(ddim(nodes(steps))), memory = error(plan);
    std::printf("%5d   %9.2e  %5.2f     %9.2e  %5.2f   %13zu\n", steps, plain,
                ddim_before > 0 ? std::log2(ddim_before / plain) : 0, memory,
                memory_before > 0 ? std::log2(memory_before / memory) : 0, plan.evaluations());
    ddim_before = plain;
    memory_before = memory;
  }
}
