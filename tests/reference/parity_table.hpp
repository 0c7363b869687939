// The table of docs/parity.md: one row per subject and option group, by reference.
//
// Errors are written as upper bounds with a margin, so that the table is the same for every
// compiler: a power of ten at least four times the worst error seen, and no less than 1e-14.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "outcome.hpp"

namespace reference {

/// Counts of outcomes and the worst error among those compared.
struct tally {
  std::size_t cases = 0, passed = 0, failed = 0, skipped = 0;
  double worst = 0;

  void add(const outcome& o) {
    ++cases;
    passed += o.result == verdict::passed;
    failed += o.result == verdict::failed;
    skipped += o.result == verdict::skipped;
    if (o.result != verdict::skipped) worst = std::max(worst, o.worst);
  }
};

/// (subject, option group) -> tally, per reference.
using parity_table = std::map<std::string, std::map<std::pair<std::string, std::string>, tally>>;

/// Repository and commit that a file was recorded from.
inline std::string reference_of(const json& file) {
  const auto at_commit = [](const std::string& name, const std::string& commit) {
    return name + "@" + commit.substr(0, 12);
  };
  if (file.contains("commit"))
    return at_commit(file.value("reference", "huggingface/diffusers"), file.at("commit"));
  if (file.contains("commits")) {
    std::string all;
    for (const auto& [name, commit] : file.at("commits").items())
      all += (all.empty() ? "" : ", ") + at_commit(name, commit);
    return all;
  }
  if (file.contains("references")) {
    std::string all;
    for (const json& r : file.at("references"))
      all += (all.empty() ? "" : ", ") + at_commit(r.at("repo"), r.at("commit"));
    return all;
  }
  return "torch " + file.value("torch", std::string("(version unknown)"));
}

/// Bound that is written for a worst error.
inline double written_bound(double worst) {
  return std::max(1e-14, std::pow(10, std::ceil(std::log10(4 * std::max(worst, 1e-20)))));
}

/// A row up to its bound; the bound follows.
inline std::string row_start(const std::pair<std::string, std::string>& what, const tally& t) {
  return "| " + what.first + " | " + what.second + " | " + std::to_string(t.cases) + " | " +
         std::to_string(t.passed) + " | " + std::to_string(t.skipped) + " | ";
}

inline void print(const parity_table& table) {
  const char* const columns = "cases | passed | skipped | relative error at most |";
  std::printf("## By reference\n\n| reference | %s\n|---|---:|---:|---:|---:|\n", columns);
  for (const auto& [reference, rows] : table) {
    tally all;
    for (const auto& [what, t] : rows) {
      all.cases += t.cases;
      all.passed += t.passed;
      all.skipped += t.skipped;
      all.worst = std::max(all.worst, t.worst);
    }
    std::printf("| %s | %zu | %zu | %zu | %.0e |\n", reference.c_str(), all.cases, all.passed,
                all.skipped, written_bound(all.worst));
  }
  for (const auto& [reference, rows] : table) {
    std::printf("\n## %s\n\n| class, sampler or table | options | %s\n", reference.c_str(),
                columns);
    std::printf("|---|---|---:|---:|---:|---:|\n");
    for (const auto& [what, t] : rows)
      std::printf("%s%.0e |\n", row_start(what, t).c_str(), written_bound(t.worst));
  }
}

/// What is different between `table` and the file it was written to; empty if the file's rows are
/// these rows and its bounds hold.
inline std::vector<std::string> differences(const parity_table& table, const std::string& path) {
  std::vector<std::string> found;
  std::ifstream in(path);
  if (!in) return {"cannot be read"};
  std::string section;
  std::map<std::string, std::set<std::string>> written;  // lines by heading
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) section = line.substr(3);
    const bool is_row = line.starts_with("| ") && !line.starts_with("| class, sampler or table |");
    if (is_row && table.contains(section)) written[section].insert(line);
  }
  for (const auto& [reference, rows] : table) {
    std::set<std::string>& lines = written[reference];
    for (const auto& [what, t] : rows) {
      const std::string start = row_start(what, t);
      const auto line = std::find_if(lines.begin(), lines.end(),
                                     [&](const std::string& l) { return l.starts_with(start); });
      if (line == lines.end()) {
        found.push_back("no row: " + start);
        continue;
      }
      const double bound = std::strtod(line->c_str() + start.size(), nullptr);
      if (!(t.worst <= bound))
        found.push_back("error " + std::to_string(t.worst / bound) + " times the bound: " + *line);
      lines.erase(line);
    }
    for (const std::string& line : lines) found.push_back("nothing replayed for: " + line);
  }
  return found;
}

}  // namespace reference
