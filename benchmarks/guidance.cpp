// Nonlinear guidance against the memory passes it needs.
#include <Eigen/Core>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/guidance/classifier_free.hpp"
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

// What rescaling moves: the factor needs both outputs before the pass that guides. With w = 2 the
// second time undoes the first.
void read_and_guide(streams<float>& m) {
  using tensor = Eigen::Map<const Eigen::ArrayXf>;
  const auto size = static_cast<Eigen::Index>(n);
  benchmark::DoNotOptimize((tensor(m[1], size) + tensor(m[2], size)).sum());
  comparison::touch();
  guide<float>(m.tensors[1], m.tensors[2], 2, m.tensors[1]);
}

}  // namespace

void register_guidance() {
  comparison::add({"dynamic threshold, 16x128x128", "two memory passes", reach::at_most, 1.5}, [] {
    auto m = make_streams<float>(2, n);
    auto threshold = std::make_shared<dynamic_threshold>();
    return pair{[=] { (*threshold)(std::span<float>(m->tensors[1]), 1, node{}); },
                [=] { two_passes(*m); }};
  });
  // In place, as a run does it: five streams against the four of two passes over one tensor, and
  // against the five it cannot do without. With these numbers the output stays as large as it is
  // however often it is guided.
  const auto rescale_against = [](const char* name, void (*theirs)(streams<float>&)) {
    comparison::add({"guidance with rescale, 16x128x128", name, reach::at_most, 1.5}, [theirs] {
      auto m = make_streams<float>(3, n);
      return pair{
          [=] { guide_rescaled<float>(m->tensors[1], m->tensors[2], 2, 0.7, m->tensors[1]); },
          [=] { theirs(*m); }};
    });
  };
  rescale_against("two memory passes", two_passes);
  rescale_against("reading two tensors, then guiding", read_and_guide);
}
