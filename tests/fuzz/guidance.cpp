// Every guidance rule on outputs of any size, with any settings: refused, or the same result for the items
// alone, finite where the outputs are, and for weight one the conditional output.
#include <cstdint>
#include <vector>

#include "fuzz/program_checks.hpp"
#include "tweedie/guidance/corrected.hpp"
#include "tweedie/guidance/projected.hpp"
#include "tweedie/guidance/several.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/solve/sampling.hpp"

namespace {

using namespace tweedie;

// One step from the middle of a flow; its result is a combination of the state and the guided output.
struct outcome {
  bool taken = false;
  std::vector<double> state;
};

template <class Rule>
outcome guide(const Rule& rule, const std::vector<double>& x,
              const std::vector<std::vector<double>>& outputs, std::size_t steps) {
  grid nodes;
  for (std::size_t i = 0; i <= steps; ++i) {
    const double t = 0.5 * static_cast<double>(steps - i) / static_cast<double>(steps);
    nodes.push_back({t, {1 - t, t}});
  }
  outcome out;
  out.taken = fuzz::accepted([&] {
    sampling run(ddim(nodes), {predicts_rectified_velocity}, x, rule);
    while (run.next())
      for (std::size_t b = 0; b < run.branches(); ++b)
        for (std::size_t i = 0; i < x.size(); ++i) run.output(b)[i] = outputs[b][i];
    out.state.assign(run.state().begin(), run.state().end());
  });
  return out;
}

template <class Rule>
void check(const Rule& rule, fuzz::bytes& in, bool is_conditional) {
  const std::size_t size = in.below(9), steps = 1 + in.below(3);
  const bool wild = in.below(4) == 1;
  std::vector<double> x(size);
  std::vector<std::vector<double>> outputs(8, std::vector<double>(size));
  const auto value = [&] { return wild ? in.number() : 4 * in.unit() - 2; };
  for (double& v : x) v = value();
  for (auto& output : outputs)
    for (double& v : output) v = value();
  const outcome guided = guide(rule, x, outputs, steps), again = guide(rule, x, outputs, steps);
  fuzz::expect(guided.taken == again.taken, "refused both times or none");
  if (!guided.taken || wild) return;
  fuzz::expect(guided.state == again.state, "the same twice");
  for (const double v : guided.state) fuzz::expect(std::isfinite(v), "finite from finite outputs");
  if (!is_conditional) return;
  const outcome plain = guide(std::vector<double>{0, 1}, x, outputs, steps);
  for (std::size_t i = 0; i < size; ++i)
    fuzz::expect(
        std::abs(plain.state[i] - guided.state[i]) <= 1e-12 * (1 + std::abs(plain.state[i])),
        "weight one is the conditional output");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::bytes in(data, size);
  const std::size_t which = in.below(9);
  const bool one = in.flag();
  const auto setting = [&] {
    const double v = in.number();
    return std::abs(v) > 1e6 ? 1e6 : v;  // larger ones leave the range of double by themselves
  };
  const double w = one ? 1 : setting(), a = setting(), b = setting(), c = setting();
  const auto base = in.flag() ? guidance_base::conditional : guidance_base::unconditional;
  switch (which) {
    case 0: check(adaptive_projected{w, a, b, c, guidance_base::conditional}, in, one); break;
    case 1: check(adaptive_projected{w, a, b, c, base}, in, false); break;
    case 2: check(adaptive_projected_mix{w, in.below(3), {a, b, c, 0, base}}, in, false); break;
    case 3: check(zero_star{w, std::abs(a)}, in, one); break;
    case 4: check(zero_first<zero_star>{{w, std::abs(a)}, in.below(3)}, in, false); break;
    case 5: check(tangential{w}, in, one); break;
    case 6: check(magnitude_aware{w, a}, in, one); break;
    case 7:
      check(rescaled<adaptive_projected>{{w, a, b, c, guidance_base::conditional}, in.unit()}, in,
            one);
      break;
    default:
      check(perpendicular_negative{w, std::vector<double>(in.below(4), b), std::abs(c)}, in, false);
  }
  return 0;
}
