// replay [--verbose] [--table | --check TABLE | --unread] FILE|FOLDER...
// Runs recorded cases of other implementations through the library and compares every number.
// Prints per file: FILE cases passed failed skipped worst_relative_error. Exit status 1 on failure.
// --table prints a Markdown table per reference instead; --check compares such a table with what
// this build does: the same rows, and no error above the bound that is written there. --unread lists
// the fields of the files that no driver has read, but for those that only describe a recording: an aid
// for who writes a driver. Values that no driver has a formula for fail by themselves.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iterator>
#include <map>
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

// Fields that say how a recording was made or how sure it is, or repeat it in less precision.
constexpr const char* descriptions[] = {"reference",
                                        "references",
                                        "commit",
                                        "commits",
                                        "format",
                                        "source",
                                        "note",
                                        "id",
                                        "seed",
                                        "torch",
                                        "numpy",
                                        "scipy",
                                        "python",
                                        "dtype",
                                        "timesteps_dtype",
                                        "sigmas_dtype",
                                        "trajectory_dtype",
                                        "split",
                                        "version",
                                        "scheduler",
                                        "conventions",
                                        "fields",
                                        "formula",
                                        "what",
                                        "also_checked",
                                        "network",
                                        "denoiser",
                                        "conditioning",
                                        "max_abs",
                                        "max_abs_diff_f32_f64",
                                        "max_rel_diff_f32_f64",
                                        "max_rel_diff_f64_numpy",
                                        "min_margin",
                                        "finite",
                                        "f32",
                                        "mode",
                                        "diffusers"};

// Paths of the fields that no driver asked for, with how often each occurs.
void find_unread(const json& value, const std::string& path, std::map<std::string, int>& found) {
  if (value.is_array())
    for (const json& v : value) find_unread(v, path + "[]", found);
  if (!value.is_object()) return;
  const auto& object = value.get_ref<const json::object_t&>();
  for (const auto& [name, field] : object.fields()) {
    if (std::find(std::begin(descriptions), std::end(descriptions), name) != std::end(descriptions))
      continue;
    if (object.has_read(name))
      find_unread(field, path + "." + name, found);
    else
      ++found[path + "." + name];
  }
}

}  // namespace

int main(int count, char** values) {
  bool verbose = false;
  bool table = false;
  bool wants_unread = false;
  std::string expected;
  std::vector<std::string> arguments;
  for (int i = 1; i < count; ++i) {
    const std::string a = values[i];
    if (a == "--verbose")
      verbose = true;
    else if (a == "--table")
      table = true;
    else if (a == "--unread")
      wants_unread = true;
    else if (a == "--check" && i + 1 < count)
      expected = values[++i];
    else
      arguments.push_back(a);
  }
  if (arguments.empty()) {
    std::fprintf(stderr,
                 "usage: replay [--verbose] [--table | --check TABLE | --unread] FILE|FOLDER...\n");
    return 2;
  }
  const bool lists_files = !table && expected.empty();

  tally total;
  parity_table parity;
  for (const fs::path& path : files_of(arguments)) {
    tally here;
    std::vector<outcome> outcomes;
    std::string reference;
    std::map<std::string, int> unread;
    try {
      const json file = tweedie::huggingface::read_python_json(path.string());
      outcomes = replay(file, path.stem().string());
      if (wants_unread) find_unread(file, "", unread);
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
    for (const auto& [field, times] : unread)
      std::printf("  unread  %s, %d times\n", field.c_str(), times);
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
