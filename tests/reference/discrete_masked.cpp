// Recorded schedules, parameterisations, losses and samplers of kuleshov-group/mdlm.
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <variant>

#include "discrete.hpp"
#include "kinds.hpp"
#include "tweedie/discrete/masked_bound.hpp"
#include "tweedie/discrete/rates.hpp"
#include "tweedie/discrete/score_entropy.hpp"

namespace reference {
namespace {

using namespace tweedie::discrete;

// What the reference writes for log 0, and adds inside the logarithms of its races.
constexpr double log_of_nothing = -1e6;
constexpr double race_eps = 1e-10;

using any_noise =
    std::variant<log_linear, cosine_survival, cosine_squared_survival, geometric, linear_noise>;
any_noise noise_of(const std::string& type) {
  if (type == "cosine") return cosine_survival{};
  if (type == "cosinesqr") return cosine_squared_survival{};
  if (type == "geometric") return geometric{};
  if (type == "linear") return linear_noise{};
  return log_linear{};
}
double total(const any_noise& n, double t) {
  return std::visit([t](const auto& s) { return s.total(t); }, n);
}
double rate_at(const any_noise& n, double t) {
  return std::visit([t](const auto& s) { return s.rate(t); }, n);
}
// The reference's ends: its log-linear noise starts at eps, not at 0.
double least(const any_noise& n) {
  return std::holds_alternative<log_linear>(n) ? std::get<log_linear>(n).eps : total(n, 0);
}
double importance_time(const any_noise& n, double t) {
  const double sigma = equal_weight_noise(least(n), total(n, 1), t);
  if (const auto* linear = std::get_if<linear_noise>(&n))
    return (sigma - linear->min) / (linear->max - linear->min);
  return -std::expm1(-sigma) / (1 - std::get<log_linear>(n).eps);
}

void same_where_finite(comparison& c, const char* what, std::span<const double> ours,
                       const std::vector<double>& theirs) {
  if (!c.same_size(what, ours.size(), theirs.size())) return;
  for (std::size_t i = 0; i < ours.size(); ++i)
    if (!std::isnan(theirs[i])) c.same(what, ours[i], theirs[i]);
}

std::vector<double> sedd_log_scores(std::span<const double> logits, token x, double sigma) {
  std::vector<double> out(logits.begin(), logits.end());
  const double shift =
      std::log(std::expm1(sigma)) + std::log(static_cast<double>(logits.size() - 1));
  for (double& v : out) v -= shift;
  out[static_cast<std::size_t>(x)] = 0;
  return out;
}

std::vector<double> d3pm_log_probabilities(std::span<const double> logits, token mask,
                                           bool masking) {
  std::vector<double> row(logits.begin(), logits.end()), out(logits.size());
  if (masking) row[static_cast<std::size_t>(mask)] += log_of_nothing;
  log_softmax(std::span<const double>(row), std::span<double>(out));
  return out;
}

struct model {
  std::string parameterization = "subs";
  bool subs_masking = false;
  token mask = 0;

  explicit model(const json& recorded) {
    static const json none = json::object();
    const json& settings = recorded.contains("settings") ? recorded["settings"] : none;
    parameterization = recorded.value("parameterization", settings.value("param", "subs"));
    subs_masking = recorded.value("subs_masking", settings.value("subs_masking", false));
    mask = recorded.value("mask_index", recorded["shape"][2].get<token>() - 1);
  }
  std::vector<double> operator()(std::span<const double> logits, token x, double sigma) const {
    if (parameterization == "sedd") return sedd_log_scores(logits, x, sigma);
    if (parameterization == "d3pm") return d3pm_log_probabilities(logits, mask, subs_masking);
    std::vector<double> out(logits.size());
    unmasking_log_probabilities(logits, x, mask, std::span<double>(out), log_of_nothing);
    return out;
  }
};

alphabet symbols_of(std::size_t n, token mask) { return {n - 1, mask}; }

void replay_loss(const json& recorded, const named_tensors& tensor, comparison& c) {
  const json& settings = recorded["settings"];
  const any_noise noise = noise_of(settings.value("noise", "loglinear"));
  const model m(recorded);
  const std::size_t items = recorded["shape"][0], length = recorded["shape"][1],
                    n = recorded["shape"][2];
  const std::vector<double> logits = tensor(recorded["logits"]);
  const std::vector<token> x_0 = tokens_of(recorded["x0"]);
  const std::vector<double> u_time = uniforms_of(recorded["draws"][0]),
                            u_mask = uniforms_of(recorded["draws"][1]);
  const double steps = settings.value("T", 0);
  std::vector<double> values;
  std::vector<token> x_t = x_0;
  for (std::size_t b = 0; b < items; ++b) {
    double t = u_time[b];
    if (settings.value("anti", false))
      t = std::fmod(
          t / static_cast<double>(items) + static_cast<double>(b) / static_cast<double>(items),
          1.0);
    t = (1 - 1e-3) * t + 1e-3;
    if (settings.value("imp", false)) t = importance_time(noise, t);
    if (steps > 0) t = std::trunc(t * steps) / steps + 1 / steps;
    const bool change = settings.value("cov", false);
    const double sigma =
        change ? equal_weight_noise(least(noise), total(noise, 1), t) : total(noise, t);
    const double moved = -std::expm1(-sigma);
    const double conditioning = settings.value("tc", false) ? sigma : 0.0;
    for (std::size_t i = b * length; i < (b + 1) * length; ++i) {
      if (u_mask[i] < moved) x_t[i] = m.mask;
      const std::span<const double> row(logits.data() + i * n, n);
      const std::vector<double> out = m(row, x_t[i], conditioning);
      const double log_p = out[static_cast<std::size_t>(x_0[i])];
      if (m.parameterization == "sedd") {
        const std::vector<double> scores = m(row, x_t[i], conditioning);
        // NaN in the reference where scores are infinite, which the library refuses.
        try {
          values.push_back(x_t[i] != m.mask
                               ? 0
                               : rate_at(noise, t) *
                                     score_entropy(absorbing_rates,
                                                   kernel_of(absorbing_rates, sigma),
                                                   symbols_of(n, m.mask), x_t[i], x_0[i], scores));
        } catch (const std::invalid_argument&) {
          values.push_back(std::numeric_limits<double>::quiet_NaN());
        }
      } else if (steps > 0) {
        double value = 0;
        const double clamped = std::min(t, 1 - 1e-4);
        if (x_t[i] == m.mask)
          value = steps * masked_step_bound(log_p, std::exp(out[static_cast<std::size_t>(m.mask)]),
                                            clamped, 1 / steps);
        if (m.parameterization == "d3pm")
          value -= m(row, x_0[i], 0)[static_cast<std::size_t>(x_0[i])];
        values.push_back(value);
      } else {
        const double weight = change || settings.value("imp", false)
                                  ? -std::log1p(-std::exp(-least(noise)))
                                  : rate_at(noise, t) / std::expm1(sigma);
        const token one[] = {x_0[i]}, noised[] = {x_t[i]};
        values.push_back(masked_bound(logits_view<double>(row, n), one, noised, m.mask,
                                      std::span(&weight, 1))[0]);
      }
    }
  }
  c.same("xt", as_numbers(x_t), numbers(recorded["xt"]));
  same_where_finite(c, "loss_per_token", values, numbers(precise(recorded, "loss_per_token")));
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  same_where_finite(c, "token_nll", std::span(&mean, 1), numbers(precise(recorded, "token_nll")));
}

// Weights of the next token at every position, and the choice.
struct update {
  std::vector<double> weights;
  std::vector<token> next;
};
update take(const std::string& predictor, const model& m, const any_noise& noise,
            const std::vector<double>& logits, const std::vector<token>& x, std::size_t n, double t,
            double dt, const std::vector<double>& u, bool time_conditioning) {
  const alphabet symbols = symbols_of(n, m.mask);
  update out;
  const double sigma = total(noise, t);
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<double> p =
        m(std::span(logits.data() + i * n, n), x[i], time_conditioning ? sigma : 0.0);
    for (double& v : p) v = std::exp(v);
    std::vector<double> weights(n), ratios(n);
    if (predictor == "ddpm" || predictor == "ddpm_cache") {
      // The cached update takes the masking probability for the time itself.
      const double at_t = predictor == "ddpm" ? -std::expm1(-sigma) : t;
      const double at_s = predictor == "ddpm" ? -std::expm1(-total(noise, t - dt)) : t - dt;
      const token_kernel to_s = absorbing_kernel(1 - at_s), to_t = absorbing_kernel(1 - at_t);
      reverse(to_s, between(to_s, to_t), symbols, m.mask, p, weights);
      // The reference leaves out the division by the probability of the evidence.
      for (double& w : weights) w *= at_t;
    } else {
      if (m.parameterization == "subs")
        masked_ratios(symbols, x[i], p, 1 / std::expm1(sigma), ratios);
      else
        ratios = p;
      const double passed = predictor == "analytic" ? sigma - total(noise, t - dt) : sigma;
      analytic_weights(kernel_of(absorbing_rates, passed), symbols, x[i], ratios, weights);
      if (predictor == "denoiser") weights[static_cast<std::size_t>(m.mask)] = 0;
    }
    const auto won = static_cast<token>(race(
        weights, [&](std::size_t k) { return u[i * n + k]; }, race_eps));
    const bool keeps = predictor.starts_with("ddpm") && x[i] != m.mask;
    out.next.push_back(keeps ? x[i] : won);
    out.weights.insert(out.weights.end(), weights.begin(), weights.end());
  }
  return out;
}

void replay_update(const json& recorded, const std::string& predictor, const named_tensors& tensor,
                   comparison& c) {
  const model m(recorded);
  const json& settings = recorded["settings"];
  const update u =
      take(predictor, m, noise_of(settings.value("noise", "loglinear")), tensor(recorded["logits"]),
           tokens_of(recorded["x"]), recorded["shape"][2], recorded["t"],
           recorded["dt"].is_null() ? 0.0 : recorded["dt"].get<double>(),
           uniforms_of(recorded["draws"][0]), settings.value("tc", true));
  c.same("q", u.weights, numbers(precise(recorded, "q")));
  c.same("x_next", as_numbers(u.next), numbers(precise(recorded, "x_next")));
}

void replay_sample(const json& recorded, const named_tensors& tensor, comparison& c) {
  const model m(recorded);
  const json& settings = recorded["settings"];
  const any_noise noise = noise_of(settings.value("noise", "loglinear"));
  const std::string predictor = settings["predictor"];
  const bool conditioned = settings.value("tc", false);
  const int steps = recorded["num_steps"];
  const double eps = recorded["eps"];
  const std::size_t n = recorded["shape"][2];
  std::vector<token> x(
      recorded["shape"][0].get<std::size_t>() * recorded["shape"][1].get<std::size_t>(), m.mask);
  std::vector<std::vector<double>> inputs;
  std::vector<double> logits;
  std::size_t call = 0, draw = 0;
  const auto evaluate = [&] {
    inputs.push_back(as_numbers(x));
    logits = tensor(recorded["logits"][call++]);
  };
  const double dt = (1 - eps) / steps;
  std::vector<token> cached_for;
  for (int k = 0; k < steps; ++k) {
    // Without time in the network, the same tokens get the same answer.
    if (predictor != "ddpm_cache" || conditioned || cached_for != x) evaluate();
    cached_for = x;
    const double t = 1 + (eps - 1) * k / steps;
    x = take(predictor, m, noise, logits, x, n, t, dt, uniforms_of(recorded["draws"][draw++]),
             conditioned)
            .next;
  }
  if (settings.value("nr", true)) {
    evaluate();
    if (predictor == "analytic") {
      x = take("denoiser", m, noise, logits, x, n, eps, 0, uniforms_of(recorded["draws"][draw++]),
               conditioned)
              .next;
    } else {
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::vector<double> p =
            m(std::span(logits.data() + i * n, n), x[i], total(noise, eps));
        x[i] = static_cast<token>(arg_max(p.data(), n));
      }
    }
  }
  c.same("network_inputs", inputs, tensors(recorded["network_inputs"]));
  c.same("draws used", static_cast<double>(draw), static_cast<double>(recorded["draws"].size()));
  c.same("x_final", as_numbers(x), numbers(recorded["x_final"]));
}

void replay_case(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::string op = recorded["op"];
  if (op == "noise_schedule") {
    const any_noise noise = noise_of(recorded["type"]);
    std::vector<double> totals, rates, times;
    for (const double t : numbers(recorded["t"])) {
      totals.push_back(total(noise, t));
      rates.push_back(rate_at(noise, t));
      if (recorded.contains("importance_sampling_transformation"))
        times.push_back(importance_time(noise, t));
    }
    c.same("total", totals, numbers(precise(recorded, "total")));
    c.same("rate", rates, numbers(precise(recorded, "rate")));
    if (!times.empty())
      same_where_finite(c, "importance_sampling_transformation", times,
                        numbers(precise(recorded, "importance_sampling_transformation")));
  } else if (op == "parameterization") {
    const model m(recorded);
    const std::size_t length = recorded["shape"][1], n = recorded["shape"][2];
    const std::vector<double> logits = tensor(recorded["logits"]);
    const std::vector<token> x = tokens_of(recorded["x"]);
    std::vector<double> all;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::vector<double> out =
          m(std::span(logits.data() + i * n, n), x[i], recorded["sigma"][i / length]);
      all.insert(all.end(), out.begin(), out.end());
    }
    c.same("out", all, numbers(precise(recorded, "out")));
  } else if (op == "loss") {
    replay_loss(recorded, tensor, c);
  } else if (op == "sample") {
    replay_sample(recorded, tensor, c);
  } else if (op == "ddpm_update") {
    replay_update(recorded, "ddpm", tensor, c);
  } else if (op == "ddpm_caching_update") {
    replay_update(recorded, "ddpm_cache", tensor, c);
  } else if (op == "analytic_update") {
    replay_update(recorded, "analytic", tensor, c);
  } else if (op == "denoiser_update") {
    replay_update(recorded, "denoiser", tensor, c);
  } else {
    throw std::runtime_error("unknown op " + op);
  }
}

}  // namespace

std::vector<outcome> replay_discrete_masked(const json& file, const std::string& name) {
  const named_tensors tensor(file);
  std::vector<outcome> all =
      replay_cases(file, name, "op", [&](const json& recorded, comparison& c) {
        if (recorded["op"] != "d3pm_loss_at_first_step") replay_case(recorded, tensor, c);
      });
  for (std::size_t i = 0; i < all.size(); ++i) {
    const json& recorded = file["cases"][i];
    const bool nothing = recorded["op"] == "d3pm_loss_at_first_step";
    if (nothing || (recorded.contains("loss_per_token") && [&] {
          for (const double v : numbers(recorded["loss_per_token"]))
            if (!std::isnan(v)) return false;
          return true;
        }())) {
      all[i].result = verdict::skipped;
      all[i].message = nothing
                           ? "NaN in the reference (0 / 0 at t = 1 / T); here the term is finite"
                           : "NaN in the reference; refused here";
    }
  }
  return all;
}

}  // namespace reference
