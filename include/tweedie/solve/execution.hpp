// A lowered program with memory: carries out its stages, one at a time, in the order that
// solve/sampling.hpp asks for.
//
// Memory holds, each a whole number of cache lines apart: the registers; the network's outputs, one
// per branch; the x0 estimate, if a callable changes it; the network's variance output and noise
// made outside a pass, if there are any. Addresses and columns of every pass are found once.
// After construction nothing is allocated.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/program/lower.hpp"
#include "tweedie/solve/noise.hpp"
#include "tweedie/solve/transform.hpp"
#include "tweedie/tensor/fused_pass.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie::detail {

/// The optional parts of a run as values, whatever types they came as.
template <storage_scalar S>
struct run_parts {
  std::function<noise_key(std::size_t)> key;  ///< of a source whose noise is made inside the pass
  std::function<void(const noise_request&, std::span<S>)> fill;  ///< of any other source
  std::optional<clip> clipped;
  std::function<void(std::span<S>, std::size_t, const node&)> transform;
  std::vector<double> branch_weights{1};
  void* threads = nullptr;
  void (*apply)(const fused_pass<S>&, void*) = nullptr;

  bool transforms() const { return clipped || transform; }
  bool has_noise() const { return key || fill; }
};

template <storage_scalar S>
class execution {
 public:
  /// For states of `size` elements in `items` items.
  execution(std::shared_ptr<const lowered_program> plan, std::size_t size, std::size_t items,
            run_parts<S>&& parts)
      : plan_(std::move(plan)), parts_(std::move(parts)), size_(size), items_(items) {
    factors_.push_back(1);
    factors_.insert(factors_.end(), parts_.branch_weights.begin(), parts_.branch_weights.end());
    lay_out();
    prepare();
    if (parts_.key && !plan_->draws.empty())
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
  /// All registers: what must be kept to resume between stages.
  std::span<S> resumable() { return std::span(memory_).first(output_); }
  std::span<const S> resumable() const { return std::span(memory_).first(output_); }

  std::span<const double> branch_weights() const { return std::span(factors_).subspan(1); }
  void set_branch_weights(std::span<const double> weights) {
    std::copy(weights.begin(), weights.end(), factors_.begin() + 1);
    forget_calls();
  }

  /// Later passes are shared out among `threads`.
  template <class Workers>
  void use(Workers& threads) {
    parts_.threads = &threads;
    parts_.apply = [](const fused_pass<S>& work, void* with) {
      apply(work, *static_cast<Workers*>(with));
    };
    forget_calls();
  }

  void scale_input(const lowered_stage& now) {
    const S* from = reg(now.state);
    S* to = reg(now.shown);
    combine<S>(std::span(&to, 1), std::span(&from, 1), std::span(&now.input_scale, 1), size_);
  }

  /// The x0 estimate of `now`, whose output has been written, before any transform.
  void write_clean(const lowered_stage& now, S* to) const {
    clean_inputs_[0] = reg(now.state);
    clean_weights_[0] = now.clean.x;
    for (std::size_t b = 1; b < factors_.size(); ++b) {
      clean_inputs_[b] = memory_.data() + output_ + (b - 1) * stride_;
      clean_weights_[b] = now.clean.y * factors_[b];
    }
    combine<S>(std::span(&to, 1), clean_inputs_, clean_weights_, size_);
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
    std::size_t streams = 0;
    std::size_t from[most_streams] = {};
    arithmetic_t<S> factors[most_streams * outputs_at_once] = {};
  };
  struct prepared_stage {
    std::vector<prepared_pass> passes;
    bool transforms = false;
    bool scales_input = false;
  };

  void lay_out();
  void prepare();
  prepared_pass prepare(const lowered_stage& stage, const linear_pass& from) const;
  bool find_loop(prepared_pass& p) const;
  void forget_calls() {
    for (prepared_stage& s : stages_)
      for (prepared_pass& p : s.passes) p.loop = nullptr;
  }
  void make_draws(const prepared_pass& p);
  void fused(const prepared_pass& p);

  std::shared_ptr<const lowered_program> plan_;
  run_parts<S> parts_;
  std::size_t size_;
  std::size_t items_;
  std::vector<double> factors_;  // 1, then the branch weights
  std::size_t stride_ = 0, output_ = 0, clean_ = 0, variance_ = 0, draw_ = 0;
  bool has_variance_ = false;
  std::vector<S, Eigen::aligned_allocator<S>> memory_;
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
        draws += in.from == source::draw &&
                 (!parts_.key || plan_->draws[static_cast<std::size_t>(in.index)].learned);
      most_draws = std::max(most_draws, draws);
    }
  output_ = take(factors_.size() - 1);
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
        to.transforms = to.transforms || (parts_.transform && in.from == source::clean);
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
  clean_inputs_.resize(factors_.size());
  clean_weights_.resize(factors_.size());
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
      case source::stored: add(index * stride_, 0); break;
      case source::output: add(output_ + index * stride_, 1 + index); break;
      case source::clean:
        if (parts_.transform)
          add(clean_, 0);
        else
          head.push_back(i);
        break;
      case source::draw:
        if (parts_.key)
          inside.push_back(i);
        else
          add(draw_ + out.draws.size() * stride_, 0);
        out.draws.push_back(in.index);
        break;
      case source::noise: break;  // lowering leaves none
    }
  }
  if (!head.empty())
    for (const std::size_t c : columns) {
      const operand& in = from.inputs[c];
      out.head.push_back(in.from == source::output                    ? stage.clean.y
                         : in == operand{source::stored, stage.state} ? stage.clean.x
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
  if (!p.sums_only || parts_.apply || columns > most_streams) return false;
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
  return true;
}

template <storage_scalar S>
void execution<S>::carry_out(std::size_t stage) {
  prepared_stage& now = stages_[stage];
  if (now.transforms) {
    const lowered_stage& from = plan_->stages[stage];
    S* const clean = memory_.data() + clean_;
    write_clean(from, clean);
    parts_.transform(std::span<S>(clean, size_), items_, from.at);
  }
  for (prepared_pass& p : now.passes) {
    if (!p.loop && !find_loop(p)) {
      fused(p);
      continue;
    }
    S* to[outputs_at_once];
    const S* from[most_streams];
    for (std::size_t j = 0; j < p.outputs.size(); ++j) to[j] = memory_.data() + p.outputs[j];
    for (std::size_t k = 0; k < p.streams; ++k) from[k] = memory_.data() + p.from[k];
    p.loop(to, {from, nullptr, p.factors, p.streams, 0}, 0, size_);
  }
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
  const std::size_t inputs = p.inputs.size();
  const std::size_t outputs = p.outputs.size();
  const std::size_t columns = p.weights.size() / outputs;
  std::copy(p.weights.begin(), p.weights.end(), weights_.begin());
  std::copy(p.head.begin(), p.head.end(), head_.begin());
  for (std::size_t i = 0; i < inputs; ++i) {
    const double factor = factors_[p.inputs[i].factor];
    inputs_[i] = memory_.data() + p.inputs[i].offset;
    for (std::size_t j = 0; j < outputs; ++j) weights_[j * columns + i] *= factor;
    if (!p.head.empty()) head_[i] *= factor;
  }
  for (std::size_t j = 0; j < outputs; ++j) outputs_[j] = memory_.data() + p.outputs[j];

  fused_pass<S> work;
  work.items = items_;
  work.item_size = items_ == 0 ? 0 : size_ / items_;
  work.outputs = std::span<S* const>(outputs_).first(outputs);
  work.inputs = std::span<const S* const>(inputs_).first(inputs);
  work.weights = std::span<const double>(weights_).first(outputs * columns);
  if (!p.head.empty())
    work.head = {std::span<const double>(head_).first(p.head.size()), parts_.clipped->low,
                 parts_.clipped->high};
  if (parts_.key && !p.draws.empty()) {
    work.draws = std::span<const pass_draw<S>>(draws_).first(p.draws.size());
    work.item_keys = keys_;
  }
  if (parts_.apply)
    parts_.apply(work, parts_.threads);
  else
    apply(work, {0, work.size()});
}

}  // namespace tweedie::detail
