// How much variance does a sampler lose? For Gaussian data the law of everything a sampler makes is
// known exactly, with no sample drawn: the variance along each axis of the data over what it should be,
// and the distance of the whole law from the data. Spectrum 1/k^2 over 256 axes, as of natural images,
// of mean variance 1; Stable Diffusion's schedule; runs start from N(0, I), as everybody's do.
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "support/gnuplot.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/generated.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/discrete.hpp"

int main() {
  using namespace tweedie;
  constexpr int axes = 256;
  std::vector<scalar_law> data;
  double sum = 0;
  for (int k = 1; k <= axes; ++k) sum += 1.0 / (k * k);
  for (int k = 1; k <= axes; ++k) data.push_back({0, axes / sum / (k * k)});

  const auto schedule = scaled_linear_beta_schedule(1000);
  const std::vector<std::pair<std::string, program>> samplers = {
      {"DDIM, 10 steps, trailing", ddim(trailing(schedule, 10))},
      {"DDIM, 50 steps, trailing", ddim(trailing(schedule, 50))},
      {"DDIM, 50 steps, leading", ddim(leading(schedule, 50, 1))},
      {"DDPM, 50 steps, trailing", ddpm(trailing(schedule, 50))},
      {"DDPM, 1000 steps", ddpm(trailing(schedule, 1000))},
      {"DPM-Solver++(2M), 10, Karras", dpm_solver_plus_plus(karras(schedule, 10), 2)},
      {"DPM-Solver++(2M), 20, Karras", dpm_solver_plus_plus(karras(schedule, 20), 2)},
      {"Euler ancestral, 20, Karras", euler_ancestral(karras(schedule, 20))}};

  std::printf("variance made / variance of the data on axis k           whole law\n");
  std::printf(
      "sampler                          1      4     16     64    256       W2         KL\n");
  std::vector<support::curve> curves;
  for (const auto& [name, plan] : samplers) {
    const std::vector<scalar_law> made = generated(plan, data, start_law::prior);
    std::printf("%-28s", name.c_str());
    for (const std::size_t k : {1U, 4U, 16U, 64U, 256U})
      std::printf(" %6.3f", made[k - 1].variance / data[k - 1].variance);
    std::printf(" %8.4f %10.4f\n", std::sqrt(squared_wasserstein(made, data)),
                kl_divergence(made, data));
    support::curve c{name, {}, {}};
    for (std::size_t k = 1; k <= axes; ++k) {
      c.x.push_back(static_cast<double>(k));
      c.y.push_back(made[k - 1].variance / data[k - 1].variance);
    }
    curves.push_back(std::move(c));
  }
  support::plot("sampler_laws.png",
                "set logscale x\nset xlabel 'axis of the data, largest variance first'\n"
                "set ylabel 'variance made / variance of the data'\nset yrange [0:1.4]\n"
                "set key bottom left",
                curves);
}
