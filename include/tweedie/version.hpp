// The version of the library; the build system reads it from here.
#pragma once

#include <string_view>

namespace tweedie {

inline constexpr int version_major = 0;
inline constexpr int version_minor = 1;
inline constexpr int version_patch = 0;
inline constexpr std::string_view version = "0.1.0";

}  // namespace tweedie
