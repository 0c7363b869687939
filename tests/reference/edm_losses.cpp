// Recorded training losses of NVlabs/edm, per element.
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "losses.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/training/time_density.hpp"
#include "tweedie/training/weighting.hpp"

namespace reference {
namespace {

using namespace tweedie;

struct level_and_weight {
  double level, weight;
};

level_and_weight drawn(const json& recorded, std::size_t item) {
  const std::string function = recorded["function"];
  const json& k = recorded["kwargs"];
  const auto weighted = [](double level, const auto& weighting) {
    return level_and_weight{level, sample_weight(weighting, -2 * std::log(level))};
  };
  if (function == "EDMLoss") {
    const log_normal_density levels(k.value("P_mean", -1.2), k.value("P_std", 1.2));
    const double level = levels.quantile(normal_cdf(recorded["normals"][0][item]));
    return weighted(level, edm_weighting(k.value("sigma_data", 0.5)));
  }
  const double u = recorded["uniforms"][0][item];
  if (function == "VPLoss") {
    const double least = k.value("epsilon_t", 1e-5), low = k.value("beta_min", 0.1);
    const variance_preserving_schedule schedule(low, low + k.value("beta_d", 19.9));
    return weighted(noise_level(schedule(1 + u * (least - 1))), simple_weighting);
  }
  if (function == "VELoss") {
    const log_uniform_density levels(k.value("sigma_min", 0.02), k.value("sigma_max", 100.0));
    return weighted(levels.quantile(u), simple_weighting);
  }
  throw std::invalid_argument("unknown loss " + function);
}

outcome replay_loss(const json& recorded, std::size_t index) {
  const std::string function = recorded["function"];
  return attempt("losses/" + std::to_string(index), "edm", function, [&](comparison& c) {
    const auto images = numbers(recorded["images"]);
    const auto z = numbers(recorded["normals"].back());
    const std::size_t items = recorded["shape"][0], n = images.size() / items;
    std::vector<double> estimates(images.size()), weights(images.size());
    for (std::size_t i = 0; i < items; ++i) {
      const level_and_weight d = drawn(recorded, i);
      for (std::size_t j = i * n; j < (i + 1) * n; ++j) {
        estimates[j] = test_denoiser(images[j] + d.level * z[j], d.level);
        weights[j] = d.weight;
      }
    }
    // The reference does not reduce: every element is an item.
    const batch_view<const double> output{estimates, estimates.size()};
    const batch_view<const double> target{images, images.size()};
    c.same("loss",
           regression(output, target, weights, squared_error{}, reduction::sum_over_dimensions),
           numbers(recorded["loss"]));
  });
}

}  // namespace

std::vector<outcome> replay_edm_losses(const json& file) {
  std::vector<outcome> outcomes;
  if (file.contains("losses"))
    for (std::size_t i = 0; i < file["losses"].size(); ++i)
      outcomes.push_back(replay_loss(file["losses"][i], i));
  return outcomes;
}

}  // namespace reference
