// Nonlinear guidance against the memory passes it needs.
#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/guidance/rescale.hpp"
#include "tweedie/guidance/threshold.hpp"
#include "tweedie/tensor/combine.hpp"

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
  // In place, as a run does it: five streams against the passes' four. With these numbers the output
  // stays as large as it is however often it is guided.
  comparison::add(
      {"guidance with rescale, 16x128x128", "two memory passes", reach::at_most, 1.5}, [] {
        auto m = make_streams<float>(3, n);
        return pair{
            [=] { guide_rescaled<float>(m->tensors[1], m->tensors[2], 2, 0.7, m->tensors[1]); },
            [=] { two_passes(*m); }};
      });
}
