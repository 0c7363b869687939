// The perceptron of the examples (support/perceptron.hpp) as an ONNX graph, in operations that every engine has:
//
//   picture N x 1 x side x side, time int64 N, class float N x classes + 1 (one-hot)  ->  estimate N x 1 x side x side
//
// An angle of 999 in float has an error of 3e-5, which its cosine inherits. So frequencies are taken in two
// parts, f = a + b with a of 12 bits: t a is exact, t b is small, and cos(ta + tb) = cos ta cos tb - sin ta sin tb.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "../support/perceptron.hpp"
#include "onnx_graph.hpp"

namespace support {

// `items` is a number, or a name if every call may choose it, which OpenCV 4.6 does not understand.
inline void write_perceptron(const std::filesystem::path& path, const perceptron_shape& shape,
                             const Eigen::VectorXf& parameters, Eigen::Index side,
                             const std::string& items, bool half_precision = false) {
  const detail::perceptron_layout layout(shape);
  onnx_graph graph("digits", half_precision);
  const auto text = [](Eigen::Index n) { return std::to_string(n); };
  const auto weight = [&](const detail::parameter_block& b) {
    const std::span values(parameters.data() + b.offset,
                           static_cast<std::size_t>(b.rows * b.columns));
    // Columns of the library are rows here: y = x W^T, of which memory holds W by columns.
    return graph.constant(values, b.columns == 1 ? std::vector<std::int64_t>{b.rows}
                                                 : std::vector<std::int64_t>{b.columns, b.rows});
  };
  const auto linear = [&](const std::string& x, const detail::parameter_block& w) {
    return graph.node("MatMul", {x, weight(w)});
  };
  const auto add = [&](const std::string& a, const std::string& b) {
    return graph.node("Add", {a, b});
  };
  const auto silu = [&](const std::string& x) {
    return graph.node("Mul", {x, graph.node("Sigmoid", {x})});
  };
  // Means by a matrix, since few engines of 2022 spread one number over a row.
  const std::string averages =
      graph.constant(std::vector(static_cast<std::size_t>(shape.width * shape.width),
                                 1 / static_cast<float>(shape.width)),
                     {shape.width, shape.width});
  const std::string epsilon =
      graph.constant(std::vector(static_cast<std::size_t>(shape.width), 1e-5f), {shape.width});
  const auto normal = [&](const std::string& x) {
    const std::string centred = graph.node("Sub", {x, graph.node("MatMul", {x, averages})});
    const std::string square = graph.node("Mul", {centred, centred});
    const std::string variance = graph.node("MatMul", {square, averages});
    return graph.node("Div", {centred, graph.node("Sqrt", {add(variance, epsilon)})});
  };

  graph.input("picture", graph.scalar(), {items, "1", text(side), text(side)});
  graph.input("time", onnx::TensorProto::INT64, {items});
  graph.input("class", graph.scalar(), {items, text(shape.classes + 1)});

  const Eigen::Index half = shape.time_features / 2;
  std::vector<float> coarse, fine;
  for (Eigen::Index j = 0; j < half; ++j) {
    const double f = std::pow(1e4, -static_cast<double>(j) / static_cast<double>(half));
    int exponent = 0;
    const double mantissa = std::frexp(f, &exponent);
    coarse.push_back(static_cast<float>(std::ldexp(std::floor(mantissa * 4096), exponent - 12)));
    fine.push_back(static_cast<float>(f - static_cast<double>(coarse.back())));
  }
  const std::string time = graph.node(
      "Reshape", {graph.node("Cast", {"time"}, "to", std::int64_t{onnx::TensorProto::FLOAT}),
                  graph.integers({-1, 1})});
  const auto angles = [&](const std::vector<float>& frequencies) {
    return graph.node("MatMul",
                      {time, graph.constant(frequencies, {1, half}, onnx::TensorProto::FLOAT)});
  };
  const std::string a = angles(coarse), b = angles(fine);
  const std::string cos_a = graph.node("Cos", {a}), sin_a = graph.node("Sin", {a});
  const std::string cos_b = graph.node("Cos", {b}), sin_b = graph.node("Sin", {b});
  const auto product = [&](const std::string& u, const std::string& v) {
    return graph.node("Mul", {u, v});
  };
  std::string features =
      graph.node("Concat",
                 {graph.node("Sub", {product(cos_a, cos_b), product(sin_a, sin_b)}),
                  graph.node("Add", {product(sin_a, cos_b), product(cos_a, sin_b)})},
                 "axis", std::int64_t{1});
  if (half_precision) features = graph.node("Cast", {features}, "to", std::int64_t{graph.scalar()});
  const std::string condition =
      silu(add(linear(features, layout.time), linear("class", layout.label)));

  const std::string pixels = graph.node("Reshape", {"picture", graph.integers({0, shape.input})});
  std::string state = add(linear(pixels, layout.input), weight(layout.input_bias));
  for (const auto& block : layout.blocks) {
    const std::string before =
        add(add(linear(normal(state), block.first), linear(condition, block.condition)),
            weight(block.first_bias));
    state = add(state, add(linear(silu(before), block.second), weight(block.second_bias)));
  }
  const std::string answer = add(linear(normal(state), layout.output), weight(layout.output_bias));
  graph.node("Reshape", {answer, graph.integers({0, 1, side, side})}, "estimate");
  graph.output("estimate", graph.scalar(), {items, "1", text(side), text(side)});
  graph.save(path);
}

}  // namespace support
