// The U-Net: latents at 8 x 8 and 4 x 4, told the time in its residual blocks and the caption by
// cross-attention.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <vector>

#include "layers.hpp"
#include "text_encoder.hpp"

namespace glyphs {

// h + attention of its positions to the tokens.
struct cross_attention : nn::Module {
  explicit cross_attention(std::int64_t features)
      : before(register_module("before", normalisation(features))),
        queries(register_module("queries", map_of_features(features, features))),
        keys(register_module("keys", map_of_features(text_features, features))),
        values(register_module("values", map_of_features(text_features, features))),
        out(register_module("out", zeroed(map_of_features(features, features)))) {}

  torch::Tensor forward(const torch::Tensor& h, const torch::Tensor& text) {
    const torch::Tensor q = queries(before(h).flatten(2));
    return h + out(attention(q, keys(text), values(text), 4)).view(h.sizes());
  }

  nn::GroupNorm before;
  nn::Conv1d queries, keys, values, out;
};

inline constexpr std::int64_t width = 64, time_features = 128;

struct time_encoder : nn::Module {
  time_encoder()
      : first(register_module("first", nn::Linear(time_features / 2, time_features))),
        second(register_module("second", nn::Linear(time_features, time_features))) {}
  torch::Tensor forward(const std::vector<double>& times) {
    const torch::Tensor sines = embedded_times(times, time_features / 2);
    return torch::silu(second(torch::silu(first(sines))));
  }

  nn::Linear first, second;
};

// The way down: what is handed over to the way up at each level, then the middle.
struct unet_encoder : nn::Module {
  explicit unet_encoder(std::int64_t in)
      : time(register_module("time", std::make_shared<time_encoder>())),
        enter(register_module("enter", convolution(in, width))),
        fine(
            register_module("fine", std::make_shared<residual_block>(width, width, time_features))),
        fine_text(register_module("fine_text", std::make_shared<cross_attention>(width))),
        down(register_module("down", convolution(width, 2 * width, 3, 2))),
        coarse(register_module(
            "coarse", std::make_shared<residual_block>(2 * width, 2 * width, time_features))),
        coarse_text(register_module("coarse_text", std::make_shared<cross_attention>(2 * width))),
        middle(register_module(
            "middle", std::make_shared<residual_block>(2 * width, 2 * width, time_features))) {}

  // Features at 8 x 8 and at 4 x 4, and those of the middle.
  std::vector<torch::Tensor> forward(const torch::Tensor& entered, const torch::Tensor& told,
                                     const torch::Tensor& text) {
    const torch::Tensor at_8 = fine_text->forward(fine->forward(entered, told), text);
    const torch::Tensor at_4 = coarse_text->forward(coarse->forward(down(at_8), told), text);
    return {at_8, at_4, middle->forward(at_4, told)};
  }

  std::shared_ptr<time_encoder> time;
  nn::Conv2d enter;

  std::shared_ptr<residual_block> fine;

  std::shared_ptr<cross_attention> fine_text;

  nn::Conv2d down;
  std::shared_ptr<residual_block> coarse;

  std::shared_ptr<cross_attention> coarse_text;

  std::shared_ptr<residual_block> middle;
};

struct unet : nn::Module {
  explicit unet(std::int64_t channels)
      : encoder(register_module("encoder", std::make_shared<unet_encoder>(channels))),
        coarse(register_module(
            "coarse", std::make_shared<residual_block>(4 * width, 2 * width, time_features))),
        coarse_text(register_module("coarse_text", std::make_shared<cross_attention>(2 * width))),
        up(register_module("up", convolution(2 * width, width))),
        fine(register_module("fine",
                             std::make_shared<residual_block>(2 * width, width, time_features))),
        fine_text(register_module("fine_text", std::make_shared<cross_attention>(width))),
        last(register_module("last", normalisation(width))),
        out(register_module("out", zeroed(convolution(width, channels)))) {}

  torch::Tensor forward(const torch::Tensor& x, const std::vector<double>& times,
                        const torch::Tensor& text) {
    const torch::Tensor told = encoder->time->forward(times);
    const std::vector<torch::Tensor> features = encoder->forward(encoder->enter(x), told, text);
    torch::Tensor h = coarse->forward(torch::cat({features[2], features[1]}, 1), told);
    h = coarse_text->forward(h, text);
    h = up(nn::functional::interpolate(
        h, nn::functional::InterpolateFuncOptions().scale_factor(std::vector<double>{2, 2})));
    h = fine_text->forward(fine->forward(torch::cat({h, features[0]}, 1), told), text);
    return out(torch::silu(last(h)));
  }

  std::shared_ptr<unet_encoder> encoder;

  std::shared_ptr<residual_block> coarse;

  std::shared_ptr<cross_attention> coarse_text;

  nn::Conv2d up;
  std::shared_ptr<residual_block> fine;

  std::shared_ptr<cross_attention> fine_text;

  nn::GroupNorm last;
  nn::Conv2d out;
};

}  // namespace glyphs
