// Recorded known answers of counter-based generators.
#include <cstdint>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/interop/counter_random.hpp"
#include "tweedie/tensor/philox.hpp"

namespace reference {
namespace {

using namespace tweedie;

template <class Word, std::size_t N>
std::array<Word, N> words(const json& hexadecimal) {
  std::array<Word, N> out{};
  for (std::size_t i = 0; i < N; ++i)
    out[i] = static_cast<Word>(std::stoull(hexadecimal.at(i).get<std::string>(), nullptr, 16));
  return out;
}

template <class Word, std::size_t N>
void check(comparison& c, const json& recorded, bool philox_family) {
  const int rounds = recorded["rounds"];
  const auto counter = words<Word, N>(recorded["counter"]);
  const auto expected = words<Word, N>(recorded["expected"]);
  const auto ours = philox_family ? philox(counter, words<Word, N / 2>(recorded["key"]), rounds)
                                  : threefry(counter, words<Word, N>(recorded["key"]), rounds);
  if (ours != expected) c.fail("wrong block");
  if constexpr (std::is_same_v<Word, std::uint32_t> && N == 4)
    if (philox_family && rounds == 10 &&
        philox4x32(counter, words<Word, 2>(recorded["key"])) != expected)
      c.fail("wrong block of the library's own stream");
}

outcome replay_block(const json& recorded, std::size_t index) {
  const std::string name = recorded["generator"];
  return attempt(name + "/" + std::to_string(index), "random123", name, [&](comparison& c) {
    const bool philox_family = name.starts_with("philox");
    const std::string width = name.substr(name.size() - 4);
    if (width == "2x32")
      check<std::uint32_t, 2>(c, recorded, philox_family);
    else if (width == "4x32")
      check<std::uint32_t, 4>(c, recorded, philox_family);
    else if (width == "2x64")
      check<std::uint64_t, 2>(c, recorded, philox_family);
    else if (width == "4x64")
      check<std::uint64_t, 4>(c, recorded, philox_family);
    else
      c.fail("no generator of that width");
  });
}

}  // namespace

std::vector<outcome> replay_counter_random(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& recorded : file["cases"])
    outcomes.push_back(replay_block(recorded, outcomes.size()));
  return outcomes;
}

}  // namespace reference
