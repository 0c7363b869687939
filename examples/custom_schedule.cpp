// How do I use a noise schedule of my own? Give it operator()(t) and its two ends: every grid,
// sampler, prediction kind and loss takes it.

#include <cmath>
#include <cstdio>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddim.hpp"

// The log-SNR falls along a straight line from 12 to -12.
struct straight_log_snr {
  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  tweedie::signal_noise operator()(double t) const {
    return tweedie::variance_preserving(std::exp(12 * t - 6));  // noise level sigma / alpha
  }
};
static_assert(tweedie::noise_schedule<straight_log_snr>);

int main() {
  const straight_log_snr schedule;
  std::printf("time    alpha    sigma   log-SNR\n");
  for (const double t : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    const tweedie::signal_noise s = schedule(t);
    std::printf("%4.2f  %7.5f  %7.5f  %8.3f\n", t, s.alpha, s.sigma, tweedie::log_snr(s));
  }

  std::printf("\nDDIM on data N(0.5, 0.25), exact law of the samples\nsteps     mean  deviation\n");
  for (const int steps : {5, 10, 20, 50, 100}) {
    const tweedie::program plan = tweedie::ddim(tweedie::uniform(schedule, steps));
    const auto samples = law(plan, tweedie::gaussian_denoiser(0.5, 0.25), {0, 1}).result;
    std::printf("%5d  %7.5f    %7.5f\n", steps, samples.mean, std::sqrt(samples.variance));
  }
}
