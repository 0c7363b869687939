// Nonlinear guidance against the memory passes it needs.
#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/guidance/threshold.hpp"
#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/gram.hpp"

namespace {

using namespace tweedie;
using comparison::pair;
using comparison::reach;

constexpr std::size_t n = 16 * 128 * 128;

void two_passes(streams<float>& m) {
  for (int i = 0; i < 2; ++i) {
    float* const out[] = {m[0]};
    const float* const in[] = {m[0]};
    constexpr double weights[] = {1.0000001};
    combine<float>(out, in, weights, n);
    comparison::touch();
  }
}

}  // namespace

void register_guidance() {
  comparison::add({"dynamic threshold, 16x128x128", "two memory passes", reach::at_most, 1.5}, [] {
    auto m = make_streams<float>(2, n);
    auto threshold = std::make_shared<dynamic_threshold>();
    return pair{[=] { (*threshold)(std::span<float>(m->tensors[1]), 1, node{}); },
                [=] { two_passes(*m); }};
  });
  comparison::add({"norms of guided and conditional output, 16x128x128", "two memory passes",
                   reach::at_most, 1.5},
                  [] {
                    auto m = make_streams<float>(2, n);
                    auto result = std::make_shared<std::vector<double>>(4);
                    return pair{[=] {
                                  const float* const rows[] = {(*m)[0], (*m)[1]};
                                  gram<float>(rows, 1, n, *result);
                                },
                                [=] { two_passes(*m); }};
                  });
}
