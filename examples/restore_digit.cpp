// How well do the published ways of solving inverse problems find a picture again?
//
// The data are digits, known by heart: the exact denoiser of 1,200 pictures stands for a network, so
// that the exact posterior is known, too. A digit that is not among them is measured in three ways,
// blurred, averaged over blocks of 4 x 4 pixels, or with its lower half hidden, each with noise of
// deviation 0.1, and restored on one sampler. Writes restored.png: the digit, what was measured (as
// its adjoint shows it), the mean of the exact posterior, that of the posterior of Gaussian data with the pictures' mean and
// covariance, one sample of each method, and RED-diff's one picture.
//
// Fonts differ between machines, and with them the last digits of the table.
#include <cstdio>
#include <functional>

#include "support/glyphs.hpp"
#include "support/png.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/linear_inverse.hpp"
#include "tweedie/restore.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using memory = tweedie::oracle::empirical<double>;

constexpr std::size_t side = 20;
constexpr tweedie::image_shape shape{1, side, side};
constexpr double deviation = 0.1;

// Any operator as one type, so that tasks can stand in a list.
struct measurement {
  std::size_t size;
  std::function<void(std::span<const double>, std::span<double>)> forward, backward;

  template <tweedie::linear_operator A>
  measurement(A a)
      : size(a.outputs()),
        forward([a](auto x, auto y) { a.apply(x, y); }),
        backward([a](auto y, auto x) { a.adjoint(y, x); }) {}
  std::size_t inputs() const { return side * side; }
  std::size_t outputs() const { return size; }
  void apply(std::span<const double> x, std::span<double> y) const { forward(x, y); }
  void adjoint(std::span<const double> y, std::span<double> x) const { backward(y, x); }
};

VectorXd measured(const measurement& a, const VectorXd& x) {
  VectorXd y(static_cast<Index>(a.outputs()));
  a.apply({x.data(), a.inputs()}, {y.data(), a.outputs()});
  return y;
}

// E[x0 | y] over the pictures known by heart.
VectorXd posterior_mean(const memory& data, const measurement& a, const VectorXd& y) {
  MatrixXd seen(y.size(), data.points().cols());
  for (Index i = 0; i < seen.cols(); ++i) seen.col(i) = measured(a, data.points().col(i));
  return data.points() * memory(seen).responsibilities({1, deviation}, y);
}

// The operator as a matrix.
MatrixXd matrix_of(const measurement& a) {
  MatrixXd out(a.outputs(), a.inputs());
  for (Index i = 0; i < out.cols(); ++i) out.col(i) = measured(a, VectorXd::Unit(out.cols(), i));
  return out;
}

// One picture that a denoiser corrects, step by step (RED-diff), from what the adjoint shows.
VectorXd corrected(const memory& data, const tweedie::grid& nodes, const measurement& a,
                   const VectorXd& y) {
  std::vector<double> start(side * side, 0.0);
  tweedie::red_diff run(nodes, tweedie::network_description{tweedie::predicts_sample}, a,
                        {y.begin(), y.end()}, start, 7, {.lambda = 0.25, .rate = 0.1});
  while (run.next())
    Eigen::Map<VectorXd>(run.output().data(), side * side) =
        data.denoise(run.at().level, Eigen::Map<const VectorXd>(run.input().data(), side * side));
  return Eigen::Map<const VectorXd>(run.state().data(), side * side);
}

// One run. The denoiser's derivative is alpha / sigma^2 Cov[x0 | x].
VectorXd restore(const memory& data, const tweedie::program& plan, const tweedie::restoration& how,
                 const measurement& a, const VectorXd& y) {
  VectorXd weights, mean;
  tweedie::signal_noise level;
  const auto jacobian = [&](std::span<const double> v, std::size_t, std::span<double> out) {
    const Eigen::Map<const VectorXd> from(v.data(), static_cast<Index>(v.size()));
    const VectorXd along = data.points().transpose() * from;
    Eigen::Map<VectorXd>(out.data(), from.size()) =
        level.alpha / (level.sigma * level.sigma) *
        (data.points() * weights.cwiseProduct(along) - mean * mean.dot(from));
  };
  tweedie::restored method(how, a, std::vector<double>(y.begin(), y.end()), deviation, jacobian);
  std::vector<double> x(side * side);
  tweedie::fill_standard_normal(x, 7);
  tweedie::sampling run(plan, tweedie::network_description{tweedie::predicts_sample}, x,
                        tweedie::gaussian_noise{7},
                        [&](std::span<double> clean, std::size_t items, const tweedie::node& at) {
                          method(clean, items, at);
                        });
  while (run.next()) {
    level = run.at().level;
    const Eigen::Map<const VectorXd> seen(run.input().data(), side * side);
    weights = data.responsibilities(level, seen);
    mean = data.points() * weights;
    Eigen::Map<VectorXd>(run.output().data(), side * side) = mean;
  }
  return Eigen::Map<const VectorXd>(run.state().data(), side * side);
}

}  // namespace

int main() {
  const support::dataset all =
      support::draw_digits({.side = static_cast<int>(side), .pictures = 1500});
  const MatrixXd pictures = all.pictures.cast<double>();
  constexpr Index kept_back = 300;
  const memory data(pictures.rightCols(pictures.cols() - kept_back));

  std::vector<std::size_t> upper_half(side * side / 2);
  for (std::size_t i = 0; i < upper_half.size(); ++i) upper_half[i] = i;
  const std::vector<std::pair<const char*, measurement>> tasks{
      {"blurred", tweedie::blur::gaussian(shape, 2)},
      {"averaged", tweedie::average_pooling(shape, 4)},
      {"half hidden", tweedie::selection(side * side, upper_half)}};
  const std::vector<std::pair<const char*, tweedie::restoration>> methods{
      {"null space (DDNM)", tweedie::null_space()},
      {"proximal (DiffPIR)", tweedie::proximal()},
      {"posterior sampling (DPS)", tweedie::posterior_sampling(0.02)},
      {"pseudo-inverse (PiGDM)", tweedie::pseudo_inverse()},
      {"moment matching (MMPS)", tweedie::moment_matching()}};
  const tweedie::grid nodes = tweedie::karras(tweedie::linear_beta_schedule(1000), 25);
  const auto plan = tweedie::ddim(nodes, 1);

  // The Gaussian with the mean and covariance of the pictures, a little wider: what can be known without more.
  const MatrixXd off = data.points().colwise() - data.points().rowwise().mean();
  const tweedie::oracle::gaussian<double> second_order(
      data.points().rowwise().mean(), off * off.transpose() / static_cast<double>(off.cols()) +
                                          1e-4 * MatrixXd::Identity(off.rows(), off.rows()));

  constexpr int digits = 4;
  const std::size_t extra = 3;  // posteriors of the pictures and of the Gaussian, RED-diff
  const auto columns = static_cast<Index>(2 + extra + methods.size());
  MatrixXd sheet(side * side, columns * digits * static_cast<Index>(tasks.size()));
  std::printf("distance to the picture, root mean square over %d digits\n%-26s", digits, "");
  for (const auto& task : tasks) std::printf("%14s", task.first);
  std::printf("\n");
  std::vector<const char*> names{"mean of the posterior", "of a Gaussian's posterior"};
  for (const auto& method : methods) names.push_back(method.first);
  names.push_back("one picture (RED-diff)");
  std::vector<std::vector<double>> squares(names.size(), std::vector<double>(tasks.size()));
  Index tile = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const measurement& a = tasks[t].second;
    const MatrixXd dense = matrix_of(a);
    for (int d = 0; d < digits; ++d) {
      const VectorXd truth = pictures.col(37 * d + 2);
      VectorXd y = measured(a, truth), noise(y.size()), shown(truth.size());
      tweedie::fill_standard_normal(noise, static_cast<std::uint64_t>(100 + d));
      y += deviation * noise;
      a.adjoint({y.data(), a.outputs()}, {shown.data(), a.inputs()});
      sheet.col(tile++) = truth;
      sheet.col(tile++) = shown * (truth.norm() / shown.norm());
      const auto show = [&](std::size_t row, const VectorXd& found) {
        squares[row][t] += (found - truth).squaredNorm();
        sheet.col(tile++) = found;
      };
      show(0, posterior_mean(data, a, y));
      show(1, tweedie::oracle::posterior(second_order, {dense, y, deviation}).mean());
      for (std::size_t m = 0; m < methods.size(); ++m) {
        // The pseudo-inverse of a blur makes a thousand times more of its noise than of the picture.
        if (m == 0 && t == 0) {
          sheet.col(tile++).setConstant(-1);
          continue;
        }
        show(m + 2, restore(data, plan, methods[m].second, a, y));
      }
      show(names.size() - 1, corrected(data, nodes, a, y));
    }
  }
  for (std::size_t m = 0; m < names.size(); ++m) {
    std::printf("%-26s", names[m]);
    for (const double s : squares[m])
      if (s > 0)
        std::printf("%14.3f", std::sqrt(s / (digits * side * side)));
      else
        std::printf("%14s", "-");
    std::printf("\n");
  }
  support::write_contact_sheet("restored.png", sheet, {side, side}, columns);
  std::printf(
      "restored.png: the digit, what was measured, the posteriors' means, and the methods in "
      "turn\n");
}
