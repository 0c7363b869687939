// expect: x must be contiguous memory
#include <tweedie/tweedie.hpp>
int main() {
  float memory[8] = {};
  const Eigen::Map<Eigen::VectorXf, 0, Eigen::InnerStride<2>> x(memory, 4);
  const auto plan = tweedie::ddim(tweedie::trailing(tweedie::linear_beta_schedule(1000), 4));
  tweedie::sampling s(plan, tweedie::network_description{}, x);
}
