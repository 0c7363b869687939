// Draws with the installed library: what it only declares is linked.
#include <tweedie/tweedie.hpp>
#include <vector>

#if !defined(TWEEDIE_COMPILED)
#error "tweedie::compiled defines TWEEDIE_COMPILED"
#endif

int main() {
  std::vector<float> x(64);
  tweedie::fill_standard_normal(x, 1);
  const std::vector<float> start = x;
  tweedie::run(tweedie::ddim(tweedie::trailing(tweedie::linear_beta_schedule(1000), 2)),
               tweedie::network_description{}, x,
               [](std::span<const float>, double, std::span<float> out) {
                 for (float& v : out) v = 0;
               });
  // A network that sees no noise leaves x_0 = x_T / alpha_T.
  const double alpha = tweedie::linear_beta_schedule(1000)(999).alpha;
  const double ratio = static_cast<double>(x[0]) / static_cast<double>(start[0]) * alpha;
  return tweedie::available(tweedie::instruction_set::baseline) && ratio > 0.999 && ratio < 1.001
             ? 0
             : 1;
}
