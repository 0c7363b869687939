// replay [--verbose] [--table | --check TABLE] FILE|FOLDER...
// Runs recorded cases of other implementations through the library and compares every number.
// Prints per file: FILE cases passed failed skipped worst_relative_error. Exit status 1 on failure.
// --table prints a Markdown table per reference instead; --check compares such a table with what
// this build does: the same rows, and no error above the bound that is written there.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "kinds.hpp"
#include "parity_table.hpp"
#include "tweedie/interop/huggingface/config.hpp"

namespace {

using namespace reference;
namespace fs = std::filesystem;

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

}  // namespace

int main(int count, char** values) {
  bool verbose = false;
  bool table = false;
  std::string expected;
  std::vector<std::string> arguments;
  for (int i = 1; i < count; ++i) {
    const std::string a = values[i];
    if (a == "--verbose")
      verbose = true;
    else if (a == "--table")
      table = true;
    else if (a == "--check" && i + 1 < count)
      expected = values[++i];
    else
      arguments.push_back(a);
  }
  if (arguments.empty()) {
    std::fprintf(stderr, "usage: replay [--verbose] [--table | --check TABLE] FILE|FOLDER...\n");
    return 2;
  }
  const bool lists_files = !table && expected.empty();

  tally total;
  parity_table parity;
  for (const fs::path& path : files_of(arguments)) {
    tally here;
    std::vector<outcome> outcomes;
    std::string reference;
    try {
      const json file = tweedie::huggingface::read_python_json(path.string());
      outcomes = replay(file, path.stem().string());
      reference = reference_of(file);
    } catch (const std::exception& error) {
      outcomes = {{path.stem().string(), "", "", verdict::failed, 0, error.what()}};
    }
    for (const outcome& o : outcomes) {
      here.add(o);
      total.add(o);
      parity[reference][{o.subject, o.group}].add(o);
    }
    if (lists_files) print(path.filename().string(), here);
    for (const outcome& o : outcomes) {
      if (o.result == verdict::failed && verbose)
        std::printf("  failed  %s [%s]: %s\n", o.id.c_str(), o.group.c_str(), o.message.c_str());
      if (o.result == verdict::skipped && lists_files)
        std::printf("  skipped %s: %s\n", o.id.c_str(), o.message.c_str());
    }
  }
  if (table) print(parity);
  if (lists_files) print("total", total);
  bool as_expected = true;
  if (!expected.empty()) {
    for (const std::string& difference : differences(parity, expected)) {
      std::printf("%s: %s\n", expected.c_str(), difference.c_str());
      as_expected = false;
    }
  }
  return total.failed > 0 || !as_expected ? 1 : 0;
}
