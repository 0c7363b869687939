// Where the tensors of a run stand: by number, in memory of its own or in the caller's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "tweedie/program/lower.hpp"
#include "tweedie/solve/run_parts.hpp"

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

// The tensors of a run by number: registers first, then what guidance remembers, if it does; the
// network's outputs, one per branch; the x0 estimate, if a callable changes it; the network's variance
// output and noise made outside a pass, if there are any.
struct memory_layout {
  std::size_t remembered = 0;
  std::size_t fresh_memory = 0;  // what is remembered from now on, while the old is still read
  std::size_t output = 0;
  std::size_t clean = 0;
  std::size_t variance = 0;
  std::size_t draw = 0;
  std::size_t end = 0;
  bool has_variance = false;

  template <storage_scalar S>
  static memory_layout of(const lowered_program& plan, const run_parts<S>& parts) {
    memory_layout out;
    out.has_variance = any_learned(plan.draws);
    std::size_t most_draws = 0;
    for (const lowered_stage& s : plan.stages)
      for (const linear_pass& p : s.passes) {
        std::size_t draws = 0;  // each has its number in the pass, though some take no memory
        for (const operand& in : p.inputs) {
          if (in.from != operand_kind::draw) continue;
          ++draws;
          if (!parts.key || plan.draws[static_cast<std::size_t>(in.index)].learned)
            most_draws = (std::max)(most_draws, draws);
        }
      }
    const bool remembers = parts.guidance && parts.guidance->memory;
    out.end = static_cast<std::size_t>(plan.registers);
    const auto take = [&](std::size_t count) { return std::exchange(out.end, out.end + count); };
    out.remembered = take(remembers ? 1 : 0);
    out.output = take(parts.branches());
    out.fresh_memory = remembers && parts.guidance->state ? take(1) : out.remembered;
    out.clean = take(parts.transform ? 1 : 0);
    out.variance = take(out.has_variance ? 1 : 0);
    out.draw = take(most_draws);
    return out;
  }

  // What passes of stage `now` read as output `stream`: outputs, what is remembered, the state.
  template <storage_scalar S>
  std::size_t stream(const run_parts<S>& parts, const lowered_stage& now, std::size_t k) const {
    const std::size_t outputs = parts.branches();
    if (k < outputs) return output + k;
    if (k == outputs && parts.guidance->memory) return remembered;
    return static_cast<std::size_t>(now.state);
  }
};

// The registers that a program shows the network, in the order of their first use.
inline std::vector<int> shown_registers(const lowered_program& plan) {
  std::vector<int> shown;
  for (const lowered_stage& s : plan.stages)
    if (s.evaluates && std::find(shown.begin(), shown.end(), s.shown) == shown.end())
      shown.push_back(s.shown);
  return shown;
}

// The address of every tensor of a run, by its number: the caller's, if given, else whole cache lines of
// its own. A copy has its own.
template <class S>
class run_memory {
 public:
  run_memory() = default;
  run_memory(const run_memory& from) : own_(from.own_), places_(from.places_) {
    if (from.lent_)
      fail("sampling",
           "a run on buffers of the caller's is not copied, since two runs would write there; to "
           "fork it, begin another with buffers of its own and let that resume(saved())");
    for (S*& place : places_) place = own_.data() + (place - from.own_.data());
  }
  run_memory(run_memory&&) noexcept = default;
  run_memory& operator=(run_memory from) noexcept {
    own_.swap(from.own_);
    places_.swap(from.places_);
    std::swap(lent_, from.lent_);
    return *this;
  }

  // Elements of the whole cache lines that `size` elements take.
  static std::size_t stride(std::size_t size) {
    constexpr std::size_t line = 64;
    return (size * sizeof(S) + line - 1) / line * (line / sizeof(S));
  }

  // `places` tensors of `size` elements: those that are not null where they point, the others zero. Where
  // that throws, all are where they were.
  void place(std::vector<S*>&& places, std::size_t size) {
    const auto owned = static_cast<std::size_t>(std::count(places.begin(), places.end(), nullptr));
    const std::size_t elements = owned * stride(size);
    if (elements > own_.capacity())
      own_ = std::vector<S, cache_lines<S>>(elements, S(0));
    else
      own_.assign(elements, S(0));
    lent_ = owned < places.size();
    places_ = std::move(places);
    S* next = own_.data();
    for (S*& place : places_)
      if (!place) place = std::exchange(next, next + stride(size));
  }

  S* operator[](std::size_t place) const { return places_[place]; }
  void exchange(std::size_t a, std::size_t b) { std::swap(places_[a], places_[b]); }

 private:
  std::vector<S, cache_lines<S>> own_;
  std::vector<S*> places_;
  bool lent_ = false;
};

}  // namespace tweedie::detail
