// How does a sampler run where tensors do not live in this process's memory?
//
// `sampling` keeps its state in CPU memory. A device that can add tensors up runs the same program with
// run_on: this one writes down what it would be sent, as a GPU's queue or a remote machine would get it.
#include <cstdio>

#include "tweedie/tweedie.hpp"

// A tensor is a number by which the device knows it.
struct device {
  int tensors = 0;

  int combine(std::span<const double> weights, std::span<const int* const> from) {
    std::printf("  t%d =", ++tensors);
    for (std::size_t i = 0; i < weights.size(); ++i)
      std::printf(" %+.5f t%d", weights[i], *from[i]);
    std::printf("\n");
    return tensors;
  }
  int normal(const tweedie::noise_request& request) {
    std::printf("  t%d = standard normal, draw %d\n", ++tensors, request.draw);
    return tensors;
  }
  int network(int shown, double time) {
    std::printf("  t%d = network(t%d, %.0f)\n", ++tensors, shown, time);
    return tensors;
  }
};

int main() {
  const auto nodes = tweedie::trailing(tweedie::linear_beta_schedule(1000), 3);
  const tweedie::network_description network{tweedie::predicts_v};
  const auto show = [&](const char* name, const tweedie::program& plan) {
    std::printf("%s, the sample is t0\n", name);
    device gpu;
    const int result = tweedie::run_on(
        plan, network, 0, gpu, [&](int shown, double time) { return gpu.network(shown, time); });
    std::printf("  the result is t%d\n", result);
  };
  show("DPM-Solver++(2M)", tweedie::dpm_solver_plus_plus(nodes, 2));
  show("DDPM", tweedie::ddpm(nodes));
}
