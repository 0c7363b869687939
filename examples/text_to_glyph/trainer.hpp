// Training that can be stopped at any moment: every step draws from a seed of its own, and what a
// training is made of is written to a file from time to time.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "../support/fingerprint.hpp"
#include "../support/progress.hpp"
#include "../support/random.hpp"
#include "tweedie/interop/libtorch.hpp"
#include "tweedie/solve/adam.hpp"
#include "tweedie/training/averaging.hpp"

namespace glyphs {

inline std::span<float> floats(const torch::Tensor& t) {
  return {t.data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

// Parameters of modules, and their gradients, in one piece of memory each: what adds up, averages,
// and is written to files.
class parameter_memory {
 public:
  explicit parameter_memory(std::vector<torch::Tensor> parameters)
      : parameters_(std::move(parameters)) {
    std::int64_t size = 0;
    for (const torch::Tensor& p : parameters_) size += p.numel();
    values = torch::empty({size});
    gradient = torch::zeros({size});
    std::int64_t at = 0;
    const torch::NoGradGuard no_gradients;
    for (torch::Tensor& p : parameters_) {
      const torch::Tensor place = values.narrow(0, at, p.numel()).view(p.sizes());
      place.copy_(p);
      p.set_data(place);
      p.mutable_grad() = gradient.narrow(0, at, p.numel()).view(p.sizes());
      at += p.numel();
    }
  }

  torch::Tensor values, gradient;

 private:
  std::vector<torch::Tensor> parameters_;
};

struct training_plan {
  std::string title;
  int steps = 1000;
  double rate = 1e-3;  // rises over the first steps, then falls along a cosine
  double average_decay = 0.998;
  std::string depends_on = "";  // the file of what it was trained on
};

class trainer {
 public:
  explicit trainer(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Follows the gradient of `loss(step, random)`, a scalar, and leaves the average of the parameters in
  // them, or what an earlier run has left. Returns the file.
  template <class Loss>
  std::string train(const std::vector<torch::Tensor>& parameters, const training_plan& plan,
                    const Loss& loss) {
    parameter_memory memory(parameters);
    torch::Tensor average = memory.values.clone();
    tweedie::adam<float> optimiser{.second_decay = 0.99};
    const std::filesystem::path file = file_of(plan, memory.values.numel());
    std::vector<torch::Tensor> kept;
    if (std::filesystem::exists(file)) torch::load(kept, file.string());
    int step = 0;
    if (kept.size() == 1) {
      memory.values.copy_(kept[0]);
      return file.filename();
    }
    if (kept.size() == 5) {
      memory.values.copy_(kept[0]);
      average.copy_(kept[1]);
      const auto eigen = [](const torch::Tensor& t) {
        return Eigen::Map<const Eigen::ArrayXf>(t.data_ptr<float>(), t.numel());
      };
      optimiser.first = eigen(kept[2]);
      optimiser.second = eigen(kept[3]);
      step = kept[4].item<int>();
      optimiser.steps = step;
      std::fprintf(stderr, "%s: going on from step %d\n", plan.title.c_str(), step);
    }
    support::progress bar(plan.title, plan.steps - step);
    const int first = step;
    const auto start = std::chrono::steady_clock::now();
    auto written = start;
    double shown = 0;
    for (; step < plan.steps; ++step) {
      support::random_draws random(seed_of(plan.title, step));
      memory.gradient.zero_();
      const torch::Tensor value = loss(step, random);
      value.backward();
      const double done = (step + 1.0) / plan.steps;
      const double rate = plan.rate * std::min(1.0, (step + 1.0) / 100) *
                          (1 + std::cos(std::numbers::pi * done)) / 2;
      optimiser.step(floats(memory.values), floats(memory.gradient), rate);
      tweedie::update_average<float>(floats(average), floats(memory.values),
                                     tweedie::warm_decay(plan.average_decay, step));
      shown += (step == first ? 1 : 0.02) * (value.item<double>() - shown);
      char text[32];
      std::snprintf(text, sizeof text, "loss %.4f", shown);
      bar.show(step + 1 - first, text);
      const auto now = std::chrono::steady_clock::now();
      if (now - written > std::chrono::seconds(15)) {
        const auto torch_of = [](Eigen::ArrayXf& a) {
          return torch::from_blob(a.data(), {a.size()});
        };
        write(file, {memory.values, average, torch_of(optimiser.first), torch_of(optimiser.second),
                     torch::tensor(step + 1)});
        written = now;
      }
    }
    memory.values.copy_(average);
    write(file, {memory.values});
    return file.filename();
  }

 private:
  std::filesystem::path file_of(const training_plan& plan, std::int64_t parameters) const {
    support::fingerprint print;
    const double numbers[] = {static_cast<double>(plan.steps), plan.rate, plan.average_decay,
                              static_cast<double>(parameters)};
    print.add(std::span<const double>(numbers));
    print.add(std::span<const char>(plan.depends_on));
    std::string name = plan.title;
    std::replace(name.begin(), name.end(), ' ', '_');
    return folder_ / (name + "-" + print.text() + ".pt");
  }

  // The new file is whole before the old one is gone.
  static void write(const std::filesystem::path& file, const std::vector<torch::Tensor>& tensors) {
    const std::filesystem::path partial = file.string() + ".partial";
    torch::save(tensors, partial.string());
    std::filesystem::rename(partial, file);
  }

  static std::uint64_t seed_of(const std::string& title, int step) {
    support::fingerprint print;
    print.add(std::span<const char>(title));
    print.add(std::span<const int>(&step, 1));
    return print.number();
  }

  std::filesystem::path folder_;
};

}  // namespace glyphs
