// A prepared program with memory: carries out its passes, one at a time, for whoever knows which is
// next (solve/sampling.hpp).
//
// The usual pass, a few sums of a few streams, is a call of one loop over memory (tensor/weigh.hpp)
// with arguments that were found when it was first carried out; one that clips, draws or has many
// streams goes through tensor/fused_pass.hpp. After construction nothing is allocated.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "tweedie/solve/noise.hpp"
#include "tweedie/solve/prepared.hpp"
#include "tweedie/tensor/fused_pass.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie {

/// The x0 estimate is used as it is.
struct unchanged {};

/// The x0 estimate is clipped to [low, high], elementwise, inside the pass that uses it.
struct clip {
  double low = -1;
  double high = 1;
};

namespace detail {

template <class Transform>
inline constexpr clean_source clean_source_of =
    std::is_same_v<Transform, unchanged> ? clean_source::folded
    : std::is_same_v<Transform, clip>    ? clean_source::head
                                         : clean_source::buffer;

template <storage_scalar S, class Noise, class Transform>
class execution {
 public:
  static constexpr clean_source clean_from = clean_source_of<Transform>;
  static constexpr draw_source draws_from =
      counter_noise<Noise> ? draw_source::inside : draw_source::buffer;

  /// For states of `size` elements in `items` items. There is at least one branch weight.
  execution(std::shared_ptr<const bound_program> plan, std::size_t size, std::size_t items,
            Noise noise, Transform transform, std::vector<double> branch_weights)
      : prepared_(std::make_shared<const prepared_program>(
            std::move(plan), size, sizeof(S), branch_weights.size(), clean_from, draws_from)),
        noise_(std::move(noise)),
        transform_(std::move(transform)),
        factors_(std::move(branch_weights)),
        size_(size),
        items_(items),
        memory_(prepared_->memory(), S(0)) {
    factors_.insert(factors_.begin(), 1);
    std::size_t inputs = 0, outputs = 0, weights = 0, draws = 0;
    for (std::size_t s = 0; s < prepared_->stages(); ++s) {
      const prepared_pass& p = prepared_->pass(s);
      inputs = std::max(inputs, p.inputs.size());
      outputs = std::max(outputs, p.outputs.size());
      weights = std::max(weights, p.weights.size());
      draws = std::max(draws, p.draws.size());
    }
    calls_.resize(prepared_->stages());
    inputs_.resize(inputs);
    outputs_.resize(outputs);
    weights_.resize(weights);
    head_.resize(inputs);
    draws_.resize(draws);
    clean_inputs_.resize(factors_.size());
    clean_weights_.resize(factors_.size());
    if constexpr (draws_from == draw_source::inside)
      if (!prepared_->plan().draws.empty())
        for (std::size_t i = 0; i < items_; ++i) keys_.push_back(noise_.key(i));
  }

  const prepared_program& prepared() const { return *prepared_; }
  std::size_t size() const { return size_; }
  std::size_t items() const { return items_; }
  S* at(std::size_t offset) { return memory_.data() + offset; }
  const S* at(std::size_t offset) const { return memory_.data() + offset; }

  std::span<const double> branch_weights() const { return std::span(factors_).subspan(1); }
  void set_branch_weights(std::span<const double> weights) {
    std::copy(weights.begin(), weights.end(), factors_.begin() + 1);
    forget_calls();
  }

  /// Later passes are shared out among `threads`.
  template <class Workers>
  void use(Workers& threads) {
    workers_ = &threads;
    apply_ = [](const pass_type& work, void* with) { apply(work, *static_cast<Workers*>(with)); };
    forget_calls();
  }

  void scale_input(const bound_stage& now) {
    const S* from = at(prepared_->reg(now.state));
    S* to = at(prepared_->input());
    combine<S>(std::span(&to, 1), std::span(&from, 1), std::span(&now.input_scale, 1), size_);
  }

  /// The x0 estimate of `now`, whose output has been written, before any transform.
  void write_clean(const bound_stage& now, S* to) const;

  /// The pass of a stage, whose output has been written if it evaluates.
  void pass(std::size_t stage) {
    loop_call& call = calls_[stage];
    if ((call.loop && call.memory == memory_.data()) || find_call(call, prepared_->pass(stage)))
      call.loop(call.to, {call.from, nullptr, call.weights, call.streams, 0}, 0, size_);
    else
      fused(prepared_->pass(stage), prepared_->plan().stages[stage]);
  }

 private:
  // Runs that neither clip nor make noise do not compile what does.
  using pass_type =
      std::conditional_t<clean_from == clean_source::head || draws_from == draw_source::inside,
                         fused_pass<S>, summed_pass<S>>;

  // Arguments of a pass that is a few sums of a few streams, once found. They hold as long as
  // `memory` is this run's: a copy has to find its own.
  struct loop_call {
    static constexpr std::size_t most_streams = 6;

    weigh_loop<S, S> loop = nullptr;
    const S* memory = nullptr;
    std::size_t streams = 0;
    S* to[outputs_at_once];
    const S* from[most_streams];
    arithmetic_t<S> weights[most_streams * outputs_at_once];
  };

  bool find_call(loop_call& call, const prepared_pass& p);
  void forget_calls() {
    for (loop_call& call : calls_) call.loop = nullptr;
  }
  void make_draws(const prepared_pass& p);
  void fused(const prepared_pass& p, const bound_stage& now);

  std::shared_ptr<const prepared_program> prepared_;
  Noise noise_;
  Transform transform_;
  std::vector<double> factors_;  // 1, then the branch weights
  std::size_t size_;
  std::size_t items_;
  std::vector<S, Eigen::aligned_allocator<S>> memory_;

  void* workers_ = nullptr;
  void (*apply_)(const pass_type&, void*) = [](const pass_type& work, void*) {
    apply(work, {0, work.size()});
  };

  std::vector<loop_call> calls_;  // one per stage
  // Arguments of one pass of the other kind; sized at construction.
  std::vector<const S*> inputs_;
  std::vector<S*> outputs_;
  std::vector<double> weights_;
  std::vector<double> head_;
  std::vector<pass_draw<S>> draws_;
  std::vector<noise_key> keys_;
  mutable std::vector<const S*> clean_inputs_;
  mutable std::vector<double> clean_weights_;
};

// False if the pass is no call of one loop.
template <storage_scalar S, class Noise, class Transform>
bool execution<S, Noise, Transform>::find_call(loop_call& call, const prepared_pass& p) {
  const std::size_t columns = p.inputs.size();
  const std::size_t outputs = p.outputs.size();
  if (!p.sums_only || workers_ != nullptr || outputs == 0 || outputs > outputs_at_once ||
      columns > loop_call::most_streams)
    return false;
  std::size_t streams = 0;
  for (std::size_t i = 0; i < columns; ++i) {
    const double factor = factors_[p.inputs[i].branch];
    if (factor == 0) continue;
    call.from[streams] = at(p.inputs[i].offset);
    for (std::size_t j = 0; j < outputs; ++j)
      call.weights[streams * outputs + j] =
          static_cast<arithmetic_t<S>>(p.weights[j * columns + i] * factor);
    ++streams;
  }
  if (streams == 0) return false;
  for (std::size_t j = 0; j < outputs; ++j) call.to[j] = at(p.outputs[j]);
  call.streams = streams;
  call.loop = weigh_loop_for<S, S>(outputs, streams, 0);
  call.memory = memory_.data();
  return true;
}

template <storage_scalar S, class Noise, class Transform>
void execution<S, Noise, Transform>::write_clean(const bound_stage& now, S* to) const {
  clean_inputs_[0] = at(prepared_->reg(now.state));
  clean_weights_[0] = now.clean.x;
  for (std::size_t b = 1; b < factors_.size(); ++b) {
    clean_inputs_[b] = at(prepared_->output(b - 1));
    clean_weights_[b] = now.clean.y * factors_[b];
  }
  combine<S>(std::span(&to, 1), clean_inputs_, clean_weights_, size_);
}

template <storage_scalar S, class Noise, class Transform>
void execution<S, Noise, Transform>::make_draws(const prepared_pass& p) {
  using A = arithmetic_t<S>;
  for (std::size_t k = 0; k < p.draws.size(); ++k) {
    const int draw = p.draws[k];
    const draw_kind& kind = prepared_->plan().draws[static_cast<std::size_t>(draw)];
    S* const values = at(prepared_->draw(k));
    // exp(((1 + v) log_upper + (1 - v) log_lower)/4) is the standard deviation.
    const auto middle = static_cast<A>((kind.log_upper + kind.log_lower) / 4);
    const auto half_width = static_cast<A>((kind.log_upper - kind.log_lower) / 4);
    const auto deviation = [&](S v) { return std::exp(middle + half_width * static_cast<A>(v)); };
    const S* const v = at(prepared_->variance());
    if constexpr (draws_from == draw_source::inside) {
      draws_[k] = {static_cast<std::uint32_t>(draw), kind.learned ? values : nullptr};
      if (kind.learned)
        std::transform(v, v + size_, values, [&](S e) { return static_cast<S>(deviation(e)); });
    } else {
      noise_.fill(noise_request{draw, kind, items_}, std::span<S>(values, size_));
      if (kind.learned)
        std::transform(values, values + size_, v, values,
                       [&](S z, S e) { return static_cast<S>(static_cast<A>(z) * deviation(e)); });
    }
  }
}

template <storage_scalar S, class Noise, class Transform>
void execution<S, Noise, Transform>::fused(const prepared_pass& p, const bound_stage& now) {
  if (p.outputs.empty()) return;
  if constexpr (clean_from == clean_source::buffer) {
    if (p.transforms) {
      S* const clean = at(prepared_->clean());
      write_clean(now, clean);
      transform_(std::span<S>(clean, size_), items_, now.at);
    }
  }
  make_draws(p);
  const std::size_t inputs = p.inputs.size();
  const std::size_t outputs = p.outputs.size();
  const std::size_t columns = p.weights.size() / outputs;
  std::copy(p.weights.begin(), p.weights.end(), weights_.begin());
  std::copy(p.head.begin(), p.head.end(), head_.begin());
  for (std::size_t i = 0; i < inputs; ++i) {
    const double factor = factors_[p.inputs[i].branch];
    inputs_[i] = at(p.inputs[i].offset);
    for (std::size_t j = 0; j < outputs; ++j) weights_[j * columns + i] *= factor;
    if (!p.head.empty()) head_[i] *= factor;
  }
  for (std::size_t j = 0; j < outputs; ++j) outputs_[j] = at(p.outputs[j]);

  pass_type work;
  work.items = items_;
  work.item_size = items_ == 0 ? 0 : size_ / items_;
  work.outputs = std::span<S* const>(outputs_).first(outputs);
  work.inputs = std::span<const S* const>(inputs_).first(inputs);
  work.weights = std::span<const double>(weights_).first(outputs * columns);
  if constexpr (clean_from == clean_source::head)
    work.head = {std::span<const double>(head_).first(p.head.size()), transform_.low,
                 transform_.high};
  if constexpr (draws_from == draw_source::inside) {
    work.draws = std::span<const pass_draw<S>>(draws_).first(p.draws.size());
    if (!p.draws.empty()) work.item_keys = keys_;
  }
  apply_(work, workers_);
}

}  // namespace detail
}  // namespace tweedie
