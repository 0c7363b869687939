// One run of a program, pulled one network call at a time: the caller owns the loop.
//
//   sampling s(plan, network, x, gaussian_noise{seed}, guidance_scale(7.5));
//   while (s.next()) engine.run(s.input(), s.network_time(), s.output());
//   use(s.state());
//
// Everything that changes during a run lives in this one value: copy it to fork a run, keep
// `saved()` to resume it elsewhere with identical bits. The program is immutable and shared by any
// number of runs and threads. After construction a run allocates nothing, unless its transform does.
// What the network reads and writes is the run's, or the caller's (solve/network_buffers.hpp).
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

#include "tweedie/solve/parts.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// What `advance` stopped at.
enum class sampling_event {
  evaluate,  ///< the network is wanted: read input(), write output()
  step,      ///< a step is done: state() may be read and changed
  finished   ///< state() is the result
};

/// Position, registers, what guidance remembers and branch weights of a run between two network
/// calls, enough to resume it.
template <class S>
struct saved_sampling {
  std::size_t stage = 0;
  bool input_ready = false;
  std::vector<S> memory;
  std::vector<double> branch_weights;
};

/// \tparam T a tensor type (tensor/traits.hpp)
template <class T>
class sampling {
  static_assert(tensor_like<T>,
                "x must be contiguous memory of float, double, half or bfloat16; for float* use "
                "std::span(p, n); halves as Eigen::half; Eigen::Tensor needs "
                "<tweedie/tensor/eigen_tensor.hpp>");

 public:
  using scalar = scalar_t<T>;
  using view = view_t<T>;
  using const_view = const_view_t<T>;

  /// Starts `plan` from the sample x, which stands at plan.start. `parts`, in any order: noise,
  /// transform of x0 estimates, guidance, buffers, threads (solve/parts.hpp).
  /// \throws std::invalid_argument for a program that draws without noise, guidance of no branch or
  ///   with a weight that is not finite, a clip whose limits leave nothing, buffers that do not fit x
  ///   and guidance, and where the network does not determine what the program needs.
  template <class... Parts>
  sampling(const program& plan, const network_description& network, const T& x, Parts&&... parts)
      : sampling(lowered{}, plan, network, x,
                 detail::collect_parts<scalar>("sampling", plan, traits_of<T>::size(x),
                                               std::forward<Parts>(parts)...)) {}

  /// A prediction kind is no description of a network.
  template <prediction_kind Kind, class... Parts>
  sampling(const program&, const Kind&, const T&, Parts&&...) : run_(undescribed<Kind>()) {}

  /// Begins again from x, of the same shape, with the branch weights of now and nothing remembered,
  /// without allocating.
  /// \throws std::invalid_argument if the number of elements or items differs.
  void restart(const T& x) {
    require_shape(x);
    std::copy_n(traits_of<T>::data(x), run_.size(), run_.reg(0));
    run_.forget();
    go_to(0, false);
  }

  /// The same with another program, planned while the run goes on; allocates only where that needs
  /// more room than any before.
  /// \throws std::invalid_argument as the constructor and `restart` do; the run then goes on as it was.
  void restart(const program& plan, const network_description& network, const T& x) {
    if (!plan.draws.empty() && !run_.has_noise())
      detail::fail("sampling::restart", "the program draws noise; the run has no noise source");
    require_shape(x);
    if (detail::any_learned(plan.draws) && !run_.has_buffer_for_variance())
      detail::fail("sampling::restart",
                   "the program draws with learned variance; the run has no "
                   "network_buffers::variance");
    run_.load(std::make_shared<const lowered_program>(lower(plan, network, run_.how())));
    restart(x);
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
  /// \throws std::invalid_argument, before anything is changed, where a guidance rule has no finite
  ///   weights for the outputs.
  sampling_event advance() {
    while (stage_ < plan().stages.size()) {
      const lowered_stage& now = plan().stages[stage_];
      if (now.evaluates && !waiting_) {
        waiting_ = true;
        marked_ = false;
        if (now.shown != now.state && !input_ready_) {
          run_.scale_input(now);
          input_ready_ = true;
        }
        run_.show(now);
        return sampling_event::evaluate;
      }
      run_.carry_out(stage_);
      input_ready_ = run_.scales_input(stage_);
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
  const_view input() const { return make_view(run_.input(current())); }
  /// Every place that input() has in this run, most programs have one to five: an engine that binds its
  /// inputs to addresses binds each once. These places, output() and variance_output() begin at multiples
  /// of 64 bytes and stay where they are until the run is destroyed, also through `restart` and `resume`;
  /// a copy of the run has its own. With network_buffers they are the caller's, one input among them, and
  /// the run cannot be copied.
  std::vector<const_view> input_places() const {
    std::vector<const_view> places;
    for (const scalar* place : run_.inputs()) places.push_back(make_view(place));
    return places;
  }
  /// Time the network is to be told.
  double network_time() const { return current().time; }
  /// Level of the state the network is asked about.
  const node& at() const { return current().at; }
  /// Outputs the network is asked for: as many as guidance weighs.
  std::size_t branches() const { return run_.branches(); }
  /// Where the network writes; one view per branch.
  /// \throws std::invalid_argument if there is no such branch.
  view output(std::size_t branch = 0) {
    if (branch >= branches())
      detail::fail("sampling::output", "branch", static_cast<double>(branch),
                   "valid: below the number of branches, " + std::to_string(branches()));
    return make_view(run_.output(branch));
  }
  /// Where a network that also predicts variances writes its interpolation values v in [-1, 1].
  /// \throws std::invalid_argument unless the program draws with learned variance.
  view variance_output() {
    if (!run_.has_variance())
      detail::fail("sampling::variance_output", "the program draws with no learned variance");
    return make_view(run_.variance());
  }

  /// The sample: after `step` the finished step's, else the state being evaluated, at the end the
  /// result. Changing it after `step` is allowed and is what the next step starts from; while an
  /// evaluation is pending, only where input() is the state itself, unscaled.
  view state() {
    input_ready_ = input_ready_ && waiting_;
    return make_view(run_.reg(state_register()));
  }
  const_view state() const { return make_view(run_.reg(state_register())); }
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
    detail::require_equal("sampling::estimate", "size", traits_of<Out>::size(out), run_.size());
    run_.estimate(stage_, traits_of<Out>::data(out));
  }

  /// Changes how the branches are mixed from here on, for example another guidance scale.
  /// \throws std::invalid_argument unless there are as many as at construction, all finite; a run
  ///   that a rule guides has none, its rule may change (`varying`).
  void set_branch_weights(std::span<const double> weights) {
    detail::require_equal("sampling::set_branch_weights", "branch_weights", weights.size(),
                          run_.branch_weights().size());
    detail::check_weights_finite("sampling::set_branch_weights", weights);
    run_.set_branch_weights(weights);
  }

  /// Shares every pass out among `threads` (tensor/parallel.hpp), with the same bits as alone. They
  /// must outlive this run and its copies, and serve one run at a time.
  template <class Workers>
  void use(Workers& threads) {
    run_.use(threads);
  }

  /// Constant weights of the branches; none where guidance is a rule or a mixer.
  std::span<const double> branch_weights() const { return run_.branch_weights(); }

  std::size_t steps_done() const { return steps_; }
  std::size_t steps_total() const {
    return static_cast<std::size_t>(std::count_if(plan().stages.begin(), plan().stages.end(),
                                                  [](const lowered_stage& s) { return s.mark; }));
  }
  const lowered_program& plan() const { return run_.plan(); }

  /// Position, registers and branch weights. If an evaluation is pending it will be asked for again.
  saved_sampling<scalar> saved() const {
    const std::span<const double> weights = run_.branch_weights();
    return {stage_, input_ready_, run_.resumable_memory(), {weights.begin(), weights.end()}};
  }
  /// Continues from `from`, taken from a run of the same program, shape and number of branches.
  /// \throws std::invalid_argument if it comes from another kind of run.
  void resume(const saved_sampling<scalar>& from) {
    constexpr const char* name = "sampling::resume";
    detail::require_equal(name, "memory", from.memory.size(), run_.resumable());
    if (from.stage > plan().stages.size())
      detail::fail(
          name, "stage", static_cast<double>(from.stage),
          "valid: at most that of the program's end, " + std::to_string(plan().stages.size()));
    set_branch_weights(from.branch_weights);
    run_.resume(from.memory);
    go_to(from.stage, from.input_ready);
  }

 private:
  template <class Kind>
  static detail::execution<scalar> undescribed() {
    static_assert(detail::never<Kind>, "describe the network: network_description{predicts_noise}");
    detail::fail("sampling", "a prediction kind is no description of a network");
  }
  struct lowered {};
  sampling(lowered, const program& plan, const network_description& network, const T& x,
           detail::run_parts<scalar> parts)
      : run_(std::make_shared<const lowered_program>(lower(plan, network, parts.how())),
             traits_of<T>::size(x), traits_of<T>::items(x), std::move(parts)),
        shape_(traits_of<T>::shape(x)) {
    restart(x);
  }

  void require_shape(const T& x) const {
    detail::require_equal("sampling::restart", "size", traits_of<T>::size(x), run_.size());
    detail::require_equal("sampling::restart", "items", traits_of<T>::items(x), run_.items());
  }
  const lowered_stage& current() const {
    if (plan().stages.empty()) detail::fail("sampling", "the program evaluates nothing");
    return plan().stages[(std::min)(stage_, plan().stages.size() - 1)];
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

  view make_view(scalar* p) { return traits_of<T>::make_view(p, shape_); }
  const_view make_view(const scalar* p) const { return traits_of<T>::make_view(p, shape_); }

  detail::execution<scalar> run_;
  typename traits_of<T>::shape_type shape_;

  std::size_t stage_ = 0;
  std::size_t steps_ = 0;
  bool waiting_ = false;
  bool marked_ = false;
  bool input_ready_ = false;
};

template <class T, class... Parts>
sampling(const program&, const network_description&, const T&, Parts&&...) -> sampling<T>;
template <prediction_kind Kind, class T, class... Parts>
sampling(const program&, const Kind&, const T&, Parts&&...) -> sampling<T>;

}  // namespace tweedie
