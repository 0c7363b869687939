// Recorded graphs, score entropies, losses and samplers of SEDD.
#include <cmath>

#include "discrete.hpp"
#include "kinds.hpp"
#include "tweedie/discrete/score_entropy.hpp"
#include "tweedie/discrete/survival.hpp"

namespace reference {
namespace {

using namespace tweedie::discrete;

constexpr double race_eps = 1e-10;

struct graph {
  token_rates rates;
  alphabet symbols;

  graph(const std::string& name, std::size_t n)
      : rates(one_of("graph", name, {"uniform", "absorbing"}) == "uniform" ? uniform_rates
                                                                           : absorbing_rates),
        symbols{n, name == "uniform" ? -1 : static_cast<token>(n)} {}
  std::size_t dim() const { return symbols.size(); }
  // Two numbers for each token: whether it moves, and where to.
  std::vector<token> corrupted(const std::vector<token>& x, const std::vector<double>& survival,
                               const json& draws, std::size_t first) const {
    const std::vector<double> u = uniforms_of(draws[first]);
    std::vector<token> out = x;
    for (std::size_t i = 0; i < x.size(); ++i)
      if (u[i] < 1 - survival[i])
        out[i] = symbols.mask >= 0
                     ? symbols.mask
                     : static_cast<token>(below(dim(), uniforms_of(draws[first + 1])[i]));
    return out;
  }
};

double total_at(const std::string& noise, double t, double low = 1e-4, double high = 20) {
  one_of("noise", noise, {"geometric", "loglinear"});
  return noise == "geometric" ? geometric{low, high}.total(t) : log_linear{}.total(t);
}
double rate_at(const std::string& noise, double t, double low = 1e-4, double high = 20) {
  one_of("noise", noise, {"geometric", "loglinear"});
  return noise == "geometric" ? geometric{low, high}.rate(t) : log_linear{}.rate(t);
}

std::vector<double> exponentials(std::vector<double> values) {
  for (double& v : values) v = std::exp(v);
  return values;
}

void replay_graph(const json& recorded, const named_tensors& tensor, comparison& c) {
  const graph g(recorded["graph"], recorded["N"]);
  const std::size_t n = g.dim();
  const double sigma = recorded["sigma"];
  const std::vector<token> x = tokens_of(recorded["x"]), x_0 = tokens_of(recorded["x0"]);
  const std::vector<double> log_scores = tensor(recorded["score"]),
                            scores = tensor(recorded["exp_score"]);
  const token_kernel kernel = kernel_of(g.rates, sigma);
  std::vector<double> forward, backward, transition, reversed, staggered, entropy;
  std::vector<double> row(n);
  const auto append = [&](std::vector<double>& to) { to.insert(to.end(), row.begin(), row.end()); };
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto each = [&](const auto& f) {
      for (std::size_t y = 0; y < n; ++y) row[y] = f(static_cast<token>(y));
    };
    const std::span<const double> own(scores.data() + i * n, n);
    each([&](token y) { return rate(g.rates, g.symbols, x[i], y); });
    append(forward);
    each([&](token y) { return rate(g.rates, g.symbols, y, x[i]); });
    append(backward);
    each([&](token y) { return probability(kernel, g.symbols, y, x[i]); });
    append(transition);
    reverse_rates(g.rates, g.symbols, x[i], own, row);
    append(reversed);
    staggered_ratios(kernel, g.symbols, own, row);
    append(staggered);
    // Where masking is the only corruption, an unmasked token has no score entropy.
    entropy.push_back(g.symbols.mask >= 0 && x[i] != g.symbols.mask
                          ? 0
                          : score_entropy(g.rates, kernel, g.symbols, x[i], x_0[i],
                                          {log_scores.data() + i * n, n}));
  }
  c.same("rate", forward, numbers(precise(recorded, "rate")));
  c.same("transp_rate", backward, numbers(precise(recorded, "transp_rate")));
  c.same("transp_transition", transition, numbers(precise(recorded, "transp_transition")));
  c.same("reverse_rate", reversed, numbers(precise(recorded, "reverse_rate")));
  c.same("staggered_score", staggered, numbers(precise(recorded, "staggered_score")));
  c.same("score_entropy", entropy, numbers(precise(recorded, "score_entropy")));
  const std::vector<double> survival(x.size(), kernel.keep);
  const std::vector<double> wanted = numbers(precise(recorded, "sample_transition"));
  const bool from_clean = as_numbers(g.corrupted(x_0, survival, recorded["draws"], 0)) == wanted;
  c.same("sample_transition",
         as_numbers(g.corrupted(from_clean ? x_0 : x, survival, recorded["draws"], 0)), wanted);
}

void replay_loss(const json& recorded, const named_tensors& tensor, comparison& c) {
  const graph g(recorded["graph"], recorded["N"]);
  const std::string noise = recorded["noise"];
  const std::size_t length = recorded["shape"][1], n = g.dim();
  const std::vector<token> x_0 = tokens_of(recorded["x0"]);
  const std::vector<double> log_scores = tensor(recorded["log_score"]);
  const std::vector<double> u = uniforms_of(recorded["draws"][0]);
  std::vector<double> survival, totals, rates;
  for (std::size_t i = 0; i < x_0.size(); ++i) {
    const double t = (1 - 1e-3) * u[i / length] + 1e-3;
    totals.push_back(total_at(noise, t));
    rates.push_back(rate_at(noise, t));
    survival.push_back(std::exp(-totals.back()));
  }
  const std::vector<token> x = g.corrupted(x_0, survival, recorded["draws"], 1);
  c.same("perturbed", as_numbers(x), numbers(precise(recorded, "perturbed")));
  std::vector<double> loss(u.size(), 0.0);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (g.symbols.mask < 0 || x[i] == g.symbols.mask)
      loss[i / length] +=
          rates[i] * score_entropy(g.rates, kernel_of(g.rates, totals[i]), g.symbols, x[i], x_0[i],
                                   {log_scores.data() + i * n, n});
  c.same("loss", loss, numbers(precise(recorded, "loss")));
}

void replay_sampler(const json& recorded, const named_tensors& tensor, comparison& c) {
  const graph g(recorded["graph"], recorded["N"]);
  const std::string noise = recorded["noise"];
  const bool euler = one_of("predictor", recorded["predictor"], {"euler", "analytic"}) == "euler";
  const int steps = recorded["steps"];
  const double eps = recorded["eps"], dt = (1 - eps) / steps;
  const std::size_t n = g.dim();
  std::size_t draw = 0;
  std::vector<token> x(
      recorded["shape"][0].get<std::size_t>() * recorded["shape"][1].get<std::size_t>(),
      g.symbols.mask);
  if (g.symbols.mask < 0) x = tokens_of(recorded["draws"][draw++]["values"]);
  std::vector<std::vector<double>> inputs, probabilities;
  const bool denoises = recorded["denoise"];
  for (int k = 0; k < steps + (denoises ? 1 : 0); ++k) {
    const bool last = k == steps;
    const double t = 1 + (eps - 1) * k / steps;
    inputs.push_back(as_numbers(x));
    const std::vector<double> scores =
        exponentials(tensor(recorded["log_score"][static_cast<std::size_t>(k)]));
    const std::vector<double> u = uniforms_of(recorded["draws"][draw++]);
    const std::size_t choices =
        last && g.symbols.mask >= 0 ? n - 1 : n;  // never the mask at the end
    std::vector<double> all, row(n);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::span<const double> own(scores.data() + i * n, n);
      const double sigma = total_at(noise, t);
      if (last)
        analytic_weights(kernel_of(g.rates, sigma), g.symbols, x[i], own, row);
      else if (euler)
        euler_weights(g.rates, g.symbols, x[i], dt * rate_at(noise, t), own, row);
      else
        analytic_weights(kernel_of(g.rates, sigma - total_at(noise, t - dt)), g.symbols, x[i], own,
                         row);
      all.insert(all.end(), row.begin(), row.begin() + static_cast<std::ptrdiff_t>(choices));
      x[i] = static_cast<token>(race(
          std::span(row.data(), choices), [&](std::size_t y) { return u[i * choices + y]; },
          race_eps));
    }
    probabilities.push_back(all);
  }
  c.same("network_inputs", inputs, tensors(precise(recorded, "network_inputs")));
  c.same("probs", probabilities, tensors(precise(recorded, "probs")));
  c.same("x_final", as_numbers(x), numbers(precise(recorded, "x_final")));
}

}  // namespace

std::vector<outcome> replay_discrete_ratio(const json& file, const std::string& name) {
  const named_tensors tensor(file);
  return replay_cases(file, name, "op", [&](const json& recorded, comparison& c) {
    const std::string op = recorded["op"];
    if (op == "graph") return replay_graph(recorded, tensor, c);
    if (op == "loss") return replay_loss(recorded, tensor, c);
    if (op == "pc_sampler") return replay_sampler(recorded, tensor, c);
    if (op != "noise") throw std::runtime_error("unknown op " + op);
    std::vector<double> totals, rates;
    const double low = recorded.value("sigma_min", 1e-4), high = recorded.value("sigma_max", 20.0);
    for (const double t : numbers(recorded["t"])) {
      totals.push_back(total_at(recorded["type"], t, low, high));
      rates.push_back(rate_at(recorded["type"], t, low, high));
    }
    c.same("total", totals, numbers(precise(recorded, "total")));
    c.same("rate", rates, numbers(precise(recorded, "rate")));
  });
}

}  // namespace reference
