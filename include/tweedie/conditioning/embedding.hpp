// Sinusoidal time embeddings: how networks are told the time.
//
//   ddpm   [sin(t f_k), cos(t f_k)],  f_k = period^(-k / (pairs - 1))     (Ho et al. 2020, code)
//   adm    [cos(t f_k), sin(t f_k)],  f_k = period^(-k / pairs)           (Dhariwal and Nichol 2021)
//
// k = 0 ... pairs - 1, pairs = floor(dimension / 2); an odd dimension ends in 0. Stable Diffusion and
// everything in its line use the second. The two differ in order and in the last frequency, so a
// network trained with one is told wrong times by the other.
//
// Gaussian Fourier features (Song et al. 2021, code; Tancik et al. 2020) are the first form with
// random frequencies 2 pi s w, w standard normal, of log sigma or of log-SNR / 4 (EDM's c_noise). The
// frequencies belong to the network: load them with its weights.
//
// Every element is within [-1, 1], as large as a normalised picture's. The index of a table handed in as it is, up to 999
// beside pixels of unit size, outweighs them a thousandfold: embed it, or divide it by T.
//
// A network never sees t itself, only what its embedding separates: neighbours of the last frequency
// differ by 1e-4 radians a step, so half precision cannot hold them apart.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {

/// Which of the two forms above: frequencies and the order of sines and cosines.
enum class embedding_form { ddpm, adm };

/// The frequencies f_k. Reference implementations hold them in single precision.
/// dimension >= 2 (ddpm: >= 4, where pairs - 1 > 0), period > 1.
inline std::vector<double> embedding_frequencies(int dimension, embedding_form form,
                                                 double period = 10000) {
  const int pairs = dimension / 2;
  const int last = form == embedding_form::ddpm ? pairs - 1 : pairs;
  detail::require(last >= 1, "embedding_frequencies", "dimension", dimension,
                  "valid: at least 2, or 4 in the ddpm form");
  detail::require(period > 1 && std::isfinite(period), "embedding_frequencies", "period", period,
                  "valid: 1 < period < inf");
  std::vector<double> frequencies;
  for (int k = 0; k < pairs; ++k) frequencies.push_back(std::exp(-std::log(period) * k / last));
  return frequencies;
}

/// Random frequencies of Gaussian Fourier features, 2 pi scale w with w ~ N(0, 1) of `seed`.
/// \throws std::invalid_argument unless scale is positive and finite.
inline std::vector<double> gaussian_frequencies(std::size_t count, double scale,
                                                std::uint64_t seed) {
  detail::require(scale > 0 && std::isfinite(scale), "gaussian_frequencies", "scale", scale,
                  "valid: 0 < scale < inf");
  std::vector<double> frequencies(count);
  fill_normal(noise_key{seed, 0, 0}, 0, std::span(frequencies));
  for (double& f : frequencies) f *= 2 * std::numbers::pi * scale;
  return frequencies;
}

/// Writes the embedding of time t; out has two elements per frequency, or one more, which is 0.
/// \throws std::invalid_argument if out is of another size or t is not finite (log sigma of clean data).
template <class S>
void embed_time(double t, std::span<const double> frequencies, embedding_form form,
                std::span<S> out) {
  detail::require(std::isfinite(t), "embed_time", "t", t, "valid: finite");
  const std::size_t pairs = frequencies.size();
  if (out.size() != 2 * pairs && out.size() != 2 * pairs + 1)
    detail::fail(
        "embed_time", "out.size()", static_cast<double>(out.size()),
        "valid: twice the number of frequencies, or one more: " + std::to_string(2 * pairs));
  const std::size_t cosines = form == embedding_form::adm ? 0 : pairs;
  for (std::size_t k = 0; k < pairs; ++k) {
    out[cosines + k] = static_cast<S>(std::cos(t * frequencies[k]));
    out[pairs - cosines + k] = static_cast<S>(std::sin(t * frequencies[k]));
  }
  if (out.size() > 2 * pairs) out[2 * pairs] = S(0);
}

/// The embedding as a new vector.
inline std::vector<double> time_embedding(double t, int dimension, embedding_form form,
                                          double period = 10000) {
  const std::vector<double> frequencies = embedding_frequencies(dimension, form, period);
  std::vector<double> out(static_cast<std::size_t>(dimension));
  embed_time<double>(t, frequencies, form, out);
  return out;
}

}  // namespace tweedie
