// How do I sample with a network that OpenCV runs?
//
// Reads digits.onnx, which export_onnx wrote to this folder, draws one digit of each class and compares with
// digits.npy, what the network that was exported draws.
#include <cstdio>
#include <exception>
#include <opencv2/dnn.hpp>

#include "../support/npy.hpp"
#include "tweedie/tweedie.hpp"

int main() try {
  cv::dnn::Net net = cv::dnn::readNetFromONNX("digits.onnx");
  constexpr int items = 10, side = 20;

  const auto plan =
      tweedie::dpm_solver_plus_plus(tweedie::trailing(tweedie::cosine_schedule(1000), 20), 2);
  Eigen::MatrixXf x(side * side, items);  // a column is a picture: in memory N x 1 x side x side
  tweedie::fill_standard_normal(x, 1);
  tweedie::sampling run(plan, tweedie::network_description{tweedie::predicts_sample}, x,
                        tweedie::clip{-1, 1});

  const int shape[] = {items, 1, side, side};
  const cv::Mat classes = cv::Mat::eye(items, items + 1, CV_32F);  // one-hot; the last is "any"
  cv::Mat time(1, items, CV_32F);  // OpenCV has no integers of 64 bits and takes floats for them
  time = time.reshape(1, std::vector<int>{items});
  while (run.next()) {
    // A header over the run's memory: setInput copies it.
    net.setInput(cv::Mat(4, shape, CV_32F, const_cast<float*>(run.input().data())), "picture");
    net.setInput(time = run.network_time(), "time");
    net.setInput(classes, "class");
    const cv::Mat estimate = net.forward();
    std::copy_n(estimate.ptr<float>(), estimate.total(), run.output().data());
  }

  const Eigen::VectorXf ours = support::load_npy("digits.npy");
  const float difference = (run.state().reshaped() - ours).cwiseAbs().maxCoeff();
  std::printf("largest difference from our own network's pictures: %.1e; allowed: 1e-5\n",
              static_cast<double>(difference));
  return difference <= 1e-5f ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "opencv_dnn: %s\n", error.what());
  return 1;
}
