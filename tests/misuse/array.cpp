// expect: x must be contiguous memory of float, double, half or bfloat16
#include <tweedie/tweedie.hpp>
int main() {
  float x[64] = {};
  const auto plan = tweedie::ddim(tweedie::trailing(tweedie::linear_beta_schedule(1000), 4));
  tweedie::run(plan, tweedie::network_description{}, x, [](auto, double, auto) {});
}
