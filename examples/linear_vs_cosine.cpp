// Where does a schedule spend its steps? Linear, scaled linear and cosine noise of 1000 steps:
// how much signal is left, and how many steps fall into noise that teaches nothing.

#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "support/gnuplot.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace {

constexpr int steps = 1000;

struct candidate {
  const char* name;
  tweedie::discrete_schedule schedule;
};

// The first step with less signal than this, counted 1 … T as papers do.
int first_step_below(const tweedie::discrete_schedule& schedule, double alpha_bar) {
  int step = 1;
  while (schedule.alpha_bar(tweedie::index_of_step(step)) > alpha_bar) ++step;
  return step;
}

template <class Condition>
double percent_of_steps(const tweedie::discrete_schedule& schedule, const Condition& condition) {
  int count = 0;
  for (int k = 0; k < steps; ++k) count += condition(schedule.at(k)) ? 1 : 0;
  return 100.0 * count / steps;
}

}  // namespace

int main() {
  const std::array<candidate, 3> candidates{
      {{"linear", tweedie::linear_beta_schedule(steps)},
       {"scaled linear", tweedie::scaled_linear_beta_schedule(steps)},
       {"cosine", tweedie::cosine_schedule(steps)}}};

  std::printf("alpha_bar after step   %10s %10s %10s %10s %10s   half of the signal gone at step\n",
              "100", "250", "500", "750", "1000");
  for (const auto& [name, schedule] : candidates) {
    std::printf("%-20s", name);
    for (const int step : {100, 250, 500, 750, 1000})
      std::printf(" %10.4g", schedule.alpha_bar(tweedie::index_of_step(step)));
    std::printf("   %d\n", first_step_below(schedule, 0.5));
  }

  std::printf(
      "\nshare of steps         log-SNR < -4   |log-SNR| <= 4   log-SNR > 4   alpha_bar < 0.01\n");
  for (const auto& [name, schedule] : candidates) {
    using tweedie::signal_noise, tweedie::log_snr;
    std::printf(
        "%-20s %12.1f %% %14.1f %% %11.1f %% %16.1f %%\n", name,
        percent_of_steps(schedule, [](signal_noise s) { return log_snr(s) < -4; }),
        percent_of_steps(schedule, [](signal_noise s) { return std::abs(log_snr(s)) <= 4; }),
        percent_of_steps(schedule, [](signal_noise s) { return log_snr(s) > 4; }),
        percent_of_steps(schedule, [](signal_noise s) { return s.alpha * s.alpha < 0.01; }));
  }

  std::vector<support::curve> signal, ratio;
  for (const auto& [name, schedule] : candidates) {
    support::curve a{name, {}, {}}, r{name, {}, {}};
    for (int k = 0; k < steps; ++k) {
      a.x.push_back(tweedie::step_of_index(k));
      a.y.push_back(schedule.alpha_bar(k));
      r.x.push_back(tweedie::step_of_index(k));
      r.y.push_back(tweedie::log_snr(schedule.at(k)));
    }
    signal.push_back(a);
    ratio.push_back(r);
  }
  support::plot("signal.png", "set xlabel 'step'\nset ylabel 'alpha bar'", signal);
  support::plot("log_snr.png", "set xlabel 'step'\nset ylabel 'log-SNR'\nset yrange [-12:12]",
                ratio);
}
