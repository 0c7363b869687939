// Hugging Face's VQDiffusionScheduler, whose tokens are kept, replaced at random or masked, with the
// reference's numbers.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tweedie/discrete/row_reader.hpp"
#include "tweedie/discrete/token_kernel.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::huggingface {

using discrete::token;

/// VQDiffusionScheduler: tokens are kept, replaced or masked, with linear cumulative tables; the mask
/// is the last class, and the network gives log-probabilities of the others.
struct vq_diffusion_scheduler {
  std::size_t classes = 0;  ///< num_vec_classes, the mask included
  std::vector<discrete::token_kernel> step_kernels, marginals;  ///< by timestep

  /// \throws std::invalid_argument for fewer than 2 classes or 2 timesteps, or tables that are no
  ///   probabilities at some timestep.
  vq_diffusion_scheduler(std::size_t num_vec_classes, std::size_t timesteps,
                         double alpha_cum_start = 0.99999, double alpha_cum_end = 0.000009,
                         double gamma_cum_start = 0.000009, double gamma_cum_end = 0.99999)
      : classes(num_vec_classes) {
    constexpr const char* name = "VQDiffusionScheduler";
    if (classes < 2)
      tweedie::detail::fail(name, "num_vec_classes", static_cast<double>(classes),
                            "valid: at least 2, the mask included");
    if (timesteps < 2)
      tweedie::detail::fail(name, "num_train_timesteps", static_cast<double>(timesteps),
                            "valid: at least 2");
    double alpha = 1, gamma = 0;
    for (std::size_t t = 0; t < timesteps; ++t) {
      const double r = static_cast<double>(t) / static_cast<double>(timesteps - 1);
      const double a = r * (alpha_cum_end - alpha_cum_start) + alpha_cum_start;
      const double g = r * (gamma_cum_end - gamma_cum_start) + gamma_cum_start;
      const double at = a / alpha, ct = 1 - (1 - g) / (1 - gamma);
      constexpr double rounding = 1e-12;
      const auto probability = [&](const char* what, double p) {
        discrete::detail::require(p >= -rounding && p <= 1 + rounding, name,
                                  (std::string(what) + " at timestep " + std::to_string(t)).c_str(),
                                  p, "valid: 0 ... 1");
      };
      probability("kept of all", a);
      probability("masked of all", g);
      probability("replaced of all", 1 - a - g);
      probability("kept", at);
      probability("masked", ct);
      probability("replaced", 1 - at - ct);
      step_kernels.push_back({at, 1 - at - ct, ct});
      marginals.push_back({a, 1 - a - g, g});
      alpha = a;
      gamma = g;
    }
  }

  discrete::alphabet symbols() const { return {classes - 1, static_cast<token>(classes - 1)}; }
  std::size_t timesteps() const { return marginals.size(); }

  /// log p(x_{t-1} | x_t) of one token from the log-probabilities of the classes but the mask;
  /// timestep t >= 1.
  /// \throws std::invalid_argument for sizes, tokens or timesteps out of range.
  void log_posterior(std::span<const double> log_clean, token x_t, std::size_t t,
                     std::span<double> out) const {
    constexpr const char* name = "VQDiffusionScheduler.q_posterior";
    discrete::detail::require_equal(name, "log_p_x_0", log_clean.size(), classes - 1);
    if (t < 1 || t >= timesteps())
      tweedie::detail::fail(name, "t", static_cast<double>(t),
                            "valid: 1 ... " + std::to_string(timesteps() - 1));
    std::vector<double> clean(classes, 0.0);
    for (std::size_t y = 0; y + 1 < classes; ++y) clean[y] = std::exp(log_clean[y]);
    discrete::reverse(marginals[t - 1], step_kernels[t], marginals[t], symbols(), x_t, clean, out);
    for (double& p : out) p = std::log(p);
    if (symbols().masked(x_t)) return;
    // An unmasked token was not masked before; the reference writes 1e-30 for that probability.
    double sum = 0;
    for (std::size_t y = 0; y + 1 < classes; ++y)
      sum += clean[y] / discrete::probability(marginals[t], symbols(), static_cast<token>(y), x_t);
    out.back() = std::log(1e-30 * marginals[t - 1].mask * sum);
  }

  /// Timestep t in place. `logits` are log-probabilities, one row of classes - 1 a token. Requests
  /// `gumbel` numbers, classes a position.
  /// \throws std::invalid_argument likewise; then nothing has been written.
  template <storage_scalar S, discrete::token_integer T, discrete::uniform_source Source>
  void step(discrete::logits_view<S> logits, std::size_t t, discrete::token_batch<T> x,
            const Source& source) const {
    constexpr const char* name = "VQDiffusionScheduler.step";
    discrete::detail::require_equal(name, "logits' rows", logits.rows(), x.tokens.size());
    discrete::detail::require_equal(name, "classes without mask", logits.vocabulary(), classes - 1);
    discrete::detail::require_tokens(name, x.tokens, classes);
    std::vector<double> row(classes - 1), log_p(classes);
    std::vector<token> next(x.tokens.size());
    discrete::row_reader checked;
    for (std::size_t r = 0; r < next.size(); ++r) {
      for (std::size_t y = 0; y < row.size(); ++y) row[y] = static_cast<double>(logits.row(r)[y]);
      checked.read(logits.row(r), row.size(), {}, name, r);
      if (t == 0)
        log_p = row;
      else
        log_posterior(row, static_cast<token>(x.tokens[r]), t, log_p);
      double most = -INFINITY;
      for (std::size_t y = 0; y < log_p.size(); ++y) {
        discrete::uniform_request where = x.request(r, t, discrete::draw_use::gumbel);
        where.index = where.index * log_p.size() + y;
        const double u = source(where);
        const double score = log_p[y] - std::log(-std::log(u + 1e-30) + 1e-30);
        if (score > most) {
          most = score;
          next[r] = static_cast<token>(y);
        }
      }
    }
    std::copy(next.begin(), next.end(), x.tokens.begin());
  }
};

}  // namespace tweedie::huggingface
