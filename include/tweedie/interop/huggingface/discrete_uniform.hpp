// Hugging Face's schedulers of tokens that are replaced at random: DiscreteDDIMScheduler and
// EntropyBoundScheduler, with the reference's numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tweedie/discrete/order.hpp"
#include "tweedie/discrete/proposal.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::huggingface {

using discrete::token;

/// Which positions a corrector resamples first.
enum class corrector_selection { lowest_log_margin, lowest_maxprob, lowest_current_prob, random };

/// DiscreteDDIMScheduler: the exact posterior of uniform corruption with survival i / steps, drawn as
/// one of three routes, and a Gibbs corrector.
struct discrete_ddim_scheduler {
  std::size_t steps = 32;
  std::size_t corrector_steps = 0;
  std::size_t corrector_k = 1;
  corrector_selection selection = corrector_selection::lowest_log_margin;
  double selection_tau = 1;

  struct result {
    std::vector<token> tokens;  ///< what was drawn
    std::vector<double>
        probabilities;  ///< of it: of the network without temperature; resampled: as drawn
    std::vector<double> weights;  ///< of the routes clean, stay, noise; resampled: of all tokens
  };

  /// Step `step` = 0 ... steps - 1 in place. Requests `choice` (unless temperature is 0), `route` and
  /// `replacement` numbers.
  /// \throws std::invalid_argument for a step, sizes, tokens or rows out of range; then nothing has
  ///   been written.
  template <storage_scalar S, discrete::token_integer T, discrete::uniform_source Source>
  result step(discrete::logits_view<S> logits, std::size_t step, discrete::token_batch<T> x,
              const Source& source, double temperature = 0) const {
    constexpr const char* name = "DiscreteDDIMScheduler.step";
    using discrete::draw_use;
    check(name, logits, step, x);
    const discrete::token_rule rule{temperature, 0, 1, false, false};
    discrete::check(name, rule);
    const double n = static_cast<double>(steps), k = static_cast<double>(logits.vocabulary());
    const double alpha_t = static_cast<double>(step) / n,
                 alpha_s = static_cast<double>(step + 1) / n;
    const double survival = alpha_t / alpha_s;
    result out;
    std::vector<T> next(x.tokens.begin(), x.tokens.end());
    discrete::proposer propose;
    for (std::size_t r = 0; r < next.size(); ++r) {
      const discrete::proposal p = propose(logits.row(r), logits.vocabulary(), -1, rule, source,
                                           x.request(r, step, draw_use::choice), name, r, false);
      double routes[3] = {
          alpha_s * (1 - survival) / k + (x.tokens[r] == p.choice ? survival * alpha_s : 0),
          survival * (1 - alpha_s) / k, (1 - survival) * (1 - alpha_s) / k};
      const double sum = routes[0] + routes[1] + routes[2];
      for (double& w : routes) w /= sum;
      const std::size_t route =
          discrete::invert_distribution(routes, source(x.request(r, step, draw_use::route)));
      if (route == 0) next[r] = p.choice;
      if (route == 2)
        next[r] = static_cast<token>(discrete::below(
            logits.vocabulary(), source(x.request(r, step, draw_use::replacement))));
      out.tokens.push_back(p.choice);
      out.probabilities.push_back(p.probability);
      out.weights.insert(out.weights.end(), routes, routes + 3);
    }
    std::copy(next.begin(), next.end(), x.tokens.begin());
    return out;
  }

  /// Resamples corrector_k positions of each item from their conditional, after step `step`, with
  /// logits of the tokens as they are. Requests `order` numbers, then `choice`, index the rank.
  /// \throws std::invalid_argument likewise, and after the last step, where the conditional is not
  ///   defined (the reference: math domain error).
  template <storage_scalar S, discrete::token_integer T, discrete::uniform_source Source>
  result correct(discrete::logits_view<S> logits, std::size_t step, discrete::token_batch<T> x,
                 const Source& source) const {
    constexpr const char* name = "DiscreteDDIMScheduler.step_correct";
    using discrete::draw_use;
    check(name, logits, step, x);
    if (step + 1 >= steps)
      tweedie::detail::fail(name, "step", static_cast<double>(step),
                            "valid: before the last, " + std::to_string(steps - 1));
    const double alpha = static_cast<double>(step + 1) / static_cast<double>(steps);
    const std::size_t k = logits.vocabulary(), length = x.length();
    const double log_uniform = std::log1p(-alpha) - std::log(static_cast<double>(k));
    std::vector<double> conditional(x.tokens.size() * k), row(k);
    std::vector<double> keys(x.tokens.size());
    for (std::size_t r = 0; r < keys.size(); ++r) {
      for (std::size_t y = 0; y < k; ++y) row[y] = static_cast<double>(logits.row(r)[y]);
      leave_one_out(row, static_cast<token>(x.tokens[r]), alpha);
      const std::span<double> own(conditional.data() + r * k, k);
      discrete::log_softmax(std::span<const double>(row), own, name, r);
      double most = -INFINITY, other = -INFINITY;
      for (std::size_t y = 0; y < k; ++y) {
        const double kept = std::log(alpha) + own[y];
        const double larger = (std::max)(kept, log_uniform),
                     smaller = (std::min)(kept, log_uniform);
        own[y] = larger + std::log1p(std::exp(smaller - larger));
        most = (std::max)(most, own[y]);
        if (static_cast<token>(y) != x.tokens[r]) other = (std::max)(other, own[y]);
      }
      const double here = own[static_cast<std::size_t>(x.tokens[r])];
      const double u = source(x.request(r, step, draw_use::order));
      const double doubt = selection == corrector_selection::lowest_maxprob        ? -most
                           : selection == corrector_selection::lowest_current_prob ? -here
                                                                                   : other - here;
      keys[r] = selection == corrector_selection::random
                    ? u
                    : doubt / selection_tau + discrete::gumbel(std::clamp(u, 1e-12, 1.0 - 1e-12));
    }
    result out;
    std::vector<T> next(x.tokens.begin(), x.tokens.end());
    const std::size_t count = (std::min)(std::max<std::size_t>(1, corrector_k), length);
    for (std::size_t item = 0; item < x.items; ++item) {
      const auto order =
          discrete::ranked(std::span<const double>(keys).subspan(item * length, length));
      for (std::size_t j = 0; j < count; ++j) {
        const std::size_t r = item * length + order[j];
        std::vector<double> weights(k);
        for (std::size_t y = 0; y < k; ++y) weights[y] = std::exp(conditional[r * k + y]);
        const std::size_t drawn = discrete::invert_distribution(
            weights, source(x.request(item * length + j, step, draw_use::choice)));
        next[r] = static_cast<token>(drawn);
        out.tokens.push_back(static_cast<token>(drawn));
        out.probabilities.push_back(weights[drawn]);
        out.weights.insert(out.weights.end(), weights.begin(), weights.end());
      }
    }
    std::copy(next.begin(), next.end(), x.tokens.begin());
    return out;
  }

  /// From logits of p(x_0 | x_t) to those without what the token itself tells: its own logit less
  /// log(1 + K alpha / (1 - alpha)); unchanged for alpha outside (0, 1).
  static void leave_one_out(std::span<double> logits, token x, double alpha) {
    if (!(alpha > 0 && alpha < 1)) return;
    logits[static_cast<std::size_t>(x)] -=
        std::log1p(static_cast<double>(logits.size()) * alpha / (1 - alpha));
  }

 private:
  template <class S, class T>
  void check(const char* name, const discrete::logits_view<S>& logits, std::size_t step,
             const discrete::token_batch<T>& x) const {
    discrete::detail::require_equal(name, "logits' rows", logits.rows(), x.tokens.size());
    discrete::detail::require_tokens(name, x.tokens, logits.vocabulary());
    if (step >= steps)
      tweedie::detail::fail(name, "step", static_cast<double>(step),
                            "valid: below " + std::to_string(steps));
  }
};

/// EntropyBoundScheduler: keeps the tokens of least entropy whose joint entropy is bounded, and
/// replaces the others.
struct entropy_bound_scheduler {
  double entropy_bound = 0.1;
  std::size_t steps = 32;
  double t_min = 0.4, t_max = 0.8;

  struct result {
    std::vector<bool> accepted;
    std::vector<token> tokens;
    std::vector<double> probabilities, entropies;  ///< after temperature
  };

  /// Temperature of step `step` = 0 ... steps - 1.
  /// \throws std::invalid_argument for a step out of range.
  double temperature(std::size_t step) const {
    if (step >= steps)
      tweedie::detail::fail("EntropyBoundScheduler.temperature", "step", static_cast<double>(step),
                            "valid: below " + std::to_string(steps));
    return t_min + (t_max - t_min) * static_cast<double>(steps - step) / static_cast<double>(steps);
  }

  /// One step in place. Requests `choice` numbers (unless temperature is 0), then `replacement`.
  /// \throws std::invalid_argument for sizes, tokens or rows out of range; then nothing has been
  ///   written.
  template <storage_scalar S, discrete::token_integer T, discrete::uniform_source Source>
  result step(discrete::logits_view<S> logits, std::size_t step, discrete::token_batch<T> x,
              const Source& source, double temperature, double bound) const {
    constexpr const char* name = "EntropyBoundScheduler.step";
    using discrete::draw_use;
    const discrete::token_rule rule{temperature, 0, 1, false, true};
    discrete::check(name, rule);
    discrete::detail::require_equal(name, "logits' rows", logits.rows(), x.tokens.size());
    discrete::detail::require_tokens(name, x.tokens, logits.vocabulary());
    result out;
    out.accepted.resize(x.tokens.size());
    discrete::proposer propose;
    const std::size_t length = x.length();
    for (std::size_t r = 0; r < x.tokens.size(); ++r) {
      const discrete::proposal p = propose(logits.row(r), logits.vocabulary(), -1, rule, source,
                                           x.request(r, step, draw_use::choice), name, r);
      out.tokens.push_back(p.choice);
      out.probabilities.push_back(p.probability);
      out.entropies.push_back(p.entropy);
    }
    for (std::size_t item = 0; item < x.items; ++item) {
      std::vector<double> surety(length);
      for (std::size_t i = 0; i < length; ++i) surety[i] = -out.entropies[item * length + i];
      discrete::entropy_budget budget(bound);
      for (const std::size_t i : discrete::ranked(surety)) {
        if (!budget.takes(-surety[i])) break;
        out.accepted[item * length + i] = true;
      }
    }
    for (std::size_t r = 0; r < x.tokens.size(); ++r)
      x.tokens[r] =
          out.accepted[r]
              ? out.tokens[r]
              : static_cast<token>(discrete::below(
                    logits.vocabulary(), source(x.request(r, step, draw_use::replacement))));
    return out;
  }
};

}  // namespace tweedie::huggingface
