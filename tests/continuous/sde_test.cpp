#include "tweedie/continuous/sde.hpp"

#include <gtest/gtest.h>

#include <Eigen/Core>

#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

constexpr std::size_t paths = 2000;
constexpr std::size_t finest = 4096;  // steps of the path on [0, 1]

// Pieces of one Brownian path for each element, on grids of 2^k steps: a coarse piece is put together
// from fine ones, its mean by adding up areas.
struct shared_path {
  std::size_t stride = 1;
  void operator()(std::size_t step, double h, brownian_step& out) const {
    const double fine = h / static_cast<double>(stride);
    brownian_step piece{std::vector<double>(paths), std::vector<double>(paths)};
    std::fill(out.increment.begin(), out.increment.end(), 0.0);
    std::fill(out.mean.begin(), out.mean.end(), 0.0);
    for (std::size_t k = 0; k < stride; ++k) {
      brownian_steps{11}(step * stride + k, fine, piece);
      for (std::size_t i = 0; i < paths; ++i) {
        out.mean[i] += (out.increment[i] + piece.mean[i]) / static_cast<double>(stride);
        out.increment[i] += piece.increment[i];
      }
    }
  }
};

std::vector<double> times(std::size_t steps) {
  std::vector<double> t;
  for (std::size_t k = 0; k <= steps; ++k)
    t.push_back(static_cast<double>(k) / static_cast<double>(steps));
  return t;
}

template <class Method, class Equation>
std::vector<double> end(Method method, const Equation& equation, std::size_t steps, double start) {
  std::vector<double> x(paths, start);
  simulate(method, equation, std::span(x), times(steps), shared_path{finest / steps});
  return x;
}

double rms(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

// Slope of log rms error against the truth, from 64 to 512 steps.
template <class Method, class Equation>
double strong_order(Method method, const Equation& equation, const std::vector<double>& truth,
                    double start) {
  return std::log2(rms(end(method, equation, 64, start), truth) /
                   rms(end(method, equation, 512, start), truth)) /
         3;
}

struct geometric {  // dx = m x dt + s x dW, solved by exp((m - s^2/2) t + s W)
  double m = 0.3, s = 0.8;
  void drift(std::span<const double> x, double, std::span<double> out) const {
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = m * x[i];
  }
  void diffusion(std::span<const double> x, double, std::span<double> out) const {
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = s * x[i];
  }
  void diffusion_slope(std::span<const double> x, double, std::span<double> out) const {
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = s;
  }
};

TEST(sde, strong_orders_of_multiplicative_noise) {
  const geometric equation;
  std::vector<double> truth(paths);
  brownian_step whole{std::vector<double>(paths), std::vector<double>(paths)};
  shared_path{finest}(0, 1, whole);
  for (std::size_t i = 0; i < paths; ++i)
    truth[i] = std::exp(equation.m - equation.s * equation.s / 2 + equation.s * whole.increment[i]);
  EXPECT_NEAR(strong_order(euler_maruyama_steps{}, equation, truth, 1), 0.5, 0.1);
  EXPECT_NEAR(strong_order(milstein_steps{}, equation, truth, 1), 1, 0.1);
}

struct bent {  // additive noise that grows with time, and a drift that is not linear
  void drift(std::span<const double> x, double t, std::span<double> out) const {
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = -2 * x[i] + std::sin(3 * x[i]) + t;
  }
  double diffusion(double t) const { return 0.5 + t * t; }
};

TEST(sde, strong_orders_of_additive_noise) {
  const bent equation;
  const std::vector<double> truth = end(sra1_steps{}, equation, finest, 0.7);
  EXPECT_NEAR(strong_order(euler_maruyama_steps{}, equation, truth, 0.7), 1, 0.15);
  EXPECT_NEAR(strong_order(stochastic_heun_steps{}, equation, truth, 0.7), 1, 0.15);
  EXPECT_NEAR(strong_order(sra1_steps{}, equation, truth, 0.7), 1.5, 0.15);
}

TEST(sde, the_exact_ornstein_uhlenbeck_law_is_the_limit_of_steps) {
  const ornstein_uhlenbeck process{.rate = 1.3, .mean = 0.4, .noise = 0.9};
  const auto law = process.transition(1);
  EXPECT_DOUBLE_EQ(law.factor, std::exp(-1.3));
  // Moments of Euler-Maruyama by recursion: the error of both halves with the step (weak order 1).
  const auto gap = [&](int steps) {
    const double h = 1.0 / steps;
    double factor = 1, variance = 0;
    for (int k = 0; k < steps; ++k) {
      factor *= 1 - 1.3 * h;
      variance = variance * (1 - 1.3 * h) * (1 - 1.3 * h) + 0.81 * h;
    }
    return std::pair{factor - law.factor, variance - law.variance};
  };
  EXPECT_NEAR(gap(1000).first / gap(2000).first, 2, 0.01);
  EXPECT_NEAR(gap(1000).second / gap(2000).second, 2, 0.01);
  // What simulate does is that recursion: with the Brownian path at 0 and one step.
  std::vector<double> x{2};
  simulate(euler_maruyama_steps{}, process, std::span(x), std::vector<double>{0, 0.5},
           [](std::size_t, double, brownian_step& w) { w.increment[0] = 0.3; });
  EXPECT_DOUBLE_EQ(x[0], 2 - 1.3 * (2 - 0.4) * 0.5 + 0.9 * 0.3);
  // Steps compose: transition(a) after transition(b) is transition(a + b).
  const auto a = process.transition(0.3), b = process.transition(0.7);
  EXPECT_DOUBLE_EQ(a.factor * b.factor, law.factor);
  EXPECT_DOUBLE_EQ(a.variance + a.factor * a.factor * b.variance, law.variance);
  EXPECT_EQ(process.transition(0).variance, 0);
  EXPECT_DOUBLE_EQ((ornstein_uhlenbeck{0, 0, 2}.transition(3).variance), 12);
  EXPECT_THROW(process.transition(-1), std::invalid_argument);
}

TEST(sde, pieces_of_a_path_have_the_law_of_brownian_motion) {
  const std::size_t n = 100000;
  brownian_step w{std::vector<double>(n), std::vector<double>(n)};
  brownian_steps{3}(5, 0.25, w);
  const auto m = static_cast<Eigen::Index>(n);
  const Eigen::Map<const Eigen::ArrayXd> dw(w.increment.data(), m), mean(w.mean.data(), m);
  const double root = std::sqrt(static_cast<double>(n));
  EXPECT_NEAR(dw.square().mean(), 0.25, 5 * 0.25 * std::sqrt(2) / root);
  EXPECT_NEAR(mean.square().mean(), 0.25 / 3, 5 * 0.25 / 3 * std::sqrt(2) / root);
  EXPECT_NEAR((dw * mean).mean(), 0.25 / 2, 5 * 0.25 / root);
}

// dx forward, then backward with the exact score of N(0, 4), leaves N(0, 4) alone.
TEST(sde, the_reverse_equation_brings_back_the_data) {
  const variance_preserving_schedule schedule;
  const auto score = [&](std::span<const double> x, double t, std::span<double> out) {
    const auto [alpha, sigma] = schedule(t);
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = -x[i] / (4 * alpha * alpha + sigma * sigma);
  };
  std::vector<double> falling;
  for (int k = 400; k >= 0; --k) falling.push_back(1e-3 + (1 - 1e-3) * k / 400.0);
  const auto start = schedule(1.0), stop = schedule(1e-3);
  for (const double tau : {0.0, 1.0}) {
    std::vector<double> x(20000);
    fill_normal(noise_key{7, 0, 0}, 0, std::span(x));
    for (double& v : x) v *= std::sqrt(4 * start.alpha * start.alpha + start.sigma * start.sigma);
    simulate(stochastic_heun_steps{}, denoising_sde{schedule, score, tau}, std::span(x), falling,
             brownian_steps{5});
    const Eigen::Map<const Eigen::ArrayXd> a(x.data(), 20000);
    const double variance = 4 * stop.alpha * stop.alpha + stop.sigma * stop.sigma;
    EXPECT_NEAR(a.square().mean(), variance, 5 * variance * std::sqrt(2 / 20000.0)) << tau;
  }
  std::vector<double> x(20000, 1.5);
  std::vector<double> rising(falling.rbegin(), falling.rend());
  simulate(sra1_steps{}, noising_sde{schedule}, std::span(x), rising, brownian_steps{6});
  const Eigen::Map<const Eigen::ArrayXd> a(x.data(), 20000);
  const double ratio = start.alpha / stop.alpha;
  const double variance = start.sigma * start.sigma - ratio * ratio * stop.sigma * stop.sigma;
  EXPECT_NEAR(a.mean(), 1.5 * ratio, 5 * std::sqrt(variance / 20000));
  EXPECT_NEAR((a - a.mean()).square().mean(), variance, 5 * variance * std::sqrt(2 / 20000.0));
}

TEST(sde, refuses_times_that_are_none_and_does_nothing_without_steps) {
  std::vector<double> x{1};
  EXPECT_THROW(simulate(sra1_steps{}, ornstein_uhlenbeck{}, std::span(x),
                        std::vector<double>{0, std::nan("")}, brownian_steps{1}),
               std::invalid_argument);
  simulate(sra1_steps{}, ornstein_uhlenbeck{}, std::span(x), std::vector<double>{0},
           brownian_steps{1});
  EXPECT_EQ(x[0], 1);
}

}  // namespace
}  // namespace tweedie
