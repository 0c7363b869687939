// Can I keep my xtensor tensors? Yes: they go in and come out as they are, and the numbers are
// those of any other container with the same memory.

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/interop/xtensor.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/eigen_tensor.hpp"

int main() {
  const auto schedule = tweedie::cosine_schedule(1000);
  const tweedie::program plan = tweedie::ddpm(tweedie::trailing(schedule, 200));
  const tweedie::network_description predicts_x0{.prediction = tweedie::predicts_sample};

  // The exact denoiser of data N(0.5, 1/4), once per container.
  const auto gain_and_offset = [&schedule](double time) {
    const auto [alpha, sigma] = schedule(time);
    const double gain = alpha / 4 / (alpha * alpha / 4 + sigma * sigma);
    return std::pair(static_cast<float>(gain), static_cast<float>(0.5 - gain * alpha * 0.5));
  };

  // Four pictures of 8 × 8 pixels and 3 channels, the batch first, as xtensor and NumPy do.
  xt::xtensor<float, 4> x({4, 3, 8, 8});
  tweedie::gaussian_noise{1}.fill({.draw = 0, .kind = {}, .items = 4}, tweedie::elements(x));
  // The same memory as an Eigen tensor, the batch last.
  Eigen::Tensor<float, 4> same(8, 8, 3, 4);
  std::copy(x.begin(), x.end(), same.data());

  tweedie::run(
      plan, predicts_x0, x,
      [&](const auto& input, double time, auto&& output) {
        const auto [gain, offset] = gain_and_offset(time);
        output = gain * input + offset;
      },
      tweedie::gaussian_noise{2});
  tweedie::run(
      plan, predicts_x0, same,
      [&](const auto& input, double time, auto&& output) {
        const auto [gain, offset] = gain_and_offset(time);
        output = gain * input + input.constant(offset);
      },
      tweedie::gaussian_noise{2});

  float difference = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    difference = std::max(difference, std::abs(x.data()[i] - same.data()[i]));
  std::printf("mean of the samples %.3f, deviation %.3f\n", xt::mean(x)(), xt::stddev(x)());
  std::printf("xtensor and Eigen agree %s\n", difference < 1e-6f ? "to the last digits" : "NOT");
}
