#include "tweedie/tensor/parallel.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace {

using namespace tweedie;

TEST(workers, do_every_piece_once) {
  for (const unsigned count : {1u, 2u, 5u}) {
    workers threads(count);
    EXPECT_EQ(threads.size(), count);
    for (const std::size_t n : {0u, 1u, 2u, 1000u}) {
      std::vector<int> done(n);
      threads.for_each(n, [&](std::size_t i) { ++done[i]; });
      EXPECT_EQ(done, std::vector<int>(n, 1));
    }
  }
}

TEST(workers, ranges_cover_everything) {
  workers threads(3);
  std::vector<int> done(1001);
  for_each_range(threads, done.size(), 10, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) ++done[i];
  });
  EXPECT_EQ(std::accumulate(done.begin(), done.end(), 0), 1001);
}

TEST(workers, exceptions_reach_the_caller_and_work_goes_on) {
  workers threads(3);
  EXPECT_THROW(threads.for_each(100,
                                [](std::size_t i) {
                                  if (i == 40) throw std::runtime_error("");
                                }),
               std::runtime_error);
  std::atomic<int> done = 0;
  threads.for_each(50, [&](std::size_t) { ++done; });
  EXPECT_EQ(done, 50);
  EXPECT_THROW(workers(0), std::invalid_argument);
}

TEST(workers, a_sum_has_the_same_bits_on_any_number_of_threads) {
  const std::size_t size = 100'003;
  std::vector<float> x(size), y(size), expected(size);
  for (std::size_t i = 0; i < size; ++i) {
    x[i] = static_cast<float>(i) / 7;
    y[i] = 1 / (1 + x[i]);
  }
  const float* const inputs[] = {x.data(), y.data()};
  const std::vector<double> weights{0.9, 0.1};
  float* const alone[] = {expected.data()};
  combine<float>(alone, inputs, weights, size);
  for (const unsigned count : {1u, 2u, 7u}) {
    std::vector<float> result(size);
    float* const outputs[] = {result.data()};
    workers threads(count);
    apply(summed_pass<float>{1, size, outputs, inputs, weights}, threads);
    EXPECT_EQ(result, expected);
  }
}

TEST(workers, a_stochastic_pass_has_the_same_bits_on_any_number_of_threads) {
  const std::size_t items = 3, item_size = 50'001;
  std::vector<float> x(items * item_size, 0.5f);
  const float* inputs[] = {x.data()};
  const std::vector<double> weights{0.9, 0.1};
  const pass_draw<float> draws[] = {{4}};
  const std::vector<noise_key> keys{{1, 0, 0}, {1, 1, 0}, {1, 2, 0}};
  std::vector<std::vector<float>> results;
  for (const unsigned count : {1u, 2u, 3u, 7u}) {
    results.emplace_back(x.size());
    float* outputs[] = {results.back().data()};
    const fused_pass<float> pass{{items, item_size, outputs, inputs, weights}, {}, draws, keys};
    workers threads(count);
    apply(pass, threads);
    EXPECT_EQ(results.back(), results.front());
  }
}

}  // namespace
