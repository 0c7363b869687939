// The table of docs/families.md: networks made here from each family's own papers and code, exact for
// data N(0.3, 0.25), must give samples of it when described and told time as the table says.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>

#include "readme/names.hpp"

namespace readme {
namespace {

using namespace tweedie;

constexpr double mean = 0.3, variance = 0.25;

// E[x0 | x] and E[z | x] at x = alpha x0 + sigma z.
struct known {
  double alpha, sigma, x0, z;
  known(double x, double a, double s) : alpha(a), sigma(s) {
    const double total = a * a * variance + s * s;
    x0 = mean + a * variance / total * (x - a * mean);
    z = s / total * (x - a * mean);
  }
};

// What the network answers to an input and a time.
using trained = std::function<double(double in, double t)>;

// alpha_bar of a table of betas; between two entries log sqrt((1 - alpha_bar)/alpha_bar) is a line.
class table {
 public:
  explicit table(const std::vector<double>& betas) {
    double product = 1;
    for (const double beta : betas) {
      product *= 1 - beta;
      log_levels_.push_back(std::log((1 - product) / product) / 2);
    }
  }
  known at(double x, double t) const {
    const auto k = static_cast<std::size_t>(t);
    const double next = k + 1 < log_levels_.size() ? log_levels_[k + 1] : 0;
    const double level = std::exp(std::lerp(log_levels_[k], next, t - std::floor(t)));
    return {x, 1 / std::hypot(1, level), level / std::hypot(1, level)};
  }

 private:
  std::vector<double> log_levels_;
};

std::map<std::string, trained> networks() {
  std::vector<double> scaled_linear, cosine;
  for (int k = 0; k < 1000; ++k)
    scaled_linear.push_back(
        std::pow(std::lerp(std::sqrt(0.00085), std::sqrt(0.012), k / 999.0), 2));
  const auto bar = [](double u) {
    return std::pow(std::cos((u + 0.008) / 1.008 * std::acos(-1) / 2), 2);
  };
  for (int k = 0; k < 100; ++k)
    cosine.push_back(std::min(1 - bar((k + 1) / 100.0) / bar(k / 100.0), 0.999));
  const table sd(scaled_linear), policy(cosine);
  const trained noise = [=](double in, double t) { return sd.at(in, t).z; };
  const auto flow = [](double s, double x) { return known(x, 1 - s, s); };
  const trained to_data = [=](double in, double t) {
    const known k = flow(1 - t, in);
    return k.x0 - k.z;
  };
  const auto velocity = [=](double per_time) {
    return [=](double in, double t) {
      const known k = flow(t * per_time, in);
      return k.z - k.x0;
    };
  };
  return {
      {"SD 1.x, SDXL", noise},
      {"SD 1.x, SDXL as k-diffusion keeps them", noise},
      {"SD 2 v",
       [=](double in, double t) {
         const known k = sd.at(in, t);
         return k.alpha * k.z - k.sigma * k.x0;
       }},
      {"EDM",  // Karras et al. 2022, table 1: D = c_skip x + c_out F(c_in x; log(sigma)/4)
       [](double in, double t) {
         const double s = std::exp(4 * t), norm = std::sqrt(s * s + 0.25), x = in * norm;
         return (known(x, 1, s).x0 - 0.25 / (norm * norm) * x) / (0.5 * s / norm);
       }},
      {"SVD",  // EulerDiscreteScheduler, v_prediction: D = x/(s^2 + 1) - s/sqrt(s^2 + 1) F
       [](double in, double t) {
         const double s = std::exp(4 * t), norm = std::sqrt(s * s + 1), x = in * norm;
         return (x / (norm * norm) - known(x, 1, s).x0) * norm / s;
       }},
      {"LCM",  // the noise whose x0 is the end of the flow from x
       [=](double in, double t) {
         const known k = sd.at(in, t);
         const double total = k.alpha * k.alpha * variance + k.sigma * k.sigma;
         const double end = mean + std::sqrt(variance / total) * (in - k.alpha * mean);
         return (in - k.alpha * end) / k.sigma;
       }},
      {"SD3", velocity(1e-3)},
      {"Flux", velocity(1)},
      {"Wan", velocity(1e-3)},
      {"Matcha-TTS", to_data},
      {"ZipVoice, `t_shift` 0.5", to_data},
      {"F5-TTS", to_data},
      {"diffusion policy", [=](double in, double t) { return policy.at(in, t).z; }},
  };
}

TEST(families, every_row_has_a_network_and_every_network_a_row) {
  const auto all = networks();
  EXPECT_EQ(families().size(), all.size());
  for (const family& f : families()) EXPECT_TRUE(all.contains(f.name)) << f.name;
}

TEST(families, exact_networks_told_by_the_tables_clock_are_right) {
  const auto all = networks();
  for (const family& f : families()) {
    SCOPED_TRACE(f.name);
    const trained network = all.at(f.name);
    const auto evaluate = [&](std::span<const double> in, double t, std::span<double> out) {
      for (std::size_t i = 0; i < in.size(); ++i) out[i] = network(in[i], t);
    };
    const bool consistent = f.name == "LCM";
    const program plan = consistent ? consistency(f.nodes) : dpm_solver_plus_plus(f.nodes, 2);
    EXPECT_NEAR(plan.start.level.sigma / f.starting_scale, 1, 0.01);
    std::vector<double> x(20000);
    initial_noise(plan, 3, x);
    const std::vector<double> start = x;
    run(plan, f.network, x, evaluate, gaussian_noise{4});

    double sum = 0, squares = 0;
    for (const double v : x) sum += v, squares += v * v;
    const double m = sum / 20000, s = std::sqrt(squares / 20000 - m * m);
    // 20000 samples are right to 0.01; of the law of 20 to 40 steps of second order they are samples, and
    // that is right to 0.035.
    const double first = plan.start.level.sigma;
    const scalar_law wanted =
        consistent ? scalar_law{mean, variance}
                   : law(plan, gaussian_denoiser(mean, variance), {0, first * first}).result;
    EXPECT_NEAR(m, wanted.mean, 0.012);
    EXPECT_NEAR(s, std::sqrt(wanted.variance), 0.012);
    EXPECT_NEAR(wanted.mean, mean, 0.035);
    EXPECT_NEAR(std::sqrt(wanted.variance), std::sqrt(variance), 0.035);

    // The same to rounding as where the node itself tells the level.
    if (consistent) continue;
    std::vector<double> exact = start;
    sampling reference(plan, network_description{predicts_sample}, exact, gaussian_noise{4});
    while (reference.next()) {
      const auto [alpha, sigma] = reference.at().level;
      for (std::size_t i = 0; i < exact.size(); ++i)
        reference.output()[i] = known(reference.input()[i], alpha, sigma).x0;
    }
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, std::abs(x[i] - reference.state()[i]));
    EXPECT_LT(worst, 1e-9);
  }
}

// The kinds and clocks of other rows are found out on the data that every family makes.
TEST(families, another_rows_description_is_found_out) {
  const auto all = networks();
  std::vector<double> data(500);
  fill_standard_normal(data, 8);
  for (double& v : data) v = mean + std::sqrt(variance) * v;
  for (const family& f : families()) {
    if (f.name == "LCM") continue;  // answers no mean
    const trained network = all.at(f.name);
    const auto evaluate = [&](std::span<const double> in, double t, std::span<double> out) {
      for (std::size_t i = 0; i < in.size(); ++i) out[i] = network(in[i], t);
    };
    // Tables are not asked beyond their ends.
    EXPECT_TRUE(check_prediction(f.network, f.nodes, data, evaluate, 0, {}).fits()) << f.name;
    network_description wrong = f.network;
    wrong.prediction = predicts_score;
    EXPECT_FALSE(check_prediction(wrong, f.nodes, data, evaluate, 0, {}).fits()) << f.name;
  }
}

}  // namespace
}  // namespace readme
