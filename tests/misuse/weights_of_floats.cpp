// expect: branch weights (guidance_scale(7.5))
#include <tweedie/tweedie.hpp>
#include <vector>
int main() {
  std::vector<float> x(4);
  const auto plan = tweedie::ddim(tweedie::trailing(tweedie::linear_beta_schedule(1000), 4));
  tweedie::sampling s(plan, tweedie::network_description{}, x, std::vector<float>{-6.5f, 7.5f});
}
