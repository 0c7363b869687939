#include <Eigen/Core>
#include <iostream>
#include <tweedie/version.hpp>
#if __has_include(<tweedie/tweedie.hpp>)
#include <tweedie/tweedie.hpp>
#endif

int main() {
  std::cout << "tweedie " << tweedie::version << '\n';
  return tweedie::version == EXPECTED_VERSION ? 0 : 1;
}
