// How time grows with the size of the work, and the exponent it should grow with.
#include <Eigen/Core>
#include <string>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/oracle.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using namespace tweedie;
using comparison::add_growth;
using comparison::body;
using Eigen::MatrixXd;

const discrete_schedule& schedule() {
  static const discrete_schedule made = linear_beta_schedule(1000);
  return made;
}

// A run with a network that costs nothing.
body whole_run(const program& plan, Eigen::Index item, Eigen::Index items) {
  const Eigen::ArrayXXf x = Eigen::ArrayXXf::Constant(item, items, 0.3F);
  using loop = sampling<Eigen::ArrayXXf>;
  auto s = std::make_shared<loop>(plan, network_description{predicts_noise}, x, gaussian_noise{1});
  for (float& v : elements(s->output())) v = 0.5F;
  return [s, x] {
    s->restart(x);
    while (s->next()) {
    }
  };
}

body step(std::size_t n) {
  auto m = make_streams<float>(3, n);
  return [m, n] {
    float* const out[] = {(*m)[0]};
    const float* const in[] = {(*m)[0], (*m)[1], (*m)[2]};
    constexpr double weights[] = {0.999, 0.02, -0.01};
    combine<float>(out, in, weights, n);
  };
}

body noise(std::size_t n) {
  auto m = make_streams<float>(1, n);
  return [m] { fill_normal<float>({1, 0, 0}, 0, m->tensors[0]); };
}

template <class Plan>
body planning(const Plan& plan, std::size_t steps) {
  const grid nodes = trailing(schedule(), static_cast<int>(steps));
  return [=] { benchmark::DoNotOptimize(plan(nodes)); };
}

MatrixXd points(std::size_t dimension, std::size_t count) {
  MatrixXd x(static_cast<Eigen::Index>(dimension), static_cast<Eigen::Index>(count));
  fill_standard_normal(x, 1);
  return x;
}

body memorised(std::size_t dimension, std::size_t count) {
  const oracle::empirical<double> data(points(dimension, count));
  const MatrixXd x = points(dimension, 4);
  return [=] { benchmark::DoNotOptimize(data.denoise({0.8, 0.6}, x)); };
}

body gaussian_data(std::size_t dimension) {
  const MatrixXd root = points(dimension, dimension);
  const oracle::gaussian<double> data(Eigen::VectorXd::Zero(root.rows()),
                                      root * root.transpose() / double(dimension));
  const MatrixXd x = points(dimension, 1);
  return [=] { benchmark::DoNotOptimize(data.denoise({0.8, 0.6}, x)); };
}

}  // namespace

void register_growth() {
  const std::vector<std::size_t> in_cache = {1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16};
  const std::vector<std::size_t> in_memory = {4 << 20, 8 << 20, 16 << 20, 32 << 20};
  add_growth("fused step, elements, 4 K to 64 K", "linear", 1, in_cache, step);
  add_growth("fused step, elements, 4 M to 32 M", "linear", 1, in_memory, step);
  add_growth("normals, elements, 4 K to 64 K", "linear", 1, in_cache, noise);
  add_growth("DPM-Solver++(2M), steps, 10 to 160", "linear", 1, {10, 20, 40, 80, 160},
             [](std::size_t steps) {
               return whole_run(
                   dpm_solver_plus_plus(trailing(schedule(), static_cast<int>(steps)), 2), 16'384,
                   1);
             });
  add_growth("Euler ancestral, batch, 1 to 16 items", "linear", 1, {1, 2, 4, 8, 16},
             [](std::size_t items) {
               return whole_run(euler_ancestral(trailing(schedule(), 10)), 16'384,
                                static_cast<Eigen::Index>(items));
             });
  add_growth(
      "planning DDPM, steps, 60 to 960", "linear", 1, {60, 120, 240, 480, 960},
      [](std::size_t steps) { return planning([](const grid& g) { return ddpm(g); }, steps); });
  add_growth(
      "planning UniPC, steps, 20 to 320", "linear", 1, {20, 40, 80, 160, 320},
      [](std::size_t steps) { return planning([](const grid& g) { return unipc(g); }, steps); });
  add_growth("memorised data, points, 256 to 4 K", "linear", 1, {256, 512, 1024, 2048, 4096},
             [](std::size_t count) { return memorised(64, count); });
  add_growth("memorised data, dimensions, 64 to 1 K", "linear", 1, {64, 128, 256, 512, 1024},
             [](std::size_t dimension) { return memorised(dimension, 512); });
  add_growth("Gaussian denoiser, dimensions, 64 to 512", "quadratic", 2, {64, 128, 256, 512},
             gaussian_data);
}
