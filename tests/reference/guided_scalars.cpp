// Recorded scalar functions of openai/guided-diffusion: divergences, likelihoods, importance
// weights, time embeddings.
#include <string>
#include <vector>

#include "drive.hpp"
#include "tweedie/conditioning/embedding.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/objective/decoder.hpp"
#include "tweedie/training/time_sampling.hpp"

namespace reference {
namespace {

using namespace tweedie;

// A list, or one number for all.
std::vector<double> spread(const json& value, std::size_t count) {
  return value.is_array() ? numbers(value) : std::vector<double>(count, value.get<double>());
}

outcome replay_divergence(const json& recorded, const std::string& name) {
  return attempt(name, "guided-diffusion", name, [&](comparison& c) {
    const std::vector<double> mean = numbers(recorded["mean1"]);
    const std::vector<double> log_variance = numbers(recorded["logvar1"]);
    const std::vector<double> other_mean = spread(recorded["mean2"], mean.size());
    const std::vector<double> other_log_variance = spread(recorded["logvar2"], mean.size());
    std::vector<double> ours;
    for (std::size_t i = 0; i < mean.size(); ++i)
      ours.push_back(
          normal_divergence(mean[i], log_variance[i], other_mean[i], other_log_variance[i]));
    c.same("result", ours, numbers(recorded["result"]));
  });
}

outcome replay_likelihood(const json& recorded, const std::string& name) {
  return attempt(name, "guided-diffusion", name, [&](comparison& c) {
    const std::vector<double> x = numbers(recorded["x"]);
    std::vector<double> ours;
    if (recorded.contains("means")) {
      const std::vector<double> means = numbers(recorded["means"]);
      const std::vector<double> log_scales = numbers(recorded["log_scales"]);
      const tanh_gaussian decoder;
      for (std::size_t i = 0; i < x.size(); ++i)
        ours.push_back(decoder(x[i], means[i], log_scales[i]).log_probability);
    } else {
      for (const double v : x) ours.push_back(tanh_gaussian::cdf(v));
    }
    c.same("result", ours, numbers(recorded["result"]));
  });
}

outcome replay_importance(const json& recorded, const std::string& name) {
  return attempt(name, "guided-diffusion", name, [&](comparison& c) {
    importance_times times(recorded["num_timesteps"], recorded["history_per_term"],
                           recorded["uniform_prob"]);
    // The reference gives ones while it warms up, of which only the proportions matter.
    for (const json& update : recorded["updates"]) {
      times.record(update["ts"].get<std::vector<int>>(), numbers(update["losses"]));
      const std::vector<double> expected = numbers(update["weights"]);
      double total = 0;
      for (const double w : expected) total += w;
      for (int t = 0; t < times.steps(); ++t)
        c.same("weights", times.probability(t), expected[static_cast<std::size_t>(t)] / total);
    }
  });
}

outcome replay_embedding(const json& recorded, const std::string& name) {
  return attempt(name, "guided-diffusion", name, [&](comparison& c) {
    const auto embed = [&](int dimension) {
      std::vector<double> all;
      for (const double t : numbers(recorded["timesteps"])) {
        const std::vector<double> one = tweedie::time_embedding(
            t, dimension, tweedie::embedding_form::adm, recorded["max_period"]);
        all.insert(all.end(), one.begin(), one.end());
      }
      return all;
    };
    // The reference rounds its frequencies to single precision; times reach 999.
    constexpr double tolerance = 1e-5;
    c.near("result", embed(recorded["dim"]), numbers(recorded["result"]), tolerance);
    if (recorded.contains("result_dim7"))
      c.near("result_dim7", embed(7), numbers(recorded["result_dim7"]), tolerance);
  });
}

}  // namespace

std::vector<outcome> replay_guided_scalars(const json& scalars) {
  std::vector<outcome> outcomes;
  for (const auto& [name, recorded] : scalars.items()) {
    if (name.starts_with("normal_kl"))
      outcomes.push_back(replay_divergence(recorded, name));
    else if (name == "LossSecondMomentResampler")
      outcomes.push_back(replay_importance(recorded, name));
    else if (name == "timestep_embedding")
      outcomes.push_back(replay_embedding(recorded, name));
    else if (name == "approx_standard_normal_cdf" || name == "discretized_gaussian_log_likelihood")
      outcomes.push_back(replay_likelihood(recorded, name));
    else
      outcomes.push_back({name, "guided-diffusion", name, verdict::failed, 0,
                          unsupported("function", name).what()});
  }
  return outcomes;
}

}  // namespace reference
