// The readers of the examples: IDX files of bytes, as they are or with the beginning of one, are refused or hold
// what they say.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>

#include "../../examples/generate_digits/mnist.hpp"
#include "fuzz/bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      ("tweedie_fuzz_" + std::to_string(std::random_device{}()));
  fuzz::bytes in(data, size);
  const unsigned dimensions = 1 + static_cast<unsigned>(in.below(3));
  std::string text;
  if (in.flag()) {
    text = {0, 0, 8, static_cast<char>(dimensions)};
    for (unsigned i = 0; i < dimensions; ++i) text += {0, 0, 0, static_cast<char>(in.below(8))};
  }
  text += in.rest();
  std::ofstream(path, std::ios::binary) << text;
  fuzz::accepted([&] {
    const digits::idx_file file = digits::read_idx(path, dimensions);
    std::size_t product = 1;
    for (const std::uint32_t d : file.dimensions) product *= d;
    fuzz::expect(file.dimensions.size() == dimensions && file.bytes.size() == product,
                 "as many bytes as the dimensions say");
  });
  std::filesystem::remove(path);
  return 0;
}
