// expect: a seed or a generator alone is none
#include <random>
#include <tweedie/tweedie.hpp>
#include <vector>
int main() {
  std::vector<float> x(4);
  const auto plan = tweedie::ddpm(tweedie::trailing(tweedie::linear_beta_schedule(1000), 4));
  tweedie::sampling s(plan, tweedie::network_description{}, x, std::mt19937{});
}
