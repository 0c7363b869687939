// From the scheduler_config.json of a token sampler to that sampler.
//
//   const auto loaded = huggingface::discrete_scheduler(json, 30);
//   const auto& amused = std::get<huggingface::amused_scheduler>(loaded);
//   for (std::size_t k = 0; k < amused.steps(); ++k) {
//     engine.run(tokens, logits);
//     amused.step(logits_view(logits, vocabulary), k, token_batch{tokens, items}, counter_uniform{seed});
//   }
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tweedie/interop/huggingface/config.hpp"
#include "tweedie/interop/huggingface/discrete_masked.hpp"
#include "tweedie/interop/huggingface/discrete_uniform.hpp"
#include "tweedie/interop/huggingface/discrete_vq_diffusion.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace tweedie::huggingface {

/// Any of the five scheduler classes of tokens.
using discrete_sampler =
    std::variant<amused_scheduler, block_refinement_scheduler, discrete_ddim_scheduler,
                 entropy_bound_scheduler, vq_diffusion_scheduler>;

namespace detail {

inline std::size_t positive(const options& o, const char* key, int otherwise) {
  const int value = o.integer(key, otherwise);
  if (value <= 0) o.fail(key, std::to_string(value) + "; valid: above 0");
  return static_cast<std::size_t>(value);
}

inline discrete_sampler amused(const options& c, const options& call, std::size_t steps) {
  if (!c.has("mask_token_id")) c.fail("mask_token_id", "absent; valid: a token");
  // One temperature goes down to 0.01, two are the ends.
  double first = 2, last = 0;
  if (call.has("temperature")) {
    if (call.values()["temperature"].is_array()) {
      const std::vector<double> ends = *call.numbers("temperature");
      if (ends.size() != 2) call.fail("temperature", "a list; valid: a number or two");
      first = ends[0];
      last = ends[1];
    } else {
      first = call.number("temperature", 0);
      last = 0.01;
    }
  }
  const int mask = c.integer("mask_token_id", 0);
  if (mask < 0) c.fail("mask_token_id", std::to_string(mask) + "; valid: a token");
  return amused_scheduler{mask,
                          c.text("masking_schedule", "cosine", {"cosine", "linear"}) == "cosine",
                          tweedie::detail::linspace(first, last, static_cast<int>(steps))};
}

inline discrete_sampler block_refinement(const options& c, const options& call, std::size_t steps) {
  c.without_effect({"minimal_topk"});
  block_refinement_scheduler s;
  s.block_length = positive(c, "block_length", 32);
  s.block_length = positive(call, "block_length", static_cast<int>(s.block_length));
  s.steps = steps;
  s.threshold = c.number("threshold", 0.95);
  s.editing_threshold = c.maybe_number("editing_threshold");
  return s;
}

inline discrete_sampler discrete_ddim(const options& c, const options&, std::size_t steps) {
  const std::string how =
      c.text("corrector_selection", "lowest_log_margin",
             {"lowest_log_margin", "lowest_maxprob", "lowest_current_prob", "random"});
  discrete_ddim_scheduler s;
  s.steps = steps;
  const int sweeps = c.integer("corrector_steps", 0), positions = c.integer("corrector_k", 1);
  if (sweeps < 0) c.fail("corrector_steps", std::to_string(sweeps) + "; valid: at least 0");
  s.corrector_steps = static_cast<std::size_t>(sweeps);
  s.corrector_k = static_cast<std::size_t>((std::max)(1, positions));
  s.selection = how == "lowest_log_margin" ? corrector_selection::lowest_log_margin
                : how == "lowest_maxprob"  ? corrector_selection::lowest_maxprob
                : how == "random"          ? corrector_selection::random
                                           : corrector_selection::lowest_current_prob;
  s.selection_tau = c.number("corrector_selection_tau", 1);
  if (!(s.selection_tau > 0)) c.fail("corrector_selection_tau", "not above 0; valid: above 0");
  return s;
}

inline discrete_sampler entropy_bound(const options& c, const options&, std::size_t steps) {
  entropy_bound_scheduler s;
  s.entropy_bound = c.number("entropy_bound", 0.1);
  s.steps = steps;
  s.t_min = c.number("t_min", 0.4);
  s.t_max = c.number("t_max", 0.8);
  if (!(s.t_min >= 0)) c.fail("t_min", "below 0; valid: at least 0");
  if (!(s.t_max >= 0)) c.fail("t_max", "below 0; valid: at least 0");
  return s;
}

// The number of inference steps only says at which timestep the reference starts.
inline discrete_sampler vq_diffusion(const options& c, const options&, std::size_t steps) {
  const std::size_t timesteps = positive(c, "num_train_timesteps", 100);
  if (steps > timesteps)
    c.fail("num_inference_steps", std::to_string(steps) + "; valid: at most num_train_timesteps, " +
                                      std::to_string(timesteps));
  return vq_diffusion_scheduler(
      positive(c, "num_vec_classes", 0), timesteps, c.number("alpha_cum_start", 0.99999),
      c.number("alpha_cum_end", 0.000009), c.number("gamma_cum_start", 0.000009),
      c.number("gamma_cum_end", 0.99999));
}

struct discrete_class {
  const char* name;
  discrete_sampler (*load)(const options& config, const options& call, std::size_t steps);
  int steps;  // where neither call nor file say
};
inline constexpr std::array discrete_classes{
    discrete_class{"AmusedScheduler", amused, 12},
    discrete_class{"BlockRefinementScheduler", block_refinement, 32},
    discrete_class{"DiscreteDDIMScheduler", discrete_ddim, 32},
    discrete_class{"EntropyBoundScheduler", entropy_bound, 32},
    discrete_class{"VQDiffusionScheduler", vq_diffusion, 1},  // any: it is only checked
};

}  // namespace detail

/// The sampler of a parsed configuration with one of the five discrete classes.
/// \param steps num_inference_steps; by default that of the file.
/// \param call arguments of set_timesteps: `temperature` (Amused), `block_length` (BlockRefinement).
/// \throws std::invalid_argument for another class, an option the class does not have, or a value
///   out of range.
inline discrete_sampler discrete_scheduler(const nlohmann::json& json,
                                           std::optional<int> steps = {}, options call = {}) {
  options c(json);
  const std::string name = c.has("_class_name") && c.values()["_class_name"].is_string()
                               ? c.values()["_class_name"].get<std::string>()
                               : "";
  c.without_effect({"_diffusers_version"});
  std::string names;
  for (const detail::discrete_class& known : detail::discrete_classes) {
    names += (names.empty() ? "" : ", ") + std::string(known.name);
    if (name != known.name) continue;
    c.name("huggingface::" + name);
    call.name("huggingface::" + name + ".set_timesteps");
    const int count = steps.value_or(c.integer("num_inference_steps", known.steps));
    if (count <= 0) c.fail("num_inference_steps", std::to_string(count) + "; valid: above 0");
    const discrete_sampler sampler = known.load(c, call, static_cast<std::size_t>(count));
    for (const options* o : {static_cast<const options*>(&c), static_cast<const options*>(&call)})
      for (const std::string& key : o->unread())
        o->fail(key, o->values()[key].dump() + "; this class has no such option");
    return sampler;
  }
  c.name("huggingface::discrete_scheduler");
  c.fail("_class_name", "\"" + name + "\"; supported: " + names);
}

}  // namespace tweedie::huggingface
