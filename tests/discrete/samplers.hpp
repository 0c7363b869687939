// Every sampler of tokens, and a small batch to run them on.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "tweedie/discrete.hpp"

namespace tweedie::discrete::small_batch {

// Every sampler; `with` is given each with its name and alphabet.
template <class With>
void for_each_sampler(std::size_t vocabulary, const transition_chain& chain, const With& with) {
  const auto beyond = static_cast<token>(vocabulary);
  const alphabet masked{vocabulary, beyond}, plain{vocabulary, -1};
  const auto times = even_times(4);
  const auto grid = [&](const token_rates& rates, const alphabet& symbols) {
    return make_token_grid(log_linear{}, rates, symbols, times);
  };
  with("ancestral, masks", ancestral(grid(absorbing_rates, masked)), masked);
  if (vocabulary > 3) {
    const alphabet inside{vocabulary - 1, 2};
    with("ancestral, a mask inside", ancestral(grid(absorbing_rates, inside)), inside);
  }
  with("ancestral, uniform", ancestral(grid(uniform_rates, plain)), plain);
  with("ancestral, matrices", ancestral(chain), plain);
  with("remasking", remasking(grid(absorbing_rates, masked)), masked);
  with("DDIM", discrete_ddim(grid(uniform_rates, plain), 0.7), plain);
  with("leaps", tau_leaping(grid(absorbing_rates, masked)), masked);
  with("leaps by ratios", tau_leaping(grid(uniform_rates, plain), rate_network::log_ratios), plain);
  with("trapezoidal", trapezoidal(log_linear{}, uniform_rates, plain, times, 0.4), plain);
  with("trapezoidal, masks", trapezoidal(log_linear{}, absorbing_rates, masked, times), masked);
  with("uniformisation", uniformisation(log_linear{}, uniform_rates, plain, times), plain);
  with("uniformisation, masks", uniformisation(log_linear{}, absorbing_rates, masked, times),
       masked);
  with("first hitting", first_hitting(log_linear{}, masked), masked);
  const std::vector<double> even(vocabulary, 1 / static_cast<double>(vocabulary));
  with("flow", discrete_flow(polynomial_path{2}, {0.1, 0.5, 1}, 0.5, even), plain);
  with("unmasking",
       unmasking{.mask = beyond, .steps = 2, .order = unmasking_order::entropy, .block_length = 2},
       masked);
  with("unmasking, bounded entropy",
       unmasking{.mask = beyond,
                 .order = unmasking_order::random,
                 .entropy_bound = 1.3,
                 .block_length = 3},
       masked);
}
template <class With>
void for_each_sampler(const With& with) {
  static const transition_chain chain(
      {gaussian_matrix(5, 0.3, 4), nearest_neighbour_matrix(5, 0.4), gaussian_matrix(5, 0.9, 4)});
  for_each_sampler(5, chain, with);
}

constexpr std::size_t items = 3, length = 6, vocabulary = 5;

// Logits that depend on an item's tokens and its time alone.
template <class Run>
void some_network(Run& run) {
  const auto logits = run.logits();
  const auto x = run.tokens();
  const std::size_t count = x.size() / length;
  for (std::size_t item = 0; item < count; ++item)
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t k = 0; k < vocabulary; ++k) {
        double sum = run.network_time(item);
        for (std::size_t j = 0; j < length; ++j)
          sum += static_cast<double>(x[item * length + j]) *
                 std::sin(static_cast<double>(j + 2 * i + 3 * k));
        logits[(item * length + i) * vocabulary + k] =
            static_cast<std::remove_reference_t<decltype(logits[0])>>(
                static_cast<float>(2 * std::sin(sum)));
      }
}

template <class T>
std::vector<T> start_of(const alphabet& symbols) {
  std::vector<T> x(items * length);
  for (std::size_t r = 0; r < x.size(); ++r)
    x[r] =
        symbols.mask >= 0 && r % 5 != 1 ? symbols.mask : static_cast<T>(r * r % symbols.ordinary);
  return x;
}

}  // namespace tweedie::discrete::small_batch
