// expect: for float* use std::span(p, n)
#include <tweedie/tweedie.hpp>
int main() {
  float* x = nullptr;
  const auto plan = tweedie::ddim(tweedie::trailing(tweedie::linear_beta_schedule(1000), 4));
  tweedie::run(plan, tweedie::network_description{}, x, [](auto, double, auto) {});
}
