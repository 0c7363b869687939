// A lowered program with memory: carries out its stages, one at a time, in the order that
// solve/sampling.hpp asks for.
//
// Memory holds, each a whole number of cache lines apart: the registers; what guidance remembers, if
// it does; the network's outputs, one per branch; the x0 estimate, if a callable changes it; the
// network's variance output and noise made outside a pass, if there are any. Addresses and columns of every pass are found once.
// After construction nothing is allocated.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/guidance/guided_outputs.hpp"
#include "tweedie/program/lower.hpp"
#include "tweedie/solve/noise.hpp"
#include "tweedie/solve/run_parts.hpp"
#include "tweedie/tensor/fused_pass.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie::detail {

// Memory in whole cache lines, whatever instructions its users are compiled for.
template <class S>
struct cache_lines {
  using value_type = S;
  static constexpr std::align_val_t line{64};

  S* allocate(std::size_t n) { return static_cast<S*>(::operator new(n * sizeof(S), line)); }
  void deallocate(S* p, std::size_t) { ::operator delete(p, line); }
  friend bool operator==(cache_lines, cache_lines) { return true; }
};

template <storage_scalar S>
class execution {
 public:
  /// For states of `size` elements in `items` items.
  execution(std::shared_ptr<const lowered_program> plan, std::size_t size, std::size_t items,
            run_parts<S>&& parts)
      : parts_(std::move(parts)), size_(size), items_(items) {
    width_ = 1 + parts_.streams();
    const bool ruled = parts_.guidance && parts_.guidance->rule;
    factors_.assign((ruled ? std::max<std::size_t>(items_, 1) : 1) * width_, 1);
    std::copy(parts_.branch_weights.begin(), parts_.branch_weights.end(), factors_.begin() + 1);
    load(std::move(plan));
  }

  /// Takes up another program, which allocates where it needs more room than any before.
  void load(std::shared_ptr<const lowered_program> plan) {
    plan_ = std::move(plan);
    stages_.clear();
    steps_ = 0;
    lay_out();
    prepare();
    if (parts_.key && !plan_->draws.empty() && keys_.empty())
      for (std::size_t i = 0; i < items_; ++i) keys_.push_back(parts_.key(i));
  }

  const lowered_program& plan() const { return *plan_; }
  std::size_t size() const { return size_; }
  std::size_t items() const { return items_; }
  S* reg(int r) { return memory_.data() + static_cast<std::size_t>(r) * stride_; }
  const S* reg(int r) const { return memory_.data() + static_cast<std::size_t>(r) * stride_; }
  S* output(std::size_t branch) { return memory_.data() + output_ + branch * stride_; }
  S* variance() { return memory_.data() + variance_; }
  bool has_variance() const { return has_variance_; }
  /// All registers and what guidance remembers: what must be kept to resume between stages.
  std::span<S> resumable() { return std::span(memory_).first(output_); }
  std::span<const S> resumable() const { return std::span(memory_).first(output_); }

  std::size_t branches() const { return parts_.branches(); }
  lowering how() const { return parts_.how(); }
  bool has_noise() const { return parts_.has_noise(); }
  /// Constant weights of the branches; none where guidance is a rule or a mixer.
  std::span<const double> branch_weights() const {
    return parts_.guidance ? std::span<const double>() : std::span(factors_).subspan(1);
  }
  void set_branch_weights(std::span<const double> weights) {
    std::copy(weights.begin(), weights.end(), factors_.begin() + 1);
    ++version_;
  }
  /// Guidance remembers nothing, as at the start of a run.
  void forget() {
    std::fill(memory_.begin() + static_cast<std::ptrdiff_t>(remembered_),
              memory_.begin() + static_cast<std::ptrdiff_t>(output_), S(0));
  }

  /// Later passes are shared out among `threads`.
  template <class Workers>
  void use(Workers& threads) {
    parts_.threads = &threads;
    parts_.apply = [](const fused_pass<S>& work, void* with) {
      apply(work, *static_cast<Workers*>(with));
    };
    ++version_;
  }

  void scale_input(const lowered_stage& now) {
    const S* from = reg(now.state);
    S* to = reg(now.shown);
    combine<S>(std::span(&to, 1), std::span(&from, 1), std::span(&now.input_scale, 1), size_);
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
  static constexpr std::size_t most_streams = 6;

  // A pass with its streams by offset and its columns in the order of tensor/fused_pass.hpp: inputs,
  // the clipped estimate if any, draws made inside.
  struct prepared_pass {
    struct stream {
      std::size_t offset = 0;
      std::size_t factor = 0;  // 1 + b: its weights are multiplied by that of branch b
    };
    std::vector<stream> inputs;
    std::vector<std::size_t> outputs;
    std::vector<double> weights;
    std::vector<double> head;
    std::vector<int> draws;
    bool sums_only = false;  // all streams are in memory and nothing is clipped
    // Arguments of the one loop that such a pass mostly is, once found for this memory and factors.
    weigh_loop<S, S> loop = nullptr;
    std::size_t version = 0;
    std::size_t streams = 0;
    std::size_t from[most_streams] = {};
    arithmetic_t<S> factors[most_streams * outputs_at_once] = {};
  };
  struct prepared_stage {
    std::vector<prepared_pass> passes;
    bool transforms = false;
    bool scales_input = false;
    std::size_t step = 0;  // marks before it
  };

  void lay_out();
  void prepare();
  prepared_pass prepare(const lowered_stage& stage, const linear_pass& from) const;
  bool find_loop(prepared_pass& p) const;
  void make_draws(const prepared_pass& p);
  void fused(const prepared_pass& p);
  void fused(const prepared_pass& p, std::size_t first, std::size_t count, const double* factors);

  // Offset of what passes read as output `stream`.
  std::size_t output_offset(const lowered_stage& now, std::size_t stream) const {
    const std::size_t outputs = parts_.branches();
    if (stream < outputs) return output_ + stream * stride_;
    if (stream == outputs && parts_.guidance->memory) return remembered_;
    return static_cast<std::size_t>(now.state) * stride_;
  }
  // f(first, count, factors) for runs of items with the same factors.
  template <class F>
  void by_items(const F& f) const {
    if (uniform_) return f(std::size_t{0}, items_, factors_.data());
    for (std::size_t i = 0; i < items_; ++i) f(i, std::size_t{1}, factors_.data() + i * width_);
  }
  std::size_t item_size() const { return items_ == 0 ? 0 : size_ / items_; }
  guidance_point point(std::size_t stage) const {
    const lowered_stage& now = plan_->stages[stage];
    return {now.at, stages_[stage].step, steps_, 0, now.clean};
  }
  void mix(std::size_t stage, S* to) const;
  void steer(std::size_t stage) const;
  void remember(const lowered_stage& now);
  void write_clean(const lowered_stage& now, S* to) const;

  std::shared_ptr<const lowered_program> plan_;
  run_parts<S> parts_;
  std::size_t size_;
  std::size_t items_;
  // Of each item, or of all if there is no rule: 1, then the weights of the outputs.
  mutable std::vector<double> factors_;
  std::size_t width_ = 1;
  mutable bool uniform_ = true;              // all items have the factors of the first
  mutable std::size_t version_ = 1;          // of the factors
  mutable std::vector<double> remembering_;  // weights of what each item remembers
  mutable std::vector<double> gram_, fresh_;
  std::size_t steps_ = 0;
  std::size_t stride_ = 0, remembered_ = 0, fresh_memory_ = 0, output_ = 0, clean_ = 0,
              variance_ = 0, draw_ = 0;
  bool has_variance_ = false;
  std::vector<S, cache_lines<S>> memory_;
  std::vector<prepared_stage> stages_;
  // Arguments of one pass; sized at construction.
  std::vector<const S*> inputs_;
  std::vector<S*> outputs_;
  std::vector<double> weights_;
  std::vector<double> head_;
  std::vector<pass_draw<S>> draws_;
  std::vector<noise_key> keys_;
  mutable std::vector<const S*> clean_inputs_;
  mutable std::vector<double> clean_weights_;
};

template <storage_scalar S>
void execution<S>::lay_out() {
  constexpr std::size_t line = 64;
  stride_ = (size_ * sizeof(S) + line - 1) / line * (line / sizeof(S));
  std::size_t end = static_cast<std::size_t>(plan_->registers) * stride_;
  const auto take = [&](std::size_t count) { return std::exchange(end, end + count * stride_); };
  for (const draw_kind& d : plan_->draws) has_variance_ = has_variance_ || d.learned;
  std::size_t most_draws = 0;
  for (const lowered_stage& s : plan_->stages)
    for (const linear_pass& p : s.passes) {
      std::size_t draws = 0;
      for (const operand& in : p.inputs)
        draws += in.from == operand_kind::draw &&
                 (!parts_.key || plan_->draws[static_cast<std::size_t>(in.index)].learned);
      most_draws = std::max(most_draws, draws);
    }
  remembered_ = take(parts_.guidance && parts_.guidance->memory ? 1 : 0);
  output_ = take(parts_.branches());
  fresh_memory_ = remembered_ != output_ && parts_.guidance->state ? take(1) : remembered_;
  clean_ = take(parts_.transform ? 1 : 0);
  variance_ = take(has_variance_ ? 1 : 0);
  draw_ = take(most_draws);
  memory_.assign(end, S(0));
}

template <storage_scalar S>
void execution<S>::prepare() {
  std::size_t inputs = 0, outputs = 0, weights = 0, draws = 0;
  for (std::size_t s = 0; s < plan_->stages.size(); ++s) {
    const lowered_stage& from = plan_->stages[s];
    prepared_stage& to = stages_.emplace_back();
    to.step = steps_;
    steps_ += from.mark.has_value();
    const lowered_stage* const next =
        s + 1 < plan_->stages.size() ? &plan_->stages[s + 1] : nullptr;
    for (const linear_pass& p : from.passes) {
      to.passes.push_back(prepare(from, p));
      const prepared_pass& made = to.passes.back();
      inputs = std::max(inputs, made.inputs.size());
      outputs = std::max(outputs, made.outputs.size());
      weights = std::max(weights, made.weights.size());
      draws = std::max(draws, made.draws.size());
      for (const operand& in : p.inputs)
        to.transforms = to.transforms || (parts_.transform && in.from == operand_kind::clean);
      for (const int r : p.outputs)
        to.scales_input = to.scales_input || (next && next->evaluates &&
                                              next->shown != next->state && next->shown == r);
    }
  }
  inputs_.resize(inputs);
  outputs_.resize(outputs);
  weights_.resize(weights);
  head_.resize(inputs);
  draws_.resize(draws);
  clean_inputs_.resize(std::max(width_, 1 + parts_.branches()));
  clean_weights_.resize(width_);
  if (!parts_.guidance || parts_.guidance->mixer) return;
  fresh_.resize(width_ - 1);
  gram_.resize(width_ * width_);
  if (parts_.guidance->memory) remembering_.resize(items_ * (width_ - 1));
}

template <storage_scalar S>
auto execution<S>::prepare(const lowered_stage& stage, const linear_pass& from) const
    -> prepared_pass {
  prepared_pass out;
  std::vector<std::size_t> columns, head, inside;
  for (std::size_t i = 0; i < from.inputs.size(); ++i) {
    const operand& in = from.inputs[i];
    const auto index = static_cast<std::size_t>(in.index);
    const auto add = [&](std::size_t offset, std::size_t factor) {
      out.inputs.push_back({offset, factor});
      columns.push_back(i);
    };
    switch (in.from) {
      case operand_kind::stored: add(index * stride_, 0); break;
      case operand_kind::output: add(output_offset(stage, index), 1 + index); break;
      case operand_kind::clean:
        if (parts_.transform)
          add(clean_, 0);
        else
          head.push_back(i);
        break;
      case operand_kind::draw:
        if (parts_.key)
          inside.push_back(i);
        else
          add(draw_ + out.draws.size() * stride_, 0);
        out.draws.push_back(in.index);
        break;
      case operand_kind::noise: break;  // lowering leaves none
    }
  }
  if (!head.empty())
    for (const std::size_t c : columns) {
      const operand& in = from.inputs[c];
      out.head.push_back(in.from == operand_kind::output                    ? stage.clean.y
                         : in == operand{operand_kind::stored, stage.state} ? stage.clean.x
                                                                            : 0);
    }
  out.sums_only = head.empty() && out.draws.empty();
  columns.insert(columns.end(), head.begin(), head.end());
  columns.insert(columns.end(), inside.begin(), inside.end());
  for (std::size_t j = 0; j < from.outputs.size(); ++j) {
    out.outputs.push_back(static_cast<std::size_t>(from.outputs[j]) * stride_);
    for (const std::size_t c : columns) out.weights.push_back(from.weight(j, c));
  }
  return out;
}

// False if the pass is no call of one loop.
template <storage_scalar S>
bool execution<S>::find_loop(prepared_pass& p) const {
  const std::size_t columns = p.inputs.size();
  const std::size_t outputs = p.outputs.size();
  if (!p.sums_only || parts_.apply || !uniform_ || columns > most_streams) return false;
  std::size_t streams = 0;
  for (std::size_t i = 0; i < columns; ++i) {
    const double factor = factors_[p.inputs[i].factor];
    bool read = false;
    for (std::size_t j = 0; j < outputs; ++j) {
      const double weight = p.weights[j * columns + i] * factor;
      read = read || weight != 0;
      p.factors[streams * outputs + j] = static_cast<arithmetic_t<S>>(weight);
    }
    if (read) p.from[streams++] = p.inputs[i].offset;
  }
  if (streams == 0) return false;
  p.streams = streams;
  p.loop = weigh_loop_for<S, S>(outputs, streams, 0);
  p.version = version_;
  return true;
}

template <storage_scalar S>
void execution<S>::mix(std::size_t stage, S* to) const {
  const std::size_t outputs = parts_.branches();
  for (std::size_t b = 0; b < outputs; ++b)
    clean_inputs_[b] = memory_.data() + output_ + b * stride_;
  parts_.guidance->mixer(point(stage), std::span<const S* const>(clean_inputs_).first(outputs),
                         std::span<S>(to, size_));
}

// Finds the weights of all items before anything is changed.
template <storage_scalar S>
void execution<S>::steer(std::size_t stage) const {
  const lowered_stage& now = plan_->stages[stage];
  guidance_point at = point(stage);
  const std::size_t streams = width_ - 1;
  for (std::size_t k = 0; k < streams; ++k)
    clean_inputs_[k] = memory_.data() + output_offset(now, k);
  bool changed = false;
  uniform_ = true;
  for (std::size_t item = 0; item < items_; ++item) {
    at.item = item;
    std::span<double> later;
    if (!remembering_.empty()) later = std::span(remembering_).subspan(item * streams, streams);
    item_weights<S>("sampling", *parts_.guidance, at,
                    std::span<const S* const>(clean_inputs_).first(streams), item * item_size(),
                    item_size(), gram_, fresh_, later);
    const auto factors = factors_.begin() + static_cast<std::ptrdiff_t>(item * width_ + 1);
    changed = changed || !std::equal(fresh_.begin(), fresh_.end(), factors);
    std::copy(fresh_.begin(), fresh_.end(), factors);
    uniform_ = uniform_ && std::equal(fresh_.begin(), fresh_.end(), factors_.begin() + 1);
  }
  version_ += changed;
}

template <storage_scalar S>
void execution<S>::remember(const lowered_stage& now) {
  const std::size_t streams = width_ - 1;
  for (std::size_t item = 0; item < items_; ++item) {
    const std::size_t first = item * item_size();
    for (std::size_t k = 0; k < streams; ++k)
      clean_inputs_[k] = memory_.data() + output_offset(now, k) + first;
    S* const to = memory_.data() + fresh_memory_ + first;
    combine<S>(std::span(&to, 1), std::span<const S* const>(clean_inputs_).first(streams),
               std::span<const double>(remembering_).subspan(item * streams, streams), item_size());
  }
}

template <storage_scalar S>
void execution<S>::write_clean(const lowered_stage& now, S* to) const {
  by_items([&](std::size_t item, std::size_t count, const double* factors) {
    const std::size_t first = item * item_size();
    clean_inputs_[0] = reg(now.state) + first;
    clean_weights_[0] = now.clean.x;
    for (std::size_t k = 1; k < width_; ++k) {
      clean_inputs_[k] = memory_.data() + output_offset(now, k - 1) + first;
      clean_weights_[k] = now.clean.y * factors[k];
    }
    S* const out = to + first;
    combine<S>(std::span(&out, 1), std::span<const S* const>(clean_inputs_).first(width_),
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
    S* const clean = memory_.data() + clean_;
    write_clean(from, clean);
    parts_.transform(std::span<S>(clean, size_), items_, from.at);
  }
  // Passes read what was remembered before, and may overwrite the state.
  const bool remembers = from.evaluates && !remembering_.empty();
  if (remembers && parts_.guidance->state) remember(from);
  for (prepared_pass& p : now.passes) {
    if ((!p.loop || p.version != version_) && !find_loop(p)) {
      fused(p);
      continue;
    }
    S* to[outputs_at_once];
    const S* streams[most_streams];
    for (std::size_t j = 0; j < p.outputs.size(); ++j) to[j] = memory_.data() + p.outputs[j];
    for (std::size_t k = 0; k < p.streams; ++k) streams[k] = memory_.data() + p.from[k];
    p.loop(to, {streams, nullptr, p.factors, p.streams, 0}, 0, size_);
  }
  if (remembers && !parts_.guidance->state) remember(from);
  if (remembers && parts_.guidance->state)
    std::copy_n(memory_.data() + fresh_memory_, size_, memory_.data() + remembered_);
}

template <storage_scalar S>
void execution<S>::make_draws(const prepared_pass& p) {
  using A = arithmetic_t<S>;
  for (std::size_t k = 0; k < p.draws.size(); ++k) {
    const int draw = p.draws[k];
    const draw_kind& kind = plan_->draws[static_cast<std::size_t>(draw)];
    S* const values = memory_.data() + draw_ + k * stride_;
    // exp(((1 + v) log_upper + (1 - v) log_lower)/4) is the standard deviation.
    const auto middle = static_cast<A>((kind.log_upper + kind.log_lower) / 4);
    const auto half_width = static_cast<A>((kind.log_upper - kind.log_lower) / 4);
    const auto deviation = [&](S v) { return std::exp(middle + half_width * static_cast<A>(v)); };
    const S* const v = variance();
    if (parts_.key) {
      draws_[k] = {static_cast<std::uint32_t>(draw), kind.learned ? values : nullptr};
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
void execution<S>::fused(const prepared_pass& p) {
  make_draws(p);
  by_items([&](std::size_t first, std::size_t count, const double* factors) {
    fused(p, first, count, factors);
  });
}

// The pass on items [first, first + count).
template <storage_scalar S>
void execution<S>::fused(const prepared_pass& p, std::size_t first, std::size_t count,
                         const double* factors) {
  const std::size_t inputs = p.inputs.size();
  const std::size_t outputs = p.outputs.size();
  const std::size_t columns = p.weights.size() / outputs;
  const std::size_t offset = first * item_size();
  std::copy(p.weights.begin(), p.weights.end(), weights_.begin());
  std::copy(p.head.begin(), p.head.end(), head_.begin());
  for (std::size_t i = 0; i < inputs; ++i) {
    const double factor = factors[p.inputs[i].factor];
    inputs_[i] = memory_.data() + p.inputs[i].offset + offset;
    for (std::size_t j = 0; j < outputs; ++j) weights_[j * columns + i] *= factor;
    if (!p.head.empty()) head_[i] *= factor;
  }
  for (std::size_t j = 0; j < outputs; ++j) outputs_[j] = memory_.data() + p.outputs[j] + offset;

  fused_pass<S> work;
  work.items = count;
  work.item_size = item_size();
  work.outputs = std::span<S* const>(outputs_).first(outputs);
  work.inputs = std::span<const S* const>(inputs_).first(inputs);
  work.weights = std::span<const double>(weights_).first(outputs * columns);
  if (!p.head.empty())
    work.head = {std::span<const double>(head_).first(p.head.size()), parts_.clipped->low,
                 parts_.clipped->high};
  pass_draw<S> draws[fused_pass<S>::most_draws];
  if (parts_.key && !p.draws.empty()) {
    for (std::size_t k = 0; k < p.draws.size(); ++k) {
      draws[k] = draws_[k];
      if (draws[k].scale) draws[k].scale += offset;
    }
    work.draws = std::span<const pass_draw<S>>(draws).first(p.draws.size());
    work.item_keys = std::span<const noise_key>(keys_).subspan(first, count);
  }
  if (parts_.apply)
    parts_.apply(work, parts_.threads);
  else
    apply(work, {0, work.size()});
}

#if defined(TWEEDIE_COMPILED)
extern template class execution<float>;
extern template class execution<double>;
extern template class execution<float16>;
extern template class execution<bfloat16>;
#endif

}  // namespace tweedie::detail
