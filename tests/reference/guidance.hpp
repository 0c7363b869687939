// What recorded cases of guidance share: named tensors and the numbers to compare with.
#pragma once

#include <string>
#include <vector>

#include "outcome.hpp"

namespace reference {

/// A tensor of the file by its name.
inline std::vector<double> tensor(const json& file, const json& name) {
  return numbers(file.at("tensors").at(name.get<std::string>()).at("data"));
}

inline std::vector<std::vector<double>> named_tensors(const json& file, const json& names) {
  std::vector<std::vector<double>> all;
  for (const json& name : names) all.push_back(tensor(file, name));
  return all;
}

/// A result in double precision throughout, where there is one.
inline const json& in_double(const json& recorded, const char* field) {
  return recorded.contains("f64") && recorded["f64"].contains(field) ? recorded["f64"][field]
                                                                     : recorded.at(field);
}

inline std::vector<const double*> pointers(const std::vector<std::vector<double>>& streams) {
  std::vector<const double*> to;
  for (const auto& s : streams) to.push_back(s.data());
  return to;
}

}  // namespace reference
