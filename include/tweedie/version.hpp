// The version of the library, for programs and, as macros, for #if; the build system reads it here.
#pragma once

#include <string_view>

#include "tweedie/requirements.hpp"

#define TWEEDIE_VERSION_MAJOR 0
#define TWEEDIE_VERSION_MINOR 2
#define TWEEDIE_VERSION_PATCH 0

namespace tweedie {

/// The version in parts and as text, as in TWEEDIE_VERSION.
inline constexpr int version_major = TWEEDIE_VERSION_MAJOR;
inline constexpr int version_minor = TWEEDIE_VERSION_MINOR;
inline constexpr int version_patch = TWEEDIE_VERSION_PATCH;
inline constexpr std::string_view version = "0.2.0";

}  // namespace tweedie
