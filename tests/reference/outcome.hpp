// What became of one recorded case, and the comparison that decides it.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace reference {

/// The object type of recorded files: notes which fields are asked for, so that `replay` can tell what
/// no driver has read. A field that is iterated over counts as read.
template <class Key, class Value, class Less, class Allocator>
class noted_map : public std::map<Key, Value, Less, Allocator> {
  using base = std::map<Key, Value, Less, Allocator>;

 public:
  using base::base;
  using iterator = typename base::iterator;
  using const_iterator = typename base::const_iterator;

  template <class Name>
  iterator find(Name&& name) {
    read_.emplace(name);
    return base::find(name);
  }
  template <class Name>
  const_iterator find(Name&& name) const {
    read_.emplace(name);
    return base::find(name);
  }
  template <class Name>
  std::size_t count(Name&& name) const {
    read_.emplace(name);
    return base::count(name);
  }
  iterator begin() {
    read_all_ = true;
    return base::begin();
  }
  const_iterator begin() const {
    read_all_ = true;
    return base::begin();
  }

  const base& fields() const { return *this; }
  bool has_read(const Key& name) const { return read_all_ || read_.contains(name); }

 private:
  mutable std::set<std::string, std::less<>> read_;
  mutable bool read_all_ = false;
};

using json = nlohmann::basic_json<noted_map>;

/// The same value for readers of their own, who account for what they read.
inline nlohmann::json plain(const json& value) { return value; }

/// What a driver throws at a value that it has no formula for.
inline std::runtime_error unsupported(const std::string& field, const std::string& value) {
  return std::runtime_error("unsupported " + field + ": " + value);
}

/// `value`, if it is one of `all`; the others are unsupported.
inline std::string one_of(const char* field, const std::string& value,
                          std::initializer_list<const char*> all) {
  for (const char* known : all)
    if (value == known) return value;
  throw unsupported(field, value);
}

/// Throws unless every entry of `arguments` is one of `all` or null.
inline void only(const char* field, const json& arguments, std::initializer_list<const char*> all) {
  if (!arguments.is_object()) return;
  for (const auto& [key, value] : arguments.get_ref<const json::object_t&>().fields())
    if (!value.is_null()) one_of(field, key, all);
}

enum class verdict { passed, failed, skipped };

struct outcome {
  std::string id;
  std::string subject;  ///< scheduler class, sampler or table
  std::string group;    ///< option group within the subject
  verdict result = verdict::passed;
  double worst = 0;     ///< largest |a - b| / max(1, |b|) among values held to the tight tolerance
  std::string message;  ///< first deviation, or why it was skipped
};

/// Relative error |a - b| / max(1, |b|).
inline double relative_error(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : INFINITY;
  if (a == b) return 0;
  return std::abs(a - b) / std::max(1.0, std::abs(b));
}

/// Collects comparisons of one case.
class comparison {
 public:
  static constexpr double tight = 1e-9;

  explicit comparison(double tolerance = tight) : tolerance_(tolerance) {}

  /// Compares at the tight tolerance.
  void same(const std::string& what, double ours, double theirs) {
    worst_ = std::max(worst_, relative_error(ours, theirs));
    check(what, ours, theirs, tolerance_);
  }
  void same(const std::string& what, std::span<const double> ours, std::span<const double> theirs) {
    if (!same_size(what, ours.size(), theirs.size())) return;
    for (std::size_t i = 0; i < ours.size(); ++i)
      same(what + "[" + std::to_string(i) + "]", ours[i], theirs[i]);
  }
  void same(const std::string& what, const std::vector<std::vector<double>>& ours,
            const std::vector<std::vector<double>>& theirs) {
    if (!same_size(what, ours.size(), theirs.size())) return;
    for (std::size_t i = 0; i < ours.size(); ++i)
      same(what + "[" + std::to_string(i) + "]", ours[i], theirs[i]);
  }

  /// Compares values that are recorded in less than double precision.
  void near(const std::string& what, std::span<const double> ours, std::span<const double> theirs,
            double tolerance) {
    if (!same_size(what, ours.size(), theirs.size())) return;
    for (std::size_t i = 0; i < ours.size(); ++i)
      check(what + "[" + std::to_string(i) + "]", ours[i], theirs[i], tolerance);
  }

  bool same_size(const std::string& what, std::size_t ours, std::size_t theirs) {
    if (ours != theirs)
      fail(what + ": " + std::to_string(ours) + " entries, expected " + std::to_string(theirs));
    return ours == theirs;
  }

  void fail(const std::string& message) {
    if (message_.empty()) message_ = message;
  }

  /// Writes verdict, worst error and message.
  void into(outcome& o) const {
    o.result = message_.empty() ? verdict::passed : verdict::failed;
    o.worst = worst_;
    o.message = message_;
  }

 private:
  void check(const std::string& what, double ours, double theirs, double tolerance) {
    const double error = relative_error(ours, theirs);
    if (error <= tolerance || !message_.empty()) return;
    char text[128];
    std::snprintf(text, sizeof text, " = %.17g, expected %.17g (relative error %.2e)", ours, theirs,
                  error);
    message_ = what + text;
  }

  double tolerance_;
  double worst_ = 0;
  std::string message_;
};

/// All numbers of a possibly nested JSON array, in order; "inf", "-inf" and "nan" are numbers too.
inline void append_numbers(const json& value, std::vector<double>& to) {
  if (value.is_array()) {
    for (const json& v : value) append_numbers(v, to);
  } else if (value.is_string()) {
    const std::string text = value.get<std::string>();
    to.push_back(text.find("inf") != std::string::npos
                     ? (text.front() == '-' ? -INFINITY : INFINITY)
                     : std::nan(""));
  } else if (value.is_boolean()) {
    to.push_back(value.get<bool>());
  } else {
    to.push_back(value.is_null() ? std::nan("") : value.get<double>());
  }
}
inline std::vector<double> numbers(const json& value) {
  std::vector<double> list;
  append_numbers(value, list);
  return list;
}
/// One flat list per entry.
inline std::vector<std::vector<double>> tensors(const json& value) {
  std::vector<std::vector<double>> list;
  for (const json& v : value) list.push_back(numbers(v));
  return list;
}

}  // namespace reference
