// How do I keep my own loop, when the network runs in ONNX Runtime, TensorRT or on another machine?
// Pull the program one network call at a time. Everything that changes is in one value: look at
// the estimate, change the guidance, stop, save, resume, all from outside.

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <cstdio>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/solve/sampling.hpp"

namespace {

// Stands for an inference engine: raw memory in, raw memory out. This one knows the exact noise
// prediction for data N(mean, 1/4), so that one can see where the samples should go.
struct engine {
  tweedie::discrete_schedule schedule;

  void run(const float* input, double time, double mean, float* output, std::size_t size) const {
    const auto [alpha, sigma] = schedule(time);
    const double slope = sigma / (alpha * alpha / 4 + sigma * sigma);
    for (std::size_t i = 0; i < size; ++i)
      output[i] = static_cast<float>(slope * (static_cast<double>(input[i]) - alpha * mean));
  }
};

}  // namespace

int main() {
  const auto schedule = tweedie::linear_beta_schedule(1000);
  const engine network{schedule};
  const tweedie::program plan = tweedie::ddim(tweedie::trailing(schedule, 10));

  Eigen::ArrayXXf x(1000, 4);  // four items of a thousand numbers
  tweedie::gaussian_noise{7}.fill({.draw = 0, .kind = {}, .items = 4}, tweedie::elements(x));

  // Two answers in each step, without and with the condition; mixed with weights 1 − w and w.
  tweedie::sampling run(plan, {.prediction = tweedie::predicts_noise}, x,
                        tweedie::guidance_scale(1));
  const auto ask = [&network, &run] {
    const auto size = static_cast<std::size_t>(run.input().size());
    for (const int condition : {0, 1})
      network.run(run.input().data(), run.network_time(), condition,
                  run.output(static_cast<std::size_t>(condition)).data(), size);
  };

  tweedie::saved_sampling<float> saved;
  Eigen::ArrayXXf preview(x);
  std::printf("call  network time  mean of state  mean of estimate\n");
  while (run.next()) {
    ask();
    run.estimate(preview);
    std::printf("%4zu %13g %14.3f %17.3f\n", run.steps_done() + 1, run.network_time(),
                static_cast<double>(run.state().mean()), static_cast<double>(preview.mean()));
    if (run.steps_done() == 5) {
      saved = run.saved();
      run.set_branch_weights(tweedie::guidance_scale(2));  // from here on, stronger
    }
  }
  std::printf("guided w = 2 from call 6 on: mean %.3f\n", static_cast<double>(run.state().mean()));

  run.resume(saved);
  while (run.next()) ask();
  std::printf("resumed there, w still 1:    mean %.3f\n", static_cast<double>(run.state().mean()));
}
