// One run of a program, pulled one network call at a time: the caller owns the loop.
//
//   sampling s(plan, network, x, gaussian_noise{seed});
//   while (s.next()) engine.run(s.input(), s.network_time(), s.output());
//   use(s.state());
//
// Everything that changes during a run lives in this one value: copy it to fork a run, keep
// `saved()` to resume it elsewhere with identical bits. The program is immutable and shared by any
// number of runs and threads. After construction a run allocates nothing.
//
// input() is already scaled as the network wants it; output() is read in place, whatever the
// prediction kind; several outputs (branches) are mixed with weights in the same pass, which is
// what classifier-free guidance is. Each step is one pass over memory (tensor/fused_pass.hpp):
// clipping, noise and the next scaled input included.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tweedie/solve/noise.hpp"
#include "tweedie/solve/prepared.hpp"
#include "tweedie/tensor/fused_pass.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// The x0 estimate is used as it is.
struct unchanged {};

/// The x0 estimate is clipped to [low, high], elementwise, inside the pass that uses it.
struct clip {
  double low = -1;
  double high = 1;
};

/// What `advance` stopped at.
enum class sampling_event {
  evaluate,  ///< the network is wanted: read input(), write output()
  step,      ///< a step is done: state() may be read and changed
  finished   ///< state() is the result
};

/// Position and registers of a run between two network calls, enough to resume it.
template <class S>
struct saved_sampling {
  std::size_t stage = 0;
  bool input_ready = false;
  std::vector<S> memory;
};

/// \tparam T a tensor type (tensor/traits.hpp); \tparam Noise a noise_source;
/// \tparam Transform unchanged, clip, or a callable f(std::span<S> clean, std::size_t items,
///   const node& at) that changes the x0 estimate in place (thresholds, projections).
template <tensor_like T, class Noise = gaussian_noise, class Transform = unchanged>
class sampling {
 public:
  using scalar = scalar_t<T>;
  using view = view_t<T>;
  using const_view = const_view_t<T>;

  /// Starts `plan` from the sample x, which stands at plan.start. Network outputs are mixed with
  /// `branch_weights` (one output by default).
  sampling(const program& plan, const network_description& network, const T& x, Noise noise = {},
           Transform transform = {}, std::vector<double> branch_weights = {1})
      : sampling(std::make_shared<const bound_program>(bind(plan, network,
                                                            clean_from == clean_source::folded
                                                                ? clean_estimate::linear
                                                                : clean_estimate::transformed)),
                 x, std::move(noise), std::move(transform), std::move(branch_weights)) {}

  /// Starts an already bound program, shared with other runs.
  /// \throws std::invalid_argument if the program was bound for another use of the x0 estimate.
  sampling(std::shared_ptr<const bound_program> plan, const T& x, Noise noise = {},
           Transform transform = {}, std::vector<double> branch_weights = {1})
      : noise_(std::move(noise)),
        transform_(std::move(transform)),
        branch_weights_(std::move(branch_weights)),
        shape_(traits_of<T>::shape(x)),
        size_(traits_of<T>::size(x)),
        items_(traits_of<T>::items(x)) {
    if (branch_weights_.empty())
      detail::fail("sampling", "branch_weights", 0, "valid: at least one network output");
    if ((plan->estimate == clean_estimate::linear) != (clean_from == clean_source::folded))
      detail::fail("sampling", "the program was bound with the other clean_estimate");
    prepared_ =
        std::make_shared<const prepared_program>(std::move(plan), size_, 64 / sizeof(scalar),
                                                 branch_weights_.size(), clean_from, draws_from);
    reserve();
    restart(x);
  }

  /// Begins again from x, of the same shape, without allocating.
  /// \throws std::invalid_argument if the size differs.
  void restart(const T& x) {
    if (traits_of<T>::size(x) != size_ || traits_of<T>::items(x) != items_)
      detail::fail("sampling::restart", "size", static_cast<double>(traits_of<T>::size(x)),
                   "valid: the shape the run was made with, " + std::to_string(size_));
    const scalar* from = traits_of<T>::data(x);
    std::copy(from, from + size_, memory_.data());
    go_to(0, false);
  }

  /// Runs to the next network call; false when the run is finished.
  bool next() {
    for (;;) {
      const sampling_event event = advance();
      if (event != sampling_event::step) return event == sampling_event::evaluate;
    }
  }

  /// Runs to the next event. After `evaluate` the output must have been written before the next
  /// call; after `step` the state may be changed through state().
  sampling_event advance() {
    const std::vector<bound_stage>& stages = plan().stages;
    while (stage_ < stages.size()) {
      const bound_stage& now = stages[stage_];
      if (now.evaluates && !waiting_) {
        waiting_ = true;
        marked_ = false;
        if (!input_ready_) scale_input(now);
        return sampling_event::evaluate;
      }
      pass(now, prepared_->pass(stage_));
      waiting_ = false;
      ++stage_;
      if (now.mark) {
        ++steps_;
        marked_ = true;
        return sampling_event::step;
      }
    }
    marked_ = false;
    return sampling_event::finished;
  }

  /// What the network is to be shown: the state, scaled as the network wants it.
  const_view input() const {
    const bound_stage& now = current();
    return make_view(at(now.input_scale == 1 ? prepared_->reg(now.state) : prepared_->input()));
  }
  /// Time the network is to be told.
  double network_time() const { return current().time; }
  /// Level of the state the network is asked about.
  const node& at() const { return current().at; }
  /// Where the network writes; one view per branch weight.
  view output(std::size_t branch = 0) { return make_view(at(prepared_->output(branch))); }
  /// Where a network that also predicts variances writes its interpolation values v in [-1, 1].
  /// Present only if the program draws with learned variance.
  view variance_output() { return make_view(at(prepared_->variance())); }

  /// The sample: after `step` the finished step's, else the state being evaluated, at the end the
  /// result. Changing it after `step` is allowed and is what the next step starts from.
  view state() {
    input_ready_ = input_ready_ && waiting_;
    return make_view(at(prepared_->reg(state_register())));
  }
  const_view state() const { return make_view(at(prepared_->reg(state_register()))); }
  /// Node of the last finished step; plan().start before the first.
  node reached() const {
    for (std::size_t s = stage_; s-- > 0;)
      if (plan().stages[s].mark) return plan().stages[s].mark->at;
    return plan().start;
  }

  /// Writes the x0 estimate of the evaluation whose output has just been written: a preview,
  /// before clipping or thresholding.
  /// \throws std::invalid_argument where the prediction does not determine x0, or when no
  ///   evaluation is pending.
  template <writable_tensor Out>
  void estimate(Out&& out) const {
    if (!waiting_) detail::fail("sampling::estimate", "no evaluation is pending");
    detail::require(!std::isnan(current().clean.x), "sampling::estimate", "alpha",
                    current().at.level.alpha, "x0 is undefined from this prediction at this level");
    if (traits_of<Out>::size(out) != size_)
      detail::fail("sampling::estimate", "size", static_cast<double>(traits_of<Out>::size(out)),
                   "valid: the size of the state, " + std::to_string(size_));
    write_clean(current(), traits_of<Out>::data(out));
  }

  /// Changes how the branches are mixed from here on, for example another guidance scale.
  void set_branch_weights(std::span<const double> weights) {
    if (weights.size() != branch_weights_.size())
      detail::fail("sampling::set_branch_weights", "weights", static_cast<double>(weights.size()),
                   "valid: as many as at construction");
    std::copy(weights.begin(), weights.end(), branch_weights_.begin());
  }

  /// Shares every pass out among `threads` (tensor/parallel.hpp), with the same bits as alone. They
  /// must outlive this run and its copies, and serve one run at a time.
  template <class Workers>
  void use(Workers& threads) {
    workers_ = &threads;
    apply_ = [](const fused_pass<scalar>& work, void* with) {
      apply(work, *static_cast<Workers*>(with));
    };
  }

  std::size_t steps_done() const { return steps_; }
  std::size_t steps_total() const {
    return static_cast<std::size_t>(std::count_if(plan().stages.begin(), plan().stages.end(),
                                                  [](const bound_stage& s) { return s.mark; }));
  }
  const bound_program& plan() const { return prepared_->plan(); }

  /// Position and registers. If an evaluation is pending it will be asked for again.
  saved_sampling<scalar> saved() const {
    return {
        stage_,
        input_ready_,
        {memory_.begin(), memory_.begin() + static_cast<std::ptrdiff_t>(prepared_->resumable())}};
  }
  /// Continues from `from`, taken from a run of the same program and shape.
  void resume(const saved_sampling<scalar>& from) {
    if (from.memory.size() != prepared_->resumable() || from.stage > plan().stages.size())
      detail::fail("sampling::resume", "memory", static_cast<double>(from.memory.size()),
                   "valid: saved from a run of the same program and shape, " +
                       std::to_string(prepared_->resumable()));
    std::copy(from.memory.begin(), from.memory.end(), memory_.begin());
    go_to(from.stage, from.input_ready);
  }

 private:
  static constexpr clean_source clean_from =
      std::is_same_v<Transform, unchanged> ? clean_source::folded
      : std::is_same_v<Transform, clip>    ? clean_source::head
                                           : clean_source::buffer;
  static constexpr draw_source draws_from =
      counter_noise<Noise> ? draw_source::inside : draw_source::buffer;

  const bound_stage& current() const {
    return plan().stages[std::min(stage_, plan().stages.size() - 1)];
  }
  int state_register() const {
    if (marked_) return plan().stages[stage_ - 1].mark->state;
    if (stage_ < plan().stages.size() && current().evaluates) return current().state;
    return plan().result;
  }
  void go_to(std::size_t stage, bool input_ready) {
    stage_ = stage;
    input_ready_ = input_ready;
    waiting_ = false;
    marked_ = stage > 0 && plan().stages[stage - 1].mark;
    steps_ = 0;
    for (std::size_t s = 0; s < stage; ++s) steps_ += plan().stages[s].mark.has_value();
  }

  scalar* at(std::size_t offset) { return memory_.data() + offset; }
  const scalar* at(std::size_t offset) const { return memory_.data() + offset; }
  view make_view(scalar* p) { return traits_of<T>::make_view(p, shape_); }
  const_view make_view(const scalar* p) const { return traits_of<T>::make_view(p, shape_); }

  void reserve();
  void scale_input(const bound_stage& now);
  void write_clean(const bound_stage& now, scalar* out) const;
  void prepare_draws(const prepared_pass& prepared);
  void pass(const bound_stage& now, const prepared_pass& prepared);

  std::shared_ptr<const prepared_program> prepared_;
  Noise noise_;
  Transform transform_;
  std::vector<double> branch_weights_;
  typename traits_of<T>::shape_type shape_;
  std::size_t size_ = 0;
  std::size_t items_ = 1;

  std::vector<scalar, Eigen::aligned_allocator<scalar>> memory_;
  // Arguments of one pass; sized at construction.
  std::vector<const scalar*> inputs_;
  std::vector<scalar*> outputs_;
  std::vector<double> weights_;
  std::vector<double> head_;
  std::vector<pass_draw<scalar>> draws_;
  std::vector<noise_key> keys_;
  mutable std::vector<const scalar*> clean_inputs_;
  mutable std::vector<double> clean_weights_;

  void* workers_ = nullptr;
  void (*apply_)(const fused_pass<scalar>&, void*) = [](const fused_pass<scalar>& work, void*) {
    apply(work);
  };

  std::size_t stage_ = 0;
  std::size_t steps_ = 0;
  bool waiting_ = false;
  bool marked_ = false;
  bool input_ready_ = false;
};

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::reserve() {
  std::size_t inputs = 0, outputs = 0, weights = 0, draws = 0;
  for (std::size_t s = 0; s < plan().stages.size(); ++s) {
    const prepared_pass& p = prepared_->pass(s);
    inputs = std::max(inputs, p.inputs.size());
    outputs = std::max(outputs, p.outputs.size());
    weights = std::max(weights, p.weights.size());
    draws = std::max(draws, p.draws.size());
  }
  memory_.assign(prepared_->memory(), scalar(0));
  inputs_.resize(inputs);
  outputs_.resize(outputs);
  weights_.resize(weights);
  head_.resize(inputs);
  draws_.resize(draws);
  clean_inputs_.resize(1 + branch_weights_.size());
  clean_weights_.resize(1 + branch_weights_.size());
  if constexpr (draws_from == draw_source::inside)
    if (!plan().draws.empty())
      for (std::size_t i = 0; i < items_; ++i) keys_.push_back(noise_.key(i));
}

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::scale_input(const bound_stage& now) {
  if (now.input_scale == 1) return;
  const scalar* from = at(prepared_->reg(now.state));
  scalar* to = at(prepared_->input());
  combine<scalar>(std::span(&to, 1), std::span(&from, 1), std::span(&now.input_scale, 1), size_);
  input_ready_ = true;
}

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::write_clean(const bound_stage& now, scalar* out) const {
  const std::size_t streams = 1 + branch_weights_.size();
  clean_inputs_[0] = at(prepared_->reg(now.state));
  clean_weights_[0] = now.clean.x;
  for (std::size_t b = 0; b + 1 < streams; ++b) {
    clean_inputs_[b + 1] = at(prepared_->output(b));
    clean_weights_[b + 1] = now.clean.y * branch_weights_[b];
  }
  combine<scalar>(std::span(&out, 1), clean_inputs_, clean_weights_, size_);
}

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::prepare_draws(const prepared_pass& prepared) {
  using real = arithmetic_t<scalar>;
  for (std::size_t k = 0; k < prepared.draws.size(); ++k) {
    const int draw = prepared.draws[k];
    const draw_kind& kind = plan().draws[static_cast<std::size_t>(draw)];
    scalar* const values = at(prepared_->draw(k));
    // exp(((1 + v) log_upper + (1 - v) log_lower)/4) is the standard deviation.
    const auto middle = static_cast<real>((kind.log_upper + kind.log_lower) / 4);
    const auto half_width = static_cast<real>((kind.log_upper - kind.log_lower) / 4);
    const auto deviation = [&](scalar v) {
      return std::exp(middle + half_width * static_cast<real>(v));
    };
    const scalar* const v = at(prepared_->variance());
    if constexpr (draws_from == draw_source::inside) {
      draws_[k] = {static_cast<std::uint32_t>(draw), kind.learned ? values : nullptr};
      if (kind.learned)
        std::transform(v, v + size_, values,
                       [&](scalar e) { return static_cast<scalar>(deviation(e)); });
    } else {
      noise_.fill(noise_request{draw, kind, items_}, std::span<scalar>(values, size_));
      if (kind.learned)
        std::transform(values, values + size_, v, values, [&](scalar z, scalar e) {
          return static_cast<scalar>(static_cast<real>(z) * deviation(e));
        });
    }
  }
}

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::pass(const bound_stage& now, const prepared_pass& prepared) {
  input_ready_ = prepared.scales_input;
  if (prepared.outputs.empty()) return;
  if constexpr (clean_from == clean_source::buffer) {
    if (prepared.transforms) {
      scalar* const clean = at(prepared_->clean());
      write_clean(now, clean);
      transform_(std::span<scalar>(clean, size_), items_, now.at);
    }
  }
  prepare_draws(prepared);
  const std::size_t inputs = prepared.inputs.size();
  const std::size_t outputs = prepared.outputs.size();
  for (std::size_t i = 0; i < inputs; ++i) inputs_[i] = at(prepared.inputs[i]);
  for (std::size_t j = 0; j < outputs; ++j) outputs_[j] = at(prepared.outputs[j]);
  std::span<const double> weights = prepared.weights;
  std::span<const double> head = prepared.head;
  if (branch_weights_.size() > 1 || branch_weights_.front() != 1) {
    const std::size_t columns = prepared.branches.size();
    const auto factor = [&](std::size_t c) {
      const int b = prepared.branches[c];
      return b < 0 ? 1.0 : branch_weights_[static_cast<std::size_t>(b)];
    };
    for (std::size_t j = 0; j < outputs; ++j)
      for (std::size_t c = 0; c < columns; ++c)
        weights_[j * columns + c] = weights[j * columns + c] * factor(c);
    for (std::size_t i = 0; i < head.size(); ++i) head_[i] = head[i] * factor(i);
    weights = std::span(weights_).first(outputs * columns);
    head = std::span(head_).first(head.size());
  }
  fused_pass<scalar> fused;
  fused.items = items_;
  fused.item_size = items_ == 0 ? 0 : size_ / items_;
  fused.outputs = std::span<scalar* const>(outputs_.data(), outputs);
  fused.inputs = std::span<const scalar* const>(inputs_.data(), inputs);
  fused.weights = weights;
  if constexpr (clean_from == clean_source::head)
    fused.head = {head, transform_.low, transform_.high};
  if constexpr (draws_from == draw_source::inside) {
    fused.draws = std::span<const pass_draw<scalar>>(draws_.data(), prepared.draws.size());
    if (!prepared.draws.empty()) fused.item_keys = keys_;
  }
  apply_(fused, workers_);
}

}  // namespace tweedie
