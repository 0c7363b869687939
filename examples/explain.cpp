// explain [scheduler_config.json [steps]]
// What does this scheduler compute? Prints a Hugging Face scheduler configuration as the formula of
// each step, with what every step asks of the network and what the whole run costs.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <variant>

#include "tweedie/interop/huggingface.hpp"
#include "tweedie/program/print.hpp"

namespace {

constexpr const char* stable_diffusion = R"({
  "_class_name": "DPMSolverMultistepScheduler",
  "num_train_timesteps": 1000,
  "beta_start": 0.00085,
  "beta_end": 0.012,
  "beta_schedule": "scaled_linear",
  "algorithm_type": "dpmsolver++",
  "solver_order": 2,
  "use_karras_sigmas": true
})";

void print_transform(const tweedie::huggingface::clean_transform& transform) {
  if (const auto* c = std::get_if<tweedie::huggingface::clip_range>(&transform))
    std::printf("x0 estimates are clipped to [%g, %g]\n", -c->range, c->range);
  else if (std::holds_alternative<tweedie::dynamic_threshold>(transform))
    std::puts("x0 estimates are dynamically thresholded");
}

// What the network is shown and what its answer y means: D = a x + b y.
void print_network(const tweedie::huggingface::loaded_sampler& sampler) {
  const tweedie::lowered_program lowered = tweedie::lower(sampler.plan, sampler.network);
  std::puts("call  network time  input factor  x0 estimate D");
  std::size_t call = 0;
  for (const tweedie::lowered_stage& s : lowered.stages)
    if (s.evaluates)
      std::printf("%4zu %13g %13.6g  %.6g x %c %.6g y\n", ++call, s.time, s.input_scale, s.clean.x,
                  s.clean.y < 0 ? '-' : '+', s.clean.y < 0 ? -s.clean.y : s.clean.y);
}

}  // namespace

int main(int count, char** values) try {
  const std::string config = count > 1 ? values[1] : stable_diffusion;
  const int steps = count > 2 ? std::atoi(values[2]) : 4;
  const auto sampler = tweedie::huggingface::scheduler(config, steps);

  if (count < 2) std::printf("%s, %d steps\n\n", stable_diffusion, steps);
  for (const std::string& key : sampler.unused_options)
    std::printf("option without effect: %s\n", key.c_str());
  std::printf("initial sample: %g times standard normal noise\n", sampler.init_noise_sigma);
  print_transform(sampler.transform);
  for (const auto& paste : sampler.masked)
    if (paste.mark == 0) std::puts("the known part of the picture is pasted at the marks");
  if (sampler.correction)
    std::printf("before each step %d Langevin corrections with ratio %g\n",
                sampler.correction->steps, sampler.correction->snr);
  std::puts("");
  print_network(sampler);
  std::puts("\nD: x0 estimate, E: noise estimate, Y: network output, z: fresh noise");
  std::cout << sampler.plan;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
