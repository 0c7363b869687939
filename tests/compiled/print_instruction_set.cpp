// Runs a program that draws and prints which instructions its kernels used; with an argument, fails unless
// it is that set, or unless TWEEDIE_INSTRUCTION_SET is refused where it names no set.
#include <cstdio>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "tweedie/tweedie.hpp"

namespace {

using namespace tweedie;

const char* name_of(instruction_set set) {
  return set == instruction_set::baseline ? "baseline"
         : set == instruction_set::avx2   ? "avx2"
                                          : "avx512";
}

template <class S>
void run_once() {
  std::vector<S> x(1000);
  fill_standard_normal(x, 1);
  run(
      euler_ancestral(karras(linear_beta_schedule(1000), 3)), network_description{}, x,
      [](std::span<const S> in, double, std::span<S> out) {
        for (std::size_t i = 0; i < in.size(); ++i) out[i] = in[i];
      },
      gaussian_noise{2}, clip{-1, 1});
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view wanted = count > 1 ? arguments[1] : "";
  for (const instruction_set set : {instruction_set::avx2, instruction_set::avx512})
    if (wanted == name_of(set) && !available(set)) return 77;  // skipped
  try {
    run_once<float>();
    run_once<double>();
    run_once<float16>();
    run_once<bfloat16>();
  } catch (const std::invalid_argument& refusal) {
    std::puts(refusal.what());
    return wanted == "none" ? 0 : 1;
  }
  const instruction_set used = current_instruction_set();
  std::puts(name_of(used));
  if (!wanted.empty()) return wanted == name_of(used) ? 0 : 1;
  for (const instruction_set wider : {instruction_set::avx2, instruction_set::avx512})
    if (wider > used && available(wider)) return 1;
  return 0;
}
