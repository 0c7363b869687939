// Samplers, guidance and negative captions: contact sheets and numbers.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "sample.hpp"
#include "tweedie/metric/diversity.hpp"
#include "tweedie/metric/frechet.hpp"
#include "tweedie/metric/neighbours.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "workshop.hpp"

namespace glyphs {

// How well the classifier reads real pictures, and what is left of them after the autoencoder.
inline void measure_data(workshop& w) {
  support::random_draws random(101);
  const picture_batch test = w.fonts.draw(random, static_cast<Eigen::Index>(w.pictures(1000)));
  w.sheet("data", test.pictures.narrow(0, 0, 20), 10);
  for (std::size_t i = 0; i < 3; ++i) std::printf("  %s\n", text(test.shown[i]).c_str());
  w.numbers("real pictures", adherence_of(w.reader.read(test.pictures), test.shown));

  const torch::Tensor latents = w.vae.encode(test.pictures);
  const torch::Tensor decoded = w.vae.decode(latents);
  w.number("pixels for one latent",
           static_cast<double>(test.pictures.numel()) / static_cast<double>(latents.numel()));
  w.number("latent scale", w.vae.scaling.scale);
  w.number("deviation of scaled latents", latents.std().item<double>());
  w.number("autoencoder, rms error",
           (decoded - test.pictures).square().mean().sqrt().item<double>());
  w.numbers("autoencoded pictures", adherence_of(w.reader.read(decoded), test.shown));
  w.sheet("autoencoder", torch::cat({test.pictures.narrow(0, 0, 16), decoded.narrow(0, 0, 16)}),
          16);
}

// Adherence and quality of pictures that were generated for captions.
inline void measure_pictures(workshop& w, const std::string& name, const torch::Tensor& pictures,
                             const std::vector<description>& told) {
  const adherence a = adherence_of(w.reader.read(pictures), told);
  w.number(name + ", symbol", a.each[symbol]);
  w.number(name + ", all attributes", a.all);
  support::random_draws random(102);
  const Eigen::MatrixXf real = w.features(w.fonts.draw(random, told).pictures);
  const Eigen::MatrixXf generated = w.features(pictures);
  w.number(name + ", Frechet distance", tweedie::frechet_distance(real, generated));
  const tweedie::sample_quality quality = tweedie::quality_of_samples(real, generated, 5);
  w.number(name + ", precision", quality.precision);
  w.number(name + ", recall", quality.recall);
  w.number(name + ", coverage", quality.coverage);
}

// One row of a contact sheet for each sampler, the same captions in all of them.
class sampler_rows {
 public:
  explicit sampler_rows(const workshop& w) : captions_(w.descriptions(12, 103)) {}

  void add(workshop& w, const std::string& name, text_to_latent& model,
           const tweedie::network_description& network, const tweedie::program& plan,
           double guidance) {
    const stopwatch watch;
    const torch::Tensor x =
        sampled(model, network, plan, {.told = captions_, .guidance = guidance, .seed = 11});
    w.number(name + ", seconds for 12 pictures", watch.seconds());
    rows_.push_back(w.vae.decode(x));
    w.number(name + ", 12 pictures, all attributes",
             adherence_of(w.reader.read(rows_.back()), captions_).all);
  }
  void write(const workshop& w) const { w.sheet("samplers", torch::cat(rows_), 12); }

 private:
  std::vector<description> captions_;
  std::vector<torch::Tensor> rows_;
};

inline void measure_samplers(workshop& w, text_to_latent& flow_model, const flow_process& flow,
                             sampler_rows& rows) {
  const std::vector<description> told = w.descriptions(w.pictures(400), 104);
  const request wanted{.told = told};
  const auto measure = [&](const std::string& name, text_to_latent& model,
                           const tweedie::network_description& network,
                           const tweedie::program& plan) {
    measure_pictures(w, name, w.vae.decode(sampled(model, network, plan, wanted)), told);
  };
  const auto dpm = dpm_solver(w.process, 20);
  measure("v, DPM-Solver++ 20", w.model, w.process.network, dpm);
  measure("flow, DPM-Solver++ 20", flow_model, flow.network, dpm_solver(flow, 20));
  if (!w.quick) {
    rows.add(w, "DDPM 1000", w.model, w.process.network, tweedie::ddpm(w.process.nodes(1000)), 3);
    rows.add(w, "DDIM 50", w.model, w.process.network, tweedie::ddim(w.process.nodes(50)), 3);
  }
  rows.add(w, "DPM-Solver++ 20", w.model, w.process.network, dpm, 3);
  rows.add(w, "flow, DPM-Solver++ 20", flow_model, flow.network, dpm_solver(flow, 20), 3);
}

// Guidance trades diversity for adherence.
inline void measure_guidance(workshop& w) {
  const std::vector<description> told = w.descriptions(w.pictures(100), 105);
  description seven = nothing_told;
  seven[symbol] = 7;
  const std::vector<description> sevens(w.pictures(60), seven);
  const auto plan = dpm_solver(w.process, 20);
  std::vector<torch::Tensor> rows;
  for (const double scale : {1.0, 2.0, 4.0, 7.0, 12.0}) {
    const std::string name = "guidance " + std::to_string(static_cast<int>(scale));
    const torch::Tensor asked =
        w.vae.decode(sampled(w.model, w.process.network, plan, {.told = told, .guidance = scale}));
    w.number(name + ", all attributes", adherence_of(w.reader.read(asked), told).all);
    const torch::Tensor free = w.vae.decode(
        sampled(w.model, w.process.network, plan, {.told = sevens, .guidance = scale}));
    w.number(name + ", Vendi score of pictures of a 7",
             tweedie::vendi_score(w.features(free), tweedie::cosine_kernel{}));
    rows.push_back(free.narrow(0, 0, 14));
  }
  support::random_draws random(106);
  std::vector<description> real;
  for (description d : w.descriptions(sevens.size(), 107)) {
    d[symbol] = 7;
    real.push_back(d);
  }
  w.number("real pictures of a 7, Vendi score",
           tweedie::vendi_score(w.features(w.fonts.draw(random, real).pictures),
                                tweedie::cosine_kernel{}));
  w.sheet("guidance", torch::cat(rows), 14);
}

// What a caption leaves open, a negative caption closes: shares of pictures with an attribute.
inline void measure_negative(workshop& w) {
  const std::size_t count = w.pictures(100);
  std::vector<description> told(count, nothing_told);
  for (std::size_t i = 0; i < count; ++i) told[i][symbol] = static_cast<int>(i % 10);
  const auto plan = dpm_solver(w.process, 20);
  std::vector<torch::Tensor> rows;
  const auto share = [&](std::size_t a, int value, bool against) {
    request wanted{.told = told};
    if (against) {
      description d = nothing_told;
      d[a] = value;
      wanted.against.assign(count, d);
    }
    const torch::Tensor x = w.vae.decode(sampled(w.model, w.process.network, plan, wanted));
    rows.push_back(x.narrow(0, 0, 14));
    double found = 0;
    for (const description& d : w.reader.read(x)) found += d[a] == value;
    return found / static_cast<double>(count);
  };
  for (const auto& [a, value] : {std::pair{family, 1}, std::pair{weight, 1}}) {
    const std::string name = values[a][static_cast<std::size_t>(value)];
    w.number("nothing against " + name + ", share", share(a, value, false));
    w.number("negative caption " + name + ", share", share(a, value, true));
  }
  w.sheet("negative", torch::cat(rows), 14);
}

}  // namespace glyphs
