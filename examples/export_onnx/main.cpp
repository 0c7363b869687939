// How does a trained network leave the process that trained it?
//
// Trains the network of generate_digits, or takes its weights of an earlier run, and writes to the current folder
//   digits.onnx       picture, time, class -> estimate of the clean picture, ten at a time (perceptron_graph.hpp)
//   digits_half.onnx  the same in half precision, any number at a time
//   digits.npy        what our own network draws, for engines/ to compare with: one digit of each class
//
// export_onnx [training steps, 4000] [width, 384]
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <vector>

#include "../generate_digits/weights.hpp"
#include "../support/glyphs.hpp"
#include "perceptron_graph.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/solve/run.hpp"

int main(int count, char** arguments) try {
  const int steps = count > 1 ? std::atoi(arguments[1]) : 4000;
  const int width = count > 2 ? std::atoi(arguments[2]) : 384;
  const support::dataset data = support::draw_digits({});
  const support::perceptron_shape shape =
      digits::digit_shape(data.pictures.rows(), data.classes(), width);
  const auto schedule = tweedie::cosine_schedule(1000);
  const digits::training_options training{.steps = steps};
  digits::digit_network network(shape, 1);
  digits::train_or_load(network, schedule, data, training,
                        digits::weights_file(".", data, shape, training), false);

  support::write_perceptron("digits.onnx", shape, network.parameters(), data.tile.height, "10");
  support::write_perceptron("digits_half.onnx", shape, network.parameters(), data.tile.height, "N",
                            true);
  const auto plan = tweedie::dpm_solver_plus_plus(tweedie::trailing(schedule, 20), 2);
  std::vector<int> labels(10);
  std::iota(labels.begin(), labels.end(), 0);
  Eigen::MatrixXf x(data.pictures.rows(), 10);
  tweedie::fill_standard_normal(x, 1);
  tweedie::run(
      plan, network.description(), x,
      [&](const auto& shown, double time, auto&& estimate) {
        network(shown, std::vector<double>(10, time), labels, estimate);
      },
      tweedie::clip{-1, 1});
  support::save_npy("digits.npy", x.reshaped());
  std::printf("digits.onnx, digits_half.onnx, digits.npy\n");
} catch (const std::exception& error) {
  std::fprintf(stderr, "export_onnx: %s\n", error.what());
  return 1;
}
