// Options of a scheduler as Hugging Face writes them (scheduler_config.json), read with types,
// defaults and valid values, so that nothing in a file is misread or silently ignored.
#pragma once

#include <cmath>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie::huggingface {

/// A JSON object whose entries are asked for by key. A missing key and an explicit null both mean
/// the default. Remembers what was asked, so that what nobody asked for can be refused.
class options {
 public:
  options() : values_(nlohmann::json::object()) {}
  /// From a JSON object, e.g. {{"eta", 0.5}}.
  /// \throws std::invalid_argument if it is not an object
  options(nlohmann::json values) : values_(std::move(values)) {
    if (values_.is_null()) values_ = nlohmann::json::object();
    if (!values_.is_object()) fail("options", values_.dump() + "; valid: a JSON object");
  }
  options(std::initializer_list<std::pair<const char*, nlohmann::json>> entries) : options() {
    for (const auto& [key, value] : entries) values_[key] = value;
  }

  /// Names what these options belong to in messages.
  void name(std::string what) { name_ = std::move(what); }
  const std::string& name() const { return name_; }
  const nlohmann::json& values() const { return values_; }

  /// True if the key has a value other than null.
  bool has(const char* key) const {
    asked_.insert(key);
    return values_.contains(key) && !values_[key].is_null();
  }

  /// True if the key is there, even with the value null.
  bool given(const char* key) const {
    asked_.insert(key);
    return values_.contains(key);
  }

  double number(const char* key, double otherwise) const {
    return maybe_number(key).value_or(otherwise);
  }
  std::optional<double> maybe_number(const char* key) const {
    if (!has(key)) return std::nullopt;
    return as_number(key, values_[key]);
  }
  int integer(const char* key, int otherwise) const {
    return maybe_integer(key).value_or(otherwise);
  }
  std::optional<int> maybe_integer(const char* key) const {
    if (!has(key)) return std::nullopt;
    const double value = as_number(key, values_[key]);
    if (value != std::floor(value) || std::abs(value) > (std::numeric_limits<int>::max)())
      refuse(key, "an integer");
    return static_cast<int>(value);
  }
  bool flag(const char* key, bool otherwise) const {
    if (!has(key)) return otherwise;
    if (!values_[key].is_boolean()) refuse(key, "true or false");
    return values_[key].get<bool>();
  }
  /// One of the names in `valid`.
  std::string text(const char* key, const char* otherwise,
                   std::initializer_list<const char*> valid) const {
    std::string value = has(key) && values_[key].is_string() ? values_[key].get<std::string>()
                        : has(key)                           ? values_[key].dump()
                                                             : otherwise;
    for (const char* v : valid)
      if (value == v) return value;
    std::string list;
    for (const char* v : valid) list += (list.empty() ? "" : ", ") + std::string(v);
    fail(key, value + "; supported by " + name_ + ": " + list);
  }
  std::optional<std::vector<double>> numbers(const char* key) const {
    if (!has(key)) return std::nullopt;
    return as_numbers(key, values_[key]);
  }

  /// A list of lists; empty if there is none.
  std::vector<std::vector<double>> number_lists(const char* key) const {
    std::vector<std::vector<double>> lists;
    if (!has(key)) return lists;
    if (!values_[key].is_array()) refuse(key, "a list of lists of numbers");
    for (const auto& list : values_[key]) lists.push_back(as_numbers(key, list));
    return lists;
  }

  /// Says that the reference accepts this key and does nothing with it.
  void without_effect(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) asked_.insert(key);
  }

  /// Keys nobody asked for, private ones (leading underscore) aside.
  std::vector<std::string> unread() const {
    std::vector<std::string> keys;
    for (const auto& [key, value] : values_.items())
      if (!key.starts_with('_') && !asked_.contains(key)) keys.push_back(key);
    return keys;
  }

  /// Throws "<owner>: key = value; valid: ..." for a key whose value cannot be used.
  [[noreturn]] void refuse(const char* key, const std::string& valid) const {
    fail(key, (values_.contains(key) ? values_[key].dump() : "(absent)") + "; valid: " + valid);
  }

  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    tweedie::detail::fail(name_.c_str(), key + " = " + message);
  }

 private:
  // Infinite values are numbers: s_tmax and lambda_min_clipped have them as defaults.
  double as_number(const char* key, const nlohmann::json& value) const {
    if (value.is_number() && !std::isnan(value.get<double>())) return value.get<double>();
    if (value.is_string()) {
      const std::string text = value.get<std::string>();
      const double infinity = std::numeric_limits<double>::infinity();
      if (text == "-inf" || text == "-Infinity") return -infinity;
      if (text == "inf" || text == "Infinity") return infinity;
    }
    refuse(key, "a number");
  }

  std::vector<double> as_numbers(const char* key, const nlohmann::json& values) const {
    if (!values.is_array()) refuse(key, "a list of numbers");
    std::vector<double> list;
    for (const auto& v : values) {
      list.push_back(as_number(key, v));
      if (!std::isfinite(list.back())) refuse(key, "finite numbers");
    }
    return list;
  }

  nlohmann::json values_;
  std::string name_ = "huggingface::scheduler";
  mutable std::set<std::string> asked_;
};

/// The entries of scheduler_config.json.
using config = options;

/// Parses JSON with the non-standard literals Infinity, -Infinity and NaN that Python writes; they
/// become strings of the same spelling. `source` says in messages where the text is from.
/// \throws std::invalid_argument naming the position of a syntax error or of a number out of range, and for
///   more than 64 nested lists and objects, which would be written and copied by recursion
inline nlohmann::json parse_python_json(std::string_view text, const std::string& source = "text") {
  constexpr int deepest = 64;
  std::string strict;
  bool quoted = false;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      strict += text.substr(i, 2);
      ++i;
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > deepest)
      tweedie::detail::fail("huggingface::scheduler",
                            source + ": position " + std::to_string(i) + " is nested deeper than " +
                                std::to_string(deepest) + " lists and objects");
    if (!quoted && (text[i] == ']' || text[i] == '}')) --depth;
    bool replaced = false;
    if (!quoted)
      for (const std::string_view literal : {"-Infinity", "Infinity", "NaN"})
        if (text.substr(i).starts_with(literal)) {
          strict += '"' + std::string(literal) + '"';
          i += literal.size() - 1;
          replaced = true;
          break;
        }
    if (!replaced) strict += text[i];
  }
#if defined(TWEEDIE_EXCEPTIONS)
  try {
    return nlohmann::json::parse(strict);
  } catch (const nlohmann::json::exception& error) {
    tweedie::detail::fail("huggingface::scheduler", source + ": " + error.what());
  }
#else
  nlohmann::json parsed = nlohmann::json::parse(strict, nullptr, false);
  if (parsed.is_discarded()) tweedie::detail::fail("huggingface::scheduler", source + ": not JSON");
  return parsed;
#endif
}

/// Reads a JSON file.
/// \throws std::invalid_argument naming the file if it cannot be opened or parsed
inline nlohmann::json read_python_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) tweedie::detail::fail("huggingface::scheduler", "cannot open \"" + path + "\"");
  std::ostringstream text;
  text << file.rdbuf();
  return parse_python_json(text.str(), '"' + path + '"');
}

/// A configuration given as a path to a file or, if it starts with '{', as text.
/// \throws std::invalid_argument as the two above
inline nlohmann::json parse_configuration(const std::string& path_or_text) {
  const std::size_t first = path_or_text.find_first_not_of(" \t\r\n");
  const bool text = first != std::string::npos && path_or_text[first] == '{';
  return text ? parse_python_json(path_or_text) : read_python_json(path_or_text);
}

}  // namespace tweedie::huggingface
