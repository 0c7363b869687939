// Scheduler configurations made of bytes, as raw text or as classes with options: refused, or a finite program
// that a network with bounded answers runs to its end, asked as often as it says.
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/program_checks.hpp"
#include "tweedie/interop/huggingface.hpp"
#include "tweedie/tensor/eigen.hpp"

namespace {

using namespace tweedie;
using nlohmann::json;

constexpr const char* words[] = {"epsilon",
                                 "v_prediction",
                                 "sample",
                                 "flow_prediction",
                                 "linear",
                                 "scaled_linear",
                                 "squaredcos_cap_v2",
                                 "sigmoid",
                                 "exp",
                                 "laplace",
                                 "leading",
                                 "linspace",
                                 "trailing",
                                 "midpoint",
                                 "heun",
                                 "bh1",
                                 "bh2",
                                 "logrho",
                                 "dpmsolver",
                                 "dpmsolver++",
                                 "sde-dpmsolver",
                                 "sde-dpmsolver++",
                                 "deis",
                                 "fixed_small",
                                 "fixed_small_log",
                                 "fixed_large",
                                 "learned",
                                 "learned_range",
                                 "zero",
                                 "sigma_min",
                                 "exponential",
                                 "karras",
                                 "cosine",
                                 "discrete",
                                 "continuous",
                                 "random",
                                 "euler",
                                 "ddim",
                                 "unipc",
                                 "ddpm",
                                 "inf",
                                 "-inf",
                                 "trigflow",
                                 "log_linear",
                                 "patch",
                                 ""};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : text) {
    if (c != ' ')
      part += c;
    else if (!part.empty())
      parts.push_back(std::exchange(part, {}));
  }
  return parts;
}

json some_value(fuzz::bytes& in, int depth) {
  switch (in.below(8)) {
    case 0: return in.flag();
    case 1: return in.number();
    case 2: return static_cast<int>(in.byte()) - 8;
    case 3: return in.below(8) == 1 ? 2147483647 - in.byte() : 1000 * in.below(4) + in.byte();
    case 4:
    case 5: return words[in.below(std::size(words))];
    case 6: return nullptr;
    default: {
      json list = json::array();
      const std::size_t count = in.below(7);
      for (std::size_t i = 0; i < count; ++i)
        list.push_back(depth > 0 && in.below(4) == 0 ? some_value(in, depth - 1)
                                                     : json(in.number()));
      return list;
    }
  }
}

json some_options(fuzz::bytes& in, const std::vector<std::string>& keys, std::size_t most) {
  json entries = json::object();
  const std::size_t count = in.below(most + 1);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& key = keys[in.below(keys.size())];
    entries[key] = some_value(in, 1);
  }
  return entries;
}

// Answers in [-1, 1] that depend on what is asked.
void answer(sampling<Eigen::ArrayXXd>& run) {
  for (std::size_t b = 0; b < run.branches(); ++b)
    for (Eigen::Index i = 0; i < run.input().size(); ++i)
      run.output(b).data()[i] = std::sin(run.input().data()[i] + 0.01 * run.network_time());
}

void check(const huggingface::loaded_sampler& sampler, const std::string& name) {
  fuzz::expect_finite(sampler.plan, name);
  for (const program& plan : sampler.parallel_steps) fuzz::expect_finite(plan, name);
  if (sampler.plan.stages.size() > 400) return;
  Eigen::ArrayXXd x(3, 2);
  for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = (static_cast<double>(i) - 2.5) / 2;
  double largest = std::abs(sampler.init_noise_sigma);
  x *= sampler.init_noise_sigma;
  for (const stage& s : sampler.plan.stages)
    for (const double w : s.pass.weights) largest = std::max(largest, std::abs(w));
  std::optional<sampling<Eigen::ArrayXXd>> run;
  if (!fuzz::accepted([&] { run.emplace(huggingface::start(sampler, x, gaussian_noise{1})); }))
    return;
  if (detail::any_learned(sampler.plan.draws)) run->variance_output().setZero();
  std::size_t calls = 0;
  const bool finished = fuzz::accepted([&] {
    while (run->next()) {
      answer(*run);
      ++calls;
    }
  });
  if (!finished) return;
  fuzz::expect(calls == sampler.plan.evaluations(), name + ": as many evaluations as it says");
  // Numbers that grow in every step leave the range of double in the end.
  if (largest < 10 && sampler.plan.stages.size() < 100)
    fuzz::expect(run->state().allFinite(), name + ": a finite result");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> keys = split(huggingface::known_options);
  static const std::vector<std::string> timestep_keys = split(
      "timesteps sigmas mu strength original_inference_steps jump_length jump_n_sample pairs "
      "max_timesteps intermediate_timesteps num_train_timesteps sigma_min sigma_max stage_index");
  static const std::vector<std::string> step_keys = split(
      "eta s_churn s_noise s_tmin s_tmax order use_clipped_model_output add_noise variance_type");
  fuzz::bytes in(data, size);
  const std::size_t steps = in.below(40);
  const std::size_t which = in.below(huggingface::scheduler_classes.size() + 1);
  huggingface::loaded_sampler sampler;
  if (which == huggingface::scheduler_classes.size()) {
    const std::string text = "{" + in.rest();
    const bool read =
        fuzz::accepted([&] { sampler = huggingface::scheduler(text, static_cast<int>(steps)); });
    if (read) check(sampler, text);
    return 0;
  }
  json file = some_options(in, keys, 6);
  const std::string name = huggingface::scheduler_classes[which].name;
  file["_class_name"] = name;
  huggingface::request how;
  if (steps != 39) how.num_inference_steps = static_cast<int>(steps);
  how.faithful = in.below(8) == 1;
  if (in.below(3) == 1) {
    how.set_timesteps = some_options(in, timestep_keys, 2);
    how.step = some_options(in, step_keys, 2);
    how.begin_index = static_cast<int>(in.below(4)) - (in.below(16) == 1);
  }
  if (fuzz::accepted([&] { sampler = huggingface::scheduler(file, how); })) check(sampler, name);
  return 0;
}
