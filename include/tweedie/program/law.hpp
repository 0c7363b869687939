// The exact law of a program: what its samples are distributed as, without drawing one.
//
// If the denoiser is affine in the state, D(x) = gain x + offset, every register stays Gaussian
// whenever it starts so, and a program is a recursion of means and covariances. Two denoisers
// matter:
//   perfect   D = x0, a constant; conditioned on x0 the state must have mean alpha x0 and variance
//             sigma^2 at every mark of a correct stochastic sampler (DDIM, Song et al. 2021, lemma 1)
//   Gaussian  data N(m, s^2): D(x) = m + alpha s^2 (x - alpha m) / (alpha^2 s^2 + sigma^2)
// A Gaussian with full covariance is this, once per eigenvalue. The result measures weak order and
// bias of stochastic samplers with no Monte Carlo error.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "tweedie/program/program.hpp"

namespace tweedie {

/// Mean and variance of one coordinate.
struct scalar_law {
  double mean = 0;
  double variance = 0;
};

/// D(x) = gain * x + offset.
struct affine_denoiser {
  double gain = 0;
  double offset = 0;
};

/// Law of the state at the start, at every mark, and at the end.
struct program_law {
  std::vector<std::pair<node, scalar_law>> marks;
  scalar_law result;
};

/// Denoiser that knows the data point x0.
inline auto perfect_denoiser(double x0) {
  return [x0](const node&) { return affine_denoiser{0, x0}; };
}

/// Exact denoiser E[x0 | x] of one coordinate of data N(mean, variance).
inline auto gaussian_denoiser(double mean, double variance) {
  return [mean, variance](const node& n) {
    const auto [alpha, sigma] = n.level;
    const double total = alpha * alpha * variance + sigma * sigma;
    const double gain = total > 0 ? alpha * variance / total : 0;
    return affine_denoiser{gain, mean - gain * alpha * mean};
  };
}

/// Law of the registers of `plan` started from N(start.mean, start.variance), with the affine
/// denoiser `denoise(node)` in place of the network, or `denoise(node, law of the state)` if it depends
/// on where it is asked. Costs O(stages * registers^2).
/// \throws std::invalid_argument if `check_program` refuses it, if the program reads raw network
///   outputs, which have no meaning here, or a draw whose scale a network chooses, or the noise of clean
///   data (sigma = 0) from a denoiser that does not return clean data as it is.
template <class Denoiser>
program_law law(const program& plan, const Denoiser& denoise, scalar_law start) {
  check_program("law", plan);
  // Index space: registers, then what a stage adds: clean, noise, its draws.
  const auto registers = static_cast<std::size_t>(plan.registers);
  std::vector<double> mean(registers, 0.0);
  std::vector<std::vector<double>> cov(registers, std::vector<double>(registers, 0.0));
  mean[0] = start.mean;
  cov[0][0] = start.variance;
  program_law out;

  for (const stage& s : plan.stages) {
    const std::vector<operand>& in = s.pass.inputs;
    // Each input as row over registers plus offset plus own independent noise.
    std::vector<std::vector<double>> row(in.size(), std::vector<double>(registers, 0.0));
    std::vector<double> offset(in.size(), 0.0);
    std::vector<double> own(in.size(), 0.0);
    for (std::size_t i = 0; i < in.size(); ++i) {
      switch (in[i].from) {
        case operand_kind::stored: row[i][static_cast<std::size_t>(in[i].index)] = 1; break;
        case operand_kind::draw: {
          const draw_kind& how = plan.draws[static_cast<std::size_t>(in[i].index)];
          if (how.learned) detail::fail("law", "the scale of a draw is chosen by the network");
          own[i] = 1;
          break;
        }
        case operand_kind::output:
          detail::fail("law", "the program mixes raw network outputs; bind it to a kind first");
        case operand_kind::clean:
        case operand_kind::noise: {
          const node& at = s.evaluate->at;
          const auto state = static_cast<std::size_t>(s.evaluate->state);
          const affine_denoiser d = [&] {
            if constexpr (requires { denoise(at, scalar_law{}); })
              return denoise(at, scalar_law{mean[state], cov[state][state]});
            else
              return denoise(at);
          }();
          row[i][state] = d.gain;
          offset[i] = d.offset;
          if (in[i].from == operand_kind::noise && at.level.sigma == 0) {
            // (x - alpha D)/sigma as sigma -> 0 is -sigma times a finite score, if D(x) is x/alpha.
            constexpr double rounding = 1e-12;
            const double scale = 1 + std::abs(mean[state]);
            if (!(std::abs(1 - at.level.alpha * d.gain) < rounding &&
                  std::abs(d.offset) < rounding * scale))
              detail::fail("law", "sigma of an evaluation", 0,
                           "the noise of clean data is undefined under this denoiser; valid: "
                           "denoisers that return clean data, or sigma > 0");
            row[i][state] = 0;
            offset[i] = 0;
          } else if (in[i].from == operand_kind::noise) {
            row[i][state] = (1 - at.level.alpha * d.gain) / at.level.sigma;
            offset[i] = -at.level.alpha * d.offset / at.level.sigma;
          }
          break;
        }
      }
    }
    // outputs = weights * inputs
    const std::size_t outputs = s.pass.outputs.size();
    std::vector<std::vector<double>> map(outputs, std::vector<double>(registers, 0.0));
    std::vector<double> new_mean(outputs, 0.0);
    for (std::size_t j = 0; j < outputs; ++j)
      for (std::size_t i = 0; i < in.size(); ++i) {
        const double w = s.pass.weight(j, i);
        new_mean[j] += w * offset[i];
        for (std::size_t r = 0; r < registers; ++r) map[j][r] += w * row[i][r];
      }
    std::vector<std::vector<double>> cross(outputs, std::vector<double>(registers, 0.0));
    for (std::size_t j = 0; j < outputs; ++j)
      for (std::size_t r = 0; r < registers; ++r) {
        new_mean[j] += map[j][r] * mean[r];
        for (std::size_t q = 0; q < registers; ++q) cross[j][r] += map[j][q] * cov[q][r];
      }
    std::vector<std::vector<double>> among(outputs, std::vector<double>(outputs, 0.0));
    for (std::size_t j = 0; j < outputs; ++j)
      for (std::size_t k = 0; k < outputs; ++k) {
        for (std::size_t r = 0; r < registers; ++r) among[j][k] += cross[j][r] * map[k][r];
        for (std::size_t i = 0; i < in.size(); ++i)
          among[j][k] += s.pass.weight(j, i) * s.pass.weight(k, i) * own[i];
      }
    for (std::size_t j = 0; j < outputs; ++j) {
      const auto r = static_cast<std::size_t>(s.pass.outputs[j]);
      for (std::size_t q = 0; q < registers; ++q) cov[r][q] = cov[q][r] = cross[j][q];
      mean[r] = new_mean[j];
    }
    for (std::size_t j = 0; j < outputs; ++j)
      for (std::size_t k = 0; k < outputs; ++k)
        cov[static_cast<std::size_t>(s.pass.outputs[j])]
           [static_cast<std::size_t>(s.pass.outputs[k])] = among[j][k];
    if (s.mark) {
      const auto r = static_cast<std::size_t>(s.mark->state);
      out.marks.push_back({s.mark->at, {mean[r], cov[r][r]}});
    }
  }
  const auto r = static_cast<std::size_t>(plan.result);
  out.result = {mean[r], cov[r][r]};
  return out;
}

}  // namespace tweedie
