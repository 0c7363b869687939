// The one form of error message: function, argument, value, what would be valid.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>

namespace tweedie::detail {

inline std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

inline std::string describe(const char* function, const std::string& argument, double value,
                            const std::string& valid) {
  return std::string(function) + ": " + argument + " = " + number(value) + "; " + valid;
}

/// Throws std::invalid_argument "function: argument = value; valid".
[[noreturn]] inline void fail(const char* function, const std::string& argument, double value,
                              const std::string& valid) {
  throw std::invalid_argument(describe(function, argument, value, valid));
}

/// Throws std::invalid_argument "function: message", where no single number is at fault.
[[noreturn]] inline void fail(const char* function, const std::string& message) {
  throw std::invalid_argument(std::string(function) + ": " + message);
}

/// Throws std::invalid_argument unless `condition`; a NaN makes any comparison in it false.
inline void require(bool condition, const char* function, const char* argument, double value,
                    const char* valid) {
  if (!condition) fail(function, argument, value, valid);
}

}  // namespace tweedie::detail
