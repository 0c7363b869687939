// replay [--verbose] [--table | --check TABLE | --disturb] FILE|FOLDER...
// Runs recorded cases of other implementations through the library and compares every number.
// Prints per file: FILE cases passed failed skipped worst_relative_error. Exit status 1 on failure.
// --table prints a Markdown table per reference instead; --check compares such a table with what
// this build does: the same rows, and no error above the bound that is written there. A field that no
// driver reads is a failure, but for those of unread.hpp. --disturb puts an unknown field
// into the objects of the files and fails where that passes.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kinds.hpp"
#include "parity_table.hpp"
#include "tweedie/interop/huggingface/config.hpp"
#include "unread.hpp"

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

// Paths of the fields that no driver asked for and that need a reader. Tensors of a pool are asked for by
// their names in other fields; null and empty lists say nothing.
void find_unread(const json& value, const std::string& format, const std::string& path,
                 std::set<std::string>& found) {
  if (value.is_array())
    for (const json& v : value) find_unread(v, format, path + "[]", found);
  if (!value.is_object()) return;
  const auto& object = value.get_ref<const json::object_t&>();
  for (const auto& [name, field] : object.fields()) {
    const std::string inside = path + "." + name;
    if (is_note(path, name)) continue;
    if (object.has_read(name))
      find_unread(field, format, inside, found);
    else if (path != ".tensors" && !field.empty() && !may_be_unread(format, inside))
      found.insert(inside);
  }
}

std::string format_of(const json& file) { return file.is_object() ? file.value("format", "") : ""; }

std::set<std::string> unread_fields(const json& file) {
  std::set<std::string> found;
  find_unread(file, format_of(file), "", found);
  return found;
}

// What became of all cases of a file.
std::vector<outcome> replay(const json& file, const std::string& name) {
  const std::string format = format_of(file);
  for (const file_kind& kind : file_kinds()) {
    if (format != kind.format) continue;
    std::vector<outcome> outcomes = kind.replay(file, name);
    for (const std::string& field : unread_fields(file))
      outcomes.push_back(
          {name + field, name, "unread", verdict::failed, 0, "a field that no driver has read"});
    return outcomes;
  }
  return {{name, name, "", verdict::failed, 0, "no replay for format \"" + format + "\""}};
}

bool fails(const json& file, const std::string& name) {
  try {
    const std::vector<outcome> outcomes = replay(file, name);
    return std::any_of(outcomes.begin(), outcomes.end(),
                       [](const outcome& o) { return o.result == verdict::failed; });
  } catch (const std::exception&) {
    return true;
  }
}

// Paths of all objects that decide something.
void find_objects(const nlohmann::json& value, const std::string& format, const std::string& path,
                  std::set<std::string>& to) {
  if (value.is_array())
    for (const nlohmann::json& v : value) find_objects(v, format, path + "[]", to);
  if (!value.is_object() || path == ".tensors") return;
  to.insert(path);
  for (const auto& [name, field] : value.items())
    if (const std::string inside = path + "." + name;
        !is_note(path, name) && !may_be_unread(format, inside))
      find_objects(field, format, inside, to);
}

constexpr const char* unknown_field = "unknown_field";

// Puts an unknown field into the objects at one of the paths.
void disturb(nlohmann::json& value, const std::string& path, const std::set<std::string>& where) {
  if (value.is_array())
    for (nlohmann::json& v : value) disturb(v, path + "[]", where);
  if (!value.is_object()) return;
  for (auto field = value.begin(); field != value.end(); ++field)
    disturb(*field, path + "." + field.key(), where);
  if (where.contains(path)) value[unknown_field] = 1;
}

// Where a file may say what no driver knows without a failure.
std::set<std::string> deaf_places(const nlohmann::json& file, const std::string& name) {
  std::set<std::string> places;
  find_objects(file, format_of(file), "", places);
  // All at once; those whose field is not among the unread then on their own.
  nlohmann::json disturbed = file;
  disturb(disturbed, "", places);
  const json all = disturbed;
  fails(all, name);
  for (const std::string& field : unread_fields(all)) {
    const std::size_t dot = field.rfind('.');
    if (field.substr(dot + 1) == unknown_field) places.erase(field.substr(0, dot));
  }
  std::erase_if(places, [&](const std::string& place) {
    nlohmann::json alone = file;
    disturb(alone, "", {place});
    return fails(alone, name);
  });
  return places;
}

}  // namespace

int main(int count, char** values) {
  bool verbose = false;
  bool table = false;
  bool disturbs = false;
  std::string expected;
  std::vector<std::string> arguments;
  for (int i = 1; i < count; ++i) {
    const std::string a = values[i];
    if (a == "--verbose")
      verbose = true;
    else if (a == "--table")
      table = true;
    else if (a == "--disturb")
      disturbs = true;
    else if (a == "--check" && i + 1 < count)
      expected = values[++i];
    else
      arguments.push_back(a);
  }
  if (arguments.empty()) {
    std::fprintf(
        stderr, "usage: replay [--verbose] [--table | --check TABLE | --disturb] FILE|FOLDER...\n");
    return 2;
  }
  const bool lists_files = !table && expected.empty();

  if (disturbs) {
    bool hears = true;
    for (const fs::path& path : files_of(arguments))
      for (const std::string& place : deaf_places(
               tweedie::huggingface::read_python_json(path.string()), path.stem().string())) {
        std::printf("%s: an unknown field at %s passes\n", path.filename().c_str(), place.c_str());
        hears = false;
      }
    return hears ? 0 : 1;
  }

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
