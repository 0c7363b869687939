// Recorded cases of composed, projected, thresholded and annealed guidance.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "drive.hpp"
#include "guidance.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/guidance/corrected.hpp"
#include "tweedie/guidance/frequency.hpp"
#include "tweedie/guidance/several.hpp"
#include "tweedie/guidance/threshold.hpp"

namespace reference {
namespace {

using namespace tweedie;
using list = std::vector<double>;

template <guidance_rule R>
list guided(const R& rule, const std::vector<list>& outputs, std::size_t items = 1) {
  list to(outputs.front().size());
  guided_outputs<double, R> guide(rule, to.size(), items);
  guide({}, pointers(outputs), to);
  return to;
}

list frame_scales(const json& recorded) {
  const json& p = recorded.at("params");
  const std::string rule = recorded.at("rule");
  if (rule == "VanillaCFG") return {p.at("scale")};
  const std::size_t frames = p.at("num_frames");
  const double high = p.at("max_scale"), low = p.value("min_scale", 1.0);
  if (rule == "LinearPredictionGuider") return linear_frames(low, high, frames);
  if (rule == "SpatiotemporalPredictionGuider") {
    const std::size_t views = p.value("num_views", std::size_t{1});
    return spatiotemporal_frames(low, high, frames / views, views);
  }
  if (rule == "TrapezoidPredictionGuider") {
    // Ones between two ramps.
    const auto edge =
        static_cast<std::size_t>(static_cast<double>(frames) * p.value("edge_perc", 0.1));
    list w(frames, 1.0);
    const list ramp = linear_frames(low, high, edge);
    std::copy(ramp.begin(), ramp.end(), w.begin());
    std::copy(ramp.rbegin(), ramp.rend(), w.end() - static_cast<std::ptrdiff_t>(edge));
    return w;
  }
  one_of("rule", rule, {"TrianglePredictionGuider"});
  const list periods = p.contains("period") ? numbers(p["period"]) : list{1};
  const std::string fusing = one_of("period_fusing", p.value("period_fusing", std::string("max")),
                                    {"max", "mean", "multiply"});
  list fused(frames, fusing == "multiply" ? 1 : 0);
  for (const double period : periods) {
    const list one = triangle_frames(0, 1, frames, period);
    for (std::size_t f = 0; f < frames; ++f)
      fused[f] = fusing == "multiply" ? fused[f] * one[f]
                 : fusing == "mean"   ? fused[f] + one[f] / static_cast<double>(periods.size())
                                      : std::max(fused[f], one[f]);
  }
  for (double& v : fused) v = low + (high - low) * v;
  return fused;
}

}  // namespace

std::vector<outcome> replay_guidance_composed(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& r : file.at("cases")) {
    const std::string rule = r.at("rule");
    outcomes.push_back(attempt(r.at("id"), rule, "guidance", [&](comparison& c) {
      const list expected = numbers(in_double(r, "pred"));
      std::vector<list> outputs{tensor(file, r.at("uncond"))};
      if (rule == "composable") {
        for (const list& y : named_tensors(file, r.at("cond"))) outputs.push_back(y);
        const list w = numbers(r.at("weights"));
        c.same("pred", guided(branch_weights{composed_scales(w)}, outputs), expected);
      } else if (rule == "ip2p") {
        outputs.push_back(tensor(file, r.at("cond_image")));
        outputs.push_back(tensor(file, r.at("cond_text_image")));
        c.same("pred", guided(dual_guidance(r.at("text_scale"), r.at("image_scale")), outputs),
               expected);
      } else {
        outputs.push_back(tensor(file, r.at("cond")));
        const list scales = frame_scales(r);
        c.same("scale", scales, numbers(in_double(r, "scale")));
        const varying by_frame{[&](const guidance_point& p) {
          const double w = scales[p.item % scales.size()];
          return branch_weights{{1 - w, w}};
        }};
        c.same("pred", guided(by_frame, outputs, r.at("shape").at(0)), expected);
      }
    }));
  }
  return outcomes;
}

std::vector<outcome> replay_perp_neg(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& r : file.at("cases")) {
    const std::string variant = r.at("variant");
    outcomes.push_back(attempt(r.at("id"), "Perp-Neg", variant, [&](comparison& c) {
      const list uncond = tensor(file, r.at("uncond"));
      std::vector<list> outputs{uncond};
      perpendicular_negative rule{1, {}, 0};
      std::vector<list> of_item;
      std::size_t items = 1;
      if (variant == "pipeline") {
        for (const char* name : {"pos", "neg"})
          for (const list& y : named_tensors(file, r.at(name))) outputs.push_back(y);
        // The reference gives prompt i the weight of prompt i - 1, and negative weights by size.
        const list positive = numbers(r.at("w_pos")), negative = numbers(r.at("w_neg"));
        for (std::size_t i = 0; i + 1 < r.at("pos").size(); ++i) rule.others.push_back(positive[i]);
        for (const double w : negative) rule.others.push_back(-std::abs(w));
        of_item.push_back(rule.others);
      } else {
        one_of("variant", variant, {"dreamfusion"});
        for (const list& y : named_tensors(file, r.at("preds"))) outputs.push_back(y);
        items = r.at("shape").at(0);
        rule.floor = 1e-6;
        for (std::size_t item = 0; item < items; ++item) {
          of_item.emplace_back();
          for (std::size_t k = 1; k < r.at("weights").size(); ++k) {
            const double w = r["weights"][k].at(item);
            of_item.back().push_back(std::abs(w) > 1e-4 ? w : 0);
          }
        }
      }
      const auto of_scale = [&](double scale) {
        return varying{[=](const guidance_point& p) {
          return perpendicular_negative{scale, of_item[p.item], rule.floor};
        }};
      };
      list delta = guided(of_scale(1), outputs, items);
      for (std::size_t i = 0; i < delta.size(); ++i) delta[i] -= uncond[i];
      c.same("delta_out", delta, numbers(r.at("delta_out")));
      c.same("pred", guided(of_scale(r.at("guidance_scale")), outputs, items),
             numbers(in_double(r, "pred")));
    }));
  }
  return outcomes;
}

std::vector<outcome> replay_cads(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& r : file.at("cases"))
    outcomes.push_back(attempt(r.at("id"), "CADS", "guidance", [&](comparison& c) {
      const list y = tensor(file, r.at("y")), noise = tensor(file, r.at("noise"));
      list out(y.size());
      for (std::size_t k = 0; k < r.at("steps").size(); ++k) {
        const double t = 1 - r["steps"][k].get<double>() / r.at("total_steps").get<double>();
        const double gamma = annealing(t, r.at("tau1"), r.at("tau2"));
        c.same("t", t, r.at("t").at(k));
        c.same("gamma", gamma, r.at("gamma").at(k));
        const double psi = r.at("rescale") ? r.at("psi").get<double>() : 0;
        anneal_condition(y, noise, gamma, r.at("noise_scale"), psi, out);
        c.same("out", out, numbers(r.at("out").at(k)));
      }
    }));
  return outcomes;
}

std::vector<outcome> replay_dynamic_thresholding(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& r : file.at("cases"))
    outcomes.push_back(attempt(r.at("id"), "dynamic threshold", r.at("impl"), [&](comparison& c) {
      one_of("impl", r.at("impl"), {"imagen", "diffusers"});
      dynamic_threshold rule{r.at("percentile")};
      if (r.contains("sample_max_value")) rule.maximum = r["sample_max_value"];
      if (!r.value("dynamic", true)) rule.maximum = 1;
      list x = tensor(file, r.at("x"));
      rule(std::span(x), r.at("shape").at(0).get<std::size_t>(), node{});
      c.same("out", x, numbers(in_double(r, "out")));
    }));
  return outcomes;
}

std::vector<outcome> replay_perturbed_pipelines(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& r : file.at("cases"))
    outcomes.push_back(attempt(r.at("id"), r.at("rule"), "guidance", [&](comparison& c) {
      if (r.at("rule") == "seg_blur") {
        const list x = tensor(file, r.at("x"));
        const std::size_t batch = r.at("shape").at(0), channels = r.at("shape").at(2);
        const double sigma = r.at("sigma");
        const auto smoothed = [&](double s) {
          list all;
          const std::size_t length = x.size() / batch;
          for (std::size_t b = 0; b < batch; ++b)
            for (const double v :
                 smoothed_queries(std::span(x).subspan(b * length, length), channels, s))
              all.push_back(v);
          return all;
        };
        // As shipped the two branches are swapped.
        const bool beyond = sigma > r.at("threshold").get<double>();
        c.same("out", smoothed(beyond ? sigma : INFINITY), numbers(in_double(r, "out")));
        c.same("intended", smoothed(beyond ? INFINITY : sigma), numbers(r.at("intended_f64")));
        return;
      }
      one_of("rule", r.at("rule"), {"pag_pipeline"});
      const double s = std::max(
          0.0, r.at("pag_scale").get<double>() - r.at("pag_adaptive_scale").get<double>() *
                                                     (1000 - r.at("timestep").get<double>()));
      c.same("effective_pag_scale", s, r.at("effective_pag_scale"));
      const bool cfg = r.at("cfg");
      const list conditional = tensor(file, r.at("cond"));
      const std::vector<list> outputs{cfg ? tensor(file, r.at("uncond")) : conditional, conditional,
                                      tensor(file, r.at("perturbed"))};
      c.same("pred",
             guided(perturbed_guidance(cfg ? r.at("guidance_scale").get<double>() : 1, s), outputs),
             numbers(in_double(r, "pred")));
    }));
  return outcomes;
}

}  // namespace reference
