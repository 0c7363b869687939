// fuzz_<name> [--random COUNT] [file or folder...]
// Runs a fuzz target without a fuzzer: on every file named or found in the folders, then on COUNT inputs of
// pseudo-random bytes, always the same ones.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::size_t executions = 0;

void run(const std::vector<std::uint8_t>& input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
  ++executions;
}

void run_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot open %s\n", path.string().c_str());
    std::exit(1);
  }
  std::fprintf(stderr, "%s\n", path.string().c_str());
  run({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
}

}  // namespace

int main(int count, char** arguments) {
  std::size_t random = 0;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--random" && i + 1 < count) {
      random = static_cast<std::size_t>(std::atol(arguments[++i]));
    } else if (std::filesystem::is_directory(argument)) {
      std::vector<std::filesystem::path> files;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(argument))
        if (entry.is_regular_file()) files.push_back(entry.path());
      std::sort(files.begin(), files.end());
      for (const auto& file : files) run_file(file);
    } else {
      run_file(argument);
    }
  }
  std::mt19937 generator(1);
  for (std::size_t i = 0; i < random; ++i) {
    std::vector<std::uint8_t> input(generator() % 200);
    // Long runs of small numbers reach further than bytes of any value.
    const unsigned highest = generator() % 2 ? 256 : 16;
    for (std::uint8_t& b : input) b = static_cast<std::uint8_t>(generator() % highest);
    run(input);
  }
  std::printf("%zu executions\n", executions);
}
