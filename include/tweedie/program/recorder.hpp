// Turns a planner's arithmetic into a program.
//
//   recorder r(start);
//   linear x = r.state();
//   for (each step) {
//     const estimate e = r.evaluate(x, from);     // x is stored here if it is not yet
//     x = a * x + b * e.clean + c * r.draw();
//     r.mark(x, to);
//   }
//   return r.finish(x);
//
// Whatever a later step still refers to (history of estimates, a shared draw) is kept in registers
// automatically; registers are reused as soon as nothing refers to them.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "tweedie/program/linear.hpp"
#include "tweedie/program/program.hpp"

namespace tweedie {

/// What one network call gives: x0, z and the raw output, as terms for further arithmetic.
struct estimate {
  linear clean;   ///< x0 estimate, after clipping if the run clips
  linear noise;   ///< z estimate from the unclipped output
  linear output;  ///< raw network output, for methods that mix outputs of any kind
};

/// Which z estimate a clipped run uses.
enum class noise_estimate {
  from_output,  ///< what the network said
  from_clean    ///< (x - alpha x0) / sigma with the clipped x0
};

namespace detail {

// Adds a number to an ascending list that does not hold it yet.
inline void insert_ascending(std::vector<int>& list, int number) {
  for (const int known : list)
    if (known == number) return;
  list.push_back(number);
  for (std::size_t i = list.size() - 1; i > 0 && list[i - 1] > list[i]; --i)
    std::swap(list[i - 1], list[i]);
}

}  // namespace detail

/// Records evaluate, draw, arithmetic and marks; `finish` gives the program.
class recorder {
 public:
  /// The initial sample is at `start`.
  explicit recorder(const node& start);

  /// The initial sample.
  linear state() const { return linear(0); }

  /// Calls the network at x, which stands at noise level `at.level`; the network is told `at.time`.
  estimate evaluate(linear& x, const node& at);

  /// The same at an x that is one tensor already, or is not used again.
  estimate evaluate(const linear& x, const node& at);

  /// A fresh standard normal tensor.
  linear draw() { return draw(draw_kind{}); }

  /// A fresh random tensor of the given kind.
  linear draw(const draw_kind& how);

  /// Ends a step: the sample x stands at `at`. x is rewritten to the stored tensor it now names.
  void mark(linear& x, const node& at);

  /// Keeps x in a register, so that later steps refer to it as one tensor.
  void store(linear& x);

  /// The program whose result is x.
  program finish(linear x);

 private:
  enum class kind { stored, clean, noise, output, draw };
  static constexpr int unused = -1;

  struct tensor {
    kind what;
    int stage;  // where it comes to be; a draw comes to be where it is first used
    int number;
  };
  struct write {
    int tensor;
    linear value;
  };
  struct recorded_stage {  // states are tensors here; `unused` where there is none
    evaluation evaluate{unused, {}};
    std::vector<write> writes;
    step_mark mark{unused, {}};

    bool empty() const {
      return evaluate.state == unused && writes.empty() && mark.state == unused;
    }
  };

  int current() const { return static_cast<int>(stages_.size()) - 1; }
  int add_tensor(kind what, int stage, int number);
  void begin_stage();

  void expand_within_stages();
  void place_draws();
  void keep_what_later_stages_use();
  std::vector<int> last_uses(int result) const;

  node start_;
  std::vector<tensor> tensors_;
  std::vector<draw_kind> draws_;
  std::vector<recorded_stage> stages_;
};

#if defined(TWEEDIE_DEFINES_ENGINE)

TWEEDIE_INLINE recorder::recorder(const node& start) : start_(start), stages_(1) {
  add_tensor(kind::stored, 0, 0);
}

TWEEDIE_INLINE int recorder::add_tensor(kind what, int stage, int number) {
  tensors_.push_back({what, stage, number});
  return static_cast<int>(tensors_.size()) - 1;
}

TWEEDIE_INLINE void recorder::begin_stage() {
  if (!stages_.back().empty()) stages_.emplace_back();
}

TWEEDIE_INLINE estimate recorder::evaluate(const linear& x, const node& at) {
  linear state = x;
  return evaluate(state, at);
}

TWEEDIE_INLINE estimate recorder::evaluate(linear& x, const node& at) {
  store(x);
  begin_stage();
  stages_.back().evaluate = {x.terms().front().tensor, at};
  const int now = current();
  return {linear(add_tensor(kind::clean, now, 0)), linear(add_tensor(kind::noise, now, 0)),
          linear(add_tensor(kind::output, now, 0))};
}

TWEEDIE_INLINE linear recorder::draw(const draw_kind& how) {
  draws_.push_back(how);
  return linear(add_tensor(kind::draw, unused, static_cast<int>(draws_.size()) - 1));
}

TWEEDIE_INLINE void recorder::mark(linear& x, const node& at) {
  store(x);
  stages_[static_cast<std::size_t>(current())].mark = {x.terms().front().tensor, at};
  begin_stage();
}

TWEEDIE_INLINE void recorder::store(linear& x) {
  if (x.is_tensor() &&
      tensors_[static_cast<std::size_t>(x.terms().front().tensor)].what == kind::stored)
    return;
  const int kept = add_tensor(kind::stored, current(), 0);
  stages_.back().writes.push_back({kept, std::move(x)});
  x = linear(kept);
}

// A pass reads before it writes: what a stage stores is not there to be read in that stage, so a
// reference to it is replaced by its value.
TWEEDIE_INLINE void recorder::expand_within_stages() {
  for (recorded_stage& s : stages_)
    for (std::size_t w = 1; w < s.writes.size(); ++w) {
      const auto stored_here = [&](const linear::term& t) -> const linear* {
        for (std::size_t v = 0; v < w; ++v)
          if (s.writes[v].tensor == t.tensor) return &s.writes[v].value;
        return nullptr;
      };
      const std::vector<linear::term>& terms = s.writes[w].value.terms();
      bool refers = false;
      for (const linear::term& t : terms) refers = refers || stored_here(t);
      if (!refers) continue;
      linear value;
      for (const linear::term& t : terms) {
        const linear* const earlier = stored_here(t);
        value += t.weight * (earlier ? *earlier : linear(t.tensor));
      }
      s.writes[w].value = std::move(value);
    }
}

TWEEDIE_INLINE void recorder::place_draws() {
  for (std::size_t s = 0; s < stages_.size(); ++s)
    for (const write& w : stages_[s].writes)
      for (const linear::term& t : w.value.terms()) {
        tensor& used = tensors_[static_cast<std::size_t>(t.tensor)];
        if (used.what == kind::draw && used.stage == unused) used.stage = static_cast<int>(s);
      }
}

TWEEDIE_INLINE void recorder::keep_what_later_stages_use() {
  std::vector<int> kept(tensors_.size(), unused);
  // The stored tensor that later stages read in place of `t`.
  const auto keep = [&](int t) {
    const auto used = static_cast<std::size_t>(t);
    if (kept[used] == unused) {
      const int home = tensors_[used].stage;
      kept[used] = add_tensor(kind::stored, home, 0);
      kept.push_back(unused);
      stages_[static_cast<std::size_t>(home)].writes.push_back({kept[used], linear(t)});
    }
    return kept[used];
  };
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const auto made_elsewhere = [&](const linear::term& t) {
      const tensor& used = tensors_[static_cast<std::size_t>(t.tensor)];
      return used.what != kind::stored && used.stage != static_cast<int>(s);
    };
    for (write& w : stages_[s].writes) {
      const std::vector<linear::term>& terms = w.value.terms();
      bool refers = false;
      for (const linear::term& t : terms) refers = refers || made_elsewhere(t);
      if (!refers) continue;
      linear value;
      for (const linear::term& t : terms)
        value += t.weight * linear(made_elsewhere(t) ? keep(t.tensor) : t.tensor);
      w.value = std::move(value);
    }
  }
}

TWEEDIE_INLINE std::vector<int> recorder::last_uses(int result) const {
  std::vector<int> last(tensors_.size(), unused);
  const auto use = [&last](int t, std::size_t s) {
    last[static_cast<std::size_t>(t)] = static_cast<int>(s);
  };
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    if (stages_[s].evaluate.state != unused) use(stages_[s].evaluate.state, s);
    for (const write& w : stages_[s].writes)
      for (const linear::term& t : w.value.terms()) use(t.tensor, s);
    if (stages_[s].mark.state != unused) use(stages_[s].mark.state, s);
  }
  use(result, stages_.size());
  return last;
}

TWEEDIE_INLINE program recorder::finish(linear x) {
  store(x);
  if (stages_.back().empty() && stages_.size() > 1) stages_.pop_back();
  expand_within_stages();
  place_draws();
  keep_what_later_stages_use();
  const int result = x.terms().front().tensor;
  const std::vector<int> last = last_uses(result);

  program out;
  out.draws = std::move(draws_);
  out.start = start_;
  std::vector<int> home(tensors_.size(), unused);  // register of each stored tensor
  std::vector<int> free_registers;                 // negated: the lowest is last
  const auto reg = [&home](int t) { return home[static_cast<std::size_t>(t)]; };
  const auto last_use = [&last](int t) { return last[static_cast<std::size_t>(t)]; };
  home[0] = 0;
  std::vector<int> live{0};
  std::vector<int> read;
  out.stages.resize(stages_.size());

  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const int now = static_cast<int>(s);
    stage& next = out.stages[s];
    if (const auto& [t, at] = stages_[s].evaluate; t != unused)
      next.evaluate = evaluation{reg(t), at};

    read.clear();
    for (const write& w : stages_[s].writes) {
      if (last_use(w.tensor) == unused) continue;
      for (const linear::term& t : w.value.terms()) detail::insert_ascending(read, t.tensor);
    }
    next.pass.inputs.reserve(read.size());
    next.pass.outputs.reserve(stages_[s].writes.size());
    next.pass.weights.reserve(read.size() * stages_[s].writes.size());
    for (const int t : read) {
      const tensor& used = tensors_[static_cast<std::size_t>(t)];
      switch (used.what) {
        case kind::stored: next.pass.inputs.push_back({operand_kind::stored, reg(t)}); break;
        case kind::clean: next.pass.inputs.push_back({operand_kind::clean, 0}); break;
        case kind::noise: next.pass.inputs.push_back({operand_kind::noise, 0}); break;
        case kind::output: next.pass.inputs.push_back({operand_kind::output, 0}); break;
        case kind::draw: next.pass.inputs.push_back({operand_kind::draw, used.number}); break;
      }
    }
    // Registers read here for the last time are free for what is written here: a pass reads before
    // it writes.
    const auto release = [&] {
      std::size_t kept = 0;
      for (const int t : live) {
        if (last_use(t) <= now)
          detail::insert_ascending(free_registers, -reg(t));
        else
          live[kept++] = t;
      }
      live.resize(kept);
    };
    release();
    for (const write& w : stages_[s].writes) {
      if (last_use(w.tensor) == unused) continue;
      int r = out.registers;
      if (free_registers.empty()) {
        ++out.registers;
      } else {
        r = -free_registers.back();
        free_registers.pop_back();
      }
      home[static_cast<std::size_t>(w.tensor)] = r;
      live.push_back(w.tensor);
      next.pass.outputs.push_back(r);
      for (const int t : read) {
        double weight = 0;
        for (const linear::term& term : w.value.terms())
          if (term.tensor == t) weight = term.weight;
        next.pass.weights.push_back(weight);
      }
    }
    if (const auto& [t, at] = stages_[s].mark; t != unused) next.mark = step_mark{reg(t), at};
    release();  // what only this stage's mark refers to
  }
  out.result = reg(result);
  return out;
}

#endif

}  // namespace tweedie
