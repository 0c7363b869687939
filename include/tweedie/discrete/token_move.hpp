// One step of one token in four ways: it stays, becomes another token that the network proposes,
// another one at random, or the mask.
//
// Posteriors, leaps, remasking and DDIM of uniform and absorbing corruption all are of this form, so a
// step reads a row of logits once and never writes a row of probabilities; a row that decides nothing
// is not read.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>

#include "tweedie/discrete/row_reader.hpp"
#include "tweedie/discrete/token_kernel.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// Probabilities of the four ways.
struct token_move {
  double stay = 0;     ///< a masked token stays masked
  double clean = 0;    ///< becomes y != x, in proportion to the network's exp(logit)
  double uniform = 0;  ///< becomes any ordinary y != x
  double mask = 0;     ///< an ordinary token is masked
};

/// One position and its row of logits, which is read when something of it is asked for.
template <class S>
class token_position {
 public:
  token_position(const S* row, std::size_t count, const alphabet& symbols, token x,
                 row_reader& reader, const char* function, std::size_t number)
      : row_(row),
        count_(count),
        symbols_(symbols),
        x_(x),
        reader_(reader),
        function_(function),
        number_(number) {}

  token x() const { return x_; }
  bool masked() const { return symbols_.masked(x_); }
  /// log sum of exp(logit) over all ordinary y != x; -inf where none is possible.
  double log_others() {
    if (!others_)
      others_ =
          reader_
              .read(row_, count_, {.excluded = {symbols_.mask, x_}, .may_be_nothing = !masked()},
                    function_, number_)
              .log_sum;
    return *others_;
  }
  /// softmax(logits) of x among the ordinary tokens, and of all others: here + elsewhere = 1.
  double here() { return masked() ? 0 : 1 / (1 + std::exp(log_odds_of_others())); }
  double elsewhere() { return masked() ? 1 : 1 / (1 + std::exp(-log_odds_of_others())); }
  /// An ordinary y != x in proportion to exp(logit).
  token draw(double u) { return log_others() == -INFINITY ? x_ : reader_.sample(row_, u); }

 private:
  double log_odds_of_others() {
    const double own = static_cast<double>(row_[static_cast<std::size_t>(x_)]);
    if (detail::is_no_logit(own)) detail::refuse_logit(function_, number_, own);
    const double others = log_others();
    if (own == -INFINITY && others == -INFINITY) detail::refuse_row(function_, number_);
    return others - own;
  }

  const S* row_;
  std::size_t count_;
  alphabet symbols_;
  token x_;
  row_reader& reader_;
  const char* function_;
  std::size_t number_;
  std::optional<double> others_;
};

/// Draws where the token goes. Requests a `route` number unless it stays for certain, then a `choice`
/// or a `replacement`.
template <class S, uniform_source Source>
token moved(token_position<S>& at, const alphabet& symbols, const token_move& move,
            const Source& source, uniform_request where) {
  if (move.clean + move.uniform + move.mask <= 0) return at.x();
  where.use = draw_use::route;
  double u = source(where) * (move.stay + move.clean + move.uniform + move.mask);
  if (u < move.stay) return at.x();
  u -= move.stay;
  if (u < move.mask) return symbols.mask;
  u -= move.mask;
  if (u < move.uniform || move.clean <= 0) {
    where.use = draw_use::replacement;
    const std::size_t others = symbols.ordinary - (at.masked() ? 0 : 1);
    auto y = static_cast<token>(below(others, source(where)));
    // Numbers without the mask and x, from the smaller one up.
    const token low = at.masked() ? symbols.mask : (std::min)(symbols.mask, at.x());
    const token high = at.masked() ? -1 : (std::max)(symbols.mask, at.x());
    if (low >= 0 && y >= low) ++y;
    if (high >= 0 && y >= high) ++y;
    return y;
  }
  where.use = draw_use::choice;
  return at.draw(source(where));
}

/// The exact posterior p(x_s | x_t), with p(x_0 | x_t) the network's (Austin et al. 2021): `reverse` of
/// token_kernel.hpp in closed form.
/// \param to_s,step kernels from 0 to s and from s to t.
template <class S>
token_move posterior_move(const token_kernel& to_s, const token_kernel& step,
                          const alphabet& symbols, token_position<S>& at) {
  const token_kernel to_t = compose(to_s, step);
  if (at.masked()) {
    detail::require(to_t.mask > 0, "posterior_move", "token", at.x(),
                    "valid: no mask where nothing is masked");
    return {to_s.mask / to_t.mask, step.mask * to_s.keep / to_t.mask,
            step.mask * to_s.uniform / to_t.mask, 0};
  }
  const auto k = static_cast<double>(symbols.ordinary);
  // Probabilities of y -> x: of x itself, and of each other token.
  const double other_t = to_t.uniform / k, own_t = to_t.keep + other_t;
  const double other = step.uniform / k, own = step.keep + other;
  if (other_t == 0) return {1, 0, 0, 0};
  const double here = at.here() / own_t, elsewhere = at.elsewhere() / other_t;
  const double noise = to_s.uniform / k * (here + elsewhere);
  return {own * (to_s.keep * here + noise), other * to_s.keep * elsewhere, (k - 1) * other * noise,
          0};
}

}  // namespace tweedie::discrete
