// Recorded losses of openai/guided-diffusion: 48 combinations of mean, variance and loss, and whole
// bounds.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "guided.hpp"
#include "kinds.hpp"
#include "losses.hpp"
#include "tweedie/grid/subset.hpp"
#include "tweedie/objective/chain_bound.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/objective/variational_bound.hpp"

namespace reference {
namespace {

using namespace tweedie;

bound_variance variance_of(const std::string& name) {
  if (name == "FIXED_SMALL") return bound_variance::fixed_small;
  if (name == "FIXED_LARGE") return bound_variance::fixed_large;
  if (name == "LEARNED") return bound_variance::learned;
  if (name == "LEARNED_RANGE") return bound_variance::learned_range;
  throw unsupported("var_type", name);
}

bool learned(bound_variance kind) {
  return kind == bound_variance::learned || kind == bound_variance::learned_range;
}

// One batch with one timestep per item.
struct loss_case {
  std::size_t items, size;
  std::vector<bound_step> steps;  // one per item
  std::vector<posterior_weights> posteriors;
  std::vector<double> x0, z, x, output, variance;
  std::string mean_type;
  bound_variance kind;

  explicit loss_case(const json& recorded)
      : x0(numbers(recorded["x_start"])),
        z(numbers(recorded["noise"])),
        mean_type(recorded["mean_type"]),
        kind(variance_of(recorded["var_type"])) {
    if (mean_type != "EPSILON" && mean_type != "START_X" && mean_type != "PREVIOUS_X")
      throw unsupported("mean_type", mean_type);
    const discrete_schedule schedule = guided_schedule(recorded);
    std::vector<signal_noise> levels;
    for (int k = schedule.steps() - 1; k >= -1; --k) levels.push_back(schedule.at(k));
    const std::vector<bound_step> all = bound_steps(levels);
    items = recorded["t"].size();
    size = x0.size() / items;
    x.resize(x0.size());
    for (std::size_t i = 0; i < items; ++i) {
      const int t = recorded["t"][i];
      steps.push_back(all[all.size() - 1 - static_cast<std::size_t>(t)]);
      posteriors.push_back(posterior(steps[i].from, steps[i].to));
      for (std::size_t j = i * size; j < (i + 1) * size; ++j) {
        x[j] = steps[i].from.alpha * x0[j] + steps[i].from.sigma * z[j];
        output.push_back(test_network(x[j], guided_network_time(recorded, t)));
        variance.push_back(0.2 * std::cos(x[j]));
      }
    }
  }

  batch_view<const double> view(const std::vector<double>& values) const { return {values, items}; }

  bool predicts_previous() const { return mean_type == "PREVIOUS_X"; }
  plane_row row() const { return mean_type == "START_X" ? plane_row{1, 0} : plane_row{0, 1}; }

  std::vector<double> posterior_mean(const std::vector<double>& clean) const {
    std::vector<double> mean(x.size());
    for (std::size_t j = 0; j < x.size(); ++j)
      mean[j] = posteriors[j / size].clean * clean[j] + posteriors[j / size].state * x[j];
    return mean;
  }
  std::vector<double> target() const {
    return predicts_previous() ? posterior_mean(x0) : mean_type == "START_X" ? x0 : z;
  }
  // The x0 estimate, clipped to [-1, 1].
  std::vector<double> clipped_estimate() const {
    std::vector<double> clean(x.size());
    for (std::size_t j = 0; j < x.size(); ++j) {
      const std::size_t i = j / size;
      if (predicts_previous()) {
        clean[j] = (output[j] - posteriors[i].state * x[j]) / posteriors[i].clean;
      } else {
        const state_output c = sample_from(steps[i].from, row());
        clean[j] = c.x * x[j] + c.y * output[j];
      }
      clean[j] = std::clamp(clean[j], -1.0, 1.0);
    }
    return clean;
  }
  std::vector<bound_item> bound_items(bool of_samples) const {
    std::vector<bound_item> out;
    for (const bound_step& s : steps)
      out.push_back(predicts_previous()
                        ? bound_item{s, 1, model_log_variance(s, kind)}
                        : make_bound_item(s, of_samples ? plane_row{1, 0} : row(), kind));
    return out;
  }
  std::vector<double> bound(const std::vector<double>& answer, const std::vector<double>& wanted,
                            const std::vector<bound_item>& at) const {
    std::vector<double> unused(x.size());
    return variance_bound_terms(view(answer), view(variance), view(wanted), view(x0), at,
                                tanh_gaussian(), reduction::bits_per_dimension,
                                batch_view<double>{unused, items});
  }
};

outcome replay_loss(const json& recorded) {
  const std::string loss_type = recorded["loss_type"];
  const std::string group = recorded["mean_type"].get<std::string>() + " " +
                            recorded["var_type"].get<std::string>() + " " + loss_type;
  return attempt(recorded["id"], "guided_losses", group, [&](comparison& c) {
    const loss_case l(recorded);
    const json& expected = recorded["f64"];
    const auto same = [&](const char* key, const std::vector<double>& ours) {
      if (expected.contains(key)) c.same(key, ours, numbers(expected[key]));
    };
    const auto scaled = [](std::vector<double> values, double factor) {
      for (double& v : values) v *= factor;
      return values;
    };
    same("x_t", l.x);
    const std::vector<double> bits = l.bound(l.output, l.target(), l.bound_items(false));
    const double steps = recorded["T"];
    if (loss_type == "KL") {
      same("loss", bits);
    } else if (loss_type == "RESCALED_KL") {
      same("loss", scaled(bits, steps));
    } else {
      if (loss_type != "MSE" && loss_type != "RESCALED_MSE")
        throw unsupported("loss_type", loss_type);
      const std::vector<double> mse =
          regression(l.view(l.output), l.view(l.target()), std::vector<double>(l.items, 1.0),
                     squared_error{}, reduction::mean_over_dimensions);
      same("mse", mse);
      std::vector<double> loss = mse;
      if (learned(l.kind)) {
        const std::vector<double> vb = scaled(bits, loss_type == "MSE" ? 1 : steps / 1000);
        same("vb", vb);
        for (std::size_t i = 0; i < loss.size(); ++i) loss[i] += vb[i];
      }
      same("loss", loss);
    }

    const std::vector<double> clean = l.clipped_estimate();
    const bool previous = l.predicts_previous();
    same("vb_terms_bpd_clipped", previous ? bits : l.bound(clean, l.x0, l.bound_items(true)));
    const std::vector<double> mean = previous ? l.output : l.posterior_mean(clean);
    same("p_pred_xstart", clean);
    same("p_mean", mean);
    same("q_posterior_mean", l.posterior_mean(l.x0));
    std::vector<double> log_variance, variance, posterior_variance, posterior_log_variance;
    for (std::size_t j = 0; j < l.x.size(); ++j) {
      const bound_step& s = l.steps[j / l.size];
      const affine_log_variance a = model_log_variance(s, l.kind);
      log_variance.push_back(a.offset + a.slope * l.variance[j]);
      posterior_variance.push_back(l.posteriors[j / l.size].variance);
      posterior_log_variance.push_back(s.posterior_log_variance);
      variance.push_back(l.kind == bound_variance::fixed_small ? posterior_variance.back()
                                                               : std::exp(log_variance.back()));
    }
    same("p_log_variance", log_variance);
    same("p_variance", variance);
    same("q_posterior_variance", posterior_variance);
    same("q_posterior_log_variance", posterior_log_variance);
    const discrete_schedule schedule = guided_schedule(recorded);
    same("prior_bpd", prior_terms(l.view(l.x0), schedule(schedule.noisy_time()), 1,
                                  reduction::bits_per_dimension));
  });
}

outcome replay_bound(const json& recorded) {
  return attempt(recorded["id"], "guided_losses", "whole bound", [&](comparison& c) {
    const discrete_schedule schedule = guided_schedule(recorded);
    const std::vector<int> times = kept_times(schedule.steps(), recorded["spacing"]);
    const grid nodes = at_kept_times(schedule, times);
    const std::vector<double> x0 = numbers(recorded["x_start"]);
    const std::size_t items = recorded["shape"][0];
    const auto noises = tensors(recorded["noises"]);
    const bound_variance kind = variance_of(recorded["var_type"]);
    const auto model = [](std::span<const double> x, double t, std::span<double> y,
                          std::span<double> v) {
      for (std::size_t j = 0; j < x.size(); ++j) y[j] = test_network(x[j], t);
      for (std::size_t j = 0; j < v.size(); ++j) v[j] = 0.2 * std::cos(x[j]);
    };
    const bool clipped = recorded.value("clip_denoised", true);
    const std::string mean = recorded["mean_type"];
    network_description network;
    network.time = [&](const node& n) { return guided_network_time(recorded, n.time); };
    if (mean == "START_X")
      network.prediction = predicts_sample;
    else if (mean == "PREVIOUS_X")
      network.prediction = predicts_previous(nodes);
    else if (mean != "EPSILON")
      throw unsupported("mean_type", mean);
    const auto bound_of = [&](bool clips) {
      return evaluate_chain_bound(batch_view<const double>{x0, items}, nodes, network, kind, model,
                                  recorded_noise(noises), reduction::bits_per_dimension,
                                  tanh_gaussian(), [clips](std::span<double> x) {
                                    for (double& v : x) v = clips ? std::clamp(v, -1.0, 1.0) : v;
                                  });
    };
    chain_bound bound = bound_of(clipped);
    // Where the network predicts the mean itself, clipping changes what is said of x0 alone.
    if (mean == "PREVIOUS_X") bound.terms = bound_of(false).terms;
    const auto by_item = [&](const std::vector<std::vector<double>>& by_step) {
      std::vector<double> flat;
      for (std::size_t i = 0; i < items; ++i)
        for (const std::vector<double>& step : by_step) flat.push_back(step[i]);
      return flat;
    };
    const json& expected = recorded["f64"];
    c.same("prior_bpd", bound.prior, numbers(expected["prior_bpd"]));
    c.same("vb", by_item(bound.terms), numbers(expected["vb"]));
    c.same("xstart_mse", by_item(bound.sample_errors), numbers(expected["xstart_mse"]));
    c.same("mse", by_item(bound.noise_errors), numbers(expected["mse"]));
    c.same("total_bpd", bound.total(), numbers(expected["total_bpd"]));
  });
}

}  // namespace

std::vector<outcome> replay_guided_losses(const json& file) {
  std::vector<outcome> outcomes;
  if (file.contains("calc_bpd_loop"))
    for (const json& recorded : file["calc_bpd_loop"]) outcomes.push_back(replay_bound(recorded));
  if (!file.contains("cases")) return outcomes;
  for (const json& recorded : file["cases"]) {
    if (recorded.contains("loss_type"))
      outcomes.push_back(replay_loss(recorded));
    else if (!recorded.contains("method") && !recorded.contains("betas"))
      outcomes.push_back({recorded.value("id", ""), "guided-diffusion", "", verdict::failed, 0,
                          "no driver for a case without method, betas or loss_type"});
  }
  return outcomes;
}

}  // namespace reference
