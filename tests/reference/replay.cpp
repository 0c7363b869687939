// replay [--verbose] [--table] FILE|FOLDER...
// Runs recorded cases of other implementations through the library and compares every number.
// Prints per file: FILE cases passed failed skipped worst_relative_error. Exit status 1 on failure.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kinds.hpp"
#include "tweedie/interop/huggingface/config.hpp"

namespace {

using namespace reference;
namespace fs = std::filesystem;

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

void print(const std::string& name, const tally& t) {
  std::printf("%-44s %5zu %5zu %5zu %5zu  %.1e\n", name.c_str(), t.cases, t.passed, t.failed,
              t.skipped, t.worst);
}

std::vector<fs::path> files_of(const std::vector<std::string>& arguments) {
  std::vector<fs::path> files;
  for (const std::string& a : arguments) {
    if (!fs::is_directory(a)) {
      files.emplace_back(a);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::recursive_directory_iterator(a))
      if (entry.path().extension() == ".json") inside.push_back(entry.path());
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

std::vector<outcome> replay(const json& file, const std::string& name) {
  const std::string format = file.is_object() ? file.value("format", "") : "";
  for (const file_kind& kind : file_kinds)
    if (format == kind.format) return kind.replay(file, name);
  return {{name, name, "", verdict::failed, 0, "no replay for format \"" + format + "\""}};
}

std::string commit_of(const json& file) {
  const std::string commit = file.value("commit", "");
  return file.value("reference", std::string("huggingface/diffusers")) +
         (commit.empty() ? "" : "@" + commit.substr(0, 12));
}

}  // namespace

int main(int count, char** values) {
  bool verbose = false;
  bool table = false;
  std::vector<std::string> arguments;
  for (int i = 1; i < count; ++i) {
    const std::string a = values[i];
    if (a == "--verbose")
      verbose = true;
    else if (a == "--table")
      table = true;
    else
      arguments.push_back(a);
  }
  if (arguments.empty()) {
    std::fprintf(stderr, "usage: replay [--verbose] [--table] FILE|FOLDER...\n");
    return 2;
  }

  tally total;
  std::map<std::pair<std::string, std::string>, tally> groups;
  std::map<std::string, std::string> commits;
  for (const fs::path& path : files_of(arguments)) {
    tally here;
    std::vector<outcome> outcomes;
    try {
      const json file = tweedie::huggingface::read_python_json(path.string());
      outcomes = replay(file, path.stem().string());
      for (const outcome& o : outcomes) commits[o.subject] = commit_of(file);
    } catch (const std::exception& error) {
      outcomes = {{path.stem().string(), "", "", verdict::failed, 0, error.what()}};
    }
    for (const outcome& o : outcomes) {
      here.add(o);
      total.add(o);
      groups[{o.subject, o.group}].add(o);
    }
    if (!table) print(path.filename().string(), here);
    for (const outcome& o : outcomes) {
      if (o.result == verdict::failed && verbose)
        std::printf("  failed  %s [%s]: %s\n", o.id.c_str(), o.group.c_str(), o.message.c_str());
      if (o.result == verdict::skipped && !table)
        std::printf("  skipped %s: %s\n", o.id.c_str(), o.message.c_str());
    }
  }
  if (table) {
    std::printf(
        "| subject | options | cases | passed | skipped | worst relative error | reference |\n"
        "|---|---|---:|---:|---:|---:|---|\n");
    for (const auto& [key, t] : groups)
      std::printf("| %s | %s | %zu | %zu | %zu | %.0e | %s |\n", key.first.c_str(),
                  key.second.c_str(), t.cases, t.passed, t.skipped, t.worst,
                  commits[key.first].c_str());
  } else {
    print("total", total);
  }
  return total.failed > 0 ? 1 : 0;
}
