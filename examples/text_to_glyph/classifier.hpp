// Reads all six attributes off a picture. Trained on real pictures only, it judges what was generated,
// and its features are what distances between sets of pictures are measured in.
#pragma once

#include <torch/torch.h>

#include <array>
#include <vector>

#include "caption.hpp"
#include "layers.hpp"
#include "pictures.hpp"
#include "trainer.hpp"

namespace glyphs {

inline constexpr std::int64_t style_features = 64;

class attribute_reader : public nn::Module {
 public:
  attribute_reader() {
    body_ = register_module(
        "body", nn::Sequential(
                    convolution(3, 32, 3, 2), nn::SiLU(), convolution(32, 64, 3, 2),
                    normalisation(64), nn::SiLU(), convolution(64, 128, 3, 2), normalisation(128),
                    nn::SiLU(), convolution(128, 128, 3), normalisation(128), nn::SiLU(),
                    nn::Conv2d(nn::Conv2dOptions(128, style_features, 4)), nn::Flatten()));
    for (std::size_t a = 0; a < attribute_count; ++a)
      heads_[a] =
          register_module(attribute_names[a],
                          nn::Linear(style_features, static_cast<std::int64_t>(values[a].size())));
  }

  torch::Tensor features(const torch::Tensor& pictures) { return body_->forward(pictures); }

  std::array<torch::Tensor, attribute_count> logits(const torch::Tensor& pictures) {
    const torch::Tensor f = torch::silu(features(pictures));
    std::array<torch::Tensor, attribute_count> out;
    for (std::size_t a = 0; a < attribute_count; ++a) out[a] = heads_[a](f);
    return out;
  }

  std::vector<description> read(const torch::Tensor& pictures) {
    const torch::NoGradGuard no_gradients;
    const auto guesses = logits(pictures);
    std::vector<description> out(static_cast<std::size_t>(pictures.size(0)));
    for (std::size_t a = 0; a < attribute_count; ++a) {
      const torch::Tensor best = guesses[a].argmax(1);
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i][a] = static_cast<int>(best.data_ptr<std::int64_t>()[i]);
    }
    return out;
  }

 private:
  nn::Sequential body_{nullptr};
  std::array<nn::Linear, attribute_count> heads_{nn::Linear{nullptr}, nn::Linear{nullptr},
                                                 nn::Linear{nullptr}, nn::Linear{nullptr},
                                                 nn::Linear{nullptr}, nn::Linear{nullptr}};
};

inline torch::Tensor values_of(const std::vector<description>& shown, std::size_t a) {
  std::vector<std::int64_t> out;
  for (const description& d : shown) out.push_back(d[a]);
  return torch::tensor(out);
}

// Some pictures are noised, so that the edges of a decoder do not count as a change of style.
inline void train_reader(attribute_reader& reader, const glyph_fonts& fonts, trainer& trainer,
                         int steps) {
  trainer.train(reader.parameters(), {.title = "classifier", .steps = steps, .rate = 2e-3},
                [&](int, support::random_draws& random) {
                  const picture_batch batch = fonts.draw(random, 64);
                  torch::Tensor noise = torch::empty_like(batch.pictures);
                  random.fill_normal(noise);
                  const torch::Tensor seen = batch.pictures + 0.1 * random.uniform(1)[0] * noise;
                  const auto guesses = reader.logits(seen);
                  torch::Tensor loss = torch::zeros({});
                  for (std::size_t a = 0; a < attribute_count; ++a)
                    loss =
                        loss + nn::functional::cross_entropy(guesses[a], values_of(batch.shown, a));
                  return loss;
                });
}

// Shares of pictures on which each attribute that was told is read as told, and on which all are.
struct adherence {
  std::array<double, attribute_count> each{};
  double all = 0;
};

inline adherence adherence_of(const std::vector<description>& read,
                              const std::vector<description>& told) {
  adherence out;
  std::array<double, attribute_count> asked{};
  for (std::size_t i = 0; i < told.size(); ++i) {
    bool right = true;
    for (std::size_t a = 0; a < attribute_count; ++a) {
      if (told[i][a] < 0) continue;
      ++asked[a];
      out.each[a] += read[i][a] == told[i][a];
      right &= read[i][a] == told[i][a];
    }
    out.all += right;
  }
  for (std::size_t a = 0; a < attribute_count; ++a)
    if (asked[a] > 0) out.each[a] /= asked[a];
  if (!told.empty()) out.all /= static_cast<double>(told.size());
  return out;
}

}  // namespace glyphs
