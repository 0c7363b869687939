// A residual perceptron on Eigen with its backward pass: just enough network to train the examples.
//
//   c      = silu(T·s(t) + E[label])                      sinusoids of time, a table of classes
//   h_0    = W·x + b
//   h_k+1  = h_k + W2·silu(W1·n(h_k) + U·c + b1) + b2     n: zero mean, unit variance per item
//   output = W·n(h_K) + b
//
// One column is one item. All parameters live in one vector, so that an optimiser, an average or a
// file needs to know nothing about layers.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tweedie/tensor/random.hpp"

namespace support {

struct perceptron_shape {
  Eigen::Index input = 1;
  Eigen::Index output = 1;
  Eigen::Index width = 256;
  Eigen::Index blocks = 2;
  Eigen::Index classes = 0;        // 0: no labels
  Eigen::Index time_features = 0;  // 0: no time, otherwise even
  Eigen::Index condition = 128;    // length of c, unless there is nothing to condition on

  bool operator==(const perceptron_shape&) const = default;
  // The label that stands for "not told", used for classifier-free guidance.
  int no_class() const { return static_cast<int>(classes); }
};

namespace detail {

struct parameter_block {
  Eigen::Index offset, rows, columns;
  double deviation;  // of the initial values
};

struct perceptron_layout {
  parameter_block time, label, input, input_bias, output, output_bias;
  struct residual {
    parameter_block first, condition, first_bias, second, second_bias;
  };
  std::vector<residual> blocks;
  Eigen::Index size = 0;

  explicit perceptron_layout(const perceptron_shape& s) {
    if (s.input < 1 || s.output < 1 || s.width < 1 || s.blocks < 0 || s.classes < 0 ||
        s.condition < 1 || s.time_features < 0 || s.time_features % 2 != 0)
      throw std::invalid_argument("perceptron: sizes must be positive and time_features even");
    const auto add = [this](Eigen::Index rows, Eigen::Index columns, double deviation) {
      const parameter_block block{size, rows, columns, deviation};
      size += rows * columns;
      return block;
    };
    const auto linear = [&add](Eigen::Index rows, Eigen::Index columns, double gain = 1.0) {
      return add(rows, columns, gain / std::sqrt(static_cast<double>(columns)));
    };
    const bool conditioned = s.classes > 0 || s.time_features > 0;
    const Eigen::Index condition = conditioned ? s.condition : 0;
    const double depth_gain = 1.0 / std::sqrt(static_cast<double>(s.blocks) + 1.0);
    time = add(condition, s.time_features,
               std::sqrt(2.0 / (1.0 + static_cast<double>(s.time_features))));
    label = add(condition, s.classes > 0 ? s.classes + 1 : 0, 1.0);
    input = linear(s.width, s.input);
    input_bias = add(s.width, 1, 0.0);
    for (Eigen::Index k = 0; k < s.blocks; ++k) {
      residual r{};
      r.first = linear(s.width, s.width);
      r.condition = add(s.width, condition, conditioned ? 1.0 / std::sqrt(double(condition)) : 0.0);
      r.first_bias = add(s.width, 1, 0.0);
      r.second = linear(s.width, s.width, depth_gain);
      r.second_bias = add(s.width, 1, 0.0);
      blocks.push_back(r);
    }
    output = linear(s.output, s.width);
    output_bias = add(s.output, 1, 0.0);
  }
};

}  // namespace detail

template <typename Scalar>
class perceptron {
 public:
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  using vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
  using row = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;

  // What a batch leaves behind on its way forward, needed on the way back; reuse it between calls.
  struct activations {
    struct residual {
      matrix normal, before, gate, after;
      row inverse_deviation;
    };
    matrix input, features, condition_before, condition, state, output_normal, output;
    row output_inverse_deviation;
    std::vector<residual> blocks;
    std::vector<int> labels;
    matrix gradient, inner, outer, condition_gradient;
  };

  perceptron(const perceptron_shape& shape, std::uint64_t seed)
      : parameters(), shape_(shape), layout_(shape) {
    parameters.setZero(layout_.size);
    std::uint32_t filled = 0;
    const auto fill = [&](const detail::parameter_block& block) {
      auto values = parameters.segment(block.offset, block.rows * block.columns);
      tweedie::fill_normal(
          tweedie::noise_key{seed, filled++, tweedie::initial_draw}, 0,
          std::span<Scalar>(values.data(), static_cast<std::size_t>(values.size())));
      values *= static_cast<Scalar>(block.deviation);
    };
    fill(layout_.time);
    fill(layout_.label);
    fill(layout_.input);
    for (const auto& block : layout_.blocks) {
      fill(block.first);
      fill(block.condition);
      fill(block.second);
    }
    fill(layout_.output);
  }

  const perceptron_shape& shape() const { return shape_; }

  // x: input × items. times: one per item, on a clock where 1 is a small step (0…1000), empty
  // without time features. labels: one per item, 0…classes, the last meaning "not told".
  template <typename Input>
  const matrix& forward(const Eigen::MatrixBase<Input>& x, std::span<const double> times,
                        std::span<const int> labels, activations& a) const {
    check(x.rows(), x.cols(), times, labels);
    a.input = x;
    a.labels.assign(labels.begin(), labels.end());
    a.blocks.resize(layout_.blocks.size());
    embed(times, a);
    a.state.noalias() = weight(layout_.input) * a.input;
    a.state.colwise() += bias(layout_.input_bias);
    for (std::size_t k = 0; k < layout_.blocks.size(); ++k) {
      const auto& p = layout_.blocks[k];
      auto& b = a.blocks[k];
      normalise(a.state, b.normal, b.inverse_deviation);
      b.before.noalias() = weight(p.first) * b.normal;
      b.before.noalias() += weight(p.condition) * a.condition;
      b.before.colwise() += bias(p.first_bias);
      b.gate = b.before.array().logistic();
      b.after = b.before.cwiseProduct(b.gate);
      a.state.noalias() += weight(p.second) * b.after;
      a.state.colwise() += bias(p.second_bias);
    }
    normalise(a.state, a.output_normal, a.output_inverse_deviation);
    a.output.noalias() = weight(layout_.output) * a.output_normal;
    a.output.colwise() += bias(layout_.output_bias);
    return a.output;
  }

  // Adds d loss / d parameters to `gradient` (as long as `parameters`), given d loss / d output
  // for the batch of the last forward(); returns d loss / d x.
  template <typename Output>
  matrix backward(const Eigen::MatrixBase<Output>& output_gradient, activations& a,
                  vector& gradient) const {
    if (gradient.size() != parameters.size() || output_gradient.rows() != a.output.rows() ||
        output_gradient.cols() != a.output.cols())
      throw std::invalid_argument("perceptron::backward: sizes differ from those of forward");
    into(layout_.output, gradient).noalias() += output_gradient * a.output_normal.transpose();
    into_bias(layout_.output_bias, gradient) += output_gradient.rowwise().sum();
    a.gradient.noalias() = weight(layout_.output).transpose() * output_gradient;
    denormalise(a.output_normal, a.output_inverse_deviation, a.gradient);
    a.condition_gradient.setZero(a.condition.rows(), a.condition.cols());
    for (std::size_t k = layout_.blocks.size(); k-- > 0;) {
      const auto& p = layout_.blocks[k];
      auto& b = a.blocks[k];
      into(p.second, gradient).noalias() += a.gradient * b.after.transpose();
      into_bias(p.second_bias, gradient) += a.gradient.rowwise().sum();
      a.inner.noalias() = weight(p.second).transpose() * a.gradient;
      a.inner.array() *= silu_slope(b.before, b.gate);
      into(p.first, gradient).noalias() += a.inner * b.normal.transpose();
      into(p.condition, gradient).noalias() += a.inner * a.condition.transpose();
      into_bias(p.first_bias, gradient) += a.inner.rowwise().sum();
      a.condition_gradient.noalias() += weight(p.condition).transpose() * a.inner;
      a.outer.noalias() = weight(p.first).transpose() * a.inner;
      denormalise(b.normal, b.inverse_deviation, a.outer);
      a.gradient += a.outer;
    }
    into(layout_.input, gradient).noalias() += a.gradient * a.input.transpose();
    into_bias(layout_.input_bias, gradient) += a.gradient.rowwise().sum();
    if (a.condition.rows() > 0) {
      const matrix gate = a.condition_before.array().logistic();
      a.condition_gradient.array() *= silu_slope(a.condition_before, gate);
      into(layout_.time, gradient).noalias() += a.condition_gradient * a.features.transpose();
      auto label_gradient = into(layout_.label, gradient);
      for (std::size_t i = 0; i < a.labels.size(); ++i)
        label_gradient.col(a.labels[i]) += a.condition_gradient.col(static_cast<Eigen::Index>(i));
    }
    return weight(layout_.input).transpose() * a.gradient;
  }

  vector parameters;

 private:
  using weight_map = Eigen::Map<const matrix>;

  weight_map weight(const detail::parameter_block& b) const {
    return {parameters.data() + b.offset, b.rows, b.columns};
  }
  Eigen::Map<const vector> bias(const detail::parameter_block& b) const {
    return {parameters.data() + b.offset, b.rows};
  }
  static Eigen::Map<matrix> into(const detail::parameter_block& b, vector& gradient) {
    return {gradient.data() + b.offset, b.rows, b.columns};
  }
  static Eigen::Map<vector> into_bias(const detail::parameter_block& b, vector& gradient) {
    return {gradient.data() + b.offset, b.rows};
  }

  // d(x·gate)/dx, gate = 1/(1 + exp(−x))
  static auto silu_slope(const matrix& before, const matrix& gate) {
    return gate.array() * (Scalar(1) + before.array() * (Scalar(1) - gate.array()));
  }

  static void normalise(const matrix& state, matrix& normal, row& inverse_deviation) {
    const row mean = state.colwise().mean();
    normal = state.rowwise() - mean;
    inverse_deviation =
        (normal.colwise().squaredNorm().array() / Scalar(state.rows()) + Scalar(1e-5)).rsqrt();
    normal.array().rowwise() *= inverse_deviation.array();
  }

  static void denormalise(const matrix& normal, const row& inverse_deviation, matrix& gradient) {
    const row mean = gradient.colwise().mean();
    const row slope = gradient.cwiseProduct(normal).colwise().mean();
    gradient.rowwise() -= mean;
    gradient.array() -= normal.array().rowwise() * slope.array();
    gradient.array().rowwise() *= inverse_deviation.array();
  }

  void embed(std::span<const double> times, activations& a) const {
    const Eigen::Index items = a.input.cols(), half = shape_.time_features / 2;
    a.features.resize(shape_.time_features, items);
    for (Eigen::Index i = 0; i < (half > 0 ? items : 0); ++i)
      for (Eigen::Index j = 0; j < half; ++j) {
        const double angle = times[static_cast<std::size_t>(i)] *
                             std::pow(1e4, -static_cast<double>(j) / static_cast<double>(half));
        a.features(j, i) = static_cast<Scalar>(std::cos(angle));
        a.features(half + j, i) = static_cast<Scalar>(std::sin(angle));
      }
    a.condition_before.noalias() = weight(layout_.time) * a.features;
    for (std::size_t i = 0; i < a.labels.size(); ++i)
      a.condition_before.col(static_cast<Eigen::Index>(i)) +=
          weight(layout_.label).col(a.labels[i]);
    a.condition = a.condition_before.array() * a.condition_before.array().logistic();
  }

  void check(Eigen::Index rows, Eigen::Index items, std::span<const double> times,
             std::span<const int> labels) const {
    const auto fail = [](const std::string& what) {
      throw std::invalid_argument("perceptron::forward: " + what);
    };
    const auto count = static_cast<std::size_t>(items);
    if (rows != shape_.input)
      fail("x has " + std::to_string(rows) + " rows; " + std::to_string(shape_.input) +
           " expected");
    if (times.size() != (shape_.time_features > 0 ? count : 0)) fail("one time per item expected");
    if (labels.size() != (shape_.classes > 0 ? count : 0)) fail("one label per item expected");
    for (const int label : labels)
      if (label < 0 || label > shape_.no_class())
        fail("label = " + std::to_string(label) + "; 0 to " + std::to_string(shape_.no_class()) +
             " are known");
  }

  perceptron_shape shape_;
  detail::perceptron_layout layout_;
};

}  // namespace support
