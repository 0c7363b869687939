#include "tweedie/interop/torch_random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <vector>

#include "tweedie/solve/sampling.hpp"

namespace {

using namespace tweedie;
using nlohmann::json;

static_assert(noise_source<torch_random::cpu_generator, float> &&
              noise_source<torch_random::cuda_generator, float16>);

// Recorded with torch 1.13 on the CPU.
const json& recorded() {
  static const json file = [] {
    std::ifstream in(TWEEDIE_TEST_DATA "/rng_torch_cpu.json");
    return json::parse(in);
  }();
  return file;
}

template <class S>
void expect_near(const std::vector<S>& actual, const json& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(actual[i]), expected[i].get<double>(), tolerance) << i;
  }
}

template <class S>
void replay_reals(torch_random::cpu_generator& generator, const json& call, double tolerance) {
  std::vector<S> out(call["n"].get<std::size_t>());
  if (call["op"] == "randn") {
    generator.randn<S>(out);
  } else {
    generator.rand<S>(out);
    tolerance = 0;
  }
  expect_near(out, call["result"], tolerance);
}

void replay(torch_random::cpu_generator& generator, const json& call) {
  SCOPED_TRACE(call.dump());
  const std::string op = call["op"];
  if (op == "randn" || op == "rand") {
    if (call["dtype"] == "float32") return replay_reals<float>(generator, call, 2.5e-7);
    return replay_reals<double>(generator, call, 1e-15);
  }
  std::vector<std::int64_t> out(call["n"].get<std::size_t>());
  if (op == "randint") {
    generator.randint(call["low"], call["high"], out);
  } else if (op == "random_int64") {
    generator.random(out);
  } else {
    ASSERT_EQ(op, "randperm");
    generator.randperm(out);
  }
  EXPECT_EQ(out, call["result"].get<std::vector<std::int64_t>>());
}

TEST(torch_cpu, recorded_calls) {
  for (const json& call : recorded()["cases"]) {
    torch_random::cpu_generator generator(call["seed"].get<std::uint64_t>());
    replay(generator, call);
  }
}

TEST(torch_cpu, recorded_sequence_of_calls) {
  const json& sequence = recorded()["sequence"];
  torch_random::cpu_generator generator(sequence["seed"].get<std::uint64_t>());
  for (const json& call : sequence["calls"]) replay(generator, call);
}

TEST(torch_cpu, half_precision) {
  std::vector<float16> few(5), many(16);
  torch_random::cpu_generator(5).randn<float16>(few);
  torch_random::cpu_generator(5).randn<float16>(many);
  expect_near(few, recorded()["half_randn_5"]["result"], 0);
  expect_near(many, recorded()["half_randn_16"]["result"], 0);
  std::vector<bfloat16> brain(16);
  torch_random::cpu_generator(5).randn<bfloat16>(brain);
  expect_near(brain, recorded()["bfloat16_randn_16"]["result"], 0);
}

TEST(torch_cpu, exponential) {
  std::vector<double> out(5);
  torch_random::cpu_generator(11).exponential<double>(out);
  expect_near(out, recorded()["exponential"]["result"], 1e-15);
}

TEST(torch_cpu, empty_range_is_refused) {
  std::vector<std::int64_t> out(1);
  EXPECT_THROW(torch_random::cpu_generator(1).randint(3, 3, out), std::invalid_argument);
}

constexpr torch_random::cuda_device rtx_4090{128, 1536};

// torch.manual_seed(0); torch.randn(12, device="cuda"), as published in AUTOMATIC1111's
// rng_philox.py.
TEST(torch_cuda, published_numbers) {
  std::vector<float> z(12);
  torch_random::cuda_generator(0, rtx_4090).randn<float>(z);
  expect_near(z,
              {-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564,
               -0.62285122, -0.32838709, -1.07454231, -0.36314407, -1.67105067, 2.26550497},
              1e-6);
}

TEST(torch_cuda, small_tensors_do_not_depend_on_the_gpu) {
  std::vector<float> a(28 * 1536), b(a.size());
  torch_random::cuda_generator(3, rtx_4090).randn<float>(a);
  torch_random::cuda_generator(3, {28, 1536}).randn<float>(b);
  EXPECT_EQ(a, b);
}

// Beyond what the GPU holds at once, a thread's four normals lie a grid apart; its radii and angles
// are those of one Philox block.
TEST(torch_cuda, large_tensors_use_all_four_normals_of_a_thread) {
  constexpr std::size_t grid = 2 * 512;  // two multiprocessors with 512 threads
  std::vector<float> z(5 * grid + 7), beyond(z.size());
  torch_random::cuda_generator(9, {2, 767}).randn<float>(z);
  torch_random::cuda_generator(9, rtx_4090).randn<float>(beyond);
  EXPECT_TRUE(std::equal(z.begin(), z.begin() + grid, beyond.begin()));
  EXPECT_NE(z[grid], beyond[grid]);
  for (std::uint32_t thread = 0; thread < grid; thread += 97) {
    const philox_counter words = philox4x32({0, 0, thread, 0}, {9, 0});
    for (std::size_t pair = 0; pair < 2; ++pair) {
      const double s = z[thread + 2 * pair * grid], c = z[thread + (2 * pair + 1) * grid];
      const double radius = std::sqrt(-2 * std::log((words[2 * pair] + 0.5) * 0x1p-32));
      const double angle = (words[2 * pair + 1] + 0.5) * 0x1p-31 * std::numbers::pi;
      EXPECT_NEAR(s, radius * std::sin(angle), 3e-6);
      EXPECT_NEAR(c, radius * std::cos(angle), 3e-6);
    }
    const philox_counter next = philox4x32({1, 0, thread, 0}, {9, 0});
    EXPECT_NEAR(z[thread + 4 * grid],
                std::sqrt(-2 * std::log((next[0] + 0.5) * 0x1p-32)) *
                    std::sin((next[1] + 0.5) * 0x1p-31 * std::numbers::pi),
                3e-6);
  }
}

TEST(torch_cuda, calls_continue_the_counter) {
  constexpr std::size_t grid = 512;
  std::vector<float> once(8 * grid), first(4 * grid), second(4 * grid), tiny(1);
  torch_random::cuda_generator(1, {2, 256}).randn<float>(once);
  torch_random::cuda_generator twice(1, {2, 256});
  twice.randn<float>(first);
  twice.randn<float>(second);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), once.begin()));
  EXPECT_TRUE(std::equal(second.begin(), second.end(), once.begin() + 4 * grid));
  // However small, a call takes a whole block of every thread's stream.
  torch_random::cuda_generator again(1, {2, 256});
  again.randn<float>(tiny);
  again.randn<float>(tiny);
  EXPECT_EQ(tiny[0], once[4 * grid]);
}

TEST(torch_cuda, gpu_without_threads_is_refused) {
  EXPECT_THROW(torch_random::cuda_generator(0, {0, 1536}), std::invalid_argument);
  EXPECT_THROW(torch_random::cuda_generator(0, {30, 255}), std::invalid_argument);
}

}  // namespace
