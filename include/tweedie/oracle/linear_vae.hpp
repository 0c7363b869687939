// Variational autoencoders that are known exactly: linear decoders, that is probabilistic PCA.
//
//   z ~ N(0, I_k),  x | z ~ N(W z + m, s^2 I)      x ~ N(m, W W^T + s^2 I)    (Tipping and Bishop 1999)
//   best W for data of covariance Q diag(l) Q^T:   columns sqrt(l_i - s^2) q_i of the k largest l_i
//
// A direction whose variance l_i is not above the noise s^2 gets no latent: "posterior collapse", which is
// no failure of the optimiser (Lucas et al. 2019). Decoder means alone have the covariance W W^T, without
// s^2 I: less than the data. And the decoder that the squared error trains, E[x | z], is blurred by what z
// does not say: the variance lost is that of x given z, S = Cov E[x | z] + E Cov[x | z].
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <utility>

#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/linear_inverse.hpp"

namespace tweedie::oracle {

/// x = W z + m + deviation n.
template <class Scalar = double>
struct linear_vae {
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

  matrix weights;  ///< W, dimension x latents
  vector mean;
  Scalar deviation = 0;

  /// W z + m, for each column.
  matrix decode(const matrix& z) const { return (weights * z).colwise() + mean; }
  /// The law of decoder means of z ~ N(0, I).
  gaussian<Scalar> law_of_means() const { return {mean, weights * weights.transpose()}; }
  /// The law of the model: of samples from p(x | z).
  gaussian<Scalar> law_of_samples() const {
    return law_of_means().at({1, static_cast<double>(deviation)});
  }
  /// p(z | x), for which the bound is the log-likelihood.
  gaussian<Scalar> encode(const vector& x) const {
    const auto latent = gaussian<Scalar>::isotropic(vector(vector::Zero(weights.cols())), 1);
    return posterior(latent, linear_measurement<Scalar>{weights, x - mean, deviation});
  }
};

/// The linear VAE of maximal likelihood for data, with `latents` latents and noise of the given deviation.
/// Columns of W are in order of falling variance; those of collapsed latents are 0.
/// \throws std::invalid_argument unless 0 <= latents <= dimension and 0 <= deviation < inf.
template <class Scalar>
linear_vae<Scalar> best_linear_vae(const gaussian<Scalar>& data, Eigen::Index latents,
                                   Scalar deviation) {
  constexpr const char* name = "best_linear_vae";
  detail::require(latents >= 0 && latents <= data.dimension(), name, "latents",
                  static_cast<double>(latents), "valid: 0 <= latents <= dimension of the data");
  detail::require(deviation >= 0 && std::isfinite(deviation), name, "deviation",
                  static_cast<double>(deviation), "valid: 0 <= deviation < inf");
  linear_vae<Scalar> out{{data.dimension(), latents}, data.mean(), deviation};
  for (Eigen::Index i = 0; i < latents; ++i) {
    const Eigen::Index axis = data.dimension() - 1 - i;  // variances ascend
    const Scalar signal = data.variances()[axis] - deviation * deviation;
    out.weights.col(i) = std::sqrt((std::max)(signal, Scalar(0))) * data.axes().col(axis);
  }
  return out;
}

/// E[x | z] = gain (z - encoder m) + m of data seen as z = encoder x + deviation n, and what is lost.
template <class Scalar = double>
struct optimal_decoder {
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  matrix gain;
  matrix lost;  ///< Cov[x | z], the same for all z: its trace is the least squared error
};

/// The decoder that minimises E|x - decode(z)|^2.
/// \throws std::invalid_argument for another number of columns than dimensions, or unless
///   0 < deviation < inf.
template <class Scalar>
optimal_decoder<Scalar> mse_optimal_decoder(
    const gaussian<Scalar>& data,
    const Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>& encoder, Scalar deviation) {
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  constexpr const char* name = "mse_optimal_decoder";
  detail::require(encoder.cols() == data.dimension(), name, "columns of the encoder",
                  static_cast<double>(encoder.cols()), "valid: the dimension of the data");
  detail::require(deviation > 0, name, "deviation", static_cast<double>(deviation),
                  "valid: 0 < deviation < inf");
  const vector centre = encoder * data.mean();
  optimal_decoder<Scalar> out{{data.dimension(), encoder.rows()}, data.covariance()};
  for (Eigen::Index j = 0; j < encoder.rows(); ++j) {
    const linear_measurement<Scalar> unit{encoder, centre + vector::Unit(encoder.rows(), j),
                                          deviation};
    const gaussian<Scalar> known = posterior(data, unit);
    out.gain.col(j) = known.mean() - data.mean();
    out.lost = known.covariance();
  }
  return out;
}

}  // namespace tweedie::oracle
