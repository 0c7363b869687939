// Recorded steps of the guiders of diffusers.
#include "guidance.hpp"

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "drive.hpp"
#include "tweedie/guidance/corrected.hpp"
#include "tweedie/guidance/frequency.hpp"
#include "tweedie/guidance/projected.hpp"
#include "tweedie/guidance/several.hpp"

namespace reference {
namespace {

using namespace tweedie;
using list = std::vector<double>;

// The same values with other axes in front: `order` lists the old axes.
list permuted(const list& from, const std::vector<std::size_t>& shape,
              const std::vector<std::size_t>& order, bool back) {
  std::vector<std::size_t> stride(shape.size(), 1);
  for (std::size_t a = shape.size(); a-- > 1;) stride[a - 1] = stride[a] * shape[a];
  list to(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t rest = i, source = 0;
    for (std::size_t k = order.size(); k-- > 0;) {
      source += rest % shape[order[k]] * stride[order[k]];
      rest /= shape[order[k]];
    }
    if (back)
      to[source] = from[i];
    else
      to[i] = from[source];
  }
  return to;
}

// Settings of a guider and the state that its steps share.
class guider {
 public:
  guider(const json& file, const json& recorded)
      : file_(file),
        case_(recorded),
        kind_(one_of("guider", recorded.at("guider"),
                     {"ClassifierFreeGuidance", "AutoGuidance", "AdaptiveProjectedGuidance",
                      "AdaptiveProjectedMixGuidance", "ClassifierFreeZeroStarGuidance",
                      "TangentialClassifierFreeGuidance", "MagnitudeAwareGuidance",
                      "SkipLayerGuidance", "PerturbedAttentionGuidance", "SmoothedEnergyGuidance",
                      "FrequencyDecoupledGuidance"})),
        params_(recorded.at("params")),
        shape_(recorded.at("shape").get<std::vector<std::size_t>>()),
        size_(std::accumulate(shape_.begin(), shape_.end(), std::size_t{1}, std::multiplies<>())),
        total_(recorded.at("num_inference_steps")),
        original_(params_.value("use_original_formulation", false)) {
    for (std::size_t a = 0; a < shape_.size(); ++a) order_.push_back(a);
    if (params_.contains("adaptive_projected_guidance_norm_dim") &&
        !params_["adaptive_projected_guidance_norm_dim"].is_null())
      norms_over(params_["adaptive_projected_guidance_norm_dim"]);
  }

  void replay(comparison& c) {
    const bool raises = case_.contains("raises");
    for (std::size_t k = 0; k < case_.at("steps").size(); ++k) {
      point_ = {{}, case_["steps"][k], total_, 0};
      const json& inputs = case_.at("inputs");
      const json& names = inputs.at(inputs.size() == 1 ? 0 : k);
      std::vector<list> outputs;
      // The unconditional output first.
      for (const char* name : {"pred_uncond", "pred_cond", "pred_cond_skip", "pred_cond_seg"})
        if (names.contains(name)) outputs.push_back(tensor(file_, names[name]));
      if (kind_ == "FrequencyDecoupledGuidance") {
        frequencies(c, outputs, k);
        continue;
      }
      const list before = memory_;
      const list plain = step(outputs, 0);
      memory_ = before;
      const list ours = step(outputs, phi());
      if (raises) {  // one element per item: no spread and no second direction
        const auto w = scale() + (original_ ? 1 : 0);
        for (std::size_t i = 0; i < size_; ++i)
          c.same("plain guidance", ours[i], (1 - w) * outputs[0][i] + w * outputs[1][i]);
        continue;
      }
      list expected = numbers(in_double(case_, "pred").at(k));
      if (!c.same_size("pred", ours.size(), expected.size())) return;
      // Where the reference divides 0 by 0 the library does not rescale.
      for (std::size_t i = 0; i < size_; ++i)
        if (std::isnan(expected[i])) expected[i] = plain[i];
      for (const double v : ours)
        if (!std::isfinite(v)) c.fail("not finite");
      c.same("pred[" + std::to_string(k) + "]", ours, expected);
      calls(c, k);
    }
    if (case_.contains("momentum_after") && case_["momentum_after"].is_array())
      c.same("momentum_after", memory_, numbers(case_["momentum_after"]));
  }

 private:
  void norms_over(const json& axes) {
    std::vector<bool> taken(shape_.size());
    const auto take = [&](int a) {
      taken[static_cast<std::size_t>(a < 0 ? a + static_cast<int>(shape_.size()) : a)] = true;
    };
    if (axes.is_array())
      for (const json& a : axes) take(a);
    else
      take(axes);
    order_.clear();
    for (const bool wanted : {false, true})
      for (std::size_t a = 0; a < shape_.size(); ++a)
        if (taken[a] == wanted) order_.push_back(a);
    groups_ = 1;
    for (std::size_t a = 0; a < shape_.size(); ++a)
      if (!taken[a]) groups_ *= shape_[a];
  }

  double scale() const {
    return params_.value("guidance_scale", kind_ == "MagnitudeAwareGuidance"         ? 10.0
                                           : kind_ == "AdaptiveProjectedMixGuidance" ? 3.5
                                                                                     : 7.5);
  }
  double phi() const { return params_.value("guidance_rescale", 0.0); }
  bool neutral(double w) const {
    return original_ ? w == 0 : std::abs(w - 1) <= 1e-9 * std::max(1.0, std::abs(w));
  }
  bool within(double start, double stop) const { return step_interval{start, stop}(point_); }
  bool on() const {
    return params_.value("enabled", true) && !neutral(scale()) &&
           within(params_.value("start", 0.0), params_.value("stop", 1.0));
  }
  // Of the second guidance: its scale, 0 where it is off.
  double second_scale() const {
    const std::string prefix = kind_ == "SkipLayerGuidance"            ? "skip_layer_guidance_"
                               : kind_ == "PerturbedAttentionGuidance" ? "perturbed_guidance_"
                                                                       : "seg_guidance_";
    const bool all = kind_ == "SmoothedEnergyGuidance";
    const auto n = static_cast<double>(total_), s = static_cast<double>(point_.step);
    const bool here = std::floor(params_.value(prefix + "start", all ? 0.0 : 0.01) * n) < s &&
                      s < std::floor(params_.value(prefix + "stop", all ? 1.0 : 0.2) * n);
    return here && params_.value("enabled", true) ? params_.value(prefix + "scale", 2.8) : 0;
  }
  bool has_second() const {
    return kind_ == "SkipLayerGuidance" || kind_ == "PerturbedAttentionGuidance" ||
           kind_ == "SmoothedEnergyGuidance";
  }
  std::size_t items() const { return shape_.front(); }

  template <guidance_rule R>
  list guided(const R& rule, const std::vector<list>& outputs, double phi) const {
    list to(size_);
    guided_outputs<double, rescaled<R>> guide({rule, phi}, size_, items());
    guide(point_, pointers(outputs), to);
    return to;
  }

  list step(const std::vector<list>& outputs, double phi) {
    const double w = scale() + (original_ ? 1 : 0);
    const auto where = [on = on()](const guidance_point&) { return on; };
    const bool enabled = params_.value("enabled", true);
    if (kind_ == "AdaptiveProjectedGuidance" || kind_ == "AdaptiveProjectedMixGuidance")
      return projected(outputs, phi);
    if (kind_ == "ClassifierFreeZeroStarGuidance")
      return guided(zero_first{only_where{zero_star{w, 1e-8}, where},
                               enabled ? params_.value("zero_init_steps", std::size_t{1}) : 0},
                    outputs, phi);
    if (kind_ == "TangentialClassifierFreeGuidance")
      return guided(only_where{tangential{w}, where}, outputs, phi);
    if (kind_ == "MagnitudeAwareGuidance")
      return guided(only_where{magnitude_aware{w, params_.value("alpha", 8.0)}, where}, outputs,
                    phi);
    if (has_second()) {
      const double s = second_scale();
      branch_weights weights = perturbed_guidance(on() ? w : 1, s);
      // diffusers counts from the perturbed output where there is no unconditional one.
      if (!on() && s != 0 && !original_) weights = perturbed_guidance(1, s - 1);
      return guided(weights, outputs, phi);
    }
    return guided(only_where{branch_weights{{1 - w, w}}, where}, outputs, phi);
  }

  list projected(const std::vector<list>& outputs, double phi) {
    const bool mix = kind_ == "AdaptiveProjectedMixGuidance";
    const std::string prefix = "adaptive_projected_guidance_";
    const json given = params_.contains(prefix + "momentum") ? params_[prefix + "momentum"]
                       : mix                                 ? json(-0.5)
                                                             : json(nullptr);
    // The running average exists from a step 0 on.
    if (point_.step == 0 && !given.is_null()) memory_.assign(size_, 0.0);
    const double apg_scale = mix ? params_.value(prefix + "scale", 10.0) : scale();
    const double limit =
        params_.contains(prefix + "rescale") && params_[prefix + "rescale"].is_null()
            ? 0
            : params_.value(prefix + "rescale", mix ? 10.0 : 15.0);
    const adaptive_projected rule{
        apg_scale + (original_ ? 1 : 0), params_.value("eta", mix ? 0.0 : 1.0), limit,
        memory_.empty() ? 0 : given.get<double>(),
        original_ ? guidance_base::conditional : guidance_base::unconditional};
    const std::size_t start = mix ? params_.value(prefix + "start_step", std::size_t{5}) : 0;
    // A neutral second scale keeps the plain guidance.
    const bool plain = mix && (point_.step <= start || neutral(apg_scale));
    const bool here = on();
    const auto where = [here](const guidance_point&) { return here; };
    const adaptive_projected_mix mixed{scale() + (original_ ? 1 : 0), plain ? point_.step : start,
                                       rule};

    std::vector<list> ordered;
    for (const list& y : outputs) ordered.push_back(permuted(y, shape_, order_, false));
    list to(size_);
    const auto apply = [&](const auto& of_step, std::size_t groups) {
      using rule_type = std::remove_cvref_t<decltype(of_step)>;
      guided_outputs<double, rule_type> guide(of_step, size_, groups);
      // A momentum of 0 still keeps the last difference in the reference.
      if (!memory_.empty() && guide.remembered().size() == size_) {
        const list before = permuted(memory_, shape_, order_, false);
        std::copy(before.begin(), before.end(), guide.remembered().begin());
      }
      guide(point_, pointers(ordered), to);
      if (!memory_.empty() && guide.remembered().size() == size_)
        memory_ =
            permuted({guide.remembered().begin(), guide.remembered().end()}, shape_, order_, true);
      to = permuted(to, shape_, order_, true);
    };
    const auto apply_either = [&](const auto& of_step) {
      if (groups_ == 0)
        apply(rescaled{of_step, phi}, items());
      else
        apply(of_step, groups_);
    };
    if (mix)
      apply_either(only_where{mixed, where});
    else
      apply_either(only_where{rule, where});
    // Norms over other axes: spreads are still those of whole items.
    if (groups_ != 0) to = guided(branch_weights{{1, 0}}, {to, outputs[1]}, phi);
    return to;
  }

  void frequencies(comparison& c, const std::vector<list>& outputs, std::size_t k) const {
    const list scales =
        params_.contains("guidance_scales") ? numbers(params_["guidance_scales"]) : list{10, 5};
    const auto per_level = [&](const char* name, double otherwise) {
      list all(scales.size(), otherwise);
      if (!params_.contains(name) || params_[name].is_null()) return all;
      const json& value = params_[name];
      if (!value.is_array()) return list(scales.size(), value.get<double>());
      return numbers(value);
    };
    const list weight = per_level("parallel_weights", 1), start = per_level("start", 0),
               stop = per_level("stop", 1), phis = per_level("guidance_rescale", 0);
    const bool bands = params_.value("guidance_rescale_space", std::string("data")) == "freq";
    bool any = false;
    std::vector<rescaled<adaptive_projected>> rules;
    for (std::size_t i = 0; i < scales.size(); ++i) {
      const bool here =
          params_.value("enabled", true) && !neutral(scales[i]) && within(start[i], stop[i]);
      any = any || here;
      const double w = here ? scales[i] + (original_ ? 1 : 0) : 1;
      const guidance_base base =
          original_ || !here ? guidance_base::conditional : guidance_base::unconditional;
      rules.push_back({{w, weight[i], 0, 0, base}, bands ? phis[i] : 0});
    }
    // Both sides are padded where neither is a power of two.
    const std::size_t h = shape_[shape_.size() - 2], w = shape_.back();
    const auto power = [](std::size_t n) { return (n & (n - 1)) == 0; };
    std::size_t high = h, wide = w;
    if (!power(h) && !power(w)) {
      while (!power(high)) ++high;
      while (!power(wide)) ++wide;
    }
    const std::size_t planes = size_ / (h * w);
    const auto padded = [&](const list& y) {
      list to;
      for (std::size_t p = 0; p < planes; ++p)
        for (std::size_t i = 0; i < high; ++i)
          for (std::size_t j = 0; j < wide; ++j)
            to.push_back(
                y[(p * h + tweedie::detail::reflected(static_cast<std::ptrdiff_t>(i), h)) * w +
                  tweedie::detail::reflected(static_cast<std::ptrdiff_t>(j), w)]);
      return to;
    };
    list to = outputs[1];
    if (any) {
      std::vector<list> padded_outputs{padded(outputs[0]), padded(outputs[1])};
      const frequency_decoupled<rescaled<adaptive_projected>> mixer{{planes / items(), high, wide},
                                                                    rules};
      to.resize(padded_outputs[1].size());
      const bool refused = case_.contains("raises") && !case_.contains("intended_pred");
      try {
        mixer(point_, std::span<const double* const>(pointers(padded_outputs)), std::span(to));
        if (refused) c.fail("accepted what the reference refuses");
      } catch (const std::invalid_argument&) {
        if (!refused) throw;
      }
      if (refused) return;
    }
    // Spreads are unbiased: of the padded output, but of the conditional one without padding.
    for (std::size_t item = 0; !bands && phis[0] > 0 && item < items(); ++item) {
      const auto deviation = [&](const list& all) {
        const std::size_t n = all.size() / items();
        const double* const from = all.data() + item * n;
        const double mean = std::accumulate(from, from + n, 0.0) / static_cast<double>(n);
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i) sum += (from[i] - mean) * (from[i] - mean);
        return std::sqrt(sum / static_cast<double>(n - 1));
      };
      const double ratio = deviation(outputs[1]) / deviation(to);
      for (std::size_t i = 0; i < to.size() / items(); ++i)
        to[item * (to.size() / items()) + i] *= phis[0] * ratio + 1 - phis[0];
    }
    const char* const field = case_.contains("raises") ? "intended_pred" : "pred";
    c.same(field, to, numbers(in_double(case_, field).at(k)));
    if (case_.contains("pyramid") && k == 0) {
      const list y = padded(outputs[1]);
      const auto ours = laplacian_pyramid(y, {planes, high, wide}, case_["pyramid"].size());
      for (std::size_t i = 0; i < ours.size(); ++i)
        c.same("pyramid", ours[i], numbers(case_["pyramid"][i].at("data")));
    }
    if (!case_.contains("raises") && case_.at("forward_calls").at(k).size() != (any ? 2u : 1u))
      c.fail("another number of network calls");
  }

  // Which outputs the reference asks for.
  void calls(comparison& c, std::size_t k) const {
    const bool here = on();
    const bool second = has_second() && second_scale() != 0;
    const std::size_t expected = 1u + (here ? 1u : 0u) + (second ? 1u : 0u);
    if (case_.at("forward_calls").at(k).size() != expected)
      c.fail("asks for " + std::to_string(expected) + " outputs at step " + std::to_string(k));
  }

  const json& file_;
  const json& case_;
  std::string kind_;
  const json& params_;
  std::vector<std::size_t> shape_;
  std::size_t size_;
  std::size_t total_;
  bool original_;
  std::vector<std::size_t> order_;
  std::size_t groups_ = 0;  // 0: norms over items
  guidance_point point_;
  list memory_;
};

}  // namespace

std::vector<outcome> replay_guiders(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& recorded : file.at("cases"))
    outcomes.push_back(attempt(recorded.at("id"), recorded.at("guider"), "guidance",
                               [&](comparison& c) { guider(file, recorded).replay(c); }));
  return outcomes;
}

}  // namespace reference
