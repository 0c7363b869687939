// How do I train and sample a network of LibTorch?
//
// A small network learns the ring of radius 2 with the library's loss, whose gradient enters torch's backward pass,
// and is sampled twice: `sampling` on tensors in place, and `run_on`, which would run on a GPU too.
#include <cstdio>

#include "tweedie/interop/libtorch.hpp"
#include "tweedie/objective.hpp"
#include "tweedie/tweedie.hpp"

int main() {
  torch::manual_seed(1);
  torch::set_num_threads(1);
  const auto schedule = tweedie::cosine_schedule(1000);
  const tweedie::network_description network{tweedie::predicts_v};
  constexpr std::int64_t width = 64, batch = 256;
  torch::nn::Sequential layers(torch::nn::Linear(4, width), torch::nn::SiLU(),
                               torch::nn::Linear(width, width), torch::nn::SiLU(),
                               torch::nn::Linear(width, 2));
  const auto predict = [&](const torch::Tensor& x, const torch::Tensor& times) {
    const torch::Tensor angle = times * (1.5 / 1000);
    return layers->forward(torch::cat({x, angle.cos(), angle.sin()}, 1));
  };

  torch::optim::Adam optimiser(layers->parameters(), 3e-3);
  torch::Tensor z = torch::empty({batch, 2});
  for (int step = 0; step < 1500; ++step) {
    const torch::Tensor angle = torch::rand({batch, 1}) * (2 * M_PI);
    const torch::Tensor x0 = 2 * torch::cat({angle.cos(), angle.sin()}, 1);
    tweedie::fill_standard_normal(z, static_cast<std::uint64_t>(step));
    const auto times = tweedie::draw_discrete_times(
        1000, tweedie::low_discrepancy(torch::rand({1}).item<double>(), batch));
    const auto data =
        tweedie::make_training_batch(x0, z, schedule, network, times, tweedie::simple_weighting);
    const torch::Tensor told = torch::tensor(data.network_times()).to(torch::kFloat).unsqueeze(1);
    const torch::Tensor losses = tweedie::joined(
        predict(data.input, told), [&](const torch::Tensor& y, torch::Tensor& gradient) {
          return tweedie::regression(y, data.target, data.weights(), tweedie::squared_error{},
                                     tweedie::reduction::mean_over_dimensions, gradient);
        });
    optimiser.zero_grad();
    losses.mean().backward();
    optimiser.step();
  }

  const torch::NoGradGuard no_gradients;
  const auto plan = tweedie::dpm_solver_plus_plus(tweedie::trailing(schedule, 20), 2);
  torch::Tensor x = torch::empty({1000, 2});
  tweedie::fill_standard_normal(x, 7);
  const auto evaluate = [&](const torch::Tensor& shown, double time) {
    return predict(shown, torch::full({shown.size(0), 1}, time));
  };

  tweedie::sampling run(plan, network, x);
  while (run.next()) run.output().copy_(evaluate(run.input(), run.network_time()));
  const torch::Tensor anywhere =
      tweedie::run_on(plan, network, x, tweedie::torch_arithmetic{x, {}}, evaluate);

  const torch::Tensor radius = run.state().norm(2, 1);
  const double mean = radius.mean().item<double>(), deviation = radius.std().item<double>();
  const double difference = (run.state() - anywhere).abs().max().item<double>();
  std::printf("radius of the ring 2; of the samples %.2f, deviation %.2f\n", mean, deviation);
  const bool right = std::abs(mean - 2) < 0.1 && deviation < 0.3 && difference < 1e-3;
  std::printf("run_on gives the same samples: largest difference %.1e\n", difference);
  return right ? 0 : 1;
}
