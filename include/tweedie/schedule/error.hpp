// The one form of error message: function, argument, value, what would be valid; and where errors go.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tweedie/requirements.hpp"

#if !defined(TWEEDIE_EXCEPTIONS)
#include <atomic>
#include <cstdlib>
#endif

namespace tweedie {

#if !defined(TWEEDIE_EXCEPTIONS)

/// Is given what would be thrown, and ends the thread or the program: where it returns, the program is aborted.
using error_handler = void (*)(const std::exception& error);

namespace detail {

inline void print_error(const std::exception& error) { std::fprintf(stderr, "%s\n", error.what()); }
inline std::atomic<error_handler> handler_of_errors = print_error;

}  // namespace detail

/// Sets the handler of errors for all threads, in programs compiled without exceptions only; returns the one
/// before. At first it prints the message to stderr.
///
/// All sources of a program must be compiled alike in this.
inline error_handler set_error_handler(error_handler handler) {
  return detail::handler_of_errors.exchange(handler ? handler : detail::print_error);
}

#endif

}  // namespace tweedie

namespace tweedie::detail {

/// Throws the error; without exceptions, gives it to the handler.
template <class Error>
[[noreturn]] void raise(const Error& error) {
#if defined(TWEEDIE_EXCEPTIONS)
  throw error;
#else
  handler_of_errors.load()(error);
  std::abort();
#endif
}

std::string number(double value);

/// "what 3": one of several things by its number.
std::string numbered(const char* what, std::size_t number);

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

TWEEDIE_INLINE std::string numbered(const char* what, std::size_t number) {
  return std::string(what).append(" ").append(std::to_string(number));
}

TWEEDIE_INLINE std::string describe(const char* function, std::string_view argument, double value,
                                    std::string_view valid) {
  std::string text(function);
  text.append(": ").append(argument).append(" = ").append(number(value)).append("; ").append(valid);
  return text;
}

[[noreturn]] TWEEDIE_INLINE void fail(const char* function, std::string_view argument, double value,
                                      std::string_view valid) {
  raise(std::invalid_argument(describe(function, argument, value, valid)));
}

[[noreturn]] TWEEDIE_INLINE void fail(const char* function, std::string_view message) {
  raise(std::invalid_argument(std::string(function).append(": ").append(message)));
}

TWEEDIE_INLINE void require_equal(const char* function, const char* argument, std::size_t count,
                                  std::size_t wanted) {
  if (count != wanted)
    fail(function, argument, static_cast<double>(count), "valid: " + std::to_string(wanted));
}

#endif

}  // namespace tweedie::detail
