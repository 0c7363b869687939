// A lowered program with memory: carries out its stages, one at a time, in the order that
// solve/sampling.hpp asks for.
//
// Addresses and columns of every pass are found once. After construction nothing is allocated.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/program/lower.hpp"
#include "tweedie/solve/noise.hpp"
#include "tweedie/solve/pass_arguments.hpp"
#include "tweedie/solve/prepared_pass.hpp"
#include "tweedie/solve/run_parts.hpp"
#include "tweedie/solve/stream_weights.hpp"
#include "tweedie/tensor/fused_pass.hpp"

namespace tweedie::detail {

template <storage_scalar S>
class execution {
 public:
  /// For states of `size` elements in `items` items.
  execution(std::shared_ptr<const lowered_program> plan, std::size_t size, std::size_t items,
            run_parts<S>&& parts)
      : parts_(std::move(parts)), size_(size), items_(items), stream_weights_(parts_, items) {
    load(std::move(plan));
  }

  /// Takes up another program, which allocates where it needs more room than any before. Where that throws,
  /// the run goes on as it was.
  void load(std::shared_ptr<const lowered_program> plan) {
    const memory_layout layout = memory_layout::of(*plan, parts_);
    std::vector<prepared_stage> stages = prepare(*plan, layout);
    if (parts_.key && !plan->draws.empty() && keys_.empty()) {
      std::vector<noise_key> keys;
      for (std::size_t i = 0; i < items_; ++i) keys.push_back(parts_.key(i));
      keys_ = std::move(keys);
    }
    place(*plan, layout);
    plan_ = std::move(plan);
    layout_ = layout;
    stages_ = std::move(stages);
    steps_ = stages_.empty() ? 0 : stages_.back().step + plan_->stages.back().mark.has_value();
  }

  const lowered_program& plan() const { return *plan_; }
  std::size_t size() const { return size_; }
  std::size_t items() const { return items_; }
  S* reg(int r) { return memory_[static_cast<std::size_t>(r)]; }
  const S* reg(int r) const { return memory_[static_cast<std::size_t>(r)]; }
  S* output(std::size_t branch) { return memory_[layout_.output + branch]; }
  S* variance() { return memory_[layout_.variance]; }
  bool has_variance() const { return layout_.has_variance; }
  /// All registers and what guidance remembers, each padded with zeros to whole cache lines: what must
  /// be kept to resume between stages.
  std::size_t resumable() const { return layout_.output * stride(); }
  std::vector<S> resumable_memory() const {
    std::vector<S> kept(resumable(), S(0));
    for (std::size_t place = 0; place < layout_.output; ++place)
      std::copy_n(memory_[place], size_, kept.data() + place * stride());
    return kept;
  }
  void resume(const std::vector<S>& kept) {
    for (std::size_t place = 0; place < layout_.output; ++place)
      std::copy_n(kept.data() + place * stride(), size_, memory_[place]);
  }

  std::size_t branches() const { return parts_.branches(); }
  lowering how() const { return parts_.how(); }
  bool has_noise() const { return parts_.has_noise(); }
  /// Constant weights of the branches; none where guidance is a rule or a mixer.
  std::span<const double> branch_weights() const {
    return parts_.guidance ? std::span<const double>() : stream_weights_.first().subspan(1);
  }
  void set_branch_weights(std::span<const double> weights) { stream_weights_.set(weights); }
  /// Guidance remembers nothing, as at the start of a run.
  void forget() {
    for (std::size_t place = layout_.remembered; place < layout_.output; ++place)
      std::fill_n(memory_[place], size_, S(0));
  }

  /// Later passes are shared out among `threads`.
  template <class Workers>
  void use(Workers& threads) {
    parts_.threads = &threads;
    parts_.apply = [](const fused_pass<S>& work, void* with) {
      apply(work, *static_cast<Workers*>(with));
    };
    stream_weights_.outdate();
  }

  void scale_input(const lowered_stage& now) {
    const S* from = reg(now.state);
    S* to = reg(now.shown);
    combine<S>(std::span(&to, 1), std::span(&from, 1), std::span(&now.input_scale, 1), size_);
  }

  /// What the network reads at a stage: the register that it is shown or, where the caller's buffer
  /// stands in for none, that buffer, once `show` has copied there.
  const S* input(const lowered_stage& now) const { return copied_ ? copied_ : reg(now.shown); }
  void show(const lowered_stage& now) {
    if (copied_) std::copy_n(reg(now.shown), size_, copied_);
  }
  /// All addresses that `input` has in this run.
  std::vector<const S*> inputs() const {
    if (copied_) return {copied_};
    std::vector<const S*> all;
    for (const int r : shown_registers(*plan_)) all.push_back(reg(r));
    return all;
  }
  bool has_buffer_for_variance() const {
    return !parts_.buffers || size_ == 0 || !parts_.buffers->variance.empty();
  }

  /// The x0 estimate of a stage, whose output has been written, before any transform.
  void estimate(std::size_t stage, S* to) const {
    const lowered_stage& now = plan_->stages[stage];
    if (parts_.guidance && parts_.guidance->mixer) {
      mix(stage, to);
      const S* const from[2] = {reg(now.state), to};
      const double weights[2] = {now.clean.x, now.clean.y};
      return combine<S>(std::span(&to, 1), from, weights, size_);
    }
    if (parts_.guidance) steer(stage);
    write_clean(now, to);
  }

  /// The passes of a stage, whose output has been written if it evaluates.
  void carry_out(std::size_t stage);

  /// Whether the passes of a stage write the scaled input of the next.
  bool scales_input(std::size_t stage) const { return stages_[stage].scales_input; }

 private:
  struct prepared_stage {
    std::vector<prepared_pass<S>> passes;
    bool transforms = false;
    bool scales_input = false;
    bool remembers = false;  // in a traversal of its own, not in its pass
    std::size_t step = 0;    // marks before it
  };

  void place(const lowered_program& plan, const memory_layout& layout);
  std::vector<prepared_stage> prepare(const lowered_program& plan, const memory_layout& layout);
  void make_draws(const prepared_pass<S>& p);
  void fused(const prepared_pass<S>& p);

  std::size_t stride() const { return run_memory<S>::stride(size_); }
  std::size_t item_size() const { return items_ == 0 ? 0 : size_ / items_; }
  guidance_point point(std::size_t stage) const {
    const lowered_stage& now = plan_->stages[stage];
    return {now.at, stages_[stage].step, steps_, 0, now.clean};
  }
  void mix(std::size_t stage, S* to) const;
  std::span<const S* const> streams(const lowered_stage& now, std::size_t count,
                                    std::size_t first = 0) const;
  void steer(std::size_t stage) const;
  void remember(const lowered_stage& now);
  void write_clean(const lowered_stage& now, S* to) const;

  run_memory<S> memory_;  // first, so that a copy that it refuses changes nothing
  std::shared_ptr<const lowered_program> plan_;
  run_parts<S> parts_;
  std::size_t size_;
  std::size_t items_;
  mutable stream_weights<S> stream_weights_;
  std::size_t steps_ = 0;
  memory_layout layout_;
  S* copied_ = nullptr;  // the caller's input buffer, where no register is there
  std::vector<prepared_stage> stages_;
  pass_arguments<S> arguments_;
  std::vector<noise_key> keys_;
  mutable std::vector<const S*> clean_inputs_;
  mutable std::vector<double> clean_weights_;
};

#if defined(TWEEDIE_DEFINES_ENGINE)

// The caller's buffers, where there are any, stand in for tensors of the run.
template <storage_scalar S>
void execution<S>::place(const lowered_program& plan, const memory_layout& layout) {
  std::vector<S*> places(layout.end, nullptr);
  S* copied = nullptr;
  if (parts_.buffers) {
    const std::vector<int> shown = shown_registers(plan);
    if (shown.size() == 1)
      places[static_cast<std::size_t>(shown.front())] = parts_.buffers->input.data();
    else
      copied = parts_.buffers->input.data();
    for (std::size_t k = 0; k < parts_.branches(); ++k)
      places[layout.output + k] = parts_.buffers->outputs[k].data();
    if (layout.has_variance) places[layout.variance] = parts_.buffers->variance.data();
  }
  memory_.place(std::move(places), size_);
  copied_ = copied;
}

// Also sees to room for the arguments of the passes.
template <storage_scalar S>
std::vector<typename execution<S>::prepared_stage> execution<S>::prepare(
    const lowered_program& plan, const memory_layout& layout) {
  std::vector<prepared_stage> stages;
  std::size_t steps = 0;
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const lowered_stage& from = plan.stages[s];
    prepared_stage& to = stages.emplace_back();
    to.step = steps;
    steps += from.mark.has_value();
    const lowered_stage* const next = s + 1 < plan.stages.size() ? &plan.stages[s + 1] : nullptr;
    const bool remembers = from.evaluates && stream_weights_.remembers();
    const bool inside =
        remembers && from.passes.size() == 1 &&
        from.passes.front().outputs.size() < outputs_at_once &&
        from.passes.front().inputs.size() + stream_weights_.streams() <= most_columns;
    to.remembers = remembers && !inside;
    for (const linear_pass& p : from.passes) {
      to.passes.emplace_back(from, p, layout, parts_, inside);
      arguments_.make_room(to.passes.back());
      for (const operand& in : p.inputs)
        to.transforms = to.transforms || (parts_.transform && in.from == operand_kind::clean);
      for (const int r : p.outputs)
        to.scales_input = to.scales_input || (next && next->evaluates &&
                                              next->shown != next->state && next->shown == r);
    }
  }
  make_room(clean_inputs_, 1 + (std::max)(stream_weights_.streams(), parts_.branches()));
  make_room(clean_weights_, 1 + stream_weights_.streams());
  return stages;
}

template <storage_scalar S>
void execution<S>::mix(std::size_t stage, S* to) const {
  parts_.guidance->mixer(point(stage), streams(plan_->stages[stage], parts_.branches()),
                         std::span<S>(to, size_));
}

// The first `count` of what passes may read as outputs at a stage, from element `first` on.
template <storage_scalar S>
std::span<const S* const> execution<S>::streams(const lowered_stage& now, std::size_t count,
                                                std::size_t first) const {
  for (std::size_t k = 0; k < count; ++k)
    clean_inputs_[k] = memory_[layout_.stream(parts_, now, k)] + first;
  return std::span<const S* const>(clean_inputs_).first(count);
}

template <storage_scalar S>
void execution<S>::steer(std::size_t stage) const {
  stream_weights_.find(*parts_.guidance, point(stage),
                       streams(plan_->stages[stage], stream_weights_.streams()), item_size());
}

template <storage_scalar S>
void execution<S>::remember(const lowered_stage& now) {
  const std::size_t streams_read = stream_weights_.streams();
  stream_weights_.by_items([&](std::size_t item, std::size_t count, const double* weights) {
    const std::size_t first = item * item_size();
    S* const to = memory_[layout_.fresh_memory] + first;
    combine<S>(std::span(&to, 1), streams(now, streams_read, first),
               std::span(weights + 1 + streams_read, streams_read), count * item_size());
  });
}

template <storage_scalar S>
void execution<S>::write_clean(const lowered_stage& now, S* to) const {
  stream_weights_.by_items([&](std::size_t item, std::size_t count, const double* weights) {
    const std::size_t first = item * item_size(), width = 1 + stream_weights_.streams();
    clean_inputs_[0] = reg(now.state) + first;
    clean_weights_[0] = now.clean.x;
    for (std::size_t k = 1; k < width; ++k) {
      clean_inputs_[k] = memory_[layout_.stream(parts_, now, k - 1)] + first;
      clean_weights_[k] = now.clean.y * weights[k];
    }
    S* const out = to + first;
    combine<S>(std::span(&out, 1), std::span<const S* const>(clean_inputs_).first(width),
               clean_weights_, count * item_size());
  });
}

template <storage_scalar S>
void execution<S>::carry_out(std::size_t stage) {
  prepared_stage& now = stages_[stage];
  const lowered_stage& from = plan_->stages[stage];
  if (parts_.guidance && from.evaluates) {
    if (parts_.guidance->mixer)
      mix(stage, output(0));
    else
      steer(stage);
  }
  if (now.transforms) {
    S* const clean = memory_[layout_.clean];
    write_clean(from, clean);
    parts_.transform(std::span<S>(clean, size_), items_, from.at);
  }
  // Passes read what was remembered before, and may overwrite the state.
  if (now.remembers && parts_.guidance->state) remember(from);
  for (prepared_pass<S>& p : now.passes) {
    const bool found = p.loop && p.version == stream_weights_.version();
    if (found || p.find_loop(parts_, stream_weights_))
      p.call(memory_, size_);
    else
      fused(p);
  }
  if (now.remembers && !parts_.guidance->state) remember(from);
  if (now.remembers && parts_.guidance->state)
    memory_.exchange(layout_.fresh_memory, layout_.remembered);
}

template <storage_scalar S>
void execution<S>::make_draws(const prepared_pass<S>& p) {
  using A = arithmetic_t<S>;
  for (std::size_t k = 0; k < p.draws.size(); ++k) {
    const int draw = p.draws[k];
    const draw_kind& kind = plan_->draws[static_cast<std::size_t>(draw)];
    S* const values = !parts_.key || kind.learned ? memory_[layout_.draw + k] : nullptr;
    // exp(((1 + v) log_upper + (1 - v) log_lower)/4) is the standard deviation.
    const auto middle = static_cast<A>((kind.log_upper + kind.log_lower) / 4);
    const auto half_width = static_cast<A>((kind.log_upper - kind.log_lower) / 4);
    const auto deviation = [&](S v) { return std::exp(middle + half_width * static_cast<A>(v)); };
    const S* const v = kind.learned ? variance() : nullptr;
    if (parts_.key) {
      arguments_.set_draw(k, {static_cast<std::uint32_t>(draw), values});
      if (kind.learned)
        std::transform(v, v + size_, values, [&](S e) { return static_cast<S>(deviation(e)); });
    } else {
      parts_.fill(noise_request{draw, kind, items_}, std::span<S>(values, size_));
      if (kind.learned)
        std::transform(values, values + size_, v, values,
                       [&](S z, S e) { return static_cast<S>(static_cast<A>(z) * deviation(e)); });
    }
  }
}

template <storage_scalar S>
void execution<S>::fused(const prepared_pass<S>& p) {
  make_draws(p);
  stream_weights_.by_items([&](std::size_t first, std::size_t count, const double* weights) {
    const fused_pass<S> work =
        arguments_.on_items(p, memory_, item_size(), first, count, weights, parts_, keys_);
    if (parts_.apply)
      parts_.apply(work, parts_.threads);
    else
      apply(work, {0, work.size()});
  });
}

#endif

#if defined(TWEEDIE_COMPILED)
extern template class execution<float>;
extern template class execution<double>;
extern template class execution<float16>;
extern template class execution<bfloat16>;
#endif

}  // namespace tweedie::detail
