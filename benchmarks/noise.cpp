// Normal numbers, alone and inside a step.
#include <random>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/tensor/parallel.hpp"

namespace {

using namespace tweedie;
using comparison::pair;
using comparison::reach;

#if defined(__AVX512F__)
constexpr double over_standard = 7;
#else
constexpr double over_standard = 3;
#endif

// x <- a x + s z
void ancestral_step(streams<float>& m, std::size_t n, workers* threads = nullptr) {
  const float* const in[] = {m[0]};
  constexpr double weights[] = {0.99, 0.1};
  noisy_step(m[0], in, weights, n, threads);
}

template <class S>
void normals_row(const char* work, double target) {
  comparison::add({work, "std::normal_distribution on std::mt19937", reach::at_least, target}, [] {
    auto m = make_streams<S>(1, 1 << 16);
    auto generator = std::make_shared<std::mt19937>(1);
    auto law = std::make_shared<std::normal_distribution<S>>();
    return pair{[=] {
                  fill_normal<S>({1, 0, 0}, 0, m->tensors[0]);
                },
                [=] {
                  for (S& z : m->tensors[0]) z = (*law)(*generator);
                }};
  });
}

}  // namespace

void register_noise() {
  normals_row<float>("normals, float", over_standard);
  normals_row<double>("normals, double", 1);
  for (const std::size_t size : {std::size_t{1} << 16, std::size_t{1} << 24}) {
    comparison::add({"ancestral step, " + std::to_string(size >> 10) + " K", "noise alone",
                     reach::at_most, 1.10},
                    [size] {
                      auto m = make_streams<float>(1, size);
                      auto z = make_streams<float>(1, 1024);
                      return pair{[=] { ancestral_step(*m, size); },
                                  [=] {
                                    for (std::size_t i = 0; i < size; i += 1024) {
                                      fill_normal<float>({7, 0, 1}, i, z->tensors[0]);
                                    }
                                  }};
                    });
  }
  comparison::add({"ancestral step, 1 M, two threads", "one thread", reach::at_least, 1.85}, [] {
    auto m = make_streams<float>(1, 1 << 20);
    auto two = std::make_shared<workers>(2);
    return pair{[=] { ancestral_step(*m, 1 << 20, two.get()); },
                [=] { ancestral_step(*m, 1 << 20); }};
  });
}
