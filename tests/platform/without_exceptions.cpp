// A program compiled with -fno-exceptions: it samples, and errors end in its handler, or with the argument
// `default` in the one that is there.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

#include "tweedie/grid/named.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/parallel.hpp"

#if defined(TWEEDIE_EXCEPTIONS)
#error "compile with -fno-exceptions"
#endif

namespace {

const char* expected = "";

void end_program(const std::exception& error) {
  std::printf("%s\n", error.what());
  std::exit(std::strcmp(error.what(), expected) == 0 ? 0 : 1);
}

}  // namespace

int main(int count, char**) {
  using namespace tweedie;
  const program plan = ddim(karras(scaled_linear_beta_schedule(1000), 6), 1);
  // N(0, 1) data: noise is sigma x of the state.
  std::vector<float> x(4096);
  gaussian_noise{1}.fill(noise_request{1000, {}, 1}, std::span<float>(x));
  const double start = plan.start.level.sigma;
  for (float& v : x) v *= static_cast<float>(std::hypot(plan.start.level.alpha, start));
  workers threads(2);
  std::vector<float> y = x;
  run(
      plan, {predicts_sample}, y,
      [](std::span<const float>, double, std::span<float> out) {
        for (float& v : out) v = 0.5f;
      },
      gaussian_noise{2}, threads);
  for (const float v : y)
    if (v != 0.5f) return 2;  // a denoiser that knows the data ends there

  if (count == 1) {
    if (set_error_handler(end_program) == nullptr) return 3;
    if (set_error_handler(end_program) != end_program) return 4;
  }
  expected = "ddim: eta = -1; valid: 0 <= eta <= 1";
  static_cast<void>(ddim(karras(scaled_linear_beta_schedule(1000), 6), -1));
  return 5;  // nothing returns from an error
}
