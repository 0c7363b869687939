// Memory of the caller where the network of a run reads and writes, for engines that are bound to
// addresses before the run: ONNX Runtime's IO binding, TensorRT, OpenVINO.
//
//   std::vector<float> input(n), output(n);  // or what the engine has allocated
//   sampling s(plan, network, x, network_buffers<float>{.input = input, .outputs = {output}});
//   while (s.next()) engine.run_bound(s.network_time());
//
// The network then reads at `input` and writes at `outputs` in every call. Where a program shows the
// network one register only, as most do, that register lives in `input`, at no cost. Where it shows several,
// the state is copied there before each call: n elements read, n written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

/// The caller's memory for the network of one run, contiguous, each as many elements as x. It must
/// outlive the run, and nobody else may write `input` meanwhile: it may hold the state. x may be `input`
/// itself. Multiples of 64 bytes are fastest.
template <storage_scalar S>
struct network_buffers {
  std::span<S> input;                 ///< what the network is shown
  std::vector<std::span<S>> outputs;  ///< one per branch, in their order
  std::span<S>
      variance{};  ///< of networks that predict variances; used where the program asks for it
};

namespace detail {

/// Whether the bytes of the two spans meet.
template <class A, class B>
bool overlap(std::span<A> a, std::span<B> b) {
  const std::less<const void*> before;
  return !a.empty() && !b.empty() && before(a.data(), b.data() + b.size()) &&
         before(b.data(), a.data() + a.size());
}

/// \throws std::invalid_argument, in the name of `function`, unless there is a buffer of `size`
///   elements for all that the network reads and writes, aligned for S and apart from the others.
template <storage_scalar S>
void check_buffers(const char* function, const network_buffers<S>& of, std::size_t branches,
                   bool wants_variance, std::size_t size) {
  require_equal(function, "number of network_buffers::outputs", of.outputs.size(), branches);
  struct named {
    std::string name;
    std::span<const S> memory;
  };
  std::vector<named> all{{"network_buffers::input", of.input}};
  for (std::size_t k = 0; k < branches; ++k)
    all.push_back({"network_buffers::outputs[" + std::to_string(k) + "]", of.outputs[k]});
  if (wants_variance || !of.variance.empty())
    all.push_back({"network_buffers::variance", of.variance});
  for (std::size_t k = 0; k < all.size(); ++k) {
    const auto& [name, memory] = all[k];
    require_equal(function, (name + ".size()").c_str(), memory.size(), size);
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(S) != 0)
      fail(function, name + " is not aligned; valid: addresses that are multiples of " +
                         std::to_string(alignof(S)));
    for (std::size_t j = 0; j < k; ++j)
      if (overlap(all[j].memory, memory))
        fail(function,
             all[j].name + " and " + name + " overlap; valid: memory of its own for each");
  }
}

/// \throws std::invalid_argument if x and a buffer overlap.
template <storage_scalar S>
void check_apart(const char* function, const network_buffers<S>& of, std::span<const S> x) {
  bool meet =
      overlap(std::span<const S>(of.input), x) || overlap(std::span<const S>(of.variance), x);
  for (const std::span<S> output : of.outputs)
    meet = meet || overlap(std::span<const S>(output), x);
  if (meet)
    fail(function,
         "x and network_buffers overlap; valid: memory of its own for x, which is kept as it is "
         "if anything throws");
}

}  // namespace detail

}  // namespace tweedie
