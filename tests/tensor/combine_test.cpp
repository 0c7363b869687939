#include "tweedie/tensor/combine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace {

using namespace tweedie;

template <class S>
class combine_of : public testing::Test {
 protected:
  static double unit_roundoff() {
    if constexpr (std::same_as<S, double>) return 0x1p-53;
    if constexpr (std::same_as<S, float>) return 0x1p-24;
    if constexpr (std::same_as<S, float16>) return 0x1p-11;
    return 0x1p-8;  // bfloat16
  }

  std::vector<S> random(std::size_t n) {
    std::vector<S> v(n);
    for (S& x : v) x = static_cast<S>(distribution_(generator_));
    return v;
  }

  // The definition, in double; the bound is one rounding on writing and one for each term.
  static void expect_row(const std::vector<S>& actual, const std::vector<std::vector<S>>& inputs,
                         const double* weights) {
    for (std::size_t i = 0; i < actual.size(); ++i) {
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        sum += weights[k] * static_cast<double>(inputs[k][i]);
        magnitude += std::abs(weights[k] * static_cast<double>(inputs[k][i]));
      }
      const double arithmetic = (std::same_as<S, double>) ? 0x1p-53 : 0x1p-24;
      const double bound = std::abs(sum) * unit_roundoff() + 0x1p-25 * (sizeof(S) == 2) +
                           2 * magnitude * arithmetic * static_cast<double>(inputs.size() + 1);
      ASSERT_NEAR(static_cast<double>(actual[i]), sum, bound) << "element " << i;
    }
  }

  std::mt19937 generator_{1};
  std::normal_distribution<double> distribution_;
};

using scalars = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(combine_of, scalars);

TYPED_TEST(combine_of, equals_the_double_loop) {
  using S = TypeParam;
  for (const std::size_t n : {0u, 1u, 3u, 16u, 31u, 64u, 1000u, 1024u, 1025u, 2500u}) {
    for (std::size_t inputs = 0; inputs <= 20; inputs += inputs < 10 ? 1 : 3) {
      for (std::size_t outputs = 1; outputs <= 3; ++outputs) {
        std::vector<std::vector<S>> in(inputs), out(outputs, std::vector<S>(n));
        std::vector<const S*> in_pointers;
        std::vector<S*> out_pointers;
        for (auto& v : in) in_pointers.push_back((v = this->random(n)).data());
        for (auto& v : out) out_pointers.push_back(v.data());
        std::vector<double> weights(inputs * outputs);
        for (double& w : weights) w = this->distribution_(this->generator_);
        combine<S>(out_pointers, in_pointers, weights, n);
        for (std::size_t j = 0; j < outputs; ++j) {
          this->expect_row(out[j], in, weights.data() + j * inputs);
        }
      }
    }
  }
}

TYPED_TEST(combine_of, outputs_may_be_any_inputs) {
  using S = TypeParam;
  const std::size_t n = 2049;
  std::vector<std::vector<S>> before(3);
  for (auto& v : before) v = this->random(n);
  std::vector<double> weights(9);
  for (double& w : weights) w = this->distribution_(this->generator_);

  // Every way of writing three outputs over three inputs.
  std::vector<int> order{0, 1, 2};
  do {
    std::vector<std::vector<S>> memory = before;
    std::vector<const S*> in;
    std::vector<S*> out;
    for (auto& v : memory) in.push_back(v.data());
    for (const int target : order) out.push_back(memory[static_cast<std::size_t>(target)].data());
    combine<S>(out, in, weights, n);
    for (std::size_t j = 0; j < 3; ++j) {
      this->expect_row(memory[static_cast<std::size_t>(order[j])], before, weights.data() + 3 * j);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

// Every pattern of zero weights of two outputs that overwrite two of the three inputs.
TYPED_TEST(combine_of, two_outputs_with_any_zeros) {
  using S = TypeParam;
  const std::size_t n = 1030;
  std::vector<std::vector<S>> before(3);
  for (auto& v : before) v = this->random(n);
  for (unsigned pattern = 0; pattern < 64; ++pattern) {
    for (const std::size_t first : {0u, 1u}) {
      std::vector<double> weights(6);
      for (unsigned k = 0; k < 6; ++k) weights[k] = (pattern >> k & 1u) * (0.5 + k);
      std::vector<std::vector<S>> memory = before;
      const S* in[] = {memory[0].data(), memory[1].data(), memory[2].data()};
      S* out[] = {memory[first].data(), memory[1 - first].data()};
      combine<S>(out, in, weights, n);
      this->expect_row(memory[first], before, weights.data());
      this->expect_row(memory[1 - first], before, weights.data() + 3);
    }
  }
}

TYPED_TEST(combine_of, input_of_weight_zero_is_not_read) {
  using S = TypeParam;
  const std::vector<S> x = this->random(100);
  const std::vector<S> stale(100, std::numeric_limits<S>::quiet_NaN());
  std::vector<S> y(100), z(100);
  const S* in[] = {stale.data(), x.data(), nullptr};
  S* out[] = {y.data(), z.data()};
  combine<S>(out, in, std::vector<double>{0, 1, 0, 0, 0, 0}, 100);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(y[i], x[i]);
    EXPECT_EQ(z[i], S(0));
  }
}

// To the bit, whether the loop for so many streams does the elements or the one for any number.
TYPED_TEST(combine_of, result_does_not_depend_on_cuts_or_alignment) {
  using S = TypeParam;
  const std::size_t n = 1801;
  std::vector<std::vector<S>> in(7);
  for (auto& v : in) v = this->random(n);
  for (std::size_t inputs = 1; inputs <= in.size(); ++inputs)
    for (std::size_t outputs = 1; outputs <= 3; ++outputs) {
      std::vector<double> weights(inputs * outputs);
      for (double& w : weights) w = this->distribution_(this->generator_);
      const auto run = [&](std::size_t begin, std::size_t end, std::vector<std::vector<S>>& out) {
        std::vector<const S*> from;
        std::vector<S*> to;
        for (std::size_t k = 0; k < inputs; ++k) from.push_back(in[k].data() + begin);
        for (std::size_t j = 0; j < outputs; ++j) to.push_back(out[j].data() + begin);
        combine<S>(to, from, weights, end - begin);
      };
      std::vector<std::vector<S>> whole(outputs, std::vector<S>(n)), cut = whole;
      run(0, n, whole);
      for (std::size_t i = 0, step = 1; i < n; i += step, step = step % 37 + 1)
        run(i, std::min(i + step, n), cut);
      for (std::size_t j = 0; j < outputs; ++j)
        for (std::size_t i = 0; i < n; ++i)
          ASSERT_EQ(whole[j][i], cut[j][i]) << inputs << " -> " << outputs << " at " << i;
    }
}

TYPED_TEST(combine_of, storage_round_trip_is_exact) {
  using S = TypeParam;
  if constexpr (sizeof(S) == 2) {
    std::vector<S> all(65536), copy(65536);
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
      all[bits] = std::bit_cast<S>(static_cast<std::uint16_t>(bits));
    }
    const S* in[] = {all.data()};
    S* out[] = {copy.data()};
    combine<S>(out, in, std::vector<double>{1}, all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i] != all[i]) {
        ASSERT_NE(copy[i], copy[i]);
      } else {
        ASSERT_EQ(std::bit_cast<std::uint16_t>(copy[i]), i);
      }
    }
  }
}

TYPED_TEST(combine_of, storage_rounds_to_nearest_even) {
  using S = TypeParam;
  if constexpr (sizeof(S) == 2) {
    // Products around every magnitude, with ties, subnormals and overflow.
    std::vector<S> x(4096), y(4096);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = std::bit_cast<S>(static_cast<std::uint16_t>(i * 8));
    }
    for (const float w : {1.5f, 0.5f, 0.0625f, 1.0009765625f, 3.00390625f, -1024.0f, 0x1p-14f}) {
      const S* in[] = {x.data()};
      S* out[] = {y.data()};
      combine<S>(out, in, std::vector<double>{w}, x.size());
      for (std::size_t i = 0; i < x.size(); ++i) {
        const S expected(w * static_cast<float>(x[i]));
        if (expected != expected) {
          ASSERT_NE(y[i], y[i]);
        } else {
          ASSERT_EQ(y[i], expected) << static_cast<float>(x[i]) << " * " << w;
        }
      }
    }
  }
}

TEST(summed_pass, ranges_give_the_bits_of_combine) {
  std::vector<float> whole(303), next(303), cut;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    whole[i] = std::sin(static_cast<float>(i));
    next[i] = std::cos(static_cast<float>(i));
  }
  cut = whole;
  const std::vector<double> weights{0.3, -1.7};
  const auto pass_over = [&](std::vector<float>& state, const auto& work) {
    float* const outputs[] = {state.data()};
    const float* const inputs[] = {state.data(), next.data()};
    const summed_pass<float> pass{3, 101, outputs, inputs, weights};
    EXPECT_EQ(pass.size(), 303u);
    work(pass);
  };
  pass_over(whole, [](const auto& pass) { combine(pass.outputs, pass.inputs, pass.weights, 303); });
  pass_over(cut, [](auto pass) {
    for (const auto& [begin, end] :
         std::vector<element_range>{{0, 0}, {0, 7}, {7, 150}, {150, 303}, {303, 303}})
      apply(pass, {begin, end});
    EXPECT_THROW(apply(pass, {4, 3}), std::invalid_argument);
    EXPECT_THROW(apply(pass, {0, 304}), std::invalid_argument);
    pass.weights = pass.weights.first(1);
    EXPECT_THROW(apply(pass, {0, 303}), std::invalid_argument);
  });
  EXPECT_EQ(whole, cut);
}

TEST(combine, wrong_number_of_weights_is_refused) {
  std::vector<float> x(4, 1.0f), y(4, 2.0f);
  const float* in[] = {x.data()};
  float* out[] = {y.data()};
  EXPECT_THROW(combine<float>(out, in, std::vector<double>{1, 2}, 4), std::invalid_argument);
  EXPECT_EQ(y[0], 2.0f);
}

}  // namespace
