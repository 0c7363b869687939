// Samplers of tokens on logits of any numbers: refused with nothing changed, or tokens of the vocabulary at the
// end, and the same ones when it is done again.
#include <cstdint>
#include <vector>

#include "fuzz/bytes.hpp"
#include "tweedie/discrete.hpp"

namespace {

using namespace tweedie;
using namespace tweedie::discrete;

constexpr std::size_t vocabulary = 5;

struct outcome {
  bool finished = false;
  std::vector<token> tokens;
};

template <class Sampler>
outcome run_once(const Sampler& sampler, std::vector<token> tokens, std::size_t items,
                 const std::vector<float>& numbers, std::uint64_t seed) {
  outcome out;
  std::vector<token> before = tokens;
  std::size_t calls = 0;
  out.finished = fuzz::accepted([&] {
    token_sampling run(sampler, token_batch{tokens, items}, vocabulary, counter_uniform{seed});
    try {
      while (run.next()) {
        before = tokens;
        std::size_t i = calls;
        for (float& v : run.logits()) v = numbers.empty() ? 0.0f : numbers[i++ % numbers.size()];
        if (++calls > 300) break;  // jumps at random times have no greatest number
      }
    } catch (const std::exception&) {
      fuzz::expect(tokens == before, "a step that is refused has changed nothing");
      throw;
    }
  });
  out.tokens = std::move(tokens);
  return out;
}

template <class Sampler>
void check(const Sampler& sampler, token mask, fuzz::bytes& in) {
  const std::size_t items = 1 + in.below(3), length = in.below(7);
  std::vector<token> tokens(items * length);
  for (token& t : tokens)
    t = mask >= 0 && in.below(3) != 1
            ? mask
            : static_cast<token>(in.below(vocabulary + (in.below(32) == 1 ? 3 : 0)));
  if (in.below(32) == 1 && !tokens.empty()) tokens[0] = -static_cast<token>(in.byte());
  std::vector<float> numbers(in.below(40));
  const bool wild = in.below(4) == 1;
  for (float& v : numbers)
    v = wild ? static_cast<float>(in.number()) : static_cast<float>(8 * in.unit() - 4);
  const std::uint64_t seed = in.byte();
  const outcome one = run_once(sampler, tokens, items, numbers, seed);
  const outcome two = run_once(sampler, tokens, items, numbers, seed);
  fuzz::expect(one.finished == two.finished && one.tokens == two.tokens, "the same tokens twice");
  if (one.finished)
    for (const token t : one.tokens)
      fuzz::expect(t >= 0 && (static_cast<std::size_t>(t) < vocabulary || t == mask),
                   "tokens of the vocabulary");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::bytes in(data, size);
  const std::size_t which = in.below(6);
  const std::vector<double> times{1, 0.6, 0.25, 0};
  const alphabet plain{vocabulary, -1}, masked{vocabulary - 1, static_cast<token>(vocabulary) - 1};
  switch (which) {
    case 0:
    case 1: {
      unmasking u{.mask = static_cast<token>(in.below(2) == 1 ? 5 : in.below(8)),
                  .steps = in.below(6),
                  .order = static_cast<unmasking_order>(in.below(4)),
                  .block_length = in.below(5),
                  .first = in.below(4)};
      u.rule = {.temperature = in.number(),
                .top_k = in.below(7),
                .top_p = in.number(),
                .by_gumbel = in.flag(),
                .judged_as_drawn = in.flag()};
      if (in.below(4) == 1) u.entropy_bound = in.number();
      check(u, u.mask, in);
      break;
    }
    case 2: check(trapezoidal(log_linear{}, uniform_rates, plain, times, 0.4), -1, in); break;
    case 3:
      check(trapezoidal(log_linear{}, absorbing_rates, masked, times), masked.mask, in);
      break;
    case 4:
      check(uniformisation(log_linear{}, absorbing_rates, masked, times), masked.mask, in);
      break;
    default: check(first_hitting(log_linear{}, masked), masked.mask, in);
  }
  return 0;
}
