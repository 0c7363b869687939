// Guidance against the memory passes it needs.
#include <Eigen/Core>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/guidance.hpp"
#include "tweedie/tweedie.hpp"

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

// A run of 20 steps with two branches, whose outputs stay as they were written.
template <class Guidance>
struct guided_run {
  explicit guided_run(Guidance guidance)
      : s(ddim(trailing(linear_beta_schedule(1000), 20)), network_description{predicts_noise}, x,
          guidance) {
    for (std::uint32_t b = 0; b < 2; ++b)
      fill_normal<float>({1, 0, b}, 0, std::span<float>(s.output(b)));
  }
  void operator()() {
    s.restart(x);
    while (s.next()) {
    }
  }

  std::vector<float> x = std::vector<float>(n, 0.5f);
  sampling<std::vector<float>> s;
};

// The same with constant weights, and with what a matrix is found from read once more at every step:
// both outputs; the state too; or a stream of the rule's own, which changes.
enum class streams_read { outputs, state, memory };
struct weighed_run : guided_run<std::vector<double>> {
  explicit weighed_run(streams_read more = streams_read::outputs)
      : guided_run(guidance_scale(2)), read(more) {}

  streams_read read;
  std::vector<float> memory = x;
};
void weigh_and_read(weighed_run& run) {
  using tensor = Eigen::Map<Eigen::ArrayXf>;
  constexpr auto size = static_cast<Eigen::Index>(n);
  const auto of = [](auto&& x) { return tensor(x.data(), size); };
  run.s.restart(run.x);
  while (run.s.next()) {
    const auto u = of(run.s.output(0)), c = of(run.s.output(1));
    if (run.read == streams_read::outputs)
      benchmark::DoNotOptimize((u * c).sum());
    else
      benchmark::DoNotOptimize(
          (u * c * (run.read == streams_read::state ? of(run.s.state()) : of(run.memory))).sum());
    if (run.read == streams_read::memory) of(run.memory) = 0.5f * of(run.memory) + c;
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
  comparison::add(
      {"guided run, a scale for every step, 16x128x128", "constant scale", reach::at_most, 1.02},
      [] {
        const varying by_step{[](const guidance_point& p) {
          const double w = 2 + 0.01 * static_cast<double>(p.step);
          return perpendicular_negative{w, {}};
        }};
        auto ours = std::make_shared<guided_run<decltype(by_step)>>(by_step);
        auto theirs = std::make_shared<weighed_run>();
        return pair{[=] { (*ours)(); }, [=] { (*theirs)(); }};
      });
  const auto with_matrix = [](const char* name, const char* against, auto rule,
                              streams_read read = streams_read::outputs) {
    comparison::add({name, against, reach::at_most, 1.15}, [rule, read] {
      auto ours = std::make_shared<guided_run<decltype(rule)>>(rule);
      auto theirs = std::make_shared<weighed_run>(read);
      return pair{[=] { (*ours)(); }, [=] { weigh_and_read(*theirs); }};
    });
  };
  constexpr const char* outputs = "constant scale, and reading both outputs";
  with_matrix("guided run, rescaled, 16x128x128", outputs,
              rescaled{perpendicular_negative{2, {}}, 0.7});
  with_matrix("guided run, projected, 16x128x128", outputs, adaptive_projected{2, 0, 100});
  with_matrix("guided run, projected x0 estimates, 16x128x128",
              "constant scale, and reading outputs and state",
              on_clean{adaptive_projected{2, 0, 100}}, streams_read::state);
  with_matrix("guided run, projected with momentum, 16x128x128",
              "constant scale, reading three streams and changing one",
              adaptive_projected{2, 0, 100, -0.5}, streams_read::memory);
}
