// Defines what TWEEDIE_COMPILED leaves declared: the run of a program and its kernels.
//
// CMake: link tweedie::compiled instead of tweedie::tweedie. By hand: compile everything with
// TWEEDIE_COMPILED defined, among it one source that includes this header; it then holds kernels for the
// instructions that the compiler was told to use. src/kernels.cpp, compiled once more for each further
// set, adds those of AVX2 and AVX-512; TWEEDIE_COMPILED_AVX2 and TWEEDIE_COMPILED_AVX512, defined here, say
// that they are there. The loader of Hugging Face configurations is defined by
// <tweedie/interop/huggingface_compiled.hpp>. Without TWEEDIE_COMPILED there is nothing to define.
#pragma once

#if defined(TWEEDIE_COMPILED)
#define TWEEDIE_DEFINES_ENGINE

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tweedie/program/lower.hpp"
#include "tweedie/program/recorder.hpp"
#include "tweedie/sampler/walk.hpp"
#include "tweedie/schedule/discrete_schedule.hpp"
#include "tweedie/schedule/error.hpp"
#include "tweedie/solve/execution.hpp"
#include "tweedie/tensor/instruction_set.hpp"
#include "tweedie/tensor/own_kernels.hpp"
#include "tweedie/tensor/processor.hpp"

#if defined(TWEEDIE_COMPILED_AVX2) || defined(TWEEDIE_COMPILED_AVX512)
extern "C" const void* tweedie_kernels_avx2();
extern "C" const void* tweedie_kernels_avx512();
#endif

namespace tweedie {

namespace detail {

template class execution<float>;
template class execution<double>;
template class execution<float16>;
template class execution<bfloat16>;

struct kernel_choice {
  instruction_set set;
  const char* name;
  const kernel_table* tables;  // null: not available
};

inline const kernel_table* avx2_kernels() {
#if defined(TWEEDIE_COMPILED_AVX2)
  if (has_avx2()) return static_cast<const kernel_table*>(tweedie_kernels_avx2());
#endif
  return nullptr;
}

inline const kernel_table* avx512_kernels() {
#if defined(TWEEDIE_COMPILED_AVX512)
  if (has_avx512()) return static_cast<const kernel_table*>(tweedie_kernels_avx512());
#endif
  return nullptr;
}

// Widest last.
inline const kernel_choice (&kernel_choices())[3] {
  static const kernel_choice all[3] = {{instruction_set::baseline, "baseline", own_kernel_tables},
                                       {instruction_set::avx2, "avx2", avx2_kernels()},
                                       {instruction_set::avx512, "avx512", avx512_kernels()}};
  return all;
}

inline const kernel_choice& first_choice() {
  const kernel_choice* widest = nullptr;
  const char* const wanted = std::getenv("TWEEDIE_INSTRUCTION_SET");
  std::string names;
  for (const kernel_choice& c : kernel_choices()) {
    if (!c.tables) continue;
    names += (names.empty() ? "" : ", ") + std::string(c.name);
    if (!wanted || !*wanted || std::string_view(wanted) == c.name) widest = &c;
  }
  if (!widest)
    fail("TWEEDIE_INSTRUCTION_SET", std::string(wanted) + "; valid on this machine: " + names);
  return *widest;
}

inline std::atomic<const kernel_choice*> chosen_kernels = nullptr;

inline const kernel_choice& current_kernels() {
  const kernel_choice* now = chosen_kernels.load(std::memory_order_acquire);
  if (!now) {
    const kernel_choice* const first = &first_choice();
    if (chosen_kernels.compare_exchange_strong(now, first)) now = first;
  }
  return *now;
}

const kernel_table* compiled_kernels() { return current_kernels().tables; }

}  // namespace detail

bool available(instruction_set set) {
  return detail::kernel_choices()[static_cast<int>(set)].tables != nullptr;
}

instruction_set current_instruction_set() { return detail::current_kernels().set; }

void use_instruction_set(instruction_set set) {
  const detail::kernel_choice& choice = detail::kernel_choices()[static_cast<int>(set)];
  if (!choice.tables)
    detail::fail("use_instruction_set", std::string(choice.name) +
                                            ": the library was not built for it, or this processor "
                                            "lacks it");
  detail::chosen_kernels.store(&choice, std::memory_order_release);
}

}  // namespace tweedie

#endif
