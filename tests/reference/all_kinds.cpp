// Every kind of file.
#include "kinds.hpp"

namespace reference {

std::span<const file_kind> file_kinds() {
  static constexpr file_kind kinds[] = {
      {"diffusers-scheduler-cases/1", replay_diffusers},
      {"diffusers-quirks/1", replay_diffusers_quirks},
      {"k-diffusion-cases/1", replay_kdiffusion},
      {"random123-kat/1", replay_counter_random},
      {"torch-cpu-rng/1", replay_torch_random},
      {"dpm-solver-unipc-cases/1", replay_dpm_solver_unipc},
      {"schedules/1", replay_schedules},
      {"score-sde/1", replay_score_sde},
      {"guided-diffusion-cases/1", replay_guided},
      {"edm-cases/1", replay_edm},
      {"consistency-models-cases/1", replay_consistency_models},
      {"golden-discrete_d3pm/1", replay_discrete_chain},
      {"golden-discrete_d3pm_torch/1", replay_discrete_chain},
      {"golden-discrete_mdlm/1", replay_discrete_masked},
      {"golden-discrete_sedd/1", replay_discrete_ratio},
      {"golden-discrete_flow_matching/1", replay_discrete_flow},
      {"golden-discrete_llada_dream/1", replay_discrete_text},
      {"golden-discrete_amused/1", replay_discrete_schedulers},
      {"golden-discrete_block_refinement/1", replay_discrete_schedulers},
      {"golden-discrete_ddim/1", replay_discrete_schedulers},
      {"golden-discrete_entropy_bound/1", replay_discrete_schedulers},
      {"golden-discrete_vq_diffusion/1", replay_discrete_schedulers},
      {"golden-guidance_cfg/1", replay_guiders},
      {"golden-guidance_apg/1", replay_guiders},
      {"golden-guidance_apg_mix/1", replay_guiders},
      {"golden-guidance_zero_star/1", replay_guiders},
      {"golden-guidance_tangential/1", replay_guiders},
      {"golden-guidance_magnitude_aware/1", replay_guiders},
      {"golden-guidance_skip_pag_seg/1", replay_guiders},
      {"golden-guidance_frequency_decoupled/1", replay_guiders},
      {"golden-guidance_composable_ip2p_frames/1", replay_guidance_composed},
      {"golden-guidance_perp_neg/1", replay_perp_neg},
      {"golden-guidance_cads/1", replay_cads},
      {"golden-guidance_interval_edm/1", replay_guidance_interval},
      {"golden-guidance_cfgpp/1", replay_guidance_cfgpp},
      {"golden-guidance_dynamic_thresholding/1", replay_dynamic_thresholding},
      {"golden-guidance_seg_blur_pag_pipeline/1", replay_perturbed_pipelines},
  };
  return kinds;
}

}  // namespace reference
