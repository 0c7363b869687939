// The table of docs/restoring.md: how far the samples of every method are from the exact posterior.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>

#include "tweedie/edit/known_region.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/restore.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/resampling.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

using Eigen::Matrix2d;
using Eigen::MatrixXd;
using Eigen::Vector2d;

constexpr std::size_t items = 2000;

// Data of the plane: a mixture of Gaussians with one covariance. y = x_1 + s e.
struct data {
  std::vector<double> weights;
  std::vector<Vector2d> means;
  Matrix2d covariance;
  double y = 0, s = 1;

  // E and Cov of x0 given x at a level, for many x.
  struct denoiser {
    const data& d;
    signal_noise l;
    Matrix2d inverse =
        (l.alpha * l.alpha * d.covariance + l.sigma * l.sigma * Matrix2d::Identity()).inverse();
    Matrix2d gain = l.alpha * d.covariance * inverse;
    Matrix2d within = d.covariance - l.alpha * gain * d.covariance;

    void operator()(const Vector2d& x, Vector2d& mean, Matrix2d& spread) const {
      double logits[3], highest = -1e300, sum = 0;
      const std::size_t n = d.means.size();
      for (std::size_t k = 0; k < n; ++k) {
        const Vector2d r = x - l.alpha * d.means[k];
        logits[k] = std::log(d.weights[k]) - 0.5 * r.dot(inverse * r);
        highest = std::max(highest, logits[k]);
      }
      mean.setZero();
      Matrix2d square = Matrix2d::Zero();
      for (std::size_t k = 0; k < n; ++k) {
        const double w = std::exp(logits[k] - highest);
        const Vector2d part = d.means[k] + gain * (x - l.alpha * d.means[k]);
        sum += w;
        mean += w * part;
        square += w * part * part.transpose();
      }
      mean /= sum;
      spread = square / sum - mean * mean.transpose() + within;
    }
  };

  // The posterior is a mixture again.
  data posterior() const {
    data out = *this;
    const Vector2d k = covariance.col(0) / (covariance(0, 0) + s * s);
    double sum = 0;
    for (std::size_t i = 0; i < means.size(); ++i) {
      const double r = y - means[i][0];
      out.means[i] = means[i] + k * r;
      out.weights[i] = weights[i] * std::exp(-0.5 * r * r / (covariance(0, 0) + s * s));
      sum += out.weights[i];
    }
    for (double& w : out.weights) w /= sum;
    out.covariance = covariance - k * covariance.row(0);
    return out;
  }
  Vector2d mean() const {
    Vector2d m = Vector2d::Zero();
    for (std::size_t i = 0; i < means.size(); ++i) m += weights[i] * means[i];
    return m;
  }
  Matrix2d whole_covariance() const {
    Matrix2d c = covariance - mean() * mean().transpose();
    for (std::size_t i = 0; i < means.size(); ++i)
      c += weights[i] * means[i] * means[i].transpose();
    return c;
  }
  // Quantile of the second coordinate, by bisection of the distribution function.
  double quantile(double u) const {
    double low = -20, high = 20;
    for (int i = 0; i < 60; ++i) {
      const double at = (low + high) / 2;
      double below = 0;
      for (std::size_t k = 0; k < means.size(); ++k)
        below += weights[k] * 0.5 * std::erfc((means[k][1] - at) / std::sqrt(2 * covariance(1, 1)));
      (below < u ? low : high) = at;
    }
    return (low + high) / 2;
  }
};

struct bias {
  double mean = 0, covariance = 0, distance = 0;
};

// Errors of the mean (length), of the covariance (Frobenius norm), and the 2-Wasserstein distance of the second
// coordinate, by quantiles.
bias bias_of(const MatrixXd& samples, const data& exact) {
  const Vector2d mean = samples.rowwise().mean();
  const MatrixXd centred = samples.colwise() - mean;
  const auto n = static_cast<double>(samples.cols());
  std::vector<double> hidden(samples.row(1).begin(), samples.row(1).end());
  std::sort(hidden.begin(), hidden.end());
  double square = 0;
  for (std::size_t i = 0; i < hidden.size(); ++i)
    square += std::pow(hidden[i] - exact.quantile((static_cast<double>(i) + 0.5) / n), 2) / n;
  return {(mean - exact.mean()).norm(),
          (centred * centred.transpose() / n - exact.whole_covariance()).norm(), std::sqrt(square)};
}

// Runs `plan` on all items with the exact denoiser of d.
struct runner {
  const data& d;
  program plan;
  std::vector<Matrix2d> spreads = std::vector<Matrix2d>(items);
  signal_noise level{};

  auto jacobian() {
    return [this](std::span<const double> v, std::size_t item, std::span<double> out) {
      Eigen::Map<Vector2d>(out.data()) = level.alpha / (level.sigma * level.sigma) * spreads[item] *
                                         Eigen::Map<const Vector2d>(v.data());
    };
  }
  std::vector<double> start() const {
    std::vector<double> x(2 * items);
    fill_standard_normal(x, 1);
    for (double& v : x) v *= plan.start.level.sigma;
    return x;
  }
  template <class Transform, class Paste>
  MatrixXd run(std::vector<double> x, Transform transform, Paste paste) {
    sampling s(plan, network_description{predicts_sample}, as_batch(x.data(), items, 2),
               gaussian_noise{7}, transform);
    for (auto now = s.advance(); now != sampling_event::finished; now = s.advance()) {
      if (now == sampling_event::step) {
        paste(s);
        continue;
      }
      level = s.at().level;
      const data::denoiser denoise{d, level};
      for (std::size_t i = 0; i < items; ++i) {
        Vector2d mean;
        denoise(Eigen::Map<const Vector2d>(s.input().data() + 2 * i), mean, spreads[i]);
        Eigen::Map<Vector2d>(s.output().data() + 2 * i) = mean;
      }
    }
    return Eigen::Map<const MatrixXd>(s.state().data(), 2, items);
  }
};

constexpr auto leave = [](auto&) {};

// Every method by the name it has in the table.
std::map<std::string, MatrixXd> sampled(const data& d, int steps) {
  const auto table = linear_beta_schedule(1000);
  const grid nodes = karras(table, steps);
  const dense_operator a{(MatrixXd(1, 2) << 1, 0).finished()};
  const std::vector<double> y(items, d.y);
  std::map<std::string, MatrixXd> out;
  const auto door = [&](const char* name, const restoration& how, const program& plan) {
    runner r{d, plan};
    restored method(how, a, y, d.s, r.jacobian());
    out[name] = r.run(
        r.start(),
        [&](std::span<double> clean, std::size_t n, const node& at) { method(clean, n, at); },
        leave);
  };
  {
    const data conditional = d.posterior();
    runner r{conditional, ddim(nodes, 1)};
    out["exact conditional"] = r.run(r.start(), unchanged{}, leave);
  }
  door("TMPD, MMPS", moment_matching(), ddim(nodes, 1));
  door("PiGDM", pseudo_inverse(), ddim(nodes, 1));
  door("DPS, weight 0.1", posterior_sampling(0.1), ddim(nodes, 1));
  door("DiffPIR", proximal(), ddim(nodes, 1));
  door("DDNM", null_space(), ddim(nodes, 1));
  door("FlowDPS", flow_posterior(), flow_dps(nodes));
  {
    runner r{d, ddim(nodes)};
    ddrm method(singular_system_of(a.matrix), y, d.s, 5);
    std::vector<double> x = r.start();
    method.start(x, r.plan.start.level);
    out["DDRM"] = r.run(
        x,
        [&](std::span<double> clean, std::size_t n, const node& at) { method.see(clean, n, at); },
        [&](auto& s) { method.apply(s); });
  }
  for (const int inner : {1, 4}) {
    runner r{d, decoupled_annealing(nodes, inner, nodes_of(table))};
    decoupled method(a, y, d.s, 5);
    out["DAPS, " + std::to_string(inner)] =
        r.run(r.start(), unchanged{}, [&](auto& s) { method.apply(s); });
  }
  if (steps == 20) {
    runner r{d, decoupled_annealing(nodes, 1, nodes_of(table))};
    const auto published = [](signal_noise l) { return std::pow(noise_level(l), 2); };
    decoupled method(a, y, d.s, 5, published, langevin_steps{100, 0.01, 1e-4});
    out["DAPS, Langevin"] = r.run(r.start(), unchanged{}, [&](auto& s) { method.apply(s); });
  }
  {
    std::vector<double> start(2 * items);
    for (std::size_t i = 0; i < items; ++i) start[2 * i] = d.y;
    red_diff<double, dense_operator> run(nodes, {predicts_sample}, a, y, start, 5);
    while (run.next()) {
      const data::denoiser denoise{d, run.at().level};
      for (std::size_t i = 0; i < items; ++i) {
        Vector2d mean;
        Matrix2d spread;
        denoise(Eigen::Map<const Vector2d>(run.input().data() + 2 * i), mean, spread);
        Eigen::Map<Vector2d>(run.output().data() + 2 * i) = mean;
      }
    }
    out["RED-diff"] = Eigen::Map<const MatrixXd>(run.state().data(), 2, items);
  }
  for (const int times : {1, 10}) {
    runner r{d, resampled(nodes, 1, times)};
    std::vector<double> original(2 * items), mask(2 * items);
    for (std::size_t i = 0; i < items; ++i) original[2 * i] = d.y, mask[2 * i] = 1;
    known_region<double> known(original, mask, 9);
    out[times == 1 ? "replacement" : "RePaint, 10"] =
        r.run(r.start(), unchanged{}, [&](auto& s) { known.paste(s); });
  }
  return out;
}

data gaussian() {
  return {{1}, {Vector2d::Zero()}, (Matrix2d() << 1, 0.8, 0.8, 1).finished(), 1.5, 0.3};
}
data mixture() {
  return {{0.5, 0.3, 0.2},
          {Vector2d(-1, -1), Vector2d(0.5, 1), Vector2d(1, -0.5)},
          0.05 * Matrix2d::Identity(),
          0.3,
          0.3};
}

// Rows "| name | steps | nine numbers ..." of the page.
std::map<std::string, std::vector<double>> documented() {
  std::ifstream page(TWEEDIE_TEST_DATA "/../../docs/restoring.md");
  std::map<std::string, std::vector<double>> rows;
  for (std::string line; std::getline(page, line);) {
    std::istringstream cells(line);
    std::string cell, name;
    std::getline(cells, cell, '|');
    if (!std::getline(cells, name, '|')) continue;
    std::vector<double> numbers;
    while (std::getline(cells, cell, '|')) {
      char* end = nullptr;
      const double value = std::strtod(cell.c_str(), &end);
      if (end != cell.c_str()) numbers.push_back(value);
    }
    if (numbers.size() == 6) rows[name.substr(1, name.find_last_not_of(' '))] = numbers;
  }
  return rows;
}

TEST(restoring, the_exact_conditional_of_the_page_is_that_of_the_test) {
  const data exact = mixture().posterior();
  // Against the density on a fine grid.
  const data d = mixture();
  double mass = 0;
  Vector2d mean = Vector2d::Zero();
  for (double u = -3; u < 3; u += 0.02)
    for (double v = -3; v < 3; v += 0.02) {
      double p = 0;
      for (std::size_t k = 0; k < 3; ++k)
        p += d.weights[k] * std::exp(-(Vector2d(u, v) - d.means[k]).squaredNorm() / 0.1);
      p *= std::exp(-(d.y - u) * (d.y - u) / (2 * d.s * d.s));
      mass += p;
      mean += p * Vector2d(u, v);
    }
  EXPECT_LT((mean / mass - exact.mean()).norm(), 1e-9);
}

TEST(restoring, every_method_is_as_far_from_the_posterior_as_its_page_says) {
  const auto rows = documented();
  const data problems[] = {gaussian(), mixture()};
  for (const int steps : {20, 100}) {
    std::map<std::string, std::vector<double>> found;
    for (const data& d : problems)
      for (const auto& [name, samples] : sampled(d, steps)) {
        const bias b = bias_of(samples, d.posterior());
        for (const double v : {b.mean, b.covariance, b.distance}) found[name].push_back(v);
      }
    for (const auto& [name, numbers] : found) {
      const std::string key = name + " in " + std::to_string(steps);
      std::string line = "| " + key + " |";
      for (const double v : numbers) {
        char text[32];
        std::snprintf(text, sizeof text, " %.3f |", v);
        line += text;
      }
      const auto row = rows.find(key);
      if (row == rows.end()) {
        ADD_FAILURE() << "the page lacks " << line;
        continue;
      }
      for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(row->second[i], numbers[i], 2e-3) << line;
    }
  }
}

}  // namespace
}  // namespace tweedie
