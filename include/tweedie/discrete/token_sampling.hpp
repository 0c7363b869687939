// One run of a sampler of tokens, the caller owning the loop.
//
//   token_sampling run(unmasking{.mask = mask, .steps = 64}, token_batch{tokens, items}, vocabulary,
//                      counter_uniform{seed});
//   while (run.next()) engine.run(tokens, run.logits());        // one row per token
//
// The tokens are the caller's and change in place; so may the logits be: give their memory. What is
// done to an item depends on that item, its number and the seed alone, so that any split of a batch
// gives the same tokens. A step that throws has changed nothing.
//
// A sampler is a value with
//   progress                                     all that changes during a run, a plain value with
//                                                `step`, the number of evaluations done
//   begin(batch, vocabulary, source) -> progress    checks its settings and the tokens
//   finished(progress) -> bool
//   network_time(progress, item) -> double       what the network may be told
//   step(progress, batch, logits, source, memory)   reads the logits, writes tokens last
// unmasking.hpp, leg_sampler.hpp, trapezoidal.hpp, uniformisation.hpp, first_hitting.hpp and chain_sampler.hpp
// have them.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/discrete/proposal.hpp"
#include "tweedie/discrete/random.hpp"
#include "tweedie/discrete/row_reader.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// What steps need besides tokens and logits; kept from step to step.
template <storage_scalar S>
struct token_memory {
  row_reader reader;
  proposer propose;
  std::vector<token> next;  ///< tokens before they are written
  // Of samplers that need two evaluations a step:
  std::vector<S> first_logits;
  std::vector<token> first_tokens;
};

/// What `token_sampling` runs: where it is (`progress`), whether it is done, and what the network is told.
template <class P>
concept token_sampler = std::copyable<typename P::progress> &&
    requires(const P& p, const typename P::progress& at) {
  { p.finished(at) } -> std::convertible_to<bool>;
  { p.network_time(at, std::size_t{}) } -> std::convertible_to<double>;
  { at.step } -> std::convertible_to<std::size_t>;
};

/// The progress of a sampler whose items go on at their own pace.
template <class Place>
struct item_progress {
  std::size_t step = 0;
  std::vector<Place> items;

  friend bool operator==(const item_progress&, const item_progress&) = default;
};

/// A run between two evaluations, enough to resume it.
template <token_sampler Sampler, storage_scalar S, token_integer T>
struct saved_tokens {
  typename Sampler::progress at;
  std::vector<T> tokens;
  std::vector<S> first_logits;  ///< empty but for samplers with two evaluations a step
  std::vector<token> first_tokens;
};

/// A run over the caller's tokens and logits, pulled one network call at a time as `sampling` is.
template <token_sampler Sampler, storage_scalar S = float, token_integer T = token,
          uniform_source Source = counter_uniform>
class token_sampling {
 public:
  /// \param logits memory of tokens x vocabulary logits, the network's.
  /// \throws std::invalid_argument for no tokens, logits of another size, tokens out of range, and what the
  ///   sampler refuses.
  token_sampling(Sampler sampler, token_batch<T> x, std::span<S> logits, std::size_t vocabulary,
                 Source source = {})
      : sampler_(std::move(sampler)),
        x_(x),
        vocabulary_(vocabulary),
        given_(logits),
        source_(std::move(source)) {
    begin();
  }
  /// The run keeps the logits.
  token_sampling(Sampler sampler, token_batch<T> x, std::size_t vocabulary, Source source = {})
      : sampler_(std::move(sampler)),
        x_(x),
        vocabulary_(vocabulary),
        own_(x.tokens.size() * vocabulary),
        source_(std::move(source)) {
    begin();
  }

  /// Does the step that the logits decide, if they were asked for; false when the run is finished.
  /// \throws std::invalid_argument for tokens out of range or logits that are no distribution; then
  ///   nothing has changed, and the step is done by the next call.
  bool next() {
    if (waiting_) {
      spare_ = at_;
      sampler_.step(spare_, x_, logits_view<S>(logits(), vocabulary_), source_, memory_);
      std::swap(at_, spare_);
    }
    waiting_ = !finished();
    return waiting_;
  }

  /// Where the network writes: a row of logits for each token.
  std::span<S> logits() { return own_.empty() ? given_ : std::span<S>(own_); }
  std::span<T> tokens() const { return x_.tokens; }
  /// The time at which an item stands.
  double network_time(std::size_t item = 0) const { return sampler_.network_time(at_, item); }
  bool finished() const { return sampler_.finished(at_); }
  /// Evaluations whose logits were used.
  std::size_t steps_done() const { return at_.step; }
  const typename Sampler::progress& progress() const { return at_; }

  saved_tokens<Sampler, S, T> saved() const {
    return {at_, {x_.tokens.begin(), x_.tokens.end()}, memory_.first_logits, memory_.first_tokens};
  }
  /// Goes on from there, in this run or another of the same sampler and shape: its tokens are
  /// written, and `next` asks for their logits.
  /// \throws std::invalid_argument for another number of tokens.
  void resume(const saved_tokens<Sampler, S, T>& from) {
    detail::require_equal("token_sampling::resume", "tokens", from.tokens.size(), x_.tokens.size());
    saved_tokens<Sampler, S, T> kept = from;
    std::copy(kept.tokens.begin(), kept.tokens.end(), x_.tokens.begin());
    at_ = std::move(kept.at);
    memory_.first_logits = std::move(kept.first_logits);
    memory_.first_tokens = std::move(kept.first_tokens);
    waiting_ = false;
  }

 private:
  void begin() {
    if (x_.tokens.empty()) detail::fail("token_sampling", "tokens", 0, "valid: at least 1");
    detail::require_equal("token_sampling", "logits", logits().size(),
                          x_.tokens.size() * vocabulary_);
    at_ = sampler_.begin(x_, vocabulary_, source_);
  }

  Sampler sampler_;
  token_batch<T> x_;
  std::size_t vocabulary_;
  std::span<S> given_;
  std::vector<S> own_;
  Source source_;
  typename Sampler::progress at_, spare_;
  token_memory<S> memory_;
  bool waiting_ = false;
};

template <class Sampler, class T>
token_sampling(Sampler, token_batch<T>, std::size_t) -> token_sampling<Sampler, float, T>;
template <class Sampler, class T, class Source>
token_sampling(Sampler, token_batch<T>, std::size_t, Source)
    -> token_sampling<Sampler, float, T, Source>;
template <class Sampler, class T, class Logits>
token_sampling(Sampler, token_batch<T>, Logits&, std::size_t)
    -> token_sampling<Sampler, typename Logits::value_type, T>;
template <class Sampler, class T, class Logits, class Source>
token_sampling(Sampler, token_batch<T>, Logits&, std::size_t, Source)
    -> token_sampling<Sampler, typename Logits::value_type, T, Source>;

}  // namespace tweedie::discrete
