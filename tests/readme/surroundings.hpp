// What the code blocks of README.md and docs/ take for granted: a network, an inference session, pictures.
#pragma once

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/tensor/traits.hpp"

namespace readme {

// Networks that know the data to be zero and were asked at alpha near 0.
inline constexpr auto engine = [](const auto& input, double, auto&& output) {
  const auto from = tweedie::elements(input);
  auto to = tweedie::elements(output);
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i];
};

struct inference_session {
  void run(const float* input, double, float* output) const {
    for (std::size_t i = 0; i < 4 * 64 * 64; ++i) output[i] = input[i];
  }
};
inline constexpr inference_session session;

// An engine that was bound to addresses before it runs.
struct io_binding {
  std::span<const float> input;
  std::vector<std::span<float>> outputs;

  void run(double) const {
    for (const std::span<float> output : outputs) std::ranges::copy(input, output.begin());
  }
};

inline constexpr auto decode = [](const auto& state) { EXPECT_TRUE(state.data() != nullptr); };

inline constexpr auto cancelled = [](const auto&, std::size_t done, std::size_t total) {
  EXPECT_LT(done, total);
  return false;
};

// Some logits that depend on the tokens.
inline constexpr auto language_model = [](const auto& tokens, auto&& logits) {
  const std::size_t vocabulary = logits.size() / tokens.size();
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] =
        static_cast<float>((i * 31 + static_cast<std::size_t>(tokens[i / vocabulary])) % 17);
};

inline Eigen::MatrixXf pictures() { return Eigen::MatrixXf::Random(64, 8); }
inline constexpr auto predict = [](const Eigen::MatrixXf& input, const std::vector<double>& times,
                                   Eigen::MatrixXf& output) {
  EXPECT_EQ(times.size(), 8u);
  output = input;
};
inline constexpr auto backward = [](const Eigen::MatrixXf& gradient) {
  EXPECT_TRUE(gradient.allFinite());
};

}  // namespace readme
