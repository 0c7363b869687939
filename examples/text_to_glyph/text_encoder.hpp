// Words to features: embeddings with positions, then two blocks of self-attention.
#pragma once

#include <torch/torch.h>

#include "caption.hpp"
#include "layers.hpp"

namespace glyphs {

inline constexpr std::int64_t text_features = 64;

class transformer_block : public nn::Module {
 public:
  transformer_block()
      : before_(register_module("before", normalisation(text_features))),
        projections_(
            register_module("projections", map_of_features(text_features, 3 * text_features))),
        out_(register_module("out", map_of_features(text_features, text_features))),
        between_(register_module("between", normalisation(text_features))),
        wide_(register_module("wide", map_of_features(text_features, 2 * text_features))),
        narrow_(register_module("narrow", map_of_features(2 * text_features, text_features))) {}

  torch::Tensor forward(const torch::Tensor& h) {
    const auto qkv = projections_(before_(h)).chunk(3, 1);
    const torch::Tensor mixed = h + out_(attention(qkv[0], qkv[1], qkv[2], 4));
    return mixed + narrow_(torch::silu(wide_(between_(mixed))));
  }

 private:
  nn::GroupNorm before_;
  nn::Conv1d projections_, out_;
  nn::GroupNorm between_;
  nn::Conv1d wide_, narrow_;
};

class text_encoder : public nn::Module {
 public:
  text_encoder()
      : words_(register_module("words", nn::Embedding(words::count(), text_features))),
        positions_(
            register_parameter("positions", 0.1 * torch::randn({text_features, caption_length}))),
        first_(register_module("first_block", std::make_shared<transformer_block>())),
        second_(register_module("second_block", std::make_shared<transformer_block>())) {}

  // Tokens N x 8 to features N x 64 x 8.
  torch::Tensor forward(const torch::Tensor& tokens) {
    return encoded(words_(tokens).transpose(1, 2));
  }
  // The same of word embeddings N x 64 x 8.
  torch::Tensor encoded(const torch::Tensor& embedded) {
    return second_->forward(first_->forward(embedded + positions_));
  }

 private:
  nn::Embedding words_;
  torch::Tensor positions_;
  std::shared_ptr<transformer_block> first_, second_;
};

}  // namespace glyphs
