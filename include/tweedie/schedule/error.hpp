// The one form of error message: function, argument, value, what would be valid.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tweedie/requirements.hpp"

namespace tweedie::detail {

std::string number(double value);

std::string describe(const char* function, std::string_view argument, double value,
                     std::string_view valid);

/// Throws std::invalid_argument "function: argument = value; valid".
[[noreturn]] void fail(const char* function, std::string_view argument, double value,
                       std::string_view valid);

/// Throws std::invalid_argument "function: message", where no single number is at fault.
[[noreturn]] void fail(const char* function, std::string_view message);

/// Throws std::invalid_argument unless `count` is `wanted`.
void require_equal(const char* function, const char* argument, std::size_t count,
                   std::size_t wanted);

/// Throws std::invalid_argument unless `condition`; a NaN makes any comparison in it false.
inline void require(bool condition, const char* function, const char* argument, double value,
                    const char* valid) {
  if (!condition) fail(function, argument, value, valid);
}

/// Throws std::invalid_argument for the first of the numbers that is not finite.
template <class Numbers>
void require_all_finite(const char* function, const char* argument, const Numbers& numbers) {
  for (const auto& v : numbers)
    require(std::isfinite(static_cast<double>(v)), function, argument, static_cast<double>(v),
            "valid: finite");
}

#if defined(TWEEDIE_DEFINES_ENGINE)

TWEEDIE_INLINE std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

TWEEDIE_INLINE std::string describe(const char* function, std::string_view argument, double value,
                                    std::string_view valid) {
  std::string text = std::string(function) + ": ";
  text.append(argument).append(" = ").append(number(value)).append("; ").append(valid);
  return text;
}

[[noreturn]] TWEEDIE_INLINE void fail(const char* function, std::string_view argument, double value,
                                      std::string_view valid) {
  throw std::invalid_argument(describe(function, argument, value, valid));
}

[[noreturn]] TWEEDIE_INLINE void fail(const char* function, std::string_view message) {
  throw std::invalid_argument(std::string(function).append(": ").append(message));
}

TWEEDIE_INLINE void require_equal(const char* function, const char* argument, std::size_t count,
                                  std::size_t wanted) {
  if (count != wanted)
    fail(function, argument, static_cast<double>(count), "valid: " + std::to_string(wanted));
}

#endif

}  // namespace tweedie::detail
