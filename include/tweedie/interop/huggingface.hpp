// From a Hugging Face scheduler_config.json to a sampler with the reference's numbers.
//
//   const auto sampler = huggingface::scheduler("scheduler_config.json", 30);
//   auto s = huggingface::start(sampler, x, gaussian_noise{seed});
//   while (s.next()) engine.run(s.input(), s.network_time(), s.output());
//
// Here, and only here, the reference's departures from the published methods are the default, since
// parity with diffusers (commit 58eb52c0803e) is the purpose. Options the class does not know are
// refused if they ask for something, and listed in `unused_options` otherwise: saved files carry
// entries of the class they were converted from.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tweedie/interop/huggingface/config.hpp"
#include "tweedie/interop/huggingface/loaded_sampler.hpp"
#include "tweedie/interop/huggingface/pipeline.hpp"
#include "tweedie/interop/huggingface/start.hpp"

#if defined(TWEEDIE_DEFINES_LOADER)
#include "tweedie/interop/huggingface/cogvideox.hpp"
#include "tweedie/interop/huggingface/consistency.hpp"
#include "tweedie/interop/huggingface/ddim.hpp"
#include "tweedie/interop/huggingface/ddpm.hpp"
#include "tweedie/interop/huggingface/dpm_solver.hpp"
#include "tweedie/interop/huggingface/edm.hpp"
#include "tweedie/interop/huggingface/euler.hpp"
#include "tweedie/interop/huggingface/exponential_adams.hpp"
#include "tweedie/interop/huggingface/flow_match.hpp"
#include "tweedie/interop/huggingface/helios.hpp"
#include "tweedie/interop/huggingface/known_options.hpp"
#include "tweedie/interop/huggingface/lms.hpp"
#include "tweedie/interop/huggingface/pndm.hpp"
#include "tweedie/interop/huggingface/repaint.hpp"
#include "tweedie/interop/huggingface/score_sde.hpp"
#include "tweedie/interop/huggingface/two_stage.hpp"
#endif

namespace tweedie::huggingface {

/// The sampler of a parsed configuration.
/// \throws std::invalid_argument for an unknown class, an unknown or contradictory option or a
///   value out of range, naming the key, the value and what is supported; for a number of steps or
///   a list of times that no program can be planned for; for numbers that are not finite.
loaded_sampler scheduler(const nlohmann::json& json, request how);

/// The sampler of a configuration given as a path to a file or, if it starts with '{', as text. Who
/// asks again, with another number of steps, keeps `parse_configuration(path)` and hands that over:
/// a file is read once.
loaded_sampler scheduler(const std::string& path_or_text, request how);
loaded_sampler scheduler(const char* path_or_text, request how);

#if defined(TWEEDIE_DEFINES_LOADER)

/// A scheduler class and what turns its options into a program.
struct scheduler_class {
  const char* name;
  loaded_sampler (*load)(const config&, const request&);
};

// One row per class.
inline constexpr std::array scheduler_classes{
    scheduler_class{"DDIMScheduler", load_ddim},
    scheduler_class{"DDPMScheduler", load_ddpm},
    scheduler_class{"DDPMParallelScheduler", load_ddpm_parallel},
    scheduler_class{"DDPMWuerstchenScheduler", load_wuerstchen},
    scheduler_class{"UnCLIPScheduler", load_unclip},
    scheduler_class{"DDIMParallelScheduler", load_ddim_parallel},
    scheduler_class{"DDIMInverseScheduler", load_ddim_inverse},
    scheduler_class{"CogVideoXDDIMScheduler", load_cogvideox_ddim},
    scheduler_class{"CogVideoXDPMScheduler", load_cogvideox_dpm},
    scheduler_class{"PNDMScheduler", load_pndm},
    scheduler_class{"LCMScheduler", load_lcm},
    scheduler_class{"TCDScheduler", load_tcd},
    scheduler_class{"CMStochasticIterativeScheduler", load_consistency_models},
    scheduler_class{"ConsistencyDecoderScheduler", load_consistency_decoder},
    scheduler_class{"SCMScheduler", load_scm},
    scheduler_class{"RePaintScheduler", load_repaint},
    scheduler_class{"ScoreSdeVeScheduler", load_score_sde_ve},
    scheduler_class{"ScoreSdeVpScheduler", load_score_sde_vp},
    scheduler_class{"KarrasVeScheduler", load_karras_ve},
    scheduler_class{"CosineDPMSolverMultistepScheduler", load_cosine_dpm_solver_multistep},
    scheduler_class{"DEISMultistepScheduler", load_deis_multistep},
    scheduler_class{"DPMSolverMultistepInverseScheduler", load_dpm_solver_multistep_inverse},
    scheduler_class{"DPMSolverMultistepScheduler", load_dpm_solver_multistep},
    scheduler_class{"DPMSolverSinglestepScheduler", load_dpm_solver_singlestep},
    scheduler_class{"EDMDPMSolverMultistepScheduler", load_edm_dpm_solver_multistep},
    scheduler_class{"SASolverScheduler", load_sa_solver},
    scheduler_class{"UniPCMultistepScheduler", load_unipc_multistep},
    scheduler_class{"EulerDiscreteScheduler", load_euler_discrete},
    scheduler_class{"EulerAncestralDiscreteScheduler", load_euler_ancestral},
    scheduler_class{"EDMEulerScheduler", load_edm_euler},
    scheduler_class{"HeunDiscreteScheduler", load_heun_discrete},
    scheduler_class{"KDPM2DiscreteScheduler", load_kdpm2_discrete},
    scheduler_class{"KDPM2AncestralDiscreteScheduler", load_kdpm2_ancestral},
    scheduler_class{"DPMSolverSDEScheduler", load_dpm_solver_sde},
    scheduler_class{"LMSDiscreteScheduler", load_lms_discrete},
    scheduler_class{"IPNDMScheduler", load_ipndm},
    scheduler_class{"FlowMatchEulerDiscreteScheduler", load_flow_match_euler},
    scheduler_class{"FlowMatchHeunDiscreteScheduler", load_flow_match_heun},
    scheduler_class{"FlowMatchLCMScheduler", load_flow_match_lcm},
    scheduler_class{"FlowMapEulerDiscreteScheduler", load_flow_map_euler},
    scheduler_class{"HeliosScheduler", load_helios},
    scheduler_class{"HeliosDMDScheduler", load_helios_dmd},
    scheduler_class{"LTXEulerAncestralRFScheduler", load_ltx_euler_ancestral},
    scheduler_class{"MiniMaxH3Scheduler", load_minimax_h3},
};

namespace detail {

// Options that change numbers when they are switched on; a class that does not know them must not
// pretend it did.
inline bool asks_for_something(const std::string& key, const nlohmann::json& value) {
  if (!value.is_boolean()) return false;
  if (key == "predict_epsilon") return !value.get<bool>();  // old spelling of prediction_type
  if (!value.get<bool>()) return false;
  static const std::set<std::string> switches{"thresholding", "rescale_betas_zero_snr",
                                              "stochastic_sampling", "invert_sigmas"};
  return key.starts_with("use_") || switches.contains(key);
}

// Refuses options that cannot be honoured, lists those without effect.
inline std::vector<std::string> account_for(const config& c) {
  std::vector<std::string> unused;
  for (const std::string& key : c.unread()) {
    const nlohmann::json& value = c.values()[key];
    if (!is_ignored(key) && !belongs_to_some_class(key))
      c.fail(key, value.dump() + "; no scheduler has this option");
    if (!is_ignored(key) && asks_for_something(key, value))
      c.fail(key, value.dump() + "; not supported by this class: remove it or set it to false");
    unused.push_back(key);
  }
  return unused;
}

/// A class outside diffusers, and which of the supported ones does the same.
struct relative {
  const char* name;
  const char* instead;
};
inline constexpr relative relatives[] = {
    {"FlowUniPCMultistepScheduler",
     "UniPCMultistepScheduler with use_flow_sigmas = true, prediction_type = flow_prediction and "
     "the shift as flow_shift"},
    {"FlowDPMSolverMultistepScheduler",
     "DPMSolverMultistepScheduler with use_flow_sigmas = true, prediction_type = flow_prediction "
     "and the shift as flow_shift"},
    {"FlashFlowMatchEulerDiscreteScheduler",
     "FlowMatchEulerDiscreteScheduler with stochastic_sampling = true"},
    {"FlowMatchDiscreteScheduler", "FlowMatchEulerDiscreteScheduler with the same shift"},
    {"RectifiedFlowScheduler",
     "FlowMatchEulerDiscreteScheduler, with the times of its sampler as sigmas"},
};

// The classes of huggingface/discrete.hpp.
inline constexpr const char* token_classes[] = {"AmusedScheduler", "BlockRefinementScheduler",
                                                "DiscreteDDIMScheduler", "EntropyBoundScheduler",
                                                "VQDiffusionScheduler"};

/// What to write instead of an unknown class: its relative, or the supported name nearest in spelling
/// (Levenshtein's distance), and all names.
inline std::string instead_of(const std::string& name) {
  std::string text, nearest, names;
  for (const relative& r : relatives)
    if (name == r.name) text = std::string("use ") + r.instead + "; ";
  std::size_t least = 8;  // beyond that a name is another, not a misspelling
  for (const scheduler_class& known : scheduler_classes) {
    const std::string_view other = known.name;
    names += (names.empty() ? "" : ", ") + std::string(other);
    std::vector<std::size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < name.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i + 1);
      for (std::size_t j = 0; j < other.size(); ++j) {
        const std::size_t replaced = diagonal + (name[i] != other[j]);
        diagonal = row[j + 1];
        row[j + 1] = (std::min)({replaced, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < least) {
      least = row.back();
      nearest = other;
    }
  }
  if (text.empty() && !nearest.empty()) text = "nearest: " + nearest + "; ";
  return text + "supported: " + names;
}

inline void refuse_unread(const options& arguments) {
  for (const std::string& key : arguments.unread())
    if (!arguments.values()[key].is_null())
      arguments.fail(key, arguments.values()[key].dump() + "; this class takes no such argument");
}

// Loads a class. What a planner says of its grid gets the class and the call before it, where exceptions are on.
inline loaded_sampler load(const scheduler_class& known, const config& c, const request& how) {
#if defined(TWEEDIE_EXCEPTIONS)
  try {
    return known.load(c, how);
  } catch (const std::invalid_argument& error) {
    if (std::string_view(error.what()).starts_with(c.name())) throw;
    std::string call =
        how.num_inference_steps ? std::to_string(*how.num_inference_steps) : "(absent)";
    for (const options* arguments : {&how.set_timesteps, &how.step})
      if (!arguments->values().empty()) call += ", " + arguments->values().dump();
    tweedie::detail::fail(c.name().c_str(),
                          "no program for num_inference_steps = " + call + ": " + error.what());
  }
#else
  return known.load(c, how);
#endif
}

inline void require_finite(const config& c, const char* what, std::size_t step, double value) {
  if (!std::isfinite(value))
    c.fail(what + (" of step " + std::to_string(step)),
           tweedie::detail::number(value) +
               "; valid: finite, as ordinary betas, levels, times and factors make it");
}

inline void require_finite(const config& c, std::size_t step, const node& at) {
  require_finite(c, "time", step, at.time);
  require_finite(c, "alpha", step, at.level.alpha);
  require_finite(c, "sigma", step, at.level.sigma);
}

inline void require_finite(const config& c, const program& plan) {
  require_finite(c, 0, plan.start);
  std::size_t step = 0;
  for (const stage& s : plan.stages) {
    if (s.evaluate) require_finite(c, step, s.evaluate->at);
    for (const double weight : s.pass.weights) require_finite(c, "weight", step, weight);
    if (s.mark) require_finite(c, step++, s.mark->at);
  }
}

// The net under the range checks of the classes.
inline void require_finite(const config& c, const loaded_sampler& sampler) {
  for (std::size_t i = 0; i < sampler.timesteps.size(); ++i)
    require_finite(c, "timestep", i, sampler.timesteps[i]);
  for (std::size_t i = 0; i < sampler.sigmas.size(); ++i)
    require_finite(c, "sigma", i, sampler.sigmas[i]);
  require_finite(c, "init_noise_sigma", 0, sampler.init_noise_sigma);
  require_finite(c, sampler.plan);
  for (const program& plan : sampler.parallel_steps) require_finite(c, plan);
}

}  // namespace detail

TWEEDIE_INLINE loaded_sampler scheduler(const nlohmann::json& json, request how) {
  config c(json);
  const std::string name = c.has("_class_name") && c.values()["_class_name"].is_string()
                               ? c.values()["_class_name"].get<std::string>()
                           : c.has("_class_name") ? c.values()["_class_name"].dump()
                                                  : "";
  for (const scheduler_class& known : scheduler_classes)
    if (name == known.name) {
      c.name("huggingface::" + name);
      how.set_timesteps.name("huggingface::" + name + ".set_timesteps");
      how.step.name("huggingface::" + name + ".step");
      if (how.begin_index < 0)
        c.fail("begin_index", std::to_string(how.begin_index) + "; valid: begin_index >= 0");
      loaded_sampler sampler = detail::load(known, c, how);
      sampler.unused_options = detail::account_for(c);
      if (how.set_timesteps.has("mu") && !c.flag("use_dynamic_shifting", false))
        sampler.unused_options.emplace_back("mu");
      detail::refuse_unread(how.set_timesteps);
      detail::refuse_unread(how.step);
      detail::require_finite(c, sampler);
      return sampler;
    }
  for (const char* known : detail::token_classes)
    if (name == known)
      c.fail("_class_name",
             "\"" + name + "\"; it samples tokens: call huggingface::discrete_scheduler (huggingface/discrete.hpp)");
  c.fail("_class_name", "\"" + name + "\"; " + detail::instead_of(name));
}

TWEEDIE_INLINE loaded_sampler scheduler(const std::string& path_or_text, request how) {
  return scheduler(parse_configuration(path_or_text), std::move(how));
}
TWEEDIE_INLINE loaded_sampler scheduler(const char* path_or_text, request how) {
  return scheduler(std::string(path_or_text), std::move(how));
}

#endif

}  // namespace tweedie::huggingface
