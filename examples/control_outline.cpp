// Can an outline say where the strokes go?
//
// A network that draws digits of a label stays as it is; beside it a control network sees the outline of a digit and adds a residual
// to its features (ControlNet). The residual ends in a projection that starts as zero: untrained, it changes nothing, and its own
// gradient does not vanish. Prints, for scales of the residual, the distance of samples to the digits whose outlines were given;
// that an untrained control and scale 0 give the same bits as none. Writes control.png: rows of ten digits that training has not
// seen, their outlines, and the samples at scales 0, 0.5 and 1.
//
// Fonts differ between machines, and numbers of a training between compilers.
#include <cstdio>

#include "support/glyphs.hpp"
#include "support/open_network.hpp"
#include "support/png.hpp"
#include "tweedie/conditioning.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXf;
using support::open_network;

constexpr Index side = 16, pixels = side * side, width = 256;

// Where a picture changes: the largest step to a neighbour, from -1 (none) to 1.
MatrixXf outlines_of(const MatrixXf& pictures) {
  MatrixXf out = MatrixXf::Constant(pixels, pictures.cols(), -1);
  for (Index i = 0; i < pictures.cols(); ++i)
    for (Index y = 0; y + 1 < side; ++y)
      for (Index x = 0; x + 1 < side; ++x) {
        const Index at = y * side + x;
        const float here = pictures(at, i);
        out(at, i) = std::max(std::abs(pictures(at + 1, i) - here),
                              std::abs(pictures(at + side, i) - here)) -
                     1;
      }
  return out;
}

// residual = Z silu(C (outline, u)), Z zero at first; both in one vector.
struct control_network {
  Eigen::VectorXf parameters;
  Index inputs;
  MatrixXf seen, before, after;

  explicit control_network(Index inputs_) : inputs(inputs_) {
    parameters.setZero(width * inputs + width * width);
    MatrixXf c(width, inputs);
    support::random_draws(7).fill_normal(c);
    in() = c / std::sqrt(static_cast<float>(inputs));
  }
  open_network::map in() { return {parameters.data(), width, inputs}; }
  open_network::map zero() { return {parameters.data() + width * inputs, width, width}; }

  MatrixXf residual(const MatrixXf& outline, const MatrixXf& u) {
    seen.resize(outline.rows() + u.rows(), u.cols());
    seen << outline, u;
    before = in() * seen;
    after = before.array() * before.array().logistic();
    return zero() * after;
  }
  void backward(const MatrixXf& residual_gradient, Eigen::VectorXf& gradient) {
    open_network::map(gradient.data() + width * inputs, width, width).noalias() +=
        residual_gradient * after.transpose();
    MatrixXf g = zero().transpose() * residual_gradient;
    const Eigen::ArrayXXf gate = before.array().logistic();
    g.array() *= gate * (1 + before.array() * (1 - gate));
    open_network::map(gradient.data(), width, inputs).noalias() += g * seen.transpose();
  }
};

MatrixXf drawn(open_network& network, control_network* control, const MatrixXf& outlines,
               const std::vector<int>& labels, double scale) {
  const Index items = outlines.cols();
  MatrixXf x(pixels, items);
  tweedie::fill_standard_normal(x, 5);
  open_network::activations a;
  tweedie::sampling run(tweedie::ddim(tweedie::uniform(tweedie::trigonometric_schedule(), 30)),
                        tweedie::network_description{tweedie::predicts_sample}, x);
  while (run.next()) {
    const std::vector<double> angles(static_cast<std::size_t>(items), run.network_time());
    const MatrixXf u = open_network::told(run.input(), angles, labels, false);
    run.output() = network.forward(u, a, [&](MatrixXf& features) {
      if (!control) return;
      const MatrixXf r = control->residual(outlines, u);
      const std::span<const float> residual(r.data(), static_cast<std::size_t>(r.size()));
      tweedie::add_control<float>({features.data(), static_cast<std::size_t>(features.size())},
                                  std::span(&residual, 1), std::span(&scale, 1));
    });
  }
  return run.state();
}

}  // namespace

int main() {
  const support::dataset data =
      support::draw_digits({.side = static_cast<int>(side), .pictures = 3000});
  std::vector<Index> known, kept_back;  // the last fifth of the faces is kept back
  for (Index i = 0; i < data.pictures.cols(); ++i)
    (i < data.pictures.cols() * 4 / 5 ? known : kept_back).push_back(i);
  open_network network = support::trained(data, known, 1500);

  constexpr Index shown = 10;
  const Index stride = static_cast<Index>(kept_back.size()) / shown / 10 * 10 + 1;
  MatrixXf target(pixels, shown);
  std::vector<int> labels;
  for (Index i = 0; i < shown; ++i) {
    const Index at = kept_back[static_cast<std::size_t>(i * stride)];
    target.col(i) = data.pictures.col(at);
    labels.push_back(data.labels[static_cast<std::size_t>(at)]);
  }
  const MatrixXf outlines = outlines_of(target);

  control_network control(pixels + network.weight(0).cols());
  const MatrixXf alone = drawn(network, nullptr, outlines, labels, 1);
  const bool untrained = drawn(network, &control, outlines, labels, 1) == alone;

  support::random_draws random(4);
  open_network::activations a;
  MatrixXf error;
  Eigen::VectorXf frozen;
  support::descend<float>(
      control.parameters, {.title = "control", .steps = 1000, .rising_steps = 50},
      [&](int, Eigen::VectorXf& gradient) {
        const auto b = support::noised(data, known, 64, false, random);
        const MatrixXf outline = outlines_of(b.clean);
        const double loss = support::squared_error(
            network.forward(b.input, a,
                            [&](MatrixXf& h) { h += control.residual(outline, b.input); }),
            b.clean, error);
        frozen.setZero(network.parameters.size());  // the network learns nothing
        network.backward(error, a, frozen);
        control.backward(a.feature_gradient, gradient);
        return loss;
      });

  constexpr double scales[] = {0, 0.5, 1};
  MatrixXf sheet(pixels, 5 * shown);
  sheet.leftCols(shown) = target;
  sheet.middleCols(shown, shown) = outlines;
  std::printf("%6s %26s\n", "scale", "distance to the digits");
  double away[3] = {};
  bool same_bits = false;
  for (std::size_t s = 0; s < 3; ++s) {
    const MatrixXf found = drawn(network, &control, outlines, labels, scales[s]);
    if (s == 0) same_bits = found == alone;
    away[s] = static_cast<double>((found - target).norm()) / std::sqrt(double(target.size()));
    std::printf("%6.1f %26.3f\n", scales[s], away[s]);
    sheet.middleCols(static_cast<Index>(s + 2) * shown, shown) = found;
  }
  std::printf("an untrained control changes no bit: %s\n", untrained ? "yes" : "no");
  std::printf("scale 0 gives the bits of the network alone: %s\n", same_bits ? "yes" : "no");
  std::printf("strokes follow the outline: %s\n", away[2] < 0.6 * away[0] ? "yes" : "no");
  support::write_contact_sheet("control.png", sheet, {side, side}, shown);
}
