// The random numbers of PyTorch, so that a seed gives the same picture here and there.
//
// CPU: Mersenne Twister (std::mt19937 seeded with the low 32 bits). randn takes two ways: fewer
// than 16 numbers are made in double, two at a time, the second kept for the next such call; 16 and
// more are made in the tensor's type, eight pairs at a time. So the numbers depend on the size of
// the tensor, not on the seed alone. These are the numbers of the portable kernels; torch's AVX2
// kernel of float randn differs from them by up to 9e-7.
//
// CUDA: Philox4x32-10 with one subsequence per GPU thread; each thread makes four normals, which
// lie a whole grid apart (aten/src/ATen/native/cuda/DistributionTemplates.h). The grid is capped by
// what the GPU holds at once, so that tensors beyond that size depend on the GPU: an A100 and an
// RTX 3060 give different noise for one seed. float and half precision; up to the last bits of
// CUDA's fast sine and cosine.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/philox.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie::torch_random {

// torch.Generator("cpu"). Calls consume the stream in order, as in Python.
class cpu_generator {
 public:
  // torch.manual_seed(seed)
  explicit cpu_generator(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

  // torch.randn
  template <storage_scalar S>
  void randn(std::span<S> out) {
    if (out.size() < 16) {
      for (S& z : out) z = static_cast<S>(normal());
      return;
    }
    for (S& u : out) u = uniform<S>();
    for (std::size_t i = 0; i + 16 <= out.size(); i += 16) box_muller(out.subspan(i, 16));
    if (out.size() % 16 != 0) {
      const std::span<S> last = out.last(16);
      for (S& u : last) u = uniform<S>();
      box_muller(last);
    }
  }

  // torch.rand
  template <storage_scalar S>
  void rand(std::span<S> out) {
    for (S& u : out) u = uniform<S>();
  }

  // torch.randint(low, high, ...): low <= value < high.
  void randint(std::int64_t low, std::int64_t high, std::span<std::int64_t> out) {
    if (low >= high) {
      detail::fail("torch_random::cpu_generator::randint", "low", static_cast<double>(low),
                   "must be below high = " + std::to_string(high));
    }
    const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
    for (std::int64_t& value : out) {
      const std::uint64_t bits = range >> 32 != 0 ? random64() : engine_();
      value = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + bits % range);
    }
  }

  // Tensor.random_() of 64-bit integers: 0 to 2^63 - 1.
  void random(std::span<std::int64_t> out) {
    for (std::int64_t& value : out)
      value = static_cast<std::int64_t>(random64() & (~std::uint64_t{0} >> 1));
  }

  // torch.randperm(out.size())
  void randperm(std::span<std::int64_t> out) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::int64_t>(i);
    for (std::size_t i = 0; i + 1 < out.size(); ++i) {
      std::swap(out[i], out[i + engine_() % (out.size() - i)]);
    }
  }

  // Tensor.exponential_(rate)
  template <std::floating_point S>
  void exponential(std::span<S> out, double rate = 1) {
    detail::require(rate > 0, "torch_random::cpu_generator::exponential", "rate", rate,
                    "must be positive");
    for (S& x : out) x = static_cast<S>(-std::log1p(-uniform<double>()) / rate);
  }

  // As the noise source of a run: a run asks for its draws in order, each once.
  template <class Request, storage_scalar S>
  void fill(const Request&, std::span<S> out) {
    randn(out);
  }

 private:
  std::uint64_t random64() {
    const std::uint64_t high = engine_();
    return high << 32 | engine_();
  }

  // As many random bits as the type has digits; in torch the arithmetic of half is that of float.
  template <storage_scalar S>
  S uniform() {
    if constexpr (std::same_as<S, double>) {
      return static_cast<double>(random64() & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
    } else {
      constexpr int digits = std::same_as<S, float> ? 24 : std::same_as<S, float16> ? 11 : 8;
      const auto bits = static_cast<std::uint32_t>(engine_()) & ((1u << digits) - 1);
      return static_cast<S>(std::ldexp(static_cast<float>(bits), -digits));
    }
  }

  double normal() {
    if (kept_) return *std::exchange(kept_, std::nullopt);
    const auto u1 = uniform<double>();
    const auto u2 = uniform<double>();
    const double r = std::sqrt(-2 * std::log1p(-u2));
    const double theta = 2 * std::numbers::pi * u1;
    kept_ = r * std::sin(theta);
    return r * std::cos(theta);
  }

  // Uniforms become normals in place, element j with element j + 8. Variables are rounded to the
  // tensor's type; the functions of bfloat16 round their results as well.
  template <storage_scalar S>
  static void box_muller(std::span<S> block) {
    using A = arithmetic_t<S>;
    const auto variable = [](auto value) { return static_cast<A>(static_cast<S>(value)); };
    const auto result = [&](A value) {
      return std::same_as<S, bfloat16> ? variable(value) : value;
    };
    for (std::size_t j = 0; j < 8; ++j) {
      const A u1 = variable(A(1) - static_cast<A>(block[j]));
      const auto u2 = static_cast<double>(block[j + 8]);
      const A r = variable(std::sqrt(A(-2) * result(std::log(u1))));
      const A theta = variable(2 * std::numbers::pi * u2);
      block[j] = static_cast<S>(r * result(std::cos(theta)));
      block[j + 8] = static_cast<S>(r * result(std::sin(theta)));
    }
  }

  std::mt19937 engine_;
  std::optional<double> kept_;
};

// What of a GPU the numbers depend on: cudaDeviceProp::multiProcessorCount and
// maxThreadsPerMultiProcessor, e.g. {28, 1536} RTX 3060, {128, 1536} RTX 4090, {108, 2048} A100.
struct cuda_device {
  std::uint32_t multiprocessors;
  std::uint32_t threads_per_multiprocessor;
};

// torch.Generator("cuda")
class cuda_generator {
 public:
  cuda_generator(std::uint64_t seed, cuda_device device) : seed_(seed) {
    most_blocks_ =
        std::uint64_t{device.multiprocessors} * (device.threads_per_multiprocessor / block_size);
    detail::require(most_blocks_ > 0, "torch_random::cuda_generator", "multiprocessors",
                    device.multiprocessors,
                    "the GPU must have one at least, with 256 threads or more");
  }

  // torch.randn(..., device="cuda") of float, half or bfloat16.
  template <storage_scalar S>
  requires(!std::same_as<S, double>) void randn(std::span<S> out) {
    const std::uint64_t n = out.size();
    if (n == 0) return;
    const std::uint64_t blocks = (std::min)((n + block_size - 1) / block_size, most_blocks_);
    const std::uint64_t threads = blocks * block_size;
    const std::uint64_t rounds = (n - 1) / (threads * 4) + 1;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      for (std::uint64_t thread = 0; thread < threads; ++thread) {
        const std::uint64_t first = round * threads * 4 + thread;
        if (first >= n) break;
        const std::array<float, 4> z = normal4(offset_ / 4 + round, thread);
        for (std::uint64_t k = 0; k < 4 && first + k * threads < n; ++k) {
          out[static_cast<std::size_t>(first + k * threads)] = static_cast<S>(z[k]);
        }
      }
    }
    offset_ += rounds * 4;
  }

  // As the noise source of a run: a run asks for its draws in order, each once.
  template <class Request, storage_scalar S>
  void fill(const Request&, std::span<S> out) {
    randn(out);
  }

 private:
  static constexpr std::uint64_t block_size = 256;

  // curand_normal4: the sine comes first.
  std::array<float, 4> normal4(std::uint64_t counter, std::uint64_t thread) const {
    const philox_counter x =
        philox4x32({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                    static_cast<std::uint32_t>(thread), static_cast<std::uint32_t>(thread >> 32)},
                   {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
    std::array<float, 4> z;
    for (std::size_t pair = 0; pair < 4; pair += 2) {
      constexpr float turn = 0x1p-32f * 2 * std::numbers::pi_v<float>;
      const float u = static_cast<float>(x[pair]) * 0x1p-32f + 0x1p-33f;
      const float v = static_cast<float>(x[pair + 1]) * turn + turn / 2;
      const float r = std::sqrt(-2 * std::log(u));
      z[pair] = r * std::sin(v);
      z[pair + 1] = r * std::cos(v);
    }
    return z;
  }

  std::uint64_t seed_;
  std::uint64_t most_blocks_;
  std::uint64_t offset_ = 0;
};

}  // namespace tweedie::torch_random
