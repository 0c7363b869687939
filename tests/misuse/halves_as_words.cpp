// expect: halves as Eigen::half
#include <cstdint>
#include <tweedie/tweedie.hpp>
#include <vector>
int main() {
  std::vector<std::uint16_t> x(4);
  const auto plan = tweedie::ddim(tweedie::trailing(tweedie::linear_beta_schedule(1000), 4));
  tweedie::sampling s(plan, tweedie::network_description{}, x);
}
