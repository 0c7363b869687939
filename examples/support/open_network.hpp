// A denoiser of three layers whose matrices and features stand open, so that updates can be merged into them and residuals
// added to them: what adapters and control networks hold on to.
//
//   h1 = silu(W1 u + b1) + residual,   h2 = silu(W2 h1 + b2),   x0 = W3 h2 + b3
//   u  = (x, angles of the noise level, one-hot label, token)
//
// One column is one item; all parameters live in one vector.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "dataset.hpp"
#include "descend.hpp"
#include "random.hpp"
#include "tweedie/conditioning/low_rank.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace support {

class open_network {
 public:
  static constexpr Eigen::Index angles = 8, labels = 10, tokens = 1;
  using map = Eigen::Map<Eigen::MatrixXf>;
  using adapters = std::array<tweedie::low_rank_update<float>, 3>;

  struct activations {
    std::array<Eigen::MatrixXf, 3> in;      // of each layer
    std::array<Eigen::MatrixXf, 2> before;  // of each silu
    Eigen::MatrixXf out, feature_gradient;  // of h1
  };

  open_network(Eigen::Index pixels, Eigen::Index width, std::uint64_t seed)
      : rows_{width, width, pixels}, columns_{pixels + angles + labels + tokens, width, width} {
    Eigen::Index size = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      offsets_[k] = size;
      size += rows_[k] * (columns_[k] + 1);
    }
    parameters.setZero(size);
    random_draws random(seed);
    for (std::size_t k = 0; k < 3; ++k) {
      Eigen::MatrixXf w(rows_[k], columns_[k]);
      random.fill_normal(w);
      weight(k) = w / std::sqrt(static_cast<float>(columns_[k]));
    }
    weight(0).rightCols(tokens).setZero();
  }

  Eigen::VectorXf parameters;

  map weight(std::size_t k) { return into(parameters, k); }
  map into(Eigen::VectorXf& vector, std::size_t k) const {
    return {vector.data() + offsets_[k], rows_[k], columns_[k]};
  }
  map bias(Eigen::VectorXf& vector, std::size_t k) const {
    return {vector.data() + offsets_[k] + rows_[k] * columns_[k], rows_[k], 1};
  }

  // The input of a batch: states at levels (alpha, sigma), labels, and whether the token is said.
  static Eigen::MatrixXf told(const Eigen::MatrixXf& x, std::span<const double> noise_angles,
                              std::span<const int> label, bool token) {
    Eigen::MatrixXf u = Eigen::MatrixXf::Zero(x.rows() + angles + labels + tokens, x.cols());
    u.topRows(x.rows()) = x;
    for (Eigen::Index i = 0; i < x.cols(); ++i) {
      for (Eigen::Index k = 0; k < angles / 2; ++k) {
        const double a = noise_angles[static_cast<std::size_t>(i)] * std::pow(2.0, double(k));
        u(x.rows() + 2 * k, i) = static_cast<float>(std::cos(a));
        u(x.rows() + 2 * k + 1, i) = static_cast<float>(std::sin(a));
      }
      u(x.rows() + angles + label[static_cast<std::size_t>(i)], i) = 1;
      u(x.rows() + angles + labels, i) = token ? 1.0f : 0.0f;
    }
    return u;
  }

  // x0 estimates. `residual(h1)` may add to the features; `beside` are updates applied beside the layers.
  template <class Residual>
  const Eigen::MatrixXf& forward(const Eigen::MatrixXf& u, activations& a, const Residual& residual,
                                 const adapters* beside = nullptr) {
    a.in[0] = u;
    for (std::size_t k = 0; k < 3; ++k) {
      Eigen::MatrixXf z = weight(k) * a.in[k];
      z.colwise() += bias(parameters, k).col(0);
      if (beside) tweedie::add_update(z, (*beside)[k], a.in[k]);
      if (k == 2) {
        a.out = std::move(z);
        break;
      }
      a.in[k + 1] = z.array() * z.array().logistic();
      a.before[k] = std::move(z);
      if (k == 0) residual(a.in[1]);
    }
    return a.out;
  }
  const Eigen::MatrixXf& forward(const Eigen::MatrixXf& u, activations& a) {
    return forward(u, a, [](Eigen::MatrixXf&) {});
  }

  // Adds d loss / d parameters, given d loss / d out; leaves that of h1 in a.feature_gradient.
  void backward(const Eigen::MatrixXf& out_gradient, activations& a, Eigen::VectorXf& gradient) {
    Eigen::MatrixXf g = out_gradient;
    for (std::size_t k = 3; k-- > 0;) {
      into(gradient, k).noalias() += g * a.in[k].transpose();
      bias(gradient, k).col(0) += g.rowwise().sum();
      if (k == 0) break;
      g = weight(k).transpose() * g;
      if (k == 1) a.feature_gradient = g;
      const auto z = a.before[k - 1].array();
      const Eigen::ArrayXXf gate = z.logistic();
      g.array() *= gate * (1 + z * (1 - gate));
    }
  }

 private:
  std::array<Eigen::Index, 3> rows_, columns_, offsets_{};
};

// A batch of pictures on the trigonometric path x = cos(a) x0 + sin(a) z, and what the network is told.
struct noised_batch {
  Eigen::MatrixXf clean, input;
  std::vector<int> labels;
  std::vector<Eigen::Index> picked;
};
inline noised_batch noised(const dataset& data, std::span<const Eigen::Index> from,
                           Eigen::Index items, bool token, random_draws& random) {
  noised_batch b;
  Eigen::MatrixXf z(data.pictures.rows(), items);
  random.fill_normal(z);
  b.clean.resize(data.pictures.rows(), items);
  std::vector<double> angle = random.uniform(items);
  for (const Eigen::Index k : random.below(static_cast<Eigen::Index>(from.size()), items))
    b.picked.push_back(from[static_cast<std::size_t>(k)]);
  for (Eigen::Index i = 0; i < items; ++i) {
    const auto at = static_cast<std::size_t>(i);
    angle[at] *= 1.5707;
    b.clean.col(i) = data.pictures.col(b.picked[at]);
    b.labels.push_back(data.labels[static_cast<std::size_t>(b.picked[at])]);
    z.col(i) = static_cast<float>(std::cos(angle[at])) * b.clean.col(i) +
               static_cast<float>(std::sin(angle[at])) * z.col(i);
  }
  b.input = open_network::told(z, angle, b.labels, token);
  return b;
}

// Mean squared error of x0 estimates; leaves its gradient in `error`.
inline double squared_error(const Eigen::MatrixXf& out, const Eigen::MatrixXf& clean,
                            Eigen::MatrixXf& error) {
  error = out - clean;
  const double loss = static_cast<double>(error.squaredNorm()) / static_cast<double>(error.size());
  error *= 2 / static_cast<float>(error.size());
  return loss;
}

// A network trained on the pictures `from`, told their labels.
inline open_network trained(const dataset& data, std::span<const Eigen::Index> from, int steps) {
  open_network network(data.pictures.rows(), 256, 1);
  random_draws random(2);
  open_network::activations a;
  Eigen::MatrixXf error;
  descend<float>(network.parameters, {.title = "network", .steps = steps, .rising_steps = 50},
                 [&](int, Eigen::VectorXf& gradient) {
                   const noised_batch b = noised(data, from, 64, false, random);
                   const double loss = squared_error(network.forward(b.input, a), b.clean, error);
                   network.backward(error, a, gradient);
                   return loss;
                 });
  return network;
}

}  // namespace support
