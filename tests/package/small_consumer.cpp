// Asks a package for its version, one program and Eigen.
#include <Eigen/Core>
#include <tweedie/grid/spacing.hpp>
#include <tweedie/sampler/ddim.hpp>
#include <tweedie/schedule/continuous.hpp>
#include <tweedie/version.hpp>

int main() {
  const tweedie::program plan = tweedie::ddim(tweedie::uniform(tweedie::rectified_flow{}, 4));
  const bool right = tweedie::version == EXPECTED_VERSION && plan.evaluations() == 4 &&
                     Eigen::Array3f::Ones().sum() == 3;
  return right ? 0 : 1;
}
