// expect: describe the network: network_description{predicts_noise}
#include <tweedie/tweedie.hpp>
#include <vector>
int main() {
  std::vector<float> x(4);
  const auto plan = tweedie::ddim(tweedie::trailing(tweedie::linear_beta_schedule(1000), 4));
  tweedie::sampling s(plan, tweedie::predicts_noise, x);
}
