// What a picture shows, and how it is said: "bold red serif 7 on blue tilted left".
//
// Colours are both of glyphs and of backgrounds, so that a word alone does not say which: the text
// encoder has to see what stands before it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../support/random.hpp"

namespace glyphs {

enum attribute : std::size_t { symbol, weight, family, colour, background, tilt };
inline constexpr std::size_t attribute_count = 6;

inline const std::array<std::vector<std::string>, attribute_count> values{{
    {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
    {"regular", "bold"},
    {"sans", "serif", "typewriter"},
    {"red", "green", "blue", "yellow", "black", "white"},
    {"red", "green", "blue", "yellow", "black", "white"},
    {"left", "upright", "right"},
}};
inline const std::array<std::string, attribute_count> attribute_names{
    "symbol", "weight", "family", "colour", "background", "tilt"};

// One value of each attribute; -1 is not told.
using description = std::array<int, attribute_count>;
inline constexpr description nothing_told{-1, -1, -1, -1, -1, -1};

// Any description whose glyph can be seen.
inline description random_description(support::random_draws& random) {
  const std::vector<double> u = random.uniform(attribute_count);
  description d{};
  for (std::size_t a = 0; a < attribute_count; ++a)
    d[a] = static_cast<int>(u[a] * static_cast<double>(values[a].size()));
  const auto colours = static_cast<int>(values[colour].size());
  const auto other = static_cast<int>(u[background] * (colours - 1));
  d[background] = (d[colour] + 1 + other) % colours;
  return d;
}

inline std::vector<description> random_descriptions(support::random_draws& random,
                                                    std::size_t count) {
  std::vector<description> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(random_description(random));
  return out;
}

inline constexpr std::size_t caption_length = 8;
using caption = std::array<std::int64_t, caption_length>;  // tokens, padded with 0

namespace words {

inline constexpr std::int64_t padding = 0, on = 1, tilted = 2, first_value = 3;

// The word of a value; colours of glyph and background are the same words.
inline std::int64_t of(std::size_t a, int value) {
  std::int64_t word = first_value;
  if (a == background) a = colour;
  for (std::size_t before = 0; before < a; ++before)
    if (before != background) word += static_cast<std::int64_t>(values[before].size());
  return word + value;
}

inline std::int64_t count() { return of(tilt, static_cast<int>(values[tilt].size())); }

}  // namespace words

// Weight, colour, family and symbol, then where told "on" the background and "tilted" left or right.
inline caption tokens(const description& d) {
  caption out{};
  std::size_t length = 0;
  const auto say = [&](std::int64_t word) { out[length++] = word; };
  for (const std::size_t a : {weight, colour, family, symbol})
    if (d[a] >= 0) say(words::of(a, d[a]));
  if (d[background] >= 0) {
    say(words::on);
    say(words::of(background, d[background]));
  }
  if (d[tilt] >= 0) {
    if (d[tilt] != 1) say(words::tilted);
    say(words::of(tilt, d[tilt]));
  }
  return out;
}

inline std::string text(const description& d) {
  std::string out;
  const auto say = [&](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
  const auto value = [&](std::size_t a) { return values[a][static_cast<std::size_t>(d[a])]; };
  for (const std::size_t a : {weight, colour, family, symbol})
    if (d[a] >= 0) say(value(a));
  if (d[background] >= 0) say("on " + value(background));
  if (d[tilt] >= 0) say((d[tilt] != 1 ? "tilted " : "") + value(tilt));
  return out;
}

}  // namespace glyphs
