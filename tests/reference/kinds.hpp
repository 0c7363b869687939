// The kinds of files that can be replayed: one function per value of a file's "format".
#pragma once

#include <span>
#include <string>
#include <vector>

#include "outcome.hpp"

namespace reference {

/// Replays all cases of a parsed file; `name` is the file's name without folder and extension.
using replay_function = std::vector<outcome> (*)(const json& file, const std::string& name);

std::vector<outcome> replay_diffusers(const json& file, const std::string& name);
std::vector<outcome> replay_diffusers_quirks(const json& file, const std::string& name);
std::vector<outcome> replay_kdiffusion(const json& file, const std::string& name);
std::vector<outcome> replay_counter_random(const json& file, const std::string& name);
std::vector<outcome> replay_torch_random(const json& file, const std::string& name);
std::vector<outcome> replay_dpm_solver_unipc(const json& file, const std::string& name);
std::vector<outcome> replay_schedules(const json& file, const std::string& name);
std::vector<outcome> replay_score_sde(const json& file, const std::string& name);
std::vector<outcome> replay_guided(const json& file, const std::string& name);
std::vector<outcome> replay_edm(const json& file, const std::string& name);
std::vector<outcome> replay_consistency_models(const json& file, const std::string& name);
std::vector<outcome> replay_discrete_chain(const json& file, const std::string& name);
std::vector<outcome> replay_discrete_masked(const json& file, const std::string& name);
std::vector<outcome> replay_discrete_ratio(const json& file, const std::string& name);
std::vector<outcome> replay_discrete_flow(const json& file, const std::string& name);
std::vector<outcome> replay_discrete_text(const json& file, const std::string& name);
std::vector<outcome> replay_discrete_schedulers(const json& file, const std::string& name);
std::vector<outcome> replay_guiders(const json& file, const std::string& name);
std::vector<outcome> replay_guidance_composed(const json& file, const std::string& name);
std::vector<outcome> replay_perp_neg(const json& file, const std::string& name);
std::vector<outcome> replay_guidance_interval(const json& file, const std::string& name);
std::vector<outcome> replay_guidance_cfgpp(const json& file, const std::string& name);
std::vector<outcome> replay_cads(const json& file, const std::string& name);
std::vector<outcome> replay_dynamic_thresholding(const json& file, const std::string& name);
std::vector<outcome> replay_perturbed_pipelines(const json& file, const std::string& name);

struct file_kind {
  const char* format;
  replay_function replay;
};

/// One row per kind that this program replays.
std::span<const file_kind> file_kinds();

}  // namespace reference
