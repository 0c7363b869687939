#include <Eigen/Core>
#include <iostream>
#include <string>
#include <tweedie/version.hpp>
#if __has_include(<tweedie/tweedie.hpp>)
#include <tweedie/tweedie.hpp>
#endif

#if TWEEDIE_VERSION_MAJOR != 0
#error "the version is not for #if"
#endif
static_assert(TWEEDIE_VERSION_MAJOR == tweedie::version_major &&
              TWEEDIE_VERSION_MINOR == tweedie::version_minor &&
              TWEEDIE_VERSION_PATCH == tweedie::version_patch);

int main() {
  std::cout << "tweedie " << tweedie::version << '\n';
  const std::string numbers = std::to_string(tweedie::version_major) + '.' +
                              std::to_string(tweedie::version_minor) + '.' +
                              std::to_string(tweedie::version_patch);
  return tweedie::version == EXPECTED_VERSION && numbers == EXPECTED_VERSION ? 0 : 1;
}
