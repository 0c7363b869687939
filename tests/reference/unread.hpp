// Fields of recorded files that no driver reads, and why. `replay` fails at any other.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace reference {

// How a file was recorded.
inline constexpr std::string_view file_notes[] = {
    "reference",  "references",   "commit",      "commits",    "format",
    "version",    "diffusers",    "scheduler",   "torch",      "numpy",
    "scipy",      "python",       "source",      "split",      "network",
    "denoiser",   "conditioning", "fields",      "formula",    "what",
    "note",       "also_checked", "conventions", "conditions", "preconditioning_inner",
    "recomputed", "dtype"};

// How numbers in it were made, how sure they are, in which shape, or the same in less precision.
inline constexpr std::string_view number_notes[] = {"id",
                                                    "source",
                                                    "note",
                                                    "seed",
                                                    "mode",
                                                    "shape",
                                                    "dtype",
                                                    "timesteps_dtype",
                                                    "sigmas_dtype",
                                                    "trajectory_dtype",
                                                    "_diffusers_version",
                                                    "pred_original_field",
                                                    "f32",
                                                    "finite",
                                                    "max_abs",
                                                    "max_abs_diff_f32_f64",
                                                    "max_rel_diff_f32_f64",
                                                    "max_rel_diff_f64_numpy",
                                                    "min_margin"};

struct unread_field {
  std::string_view format, path;
};

// Inputs and options that are read where they matter, and in some cases decide nothing.
inline constexpr unread_field idle_inputs[] = {
    {"k-diffusion-cases/1", ".wrappers.float32.schedule"},
    {"k-diffusion-cases/1", ".wrappers.float64.schedule"},
    {"golden-guidance_composable_ip2p_frames/1", ".cases[].batch"},
    {"consistency-models-cases/1", ".ema_and_scales[].kwargs.distill_steps_per_iter"},
    {"consistency-models-cases/1", ".ema_and_scales[].kwargs.total_steps"},
    {"consistency-models-cases/1", ".losses[].num_scales"},
    {"consistency-models-cases/1", ".losses[].target"},
    {"consistency-models-cases/1", ".losses[].teacher"},
    {"diffusers-scheduler-cases/1", ".cases[].config_after_set_timesteps"},
    {"diffusers-scheduler-cases/1", ".cases[].extra.batch_step.model_outputs"},
    {"diffusers-scheduler-cases/1", ".cases[].extra.batch_step.samples"},
    {"diffusers-scheduler-cases/1", ".cases[].extra.ops"},
    {"diffusers-scheduler-cases/1", ".cases[].extra.schedule"},
    {"diffusers-scheduler-cases/1", ".cases[].f64.forward.get_velocity"},
    {"diffusers-scheduler-cases/1", ".cases[].forward.eps"},
    {"diffusers-scheduler-cases/1", ".cases[].forward.scale_noise"},
    {"diffusers-scheduler-cases/1", ".cases[].forward.timesteps"},
    {"diffusers-scheduler-cases/1", ".cases[].forward.x0"},
    {"diffusers-scheduler-cases/1", ".cases[].timesteps"},
    {"dpm-solver-unipc-cases/1", ".cases[].total_N"},
    {"dpm-solver-unipc-cases/1", ".schedules[].T"},
    {"edm-cases/1", ".losses[].uniforms"},
    {"golden-discrete_amused/1", ".cases[].fragile_floor"},
    {"golden-discrete_amused/1", ".cases[].temperatures"},
    {"golden-discrete_amused/1", ".cases[].vocab"},
    {"golden-discrete_block_refinement/1", ".cases[].step_kwargs.temperature"},
    {"golden-discrete_block_refinement/1", ".cases[].vocab"},
    {"golden-discrete_d3pm_torch/1", ".cases[].loss_draws[].high"},
    {"golden-discrete_d3pm_torch/1", ".cases[].loss_draws[].kind"},
    {"golden-discrete_d3pm_torch/1", ".cases[].loss_draws[].low"},
    {"golden-discrete_d3pm_torch/1", ".cases[].sample_draws"},
    {"golden-discrete_ddim/1", ".cases[].config"},
    {"golden-discrete_ddim/1", ".cases[].timestep"},
    {"golden-discrete_ddim/1", ".cases[].vocab"},
    {"golden-discrete_entropy_bound/1", ".cases[].vocab"},
    {"golden-discrete_llada_dream/1", ".cases[].draws"},
    {"golden-discrete_llada_dream/1", ".cases[].draws[].kind"},
    {"golden-discrete_llada_dream/1", ".cases[].draws[].u"},
    {"golden-discrete_llada_dream/1", ".cases[].timesteps"},
    {"golden-discrete_mdlm/1", ".cases[].settings.mask"},
    {"golden-discrete_sedd/1", ".cases[].dim"},
    {"golden-discrete_sedd/1", ".cases[].draws[].high"},
    {"golden-discrete_sedd/1", ".cases[].draws[].kind"},
    {"golden-discrete_sedd/1", ".cases[].draws[].low"},
    {"golden-discrete_sedd/1", ".cases[].draws[].values"},
    {"golden-guidance_cads/1", ".cases[].psi"},
    {"golden-guidance_cfg/1", ".cases[].params.auto_guidance_layers"},
    {"golden-guidance_cfg/1", ".cases[].params.dropout"},
    {"golden-guidance_cfgpp/1", ".cases[].sigmas"},
    {"golden-guidance_cfgpp/1", ".cases[].timesteps"},
    {"golden-guidance_interval_edm/1", ".cases[].num_noise_draws"},
    {"golden-guidance_seg_blur_pag_pipeline/1", ".cases[].guidance_scale"},
    {"golden-guidance_seg_blur_pag_pipeline/1", ".cases[].kernel_size"},
    {"golden-guidance_seg_blur_pag_pipeline/1", ".cases[].uncond"},
    {"golden-guidance_skip_pag_seg/1", ".cases[].params.perturbed_guidance_layers"},
    {"golden-guidance_skip_pag_seg/1", ".cases[].params.perturbed_guidance_scale"},
    {"golden-guidance_skip_pag_seg/1", ".cases[].params.seg_guidance_layers"},
    {"golden-guidance_skip_pag_seg/1", ".cases[].params.seg_guidance_scale"},
    {"golden-guidance_skip_pag_seg/1", ".cases[].params.skip_layer_guidance_layers"},
    {"golden-guidance_skip_pag_seg/1", ".cases[].params.skip_layer_guidance_scale"},
    {"guided-diffusion-cases/1", ".cases[].eta"},
    {"k-diffusion-cases/1", ".cases[].schedule"},
};

// Results beyond those compared: intermediate ones, what follows from others, the same in less precision,
// what a reference that raises says.
inline constexpr unread_field further_results[] = {
    {"golden-guidance_composable_ip2p_frames/1", ".cases[].pred"},
    {"golden-guidance_composable_ip2p_frames/1", ".cases[].scale"},
    {"golden-guidance_cfgpp/1", ".cases[].unit_noise"},
    {"diffusers-quirks/1", ".cases[].f64.exception"},
    {"diffusers-quirks/1", ".cases[].f64.first_nonfinite_step"},
    {"diffusers-quirks/1", ".cases[].f64.message"},
    {"diffusers-quirks/1", ".cases[].f64.steps"},
    {"diffusers-scheduler-cases/1", ".cases[].alphas"},
    {"diffusers-scheduler-cases/1", ".cases[].betas"},
    {"diffusers-scheduler-cases/1", ".cases[].extra.batch_step.result"},
    {"diffusers-scheduler-cases/1", ".cases[].extra.discrete_sigmas"},
    {"diffusers-scheduler-cases/1", ".cases[].extra.timesteps_used"},
    {"diffusers-scheduler-cases/1", ".cases[].f64.forward"},
    {"diffusers-scheduler-cases/1", ".cases[].f64.sigmas_down"},
    {"diffusers-scheduler-cases/1", ".cases[].f64.sigmas_interpol"},
    {"diffusers-scheduler-cases/1", ".cases[].f64.sigmas_up"},
    {"diffusers-scheduler-cases/1", ".cases[].noise_sigma_intervals"},
    {"diffusers-scheduler-cases/1", ".cases[].sigmas_down"},
    {"diffusers-scheduler-cases/1", ".cases[].sigmas_interpol"},
    {"diffusers-scheduler-cases/1", ".cases[].sigmas_up"},
    {"diffusers-scheduler-cases/1", ".cases[].trajectory"},
    {"golden-discrete_amused/1", ".cases[].prev_sample"},
    {"golden-discrete_block_refinement/1", ".cases[].sampled_probs"},
    {"golden-discrete_d3pm_torch/1", ".cases[].loss"},
    {"golden-discrete_d3pm_torch/1", ".cases[].loss_info"},
    {"golden-discrete_d3pm_torch/1", ".cases[].p_posterior_logits"},
    {"golden-discrete_d3pm_torch/1", ".cases[].q_mats_first_last"},
    {"golden-discrete_d3pm_torch/1", ".cases[].q_posterior_logits"},
    {"golden-discrete_d3pm_torch/1", ".cases[].vb"},
    {"golden-discrete_ddim/1", ".cases[].numbers"},
    {"golden-discrete_ddim/1", ".cases[].tokens_equal_f32_f64"},
    {"golden-discrete_entropy_bound/1", ".cases[].sampled_probs"},
    {"golden-discrete_flow_matching/1", ".cases[].jump_prob"},
    {"golden-discrete_flow_matching/1", ".cases[].t_discretization"},
    {"golden-discrete_mdlm/1", ".cases[].T4"},
    {"golden-discrete_mdlm/1", ".cases[].T1000"},
    {"golden-discrete_mdlm/1", ".cases[].T10"},
    {"golden-discrete_mdlm/1", ".cases[].q"},
    {"golden-discrete_mdlm/1", ".cases[].rate"},
    {"golden-discrete_mdlm/1", ".cases[].token_nll"},
    {"golden-discrete_mdlm/1", ".cases[].total"},
    {"golden-discrete_sedd/1", ".cases[].loss"},
    {"golden-discrete_sedd/1", ".cases[].probs"},
    {"golden-discrete_sedd/1", ".cases[].rate"},
    {"golden-discrete_sedd/1", ".cases[].reverse_rate"},
    {"golden-discrete_sedd/1", ".cases[].score_entropy"},
    {"golden-discrete_sedd/1", ".cases[].total"},
    {"golden-discrete_sedd/1", ".cases[].transp_rate"},
    {"golden-discrete_vq_diffusion/1", ".cases[].p_sum"},
    {"golden-discrete_vq_diffusion/1", ".cases[].tables"},
    {"golden-guidance_frequency_decoupled/1", ".cases[].pred_shape"},
    {"golden-guidance_seg_blur_pag_pipeline/1", ".cases[].out"},
    {"golden-guidance_tangential/1", ".cases[].pred"},
    {"golden-guidance_zero_star/1", ".cases[].pred"},
    {"guided-diffusion-cases/1", ".cases[].model_outputs"},
    {"guided-diffusion-cases/1", ".cases[].trajectory"},
    {"guided-diffusion-cases/1", ".scalars.timestep_embedding.layout"},
    {"guided-diffusion-cases/1", ".space_timesteps[].message"},
    {"k-diffusion-cases/1", ".cases[].callback_t"},
    {"k-diffusion-cases/1", ".cases[].info.steps"},
    {"k-diffusion-cases/1", ".cases[].noise_sigma_intervals"},
    {"torch-cpu-rng/1", ".cases[].result_avx2"},
    {"torch-cpu-rng/1", ".sequence.calls[].result_avx2"},
};

/// Whether the field `name` of what stands at `path` only describes.
inline bool is_note(const std::string& path, const std::string& name) {
  const auto in = [&](const auto& list) {
    return std::find(std::begin(list), std::end(list), name) != std::end(list);
  };
  return path.empty() ? in(file_notes) : in(number_notes);
}

inline bool may_be_unread(std::string_view format, const std::string& path) {
  const auto in = [&](const auto& list) {
    return std::any_of(std::begin(list), std::end(list),
                       [&](const unread_field& f) { return f.format == format && f.path == path; });
  };
  return in(idle_inputs) || in(further_results);
}

}  // namespace reference
