// One candidate for one position: which token, and how sure the network is of it.
//
// Temperature, top-k, top-p and Gumbel noise change what is drawn. How sure the network is, is
// judged on its own distribution at T = 1 (LLaDA), or on the one that is drawn from (Dream).
#pragma once

#include <cmath>
#include <cstdint>
#include <tuple>
#include <vector>

#include "tweedie/discrete/categorical.hpp"
#include "tweedie/discrete/filtered_row.hpp"
#include "tweedie/discrete/random.hpp"
#include "tweedie/discrete/row_reader.hpp"

namespace tweedie::discrete {

/// How a token is drawn from a row of logits.
struct token_rule {
  double temperature = 1;        ///< 0: the most likely token
  std::size_t top_k = 0;         ///< only the k most likely; 0: all
  double top_p = 1;              ///< after top_k, only the likeliest whose sum exceeds p
  bool by_gumbel = false;        ///< arg max of x - T log(-log u), one number a token; the same law
  bool judged_as_drawn = false;  ///< confidence after temperature and filters instead of before
};

/// \throws std::invalid_argument for a temperature below 0 or a top_p out of (0, 1].
inline void check(const char* function, const token_rule& rule) {
  detail::require(rule.temperature >= 0 && std::isfinite(rule.temperature), function, "temperature",
                  rule.temperature, "valid: finite, at least 0");
  detail::require(rule.top_p > 0 && rule.top_p <= 1, function, "top_p", rule.top_p,
                  "valid: in (0, 1]");
}

/// What a row of logits proposes, and how sure it is.
struct proposal {
  token choice = 0;
  double probability = 0;  ///< of `choice`
  double margin = 0;       ///< between the two most likely tokens
  double entropy = 0;      ///< nats
};

/// Draws proposals, keeping memory for rows.
class proposer {
 public:
  /// \param excluded a token that is never chosen and counts as impossible: the mask.
  /// \param where the request for a number: its step, item and index (the position).
  /// \param shape whether margin and entropy are wanted; without them reading is faster.
  /// \throws std::invalid_argument for rows that are no distribution, naming `function` and `row_number`.
  template <storage_scalar S, uniform_source Source>
  proposal operator()(const S* row, std::size_t vocabulary, token excluded, const token_rule& rule,
                      const Source& source, uniform_request where, const char* function,
                      std::size_t row_number, bool shape = true) {
    const bool greedy = rule.temperature == 0,
               filters = !greedy && (rule.top_k > 0 || rule.top_p < 1),
               as_drawn = rule.judged_as_drawn && !greedy && rule.temperature != 1;
    const auto judged = [&](token choice, const row_reading& by, double logit) {
      return proposal{choice, std::exp(by.log_probability(logit)), shape ? by.margin() : 0,
                      by.entropy};
    };
    if (as_drawn && !filters) {
      using A = arithmetic_t<S>;
      std::vector<A>& scaled = std::get<std::vector<A>>(scaled_);
      scaled.resize(vocabulary);
      const auto by = static_cast<A>(rule.temperature);
      for (std::size_t k = 0; k < vocabulary; ++k) scaled[k] = static_cast<A>(row[k]) / by;
      const row_reading own =
          reader_.read(scaled.data(), vocabulary, {.shape = shape, .excluded = {excluded, -1}},
                       function, row_number);
      const token choice = draw(scaled.data(), vocabulary, 1, rule, source, where);
      return judged(choice, own, static_cast<double>(scaled[static_cast<std::size_t>(choice)]));
    }
    const row_reading own =
        reader_.read(row, vocabulary,
                     {.temperature = greedy || (rule.by_gumbel && !filters) ? 1 : rule.temperature,
                      .shape = shape && !(filters && rule.judged_as_drawn),
                      .excluded = {excluded, -1}},
                     function, row_number);
    if (filters) {
      filtered_.keep(row, reader_, rule.top_k, rule.top_p);
      const std::size_t k = draw_filtered(vocabulary, rule, source, where);
      const token choice = filtered_.tokens()[k];
      if (!rule.judged_as_drawn)
        return judged(choice, own, static_cast<double>(row[static_cast<std::size_t>(choice)]));
      return judged(choice, filtered_.reading(), filtered_.logits()[k]);
    }
    const token choice =
        greedy ? reader_.best(row) : draw(row, vocabulary, rule.temperature, rule, source, where);
    return judged(choice, own, static_cast<double>(row[static_cast<std::size_t>(choice)]));
  }

 private:
  template <class S, class Source>
  token draw(const S* row, std::size_t vocabulary, double temperature, const token_rule& rule,
             const Source& source, uniform_request where) const {
    if (rule.by_gumbel)
      return static_cast<token>(race(
          vocabulary, vocabulary, temperature, source, where, [](std::size_t k) { return k; },
          [row](std::size_t k) { return static_cast<double>(row[k]); }));
    where.use = draw_use::choice;
    return reader_.sample(row, source(where));
  }

  // The index of the drawn one among those that filters leave.
  template <class Source>
  std::size_t draw_filtered(std::size_t vocabulary, const token_rule& rule, const Source& source,
                            uniform_request where) const {
    if (rule.by_gumbel)
      return race(
          filtered_.tokens().size(), vocabulary, 1, source, where,
          [this](std::size_t k) { return static_cast<std::size_t>(filtered_.tokens()[k]); },
          [this](std::size_t k) { return filtered_.logits()[k]; });
    where.use = draw_use::choice;
    return invert_distribution(filtered_.weights(), source(where));
  }

  // arg max of logit - T log(-log u), with the number of each token that is not excluded.
  template <class Source, class TokenOf, class LogitOf>
  std::size_t race(std::size_t count, std::size_t vocabulary, double temperature,
                   const Source& source, uniform_request where, const TokenOf& token_of,
                   const LogitOf& logit_of) const {
    const std::uint64_t first = where.index * vocabulary;
    where.use = draw_use::gumbel;
    double most = -INFINITY;
    std::size_t best = 0;
    for (std::size_t k = 0; k < count; ++k) {
      if (reader_.excludes(token_of(k))) continue;
      where.index = first + token_of(k);
      const double score = logit_of(k) + temperature * gumbel(source(where));
      if (score > most) {
        most = score;
        best = k;
      }
    }
    return best;
  }

  row_reader reader_;
  filtered_row filtered_;
  std::tuple<std::vector<float>, std::vector<double>> scaled_;
};

}  // namespace tweedie::discrete
