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
// what classifier-free guidance is.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/program/bind.hpp"
#include "tweedie/solve/noise.hpp"
#include "tweedie/tensor/combine.hpp"
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

/// Position and registers of a run, enough to resume it with identical bits.
template <class S>
struct saved_sampling {
  std::size_t stage = 0;
  bool waiting = false;
  std::vector<S> registers;
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

  /// Starts `plan` from the sample x, which stands at plan.start.
  sampling(const program& plan, const network_description& network, const T& x, Noise noise = {},
           Transform transform = {}, std::vector<double> branch_weights = {1})
      : sampling(std::make_shared<const bound_program>(
                     bind(plan, network,
                          std::is_same_v<Transform, unchanged> ? clean_estimate::linear
                                                               : clean_estimate::transformed)),
                 x, std::move(noise), std::move(transform), std::move(branch_weights)) {}

  /// Starts an already bound program, shared with other runs.
  sampling(std::shared_ptr<const bound_program> plan, const T& x, Noise noise = {},
           Transform transform = {}, std::vector<double> branch_weights = {1})
      : plan_(std::move(plan)),
        noise_(std::move(noise)),
        transform_(std::move(transform)),
        branch_weights_(std::move(branch_weights)),
        shape_(traits_of<T>::shape(x)),
        size_(traits_of<T>::size(x)),
        items_(traits_of<T>::items(x)) {
    if (branch_weights_.empty())
      detail::fail("sampling", "branch_weights", 0, "valid: at least one network output");
    lay_out();
    restart(x);
  }

  /// Begins again from x, of the same shape, without allocating.
  /// \throws std::invalid_argument if the size differs.
  void restart(const T& x) {
    if (traits_of<T>::size(x) != size_ || traits_of<T>::items(x) != items_)
      detail::fail("sampling::restart", "size", static_cast<double>(traits_of<T>::size(x)),
                   "valid: the shape the run was made with, " + std::to_string(size_));
    const scalar* from = traits_of<T>::data(x);
    std::copy(from, from + size_, slot(0));
    stage_ = 0;
    waiting_ = false;
    marked_ = false;
    steps_ = 0;
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
    while (stage_ < plan_->stages.size()) {
      const bound_stage& now = plan_->stages[stage_];
      if (now.evaluates && !waiting_) {
        waiting_ = true;
        marked_ = false;
        prepare_input(now);
        return sampling_event::evaluate;
      }
      pass(now);
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
    return make_view(input_is_state() ? slot(current().state) : buffer(input_offset_));
  }
  /// Time the network is to be told.
  double network_time() const { return current().time; }
  /// Level of the state the network is asked about.
  const node& at() const { return current().at; }
  /// Where the network writes; branch k of as many as there are branch weights.
  view output(std::size_t branch = 0) { return make_view(output_data(branch)); }
  /// Where a network that also predicts variances writes its interpolation values v in [-1, 1].
  /// Present only if the program draws with learned variance.
  view variance_output() { return make_view(buffer(variance_offset_)); }

  /// The sample: after `step` the finished step's, else the state being evaluated, at the end the
  /// result. Changing it after `step` is allowed and is what the next step starts from.
  view state() { return make_view(slot(state_register())); }
  const_view state() const { return make_view(slot(state_register())); }
  /// Node of the last finished step.
  node reached() const {
    return stage_ > 0 && plan_->stages[stage_ - 1].mark ? plan_->stages[stage_ - 1].mark->at : node{};
  }

  /// Writes the x0 estimate of the evaluation whose output has just been written: a preview,
  /// before clipping or thresholding.
  /// \throws std::invalid_argument where the prediction does not determine x0, or when no
  ///   evaluation is pending.
  template <writable_tensor Out>
  void estimate(Out&& out) const {
    if (!waiting_) detail::fail("sampling::estimate", "no evaluation is pending");
    const bound_stage& now = current();
    detail::require(!std::isnan(now.clean.x), "sampling::estimate", "level", now.at.level.alpha,
                    "x0 is undefined from this prediction at this level");
    if (traits_of<Out>::size(out) != size_)
      detail::fail("sampling::estimate", "size", static_cast<double>(traits_of<Out>::size(out)),
                   "valid: the size of the state, " + std::to_string(size_));
    write_clean(now, traits_of<Out>::data(out));
  }

  /// Changes how the branches are mixed from here on, for example another guidance scale.
  void set_branch_weights(std::span<const double> weights) {
    if (weights.size() != branch_weights_.size())
      detail::fail("sampling::set_branch_weights", "weights", static_cast<double>(weights.size()),
                   "valid: as many as at construction");
    std::copy(weights.begin(), weights.end(), branch_weights_.begin());
  }

  std::size_t steps_done() const { return steps_; }
  std::size_t steps_total() const {
    std::size_t count = 0;
    for (const bound_stage& s : plan_->stages) count += s.mark.has_value();
    return count;
  }
  const bound_program& plan() const { return *plan_; }

  /// Position and registers. An evaluation in progress is asked again after `resume`.
  saved_sampling<scalar> saved() const {
    return {stage_, waiting_,
            {slot(0), slot(0) + size_ * static_cast<std::size_t>(plan_->registers)}};
  }
  /// Continues from `from`, taken from a run of the same program and shape.
  void resume(const saved_sampling<scalar>& from) {
    const std::size_t wanted = size_ * static_cast<std::size_t>(plan_->registers);
    if (from.registers.size() != wanted || from.stage > plan_->stages.size())
      detail::fail("sampling::resume", "registers", static_cast<double>(from.registers.size()),
                   "valid: saved from a run of the same program and shape, " + std::to_string(wanted));
    std::copy(from.registers.begin(), from.registers.end(), slot(0));
    stage_ = from.stage;
    waiting_ = false;
    marked_ = false;
    steps_ = 0;
    for (std::size_t s = 0; s < stage_; ++s) steps_ += plan_->stages[s].mark.has_value();
  }

 private:
  static constexpr std::size_t absent = static_cast<std::size_t>(-1);

  const bound_stage& current() const {
    return plan_->stages[std::min(stage_, plan_->stages.size() - 1)];
  }
  int state_register() const {
    if (marked_) return plan_->stages[stage_ - 1].mark->state;
    if (stage_ >= plan_->stages.size()) return plan_->result;
    return current().evaluates ? current().state : plan_->result;
  }
  bool input_is_state() const { return current().input_scale == 1; }

  scalar* buffer(std::size_t offset) { return memory_.data() + offset; }
  const scalar* buffer(std::size_t offset) const { return memory_.data() + offset; }
  scalar* slot(int r) { return buffer(static_cast<std::size_t>(r) * stride_); }
  const scalar* slot(int r) const { return buffer(static_cast<std::size_t>(r) * stride_); }
  scalar* output_data(std::size_t b) { return buffer(output_offset_ + b * stride_); }
  const scalar* output_data(std::size_t b) const { return buffer(output_offset_ + b * stride_); }
  view make_view(scalar* p) { return traits_of<T>::make_view(p, shape_); }
  const_view make_view(const scalar* p) const { return traits_of<T>::make_view(p, shape_); }

  void lay_out();
  void prepare_input(const bound_stage& now);
  void pass(const bound_stage& now);
  void write_clean(const bound_stage& now, scalar* out) const;
  void fill_draw(int draw, scalar* out);

  std::shared_ptr<const bound_program> plan_;
  Noise noise_;
  Transform transform_;
  std::vector<double> branch_weights_;
  typename traits_of<T>::shape_type shape_;
  std::size_t size_ = 0;
  std::size_t items_ = 1;
  std::size_t stride_ = 0;

  std::vector<scalar> memory_;
  std::size_t input_offset_ = 0;
  std::size_t output_offset_ = 0;
  std::size_t clean_offset_ = 0;
  std::size_t variance_offset_ = 0;
  std::size_t draw_offset_ = 0;

  // Arguments of one pass; capacity is reserved at construction.
  mutable std::vector<const scalar*> inputs_;
  mutable std::vector<double> weights_;
  std::vector<scalar*> outputs_;

  std::size_t stage_ = 0;
  std::size_t steps_ = 0;
  bool waiting_ = false;
  bool marked_ = false;
};

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::lay_out() {
  std::size_t most_inputs = 1;
  std::size_t most_outputs = 1;
  std::size_t most_draws = 0;
  bool scales = false;
  for (const bound_stage& s : plan_->stages) {
    std::size_t draws = 0;
    for (const operand& in : s.pass.inputs) draws += in.from == source::draw;
    most_draws = std::max(most_draws, draws);
    most_inputs = std::max(most_inputs, s.pass.inputs.size() + branch_weights_.size() + 1);
    most_outputs = std::max(most_outputs, s.pass.outputs.size());
    scales = scales || (s.evaluates && s.input_scale != 1);
  }
  bool learned = false;
  for (const draw_kind& d : plan_->draws) learned = learned || d.learned;

  constexpr std::size_t alignment = 64 / sizeof(scalar);
  stride_ = (size_ + alignment - 1) / alignment * alignment;
  std::size_t end = stride_ * static_cast<std::size_t>(plan_->registers);
  const auto take = [&](std::size_t count) { return std::exchange(end, end + count * stride_); };
  input_offset_ = take(scales ? 1 : 0);
  output_offset_ = take(branch_weights_.size());
  clean_offset_ = take(plan_->estimate == clean_estimate::transformed ? 1 : 0);
  variance_offset_ = take(learned ? 1 : 0);
  draw_offset_ = take(most_draws);
  memory_.assign(end, scalar(0));
  inputs_.reserve(most_inputs);
  outputs_.reserve(most_outputs);
  weights_.reserve(most_inputs * most_outputs);
}

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::prepare_input(const bound_stage& now) {
  if (now.input_scale == 1) return;
  const scalar* from = slot(now.state);
  scalar* to = buffer(input_offset_);
  combine<scalar>(std::span(&to, 1), std::span(&from, 1), std::span(&now.input_scale, 1), size_);
}

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::write_clean(const bound_stage& now, scalar* out) const {
  inputs_.assign(1, slot(now.state));
  weights_.assign(1, now.clean.x);
  for (std::size_t b = 0; b < branch_weights_.size(); ++b) {
    inputs_.push_back(output_data(b));
    weights_.push_back(now.clean.y * branch_weights_[b]);
  }
  combine<scalar>(std::span(&out, 1), inputs_, weights_, size_);
}

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::fill_draw(int draw, scalar* out) {
  const draw_kind& kind = plan_->draws[static_cast<std::size_t>(draw)];
  noise_.fill(noise_request{draw, kind, items_}, std::span<scalar>(out, size_));
  if (!kind.learned) return;
  using real = arithmetic_t<scalar>;
  const scalar* v = buffer(variance_offset_);
  const real middle = static_cast<real>((kind.log_upper + kind.log_lower) / 4);
  const real half_width = static_cast<real>((kind.log_upper - kind.log_lower) / 4);
  for (std::size_t i = 0; i < size_; ++i)
    out[i] = static_cast<scalar>(static_cast<real>(out[i]) *
                                 std::exp(middle + half_width * static_cast<real>(v[i])));
}

template <tensor_like T, class Noise, class Transform>
void sampling<T, Noise, Transform>::pass(const bound_stage& now) {
  scalar* const clean = buffer(clean_offset_);
  if constexpr (!std::is_same_v<Transform, unchanged>) {
    const bool reads_clean =
        std::any_of(now.pass.inputs.begin(), now.pass.inputs.end(),
                    [](const operand& in) { return in.from == source::clean; });
    if (reads_clean) {
      write_clean(now, clean);
      const std::span<scalar> values(clean, size_);
      if constexpr (std::is_same_v<Transform, clip>) {
        const auto low = static_cast<scalar>(transform_.low);
        const auto high = static_cast<scalar>(transform_.high);
        for (scalar& value : values) value = value < low ? low : high < value ? high : value;
      } else {
        transform_(values, items_, now.at);
      }
    }
  }
  inputs_.clear();
  std::size_t draws = 0;
  for (const operand& in : now.pass.inputs) {
    switch (in.from) {
      case source::stored: inputs_.push_back(slot(in.index)); break;
      case source::clean: inputs_.push_back(clean); break;
      case source::output:
        for (std::size_t b = 0; b < branch_weights_.size(); ++b) inputs_.push_back(output_data(b));
        break;
      case source::draw: {
        scalar* const values = buffer(draw_offset_ + draws++ * stride_);
        fill_draw(in.index, values);
        inputs_.push_back(values);
        break;
      }
      case source::noise: break;  // bind leaves none
    }
  }
  outputs_.clear();
  weights_.clear();
  for (std::size_t j = 0; j < now.pass.outputs.size(); ++j) {
    outputs_.push_back(slot(now.pass.outputs[j]));
    for (std::size_t i = 0; i < now.pass.inputs.size(); ++i) {
      const double weight = now.pass.weight(j, i);
      if (now.pass.inputs[i].from == source::output)
        for (const double branch : branch_weights_) weights_.push_back(weight * branch);
      else
        weights_.push_back(weight);
    }
  }
  combine<scalar>(outputs_, inputs_, weights_, size_);
}

}  // namespace tweedie
