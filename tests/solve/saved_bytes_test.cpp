#include "tweedie/solve/saved_bytes.hpp"
#include "tweedie/sampler/ddim.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "refusal.hpp"

namespace tweedie {
namespace {

// Nodes and weights without rounding: a last step to half the noise, by the mean of state and estimate.
program dyadic_plan() { return ddim(grid{{3, {1, 2}}, {2, {1, 1}}, {1, {1, 0.5}}}); }
sampling<std::vector<float>> dyadic_run() {
  return {dyadic_plan(), network_description{predicts_sample}, std::vector<float>{1, -2.5f, 0.125f},
          no_noise{}};
}

std::string hexadecimal(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(b));
    text += digits;
  }
  return text;
}

// What version 1 is, on machines of either byte order: this text never changes.
TEST(saved_bytes, of_format_1_are_these) {
  auto run = dyadic_run();
  run.next();
  for (float& y : run.output()) y = 0;
  run.next();
  const std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
  EXPECT_EQ(hexadecimal(bytes),
            "895457440d0a1a0a"
            "01000000"
            "01000000"
            "9000000000000000"
            "0a971d65a01d49f6"
            "0100000000000000"
            "0000000000000000"
            "0100000000000000"
            "1000000000000000"
            "000000000000f03f"
            "0000003f0000a0bf0000803d"
            "00000000000000000000000000000000"
            "000000000000000000000000000000000000000000000000"
            "000000000000000000000000"
            "9f0038062a34ae27");
  EXPECT_EQ(bytes.size(), 64u + 8u + 64u + 8u);
}

TEST(saved_bytes, refuse_every_length_but_their_own) {
  auto run = dyadic_run();
  run.next();
  std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_NE(refusal([&] { saved_from_bytes<float>(std::span(bytes).first(length), run.plan()); }),
              "")
        << length;
  EXPECT_EQ(refusal([&] { saved_from_bytes<float>(std::span(bytes).first(100), run.plan()); }),
            "saved_from_bytes: length = 100; cut off or continued: valid: 144");
  EXPECT_EQ(refusal([&] { saved_from_bytes<float>(std::span(bytes).first(9), run.plan()); }),
            "saved_from_bytes: length = 9; no saved run is shorter than 72 bytes");
  bytes.push_back({});
  EXPECT_NE(refusal([&] { saved_from_bytes<float>(bytes, run.plan()); }), "");
}

TEST(saved_bytes, refuse_every_change_of_a_byte) {
  auto run = dyadic_run();
  run.next();
  const std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (unsigned change = 1; change < 256; ++change) {
      std::vector<std::byte> damaged = bytes;
      damaged[i] ^= static_cast<std::byte>(change);
      ASSERT_NE(refusal([&] { saved_from_bytes<float>(damaged, run.plan()); }), "") << i;
    }
  std::vector<std::byte> damaged = bytes;
  damaged[70] ^= std::byte{1};
  EXPECT_EQ(refusal([&] { saved_from_bytes<float>(damaged, run.plan()); }),
            "saved_from_bytes: these bytes are damaged: their hash is another");
}

// Bytes with a right hash over wrong contents.
TEST(saved_bytes, refuse_what_a_foreign_writer_got_wrong) {
  auto run = dyadic_run();
  run.next();
  const std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
  const auto with = [&](std::size_t at, auto number) {
    std::vector<std::byte> changed = bytes;
    std::ranges::copy(detail::little_endian(number), changed.begin() + std::ptrdiff_t(at));
    const std::size_t end = changed.size() - 8;
    std::ranges::copy(
        detail::little_endian(detail::saved_format::check_sum(std::span(changed).first(end))),
        changed.begin() + std::ptrdiff_t(end));
    return refusal([&] { run.resume(saved_from_bytes<float>(changed, run.plan())); });
  };
  const std::string head = "saved_from_bytes: ";
  EXPECT_EQ(with(12, std::uint32_t{1}), "");  // as it was
  EXPECT_EQ(with(0, std::uint64_t{0}),
            head + "these bytes are no saved run: another kind of file, or one sent as text");
  EXPECT_EQ(with(8, std::uint32_t{2}), head + "format = 2; valid: 1");
  EXPECT_EQ(with(12, std::uint32_t{2}), head + "the state is of double, the run of float");
  EXPECT_EQ(with(12, std::uint32_t{9}),
            head + "the state is of an unknown scalar, the run of float");
  EXPECT_EQ(with(24, std::uint64_t{1}),
            head + "saved by a run of another plan, network description or guidance");
  const std::string counts = head + "its counts do not fit its length";
  EXPECT_EQ(with(40, std::uint64_t{2}), counts);
  EXPECT_EQ(with(48, std::uint64_t{3}), counts);
  EXPECT_EQ(with(48, std::uint64_t{1} << 61), counts);
  EXPECT_EQ(with(56, std::uint64_t{1} << 62), counts);
  EXPECT_EQ(with(32, std::uint64_t{99}),
            "sampling::resume: stage = 99; valid: at most that of the program's end, 2");
}

TEST(saved_bytes, know_a_plan_by_its_weights_to_the_precision_of_float) {
  lowered_program plan = lower(dyadic_plan(), {.prediction = predicts_sample});
  const std::uint64_t print = fingerprint(plan);
  double& weight = plan.stages[1].passes[0].weights[0];
  weight += 1e-12;
  EXPECT_EQ(fingerprint(plan), print);  // what another compiler might make of it
  weight += 1e-6;
  EXPECT_NE(fingerprint(plan), print);
}

}  // namespace
}  // namespace tweedie
