// Recorded D3PM chains: google-research's formulas and cloneofsimo's implementation.
#include <cmath>
#include <numbers>

#include "discrete.hpp"
#include "kinds.hpp"
#include "tweedie/discrete/chain_bound.hpp"
#include "tweedie/discrete/transition_matrix.hpp"

namespace reference {
namespace {

using namespace tweedie::discrete;

// Added inside logarithms by both references.
constexpr double floor_of_references = 1e-6;

std::vector<double> betas_of(const json& schedule) {
  const int steps = schedule["T"];
  if (schedule["type"] == "cosine") return cosine_betas(steps);
  if (schedule["type"] == "jsd") return mutual_information_betas(steps);
  one_of("schedule", schedule["type"], {"linear"});
  const double first = schedule["start"], last = schedule["stop"];
  std::vector<double> betas;
  for (int t = 0; t < steps; ++t)
    betas.push_back(steps == 1 ? first : first + (last - first) * t / (steps - 1));
  return betas;
}

Eigen::MatrixXd matrix_of_type(const json& recorded, double beta) {
  const Eigen::Index symbols = recorded["K"];
  const Eigen::Index bands = recorded["transition_bands"].is_null()
                                 ? symbols - 1
                                 : recorded["transition_bands"].get<Eigen::Index>();
  const std::string type = recorded["type"];
  if (type == "uniform") return banded_uniform_matrix(symbols, beta, bands);
  if (type == "absorbing")
    return matrix_of(absorbing_kernel(1 - beta),
                     {static_cast<std::size_t>(symbols - 1), static_cast<token>(symbols / 2)});
  one_of("type", type, {"gaussian_code", "gaussian_paper"});
  const double spacing = type == "gaussian_code" ? 255 / static_cast<double>(symbols - 1) : 1;
  return gaussian_matrix(symbols, beta, bands, spacing);
}

std::vector<double> row_major(const Eigen::MatrixXd& q) {
  std::vector<double> all;
  for (Eigen::Index i = 0; i < q.rows(); ++i)
    for (Eigen::Index j = 0; j < q.cols(); ++j) all.push_back(q(i, j));
  return all;
}

std::vector<double> one_hot(std::size_t n, token x) {
  std::vector<double> p(n, 0.0);
  p[static_cast<std::size_t>(x)] = 1;
  return p;
}

std::vector<double> softmax(std::span<const double> logits) {
  std::vector<double> p(logits.size());
  log_softmax(logits, std::span<double>(p));
  for (double& v : p) v = std::exp(v);
  return p;
}

void replay_images(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::vector<double> betas = betas_of(recorded["schedule"]);
  std::vector<Eigen::MatrixXd> steps;
  for (const double beta : betas) steps.push_back(matrix_of_type(recorded, beta));
  const transition_chain chain(steps);
  if (recorded["betas_index"].is_null()) {
    c.same("betas", betas, numbers(recorded["betas"]));
  } else {
    std::vector<double> picked;
    for (const std::size_t i : recorded["betas_index"]) picked.push_back(betas.at(i));
    c.same("betas", picked, numbers(recorded["betas"]));
  }
  std::size_t nth = 0;
  for (const std::size_t i : recorded["q_index"]) {
    c.same("Q", row_major(chain.step(i + 1)), numbers(recorded["Q"][nth]));
    c.same("Qbar", row_major(chain.marginal(i + 1)), numbers(recorded["Qbar"][nth]));
    ++nth;
  }
  const std::size_t length = recorded["shape"][1], n = recorded["shape"][2];
  const std::vector<token> x_0 = tokens_of(recorded["x_start"]), x_t = tokens_of(recorded["x_t"]);
  const std::vector<double> logits = tensor(recorded["model_logits"]);
  const std::vector<double> u_q = numbers(recorded["u_q"]), u_p = numbers(recorded["u_p"]);
  std::vector<double> noised, truth, model, sampled, bound, entropy, prior;
  std::vector<std::vector<double>> exact;
  std::vector<double> row(n), out(n);
  for (std::size_t b = 0; b < recorded["t"].size(); ++b) {
    const std::size_t t = recorded["t"][b].get<std::size_t>() + 1;
    double item_bound = 0, item_entropy = 0, item_prior = 0;
    std::vector<double> item_exact;
    for (std::size_t i = b * length; i < (b + 1) * length; ++i) {
      for (std::size_t k = 0; k < n; ++k)
        row[k] = std::log(chain.marginal(t)(x_0[i], static_cast<Eigen::Index>(k)) +
                          floor_of_references) +
                 gumbel(u_q[i * n + k]);
      noised.push_back(static_cast<double>(arg_max(row.data(), n)));
      const std::span<const double> own(logits.data() + i * n, n);
      if (t == 1) {
        for (std::size_t k = 0; k < n; ++k)
          row[k] = std::log(one_hot(n, x_0[i])[k] + floor_of_references);
        out.assign(own.begin(), own.end());
        item_bound += cross_entropy(own, x_0[i]);
      } else {
        posterior_logits(chain, t, x_t[i], one_hot(n, x_0[i]), row, floor_of_references);
        posterior_logits(chain, t, x_t[i], softmax(own), out, floor_of_references);
        item_bound += divergence(row, out);
      }
      truth.insert(truth.end(), row.begin(), row.end());
      model.insert(model.end(), out.begin(), out.end());
      for (std::size_t k = 0; k < n; ++k) row[k] = out[k] + (t == 1 ? 0 : gumbel(u_p[i * n + k]));
      sampled.push_back(static_cast<double>(arg_max(row.data(), n)));
      item_entropy += cross_entropy(own, x_0[i]);
      // The prior: uniform, or all in the mask.
      for (std::size_t k = 0; k < n; ++k) {
        const double p =
            recorded["type"] == "absorbing" ? (k == n / 2 ? 1.0 : 0.0) : 1 / static_cast<double>(n);
        const double q = chain.marginal(chain.steps())(x_0[i], static_cast<Eigen::Index>(k));
        item_prior += q * (std::log(q + floor_of_references) - std::log(p + floor_of_references));
      }
      if (t > 1) {
        posterior_logits(chain, t, x_t[i], one_hot(n, x_0[i]), row);
        for (const double p : softmax(row)) item_exact.push_back(p);
      }
    }
    const double scale = std::numbers::ln2 * static_cast<double>(length);
    bound.push_back(item_bound / scale);
    entropy.push_back(item_entropy / scale);
    prior.push_back(item_prior / scale);
    if (t > 1) exact.push_back(item_exact);
  }
  c.same("x_t", noised, numbers(recorded["x_t"]));
  c.same("true_logits", truth, numbers(recorded["true_logits"]));
  c.same("p_logits", model, numbers(recorded["p_logits"]));
  c.same("p_sample", sampled, numbers(recorded["p_sample"]));
  c.same("vb_bpd", bound, numbers(recorded["vb_bpd"]));
  c.same("ce_bpd", entropy, numbers(recorded["ce_bpd"]));
  c.same("prior_bpd", prior, numbers(recorded["prior_bpd"]));
  c.same("posterior_exact", exact, tensors(recorded["posterior_exact"]));
}

// cloneofsimo's class: x_0 given as integers passes through a softmax of log(onehot + 1e-6).
struct torch_chain {
  transition_chain chain;
  std::size_t n;
  static constexpr double eps = floor_of_references;

  std::vector<double> logits(std::size_t t, token x_t, std::span<const double> x0_logits) const {
    std::vector<double> out(n);
    if (t == 1)
      out.assign(x0_logits.begin(), x0_logits.end());
    else
      posterior_logits(chain, t, x_t, softmax(x0_logits), out, eps);
    return out;
  }
  std::vector<double> hot(token x) const {
    std::vector<double> l = one_hot(n, x);
    for (double& v : l) v = std::log(v + eps);
    return l;
  }
  token noised(std::size_t t, token x_0, const double* u) const {
    std::vector<double> row(n);
    for (std::size_t k = 0; k < n; ++k)
      row[k] = std::log(chain.marginal(t)(x_0, static_cast<Eigen::Index>(k)) + eps) +
               gumbel(std::clamp(u[k], eps, 1.0));
    return static_cast<token>(arg_max(row.data(), n));
  }
  token drawn(std::size_t t, token x_t, std::span<const double> x0_logits, const double* u) const {
    std::vector<double> row = logits(t, x_t, x0_logits);
    for (std::size_t k = 0; k < n; ++k) row[k] += t == 1 ? 0 : gumbel(std::clamp(u[k], eps, 1.0));
    return static_cast<token>(arg_max(row.data(), n));
  }
};

void replay_torch(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::size_t n = recorded["num_classes"], length = recorded["shape"][1];
  const std::vector<double> betas = cosine_betas(recorded["n_T"]);
  const std::vector<double> listed = numbers(precise(recorded, "beta_t"));
  if (listed.size() == betas.size())
    c.same("beta_t", betas, listed);
  else  // of long chains the first two, the middle and the last
    c.same("beta_t", std::vector<double>{betas[0], betas[1], betas[betas.size() / 2], betas.back()},
           listed);
  std::vector<Eigen::MatrixXd> steps;
  for (const double beta : betas) {
    const auto k = static_cast<Eigen::Index>(n);
    steps.push_back(banded_uniform_matrix(k, beta, k - 1));
  }
  const torch_chain d{transition_chain(steps), n};
  c.same("q_mats_first_last",
         {row_major(d.chain.marginal(1)), row_major(d.chain.marginal(betas.size()))},
         tensors(precise(recorded, "q_mats_first_last")));
  const std::vector<token> x_0 = tokens_of(recorded["x0"]);
  const std::vector<double> logits = tensor(recorded["model_logits"]);
  const auto own = [&](std::size_t i) { return std::span<const double>(logits.data() + i * n, n); };
  const std::vector<double> u = uniforms_of(recorded["draws"][0]),
                            v = uniforms_of(recorded["draws"][1]);
  std::vector<token> x_t;
  std::vector<double> q, p, sampled;
  double bound = 0;
  for (std::size_t i = 0; i < x_0.size(); ++i) {
    const std::size_t t = recorded["t"][i / length];
    x_t.push_back(d.noised(t, x_0[i], &u[i * n]));
    const std::vector<double> a = d.logits(t, x_t[i], d.hot(x_0[i])),
                              b = d.logits(t, x_t[i], own(i));
    q.insert(q.end(), a.begin(), a.end());
    p.insert(p.end(), b.begin(), b.end());
    bound += divergence(a, b) / static_cast<double>(x_0.size());
    sampled.push_back(d.drawn(t, x_t[i], own(i), &v[i * n]));
  }
  c.same("x_t", as_numbers(x_t), numbers(precise(recorded, "x_t")));
  c.same("q_posterior_logits", q, numbers(precise(recorded, "q_posterior_logits")));
  c.same("p_posterior_logits", p, numbers(precise(recorded, "p_posterior_logits")));
  c.same("vb", bound, precise(recorded, "vb"));
  c.same("p_sample", sampled, numbers(precise(recorded, "p_sample")));

  const std::vector<double> times = numbers(recorded["loss_draws"][0]["values"]);
  const std::vector<double> w = uniforms_of(recorded["loss_draws"][1]);
  double loss_bound = 0, entropy = 0;
  for (std::size_t i = 0; i < x_0.size(); ++i) {
    const auto t = static_cast<std::size_t>(times[i / length]);
    const token x = d.noised(t, x_0[i], &w[i * n]);
    loss_bound += divergence(d.logits(t, x, d.hot(x_0[i])), d.logits(t, x, own(i))) /
                  static_cast<double>(x_0.size());
    entropy += cross_entropy(own(i), x_0[i]) / static_cast<double>(x_0.size());
  }
  c.same("vb_loss", loss_bound, precise(recorded, "loss_info")["vb_loss"]);
  c.same("ce_loss", entropy, precise(recorded, "loss_info")["ce_loss"]);
  c.same("loss", recorded["hybrid_loss_coeff"].get<double>() * loss_bound + entropy,
         precise(recorded, "loss"));

  if (recorded["sample"].is_null()) return;
  // From T - 1 down to 1, as the reference's loop does.
  std::vector<token> x = x_0;
  std::size_t draw = 0;
  for (std::size_t t = betas.size() - 1; t >= 1; --t) {
    const std::vector<double> g = uniforms_of(recorded["sample_draws"][draw++]);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = d.drawn(t, x[i], own(i), &g[i * n]);
  }
  c.same("sample", as_numbers(x), numbers(recorded["sample"]));
}

}  // namespace

std::vector<outcome> replay_discrete_chain(const json& file, const std::string& name) {
  const named_tensors tensor(file);
  return replay_cases(file, name, "type", [&](const json& recorded, comparison& c) {
    if (recorded.contains("n_T"))
      replay_torch(recorded, tensor, c);
    else
      replay_images(recorded, tensor, c);
  });
}

}  // namespace reference
