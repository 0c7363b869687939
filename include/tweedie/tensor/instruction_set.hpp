// Which instructions the kernels of tweedie::compiled use.
//
// They are built for several sets. The widest that the processor has is taken at first use, unless the
// environment variable TWEEDIE_INSTRUCTION_SET names one: baseline, avx2, avx512. Two machines that must
// give the same bits pin the same set. avx2 and avx512 round alike, since both have fused
// multiply-add, except for inner products (tensor/gram.hpp), whose sums have as many terms at a time as
// vectors have lanes; baseline, without it, differs in the last bits.
//
// Headers alone use what the compiler was told to, and AVX2 or AVX-512 for reading rows of logits where the
// processor has it (discrete/row_kernel.hpp): none of this is declared then.
#pragma once

#include "tweedie/requirements.hpp"

#if defined(TWEEDIE_COMPILED)

namespace tweedie {

/// What kernels are compiled for.
enum class instruction_set {
  baseline,  ///< what the library itself was compiled for
  avx2,      ///< AVX2, FMA and F16C
  avx512     ///< the same and AVX-512 F, DQ, BW, VL
};

/// Whether the library was built for a set and the processor has it.
bool available(instruction_set);

/// The set in use.
/// \throws std::invalid_argument if it is still to be chosen and TWEEDIE_INSTRUCTION_SET names no set that
///   is available
instruction_set current_instruction_set();

/// Uses a set from here on, in all threads; meant for the start of a program.
/// \throws std::invalid_argument unless it is available
void use_instruction_set(instruction_set);

}  // namespace tweedie

#endif
