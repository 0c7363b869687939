#include "../../examples/support/perceptron.hpp"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using support::perceptron;
using support::perceptron_shape;

class perceptron_gradient : public testing::TestWithParam<perceptron_shape> {};

TEST_P(perceptron_gradient, equals_central_differences) {
  const perceptron_shape shape = GetParam();
  constexpr Eigen::Index items = 6;
  perceptron<double> network(shape, 1);
  network.parameters += 0.1 * Eigen::VectorXd::Random(network.parameters.size());
  Eigen::MatrixXd x = Eigen::MatrixXd::Random(shape.input, items);
  const Eigen::MatrixXd slope = Eigen::MatrixXd::Random(shape.output, items);
  const std::vector<double> times = shape.time_features > 0
                                        ? std::vector<double>{0, 1, 5, 100, 500, 1000}
                                        : std::vector<double>{};
  const std::vector<int> labels =
      shape.classes > 0 ? std::vector<int>{0, 1, 2, 3, 0, 3} : std::vector<int>{};

  perceptron<double>::activations activations;
  const auto loss = [&] {
    return network.forward(x, times, labels, activations).cwiseProduct(slope).sum();
  };
  loss();
  Eigen::VectorXd gradient = Eigen::VectorXd::Zero(network.parameters.size());
  const Eigen::MatrixXd input_gradient = network.backward(slope, activations, gradient);

  const auto numeric = [&](double& value) {
    constexpr double step = 1e-6;
    const double middle = value;
    value = middle + step;
    const double upper = loss();
    value = middle - step;
    const double lower = loss();
    value = middle;
    return (upper - lower) / (2 * step);
  };
  for (Eigen::Index i = 0; i < gradient.size(); ++i)
    ASSERT_NEAR(gradient[i], numeric(network.parameters[i]), 1e-7 * (1 + std::abs(gradient[i])))
        << i;
  for (Eigen::Index i = 0; i < x.size(); ++i)
    ASSERT_NEAR(input_gradient.data()[i], numeric(x.data()[i]), 1e-7) << i;
}

INSTANTIATE_TEST_SUITE_P(shapes, perceptron_gradient,
                         testing::Values(perceptron_shape{5, 4, 7, 2, 3, 6, 8},
                                         perceptron_shape{5, 4, 7, 2, 0, 0, 8},
                                         perceptron_shape{5, 4, 7, 1, 3, 0, 8},
                                         perceptron_shape{1, 1, 4, 0, 0, 4, 3}));

TEST(perceptron, adds_to_the_gradient) {
  const perceptron<double> network({3, 2, 5, 1, 0, 0, 1}, 1);
  perceptron<double>::activations activations;
  network.forward(Eigen::MatrixXd::Random(3, 4), {}, {}, activations);
  const Eigen::MatrixXd slope = Eigen::MatrixXd::Random(2, 4);
  Eigen::VectorXd once = Eigen::VectorXd::Zero(network.parameters.size()), twice = once;
  network.backward(slope, activations, once);
  network.backward(slope, activations, twice);
  network.backward(slope, activations, twice);
  EXPECT_NEAR((twice - 2 * once).norm(), 0, 1e-12);
}

TEST(perceptron, refuses_wrong_input) {
  const perceptron<float> network({3, 2, 4, 1, 10, 4, 4}, 1);
  perceptron<float>::activations activations;
  const Eigen::MatrixXf x = Eigen::MatrixXf::Zero(3, 2), narrow = Eigen::MatrixXf::Zero(2, 2);
  const std::vector<double> times{1, 2}, one_time{1};
  const std::vector<int> labels{0, 10}, unknown{0, 11}, negative{-1, 0};
  EXPECT_NO_THROW(network.forward(x, times, labels, activations));
  EXPECT_THROW(network.forward(narrow, times, labels, activations), std::invalid_argument);
  EXPECT_THROW(network.forward(x, one_time, labels, activations), std::invalid_argument);
  EXPECT_THROW(network.forward(x, times, {}, activations), std::invalid_argument);
  EXPECT_THROW(network.forward(x, times, negative, activations), std::invalid_argument);
  try {
    network.forward(x, times, unknown, activations);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("label = 11; 0 to 10"), std::string::npos);
  }
  EXPECT_THROW(perceptron<float>({0, 1}, 1), std::invalid_argument);
  EXPECT_THROW(perceptron<float>({1, 1, 4, 1, 0, 3}, 1), std::invalid_argument);
}

}  // namespace
