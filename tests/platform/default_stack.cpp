// A clipped, guided and noisy run beside an application's own 8 kB: WebAssembly has 64 kB of stack by
// default. Exit status 0 if the result is what the data is.
#include <cmath>
#include <cstdio>
#include <vector>

#include <tweedie/tweedie.hpp>

template <class S>
int run_to_zero() {
  namespace tw = tweedie;
  volatile char callers[8192];  // the frames of an application
  callers[0] = 0;
  std::vector<S> x(203);
  tw::fill_standard_normal(x, 1);
  const auto schedule = tw::scaled_linear_beta_schedule(1000);
  tw::run(
      tw::euler_ancestral(tw::karras(schedule, 10)), {.prediction = tw::predicts_sample}, x,
      [](auto, double, auto first, auto second) {
        for (auto& v : first) v = S(0);
        for (auto& v : second) v = S(0);
      },
      tw::gaussian_noise{7}, tw::clip{-1, 1}, tw::guidance_scale(7.5));
  int wrong = callers[0];
  for (const S v : x) wrong += std::abs(static_cast<double>(v)) > 1e-6;
  return wrong;
}

int main() {
  const int wrong = run_to_zero<float>() + run_to_zero<double>();
  std::printf("%d wrong\n", wrong);
  return wrong != 0;
}
