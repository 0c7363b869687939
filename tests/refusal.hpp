// What a call says when it refuses its input.
#pragma once

#include <stdexcept>
#include <string>

namespace tweedie {

/// The message of the std::invalid_argument that `call` throws; empty if it throws none.
inline std::string refusal(const auto& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace tweedie
