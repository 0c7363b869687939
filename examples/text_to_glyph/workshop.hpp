// What all parts work with: fonts, the classifier, the autoencoder, the trained model, and how numbers
// and pictures leave the program.
#pragma once

#include <torch/torch.h>

#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "autoencoder.hpp"
#include "classifier.hpp"
#include "diffusion.hpp"
#include "sheet.hpp"
#include "trainer.hpp"

namespace glyphs {

struct workshop {
  workshop(std::filesystem::path folder, const std::filesystem::path& font_folder, bool is_quick)
      : output(std::move(folder)), fonts(font_folder), training(output), quick(is_quick) {}

  // Steps of a training and pictures of a measurement: fewer in a quick run.
  int steps(int full) const { return quick ? full / 20 : full; }
  std::size_t pictures(std::size_t full) const {
    return quick ? std::max<std::size_t>(20, full / 20) : full;
  }

  void sheet(const std::string& name, const torch::Tensor& shown, std::int64_t columns) const {
    write_sheet(output / (name + ".png"), shown, columns);
  }
  static void number(const std::string& name, double value) {
    std::printf("%-58s %9.3f\n", name.c_str(), value);
    std::fflush(stdout);
  }
  void numbers(const std::string& name, const adherence& a) const {
    for (std::size_t k = 0; k < attribute_count; ++k)
      number(name + ", " + attribute_names[k], a.each[k]);
    number(name + ", all attributes", a.all);
  }

  std::vector<description> descriptions(std::size_t count, std::uint64_t seed) const {
    support::random_draws random(seed);
    return random_descriptions(random, count);
  }
  // Features of pictures, one column a picture.
  Eigen::MatrixXf features(const torch::Tensor& shown) {
    const torch::NoGradGuard no_gradients;
    const torch::Tensor f = reader.features(shown).contiguous();
    return Eigen::Map<const Eigen::MatrixXf>(f.data_ptr<float>(), f.size(1), f.size(0));
  }

  std::filesystem::path output;
  glyph_fonts fonts;
  trainer training;
  bool quick;
  attribute_reader reader;
  autoencoder vae;
  text_to_latent model;  // trained to predict v
  v_process process;
};

class stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace glyphs
