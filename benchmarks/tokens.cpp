// An unmasking step against reading its logits once.
#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/discrete/unmasking.hpp"

namespace {

using namespace tweedie;
using comparison::pair;
using comparison::reach;

constexpr std::size_t positions = 1024, vocabulary = 32'000;

// The largest logit: one reading, with next to no arithmetic.
[[gnu::noinline]] float read_once(const float* x, std::size_t n) {
  using packet = detail::packet<float>;
  constexpr std::size_t lanes = detail::lanes<float>;
  packet most[4];
  for (std::size_t p = 0; p < 4; ++p) most[p] = detail::load(x + p * lanes);
  for (std::size_t i = 0; i < n; i += 4 * lanes)
    for (std::size_t p = 0; p < 4; ++p)
      most[p] = detail::maximum(most[p], detail::load(x + i + p * lanes));
  float lane[lanes];
  Eigen::internal::pstoreu(
      lane, detail::maximum(detail::maximum(most[0], most[1]), detail::maximum(most[2], most[3])));
  return *std::max_element(lane, lane + lanes);
}

void unmasking_step(const char* name, discrete::unmasking_order order, double temperature) {
  comparison::add({name, "reading the logits once", reach::at_most, 1.3}, [=] {
    auto logits = make_streams<float>(1, positions * vocabulary);
    auto tokens = std::make_shared<std::vector<discrete::token>>(positions);
    auto memory = std::make_shared<std::span<float>>((*logits)[0], positions * vocabulary);
    auto largest = std::make_shared<float>();
    const discrete::token mask = vocabulary;
    discrete::unmasking plan;
    plan.mask = mask;
    plan.steps = 64;
    plan.order = order;
    plan.rule.temperature = temperature;
    return pair{[=] {
                  std::fill(tokens->begin(), tokens->end(), mask);
                  discrete::token_sampling run(plan, discrete::token_batch{*tokens}, *memory,
                                               vocabulary, discrete::counter_uniform{1});
                  run.next();
                  run.next();
                },
                [=] { *largest = read_once((*logits)[0], positions * vocabulary); }};
  });
}

}  // namespace

void register_tokens() {
  using enum discrete::unmasking_order;
  unmasking_step("unmasking step by confidence, 1024 x 32000, drawn", confidence, 1);
  unmasking_step("unmasking step by confidence, 1024 x 32000, greedy", confidence, 0);
  unmasking_step("unmasking step by confidence, 1024 x 32000, T = 0.7", confidence, 0.7);
  unmasking_step("unmasking step by margin, 1024 x 32000, drawn", margin, 1);
  unmasking_step("unmasking step by entropy, 1024 x 32000, drawn", entropy, 1);
  unmasking_step("unmasking step in random order, 1024 x 32000, drawn", random, 1);
}
