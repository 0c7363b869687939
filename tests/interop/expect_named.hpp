#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace tweedie_test {

inline void expect_named(const std::string& message, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << "\"" << part << "\" in: " << message;
}

}  // namespace tweedie_test
