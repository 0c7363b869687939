// The command line of generate_digits.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cxxopts.hpp>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace digits {

struct options {
  std::filesystem::path images, labels, fonts, output;
  int steps, width, blocks;
  double guidance;
  std::uint64_t seed;
  bool retrain;
};

inline options read_options(int count, char** arguments) {
  const auto text = [](const char* value) {
    return cxxopts::value<std::string>()->default_value(value);
  };
  const auto number = [](const char* value) { return cxxopts::value<int>()->default_value(value); };
  cxxopts::Options parser("generate_digits",
                          "Trains a small network on pictures of digits and draws new ones.");
  auto add = parser.add_options();
  add("images", "pictures, an IDX file as of MNIST, may be gzip'd (default: drawn from fonts)",
      cxxopts::value<std::string>());
  add("labels", "their labels, an IDX file", cxxopts::value<std::string>());
  add("fonts", "folder of the fonts to draw digits from", text("/usr/share/fonts"));
  add("output", "folder for pictures and weights", text("digits"));
  add("steps", "training steps", number("4000"));
  add("width", "of the network", number("384"));
  add("blocks", "of the network", number("3"));
  add("guidance", "scale for the sheets of the samplers, 1 is none",
      cxxopts::value<double>()->default_value("2"));
  add("seed", "of everything random", number("1"));
  add("retrain", "do not use weights of an earlier run");
  add("help", "show this text");
  const cxxopts::ParseResult given = parser.parse(count, arguments);
  if (given.count("help") != 0) {
    std::printf("%s\n", parser.help().c_str());
    std::exit(0);
  }
  if (given.count("images") != given.count("labels"))
    throw std::invalid_argument("--images and --labels go together");
  const auto path = [&given](const char* name) {
    return given.count(name) != 0 ? given[name].as<std::string>() : std::string();
  };
  const options result{.images = path("images"),
                       .labels = path("labels"),
                       .fonts = given["fonts"].as<std::string>(),
                       .output = given["output"].as<std::string>(),
                       .steps = given["steps"].as<int>(),
                       .width = given["width"].as<int>(),
                       .blocks = given["blocks"].as<int>(),
                       .guidance = given["guidance"].as<double>(),
                       .seed = static_cast<std::uint64_t>(given["seed"].as<int>()),
                       .retrain = given.count("retrain") != 0};
  if (result.steps < 1) throw std::invalid_argument("--steps must be at least 1");
  return result;
}

}  // namespace digits
