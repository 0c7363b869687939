// Programs written by hand, from bytes: registers and draws that are not there, weights that are no number,
// products of evaluations that nobody asked for. Refused, or run to the end the same way twice.
#include <algorithm>
#include <cstdint>
#include <sstream>

#include "fuzz/program_checks.hpp"
#include "tweedie/program/cost.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/program/print.hpp"
#include "tweedie/program/unrolled.hpp"
#include "tweedie/schedule/prediction.hpp"
#include "tweedie/solve/noise.hpp"
#include "tweedie/solve/saved_bytes.hpp"

namespace {

using namespace tweedie;

// Mostly a number that is there.
int index(fuzz::bytes& in, int count) {
  const std::uint8_t b = in.byte();
  if (b > 250) return static_cast<int>(b) - 253;
  if (b == 250) return 1 << 30;
  return count > 0 ? b % count : 0;
}

node some_node(fuzz::bytes& in) {
  if (in.below(8) == 1) return {in.number(), {in.number(), in.number()}};
  return {in.unit(), fuzz::level_of(in.noise_level(2), in.below(3))};
}

double some_weight(fuzz::bytes& in) { return in.below(64) == 1 ? in.number() : 2 * in.unit() - 1; }

program some_program(fuzz::bytes& in) {
  program plan;
  plan.registers = static_cast<int>(in.below(8)) - 1;
  plan.draws.resize(in.below(5));
  for (draw_kind& d : plan.draws) {
    if (in.below(4) == 1) d = {in.number(), in.number(), in.flag(), in.number(), in.number()};
  }
  plan.start = some_node(in);
  plan.stages.resize(in.below(8));
  const int registers = (std::max)(plan.registers, 1);
  for (stage& s : plan.stages) {
    if (in.below(4) != 1) s.evaluate = evaluation{index(in, registers), some_node(in)};
    const std::size_t inputs = in.below(7), outputs = in.below(4);
    for (std::size_t i = 0; i < inputs; ++i) {
      const auto from = static_cast<operand_kind>(in.below(5));
      const int count =
          from == operand_kind::stored ? registers : static_cast<int>(plan.draws.size());
      s.pass.inputs.push_back({from, index(in, count)});
    }
    for (std::size_t j = 0; j < outputs; ++j) s.pass.outputs.push_back(index(in, registers));
    const std::size_t weights = inputs * outputs + (in.below(64) == 1);
    for (std::size_t w = 0; w < weights; ++w) s.pass.weights.push_back(some_weight(in));
    if (in.flag()) s.mark = step_mark{index(in, registers), some_node(in)};
  }
  plan.result = index(in, registers);
  return plan;
}

template <class Prediction>
void run_twice(fuzz::bytes& in, const program& plan, const Prediction& prediction) {
  const network_description network{.prediction = prediction};
  const std::vector<float> x{0.5f, -1.0f, 2.0f};
  std::vector<std::byte> ends[2];
  const std::uint8_t branches = in.byte();
  const std::size_t stop = in.below(4);
  for (auto& end : ends) {
    const bool held = fuzz::accepted([&] {
      sampling run(plan, network, x, gaussian_noise{3}, std::vector<double>(branches % 3 + 1, 0.5));
      const bool learned = detail::any_learned(plan.draws);
      std::size_t calls = 0;
      while (run.next()) {
        for (std::size_t b = 0; b < run.branches(); ++b)
          for (std::size_t i = 0; i < x.size(); ++i)
            run.output(b)[i] = std::sin(run.input()[i] + static_cast<float>(b));
        if (learned)
          for (float& v : run.variance_output()) v = 0.25f;
        if (++calls == stop) {  // through bytes and back
          const auto bytes = to_bytes(run.saved(), run.plan());
          run.resume(saved_from_bytes<float>(bytes, run.plan()));
          for (std::size_t b = 0; b < run.branches(); ++b)
            for (std::size_t i = 0; i < x.size(); ++i)
              run.output(b)[i] = std::sin(run.input()[i] + static_cast<float>(b));
        }
      }
      fuzz::expect(calls >= plan.evaluations(), "asked at least as often as it says");
      end = to_bytes(run.saved(), run.plan());
    });
    if (!held) return;
  }
  fuzz::expect(ends[0] == ends[1], "the same end twice");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::bytes in(data, size);
  const program plan = some_program(in);
  const bool valid = fuzz::accepted([&] { check_program("fuzz", plan); });
  const bool lawful = fuzz::accepted([&] { (void)law(plan, gaussian_denoiser(0.3, 0.5), {0, 1}); });
  const bool unrolled = fuzz::accepted([&] { (void)unroll(plan); });
  const bool lowered = fuzz::accepted([&] { (void)lower(plan, {predicts_rectified_velocity}); });
  fuzz::expect(valid || (!lawful && !unrolled && !lowered), "what cannot be run is refused by all");
  (void)cost(plan);
  if (!valid) return 0;
  std::ostringstream text;
  text << plan;
  fuzz::expect(!text.str().empty(), "a program can be printed");
  switch (in.below(4)) {
    case 0: run_twice(in, plan, predicts_noise); break;
    case 1: run_twice(in, plan, predicts_v); break;
    case 2: run_twice(in, plan, predicts_sample); break;
    default: run_twice(in, plan, predicts_rectified_velocity);
  }
  // A saved state with a byte changed is refused.
  fuzz::accepted([&] {
    sampling run(plan, {predicts_rectified_velocity}, std::vector<float>(3), gaussian_noise{3});
    std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
    const std::size_t at = (in.byte() * 256u + in.byte()) % bytes.size();
    bytes[at] ^= static_cast<std::byte>(in.byte() | 1);
    const bool taken = fuzz::accepted([&] { (void)saved_from_bytes<float>(bytes, run.plan()); });
    fuzz::expect(!taken, "a damaged state is refused");
    if (in.flag()) bytes.resize(at);
    fuzz::accepted([&] { run.resume(saved_from_bytes<float>(bytes, run.plan())); });
  });
  return 0;
}
