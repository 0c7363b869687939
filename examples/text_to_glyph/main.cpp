// Can a text-to-image model, with all of its parts, be trained on two cores?
//
// Draws captioned pictures of digits from the fonts of the machine, trains an autoencoder, and in its
// latents a U-Net that a small text encoder tells the caption. Everything is measured by a classifier
// that was trained on real pictures. Trainings are kept in the output folder and go on where they were
// stopped. docs/text_to_glyph.md shows the pictures and the numbers.
#include <malloc.h>
#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>
#include <cxxopts.hpp>
#include <exception>
#include <filesystem>
#include <string>

#include "edit.hpp"
#include "measure.hpp"
#include "workshop.hpp"

namespace {

using namespace glyphs;

// Memory of large tensors stays with the process: the kernel would clear every page of it again for each
// of them, which takes longer than the arithmetic of networks as small as these.
void keep_memory() {
#ifdef M_MMAP_THRESHOLD
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

void run(workshop& w) {
  train_reader(w.reader, w.fonts, w.training, w.steps(3000));
  const std::string vae_file = train_autoencoder(w.vae, w.fonts, w.training, w.steps(2000));
  measure_data(w);

  train_text_to_latent(w.model, w.process, w.vae, w.fonts, w.training, w.steps(4000), vae_file);
  text_to_latent flow_model;
  const flow_process flow;
  train_text_to_latent(flow_model, flow, w.vae, w.fonts, w.training, w.steps(4000), vae_file);

  sampler_rows rows(w);
  measure_samplers(w, flow_model, flow, rows);
  rows.write(w);
  measure_guidance(w);
  measure_negative(w);
  show_image_to_image(w);
  show_inpainting(w);
}

}  // namespace

int main(int count, char** arguments) try {
  cxxopts::Options parser("text_to_glyph",
                          "Trains a small text-to-image model on pictures of digits.");
  auto add = parser.add_options();
  const auto text = [](const char* value) {
    return cxxopts::value<std::string>()->default_value(value);
  };
  add("output", "folder for pictures and weights", text("glyphs"));
  add("fonts", "folder that holds truetype/dejavu, liberation and freefont",
      text("/usr/share/fonts"));
  add("threads", "of LibTorch, 0 for all cores", cxxopts::value<int>()->default_value("0"));
  add("quick", "everything, too short to be worth looking at");
  add("help", "show this text");
  const cxxopts::ParseResult given = parser.parse(count, arguments);
  if (given.count("help") != 0) {
    std::printf("%s\n", parser.help().c_str());
    return 0;
  }
  keep_memory();
  torch::manual_seed(1);
  if (const int threads = given["threads"].as<int>(); threads > 0) torch::set_num_threads(threads);
  const std::filesystem::path output = given["output"].as<std::string>();
  std::filesystem::create_directories(output);
  workshop w(output, given["fonts"].as<std::string>(), given.count("quick") != 0);
  run(w);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "text_to_glyph: %s\n", error.what());
  return 1;
}
