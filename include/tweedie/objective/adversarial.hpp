// Adversarial objectives, from logits. D = sigmoid(logit) where a probability is meant.
//
//   name             discriminator: real, fake           generator: fake
//   minimax          softplus(-r), softplus(f)            -softplus(f)       Goodfellow et al. 2014
//   non_saturating   softplus(-r), softplus(f)            softplus(-f)       Goodfellow et al. 2014
//   least_squares    (r - b)^2/2, (f - a)^2/2             (f - c)^2/2        Mao et al. 2017
//   hinge            max(0, 1 - r), max(0, 1 + f)         -f                 Miyato et al. 2018
//   wasserstein      -r, f                                -f                 Arjovsky et al. 2017
//   f_gan            -T, f*(T), T = activation(logit)     -f*(T) or -T       Nowozin et al. 2016
//   relativistic     softplus(f - r)                      softplus(r - f)    Jolicoeur-Martineau 2019
//
// Everything is minimised. Each function of a logit works on numbers, differentiated numbers and
// blocks; losses at |logit| = 1e4 and their slopes are exact, but for the exponentials of the f-GAN
// (kullback_leibler, squared_hellinger, reverse_kl), which stop at 8.2e307, in float at 1.65e38. The
// minimax generator's slope is -sigmoid(f), which vanishes where the discriminator is sure; the
// non-saturating one is -sigmoid(-f). At the optimal discriminator the non-saturating generator's loss
// is KL(p_G || p_d) - KL(p_G || (p_d + p_G)/2) + log 2; its gradient, the discriminator held, is that
// of KL(p_G || p_d) - 2 JS(p_G, p_d) (Arjovsky and Bottou 2017, theorem 2.5), not of the
// Jensen-Shannon divergence.
#pragma once

#include <span>
#include <vector>

#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

/// The logit of the optimal discriminator p_d/(p_d + p_G), finite where both densities underflow.
inline double optimal_discriminator(double log_data_density, double log_generator_density) {
  return log_data_density - log_generator_density;
}

/// Goodfellow et al. 2014, eq. 1: the generator minimises what the discriminator maximises.
struct minimax_game {
  template <class S>
  S real(const S& logit) const {
    return softplus(S(-logit));
  }
  template <class S>
  S fake(const S& logit) const {
    return softplus(logit);
  }
  template <class S>
  S generator(const S& logit) const {
    return -softplus(logit);
  }
  template <class S>
  S real_slope(const S& logit) const {
    return -sigmoid(S(-logit));
  }
  template <class S>
  S fake_slope(const S& logit) const {
    return sigmoid(logit);
  }
  template <class S>
  S generator_slope(const S& logit) const {
    return -sigmoid(logit);
  }
};

/// Goodfellow et al. 2014, section 3: the generator maximises log D(fake), with slopes where D is sure.
struct non_saturating_game : minimax_game {
  template <class S>
  S generator(const S& logit) const {
    return softplus(S(-logit));
  }
  template <class S>
  S generator_slope(const S& logit) const {
    return -sigmoid(S(-logit));
  }
};

/// Labels a (fake), b (real), c (what the generator wants). With b - c = 1, b - a = 2 the game at
/// its optimum is a Pearson chi^2 divergence (Mao et al. 2017, eq. 8).
struct least_squares_game {
  static constexpr bool values_in_double = true;
  double a = 0;
  double b = 1;
  double c = 1;

  template <class S>
  S real(const S& logit) const {
    return (logit - b) * (logit - b) / 2;
  }
  template <class S>
  S fake(const S& logit) const {
    return (logit - a) * (logit - a) / 2;
  }
  template <class S>
  S generator(const S& logit) const {
    return (logit - c) * (logit - c) / 2;
  }
  template <class S>
  S real_slope(const S& logit) const {
    return logit - b;
  }
  template <class S>
  S fake_slope(const S& logit) const {
    return logit - a;
  }
  template <class S>
  S generator_slope(const S& logit) const {
    return logit - c;
  }
};

/// Slope 0 at the corners.
struct hinge_game {
  static constexpr bool values_in_double = true;
  template <class S>
  S real(const S& logit) const {
    return detail::at_least(S(1 - logit), 0);
  }
  template <class S>
  S fake(const S& logit) const {
    return detail::at_least(S(1 + logit), 0);
  }
  template <class S>
  S generator(const S& logit) const {
    return -logit;
  }
  template <class S>
  S real_slope(const S& logit) const {
    return detail::choose(logit < detail::constant_like(logit, 1), detail::constant_like(logit, -1),
                          detail::constant_like(logit, 0));
  }
  template <class S>
  S fake_slope(const S& logit) const {
    return detail::choose(logit > detail::constant_like(logit, -1), detail::constant_like(logit, 1),
                          detail::constant_like(logit, 0));
  }
  template <class S>
  S generator_slope(const S& logit) const {
    return detail::constant_like(logit, -1);
  }
};

/// The discriminator must be kept 1-Lipschitz, for example by `gradient_penalty`.
struct wasserstein_game {
  static constexpr bool values_in_double = true;
  template <class S>
  S real(const S& logit) const {
    return -logit;
  }
  template <class S>
  S fake(const S& logit) const {
    return logit;
  }
  template <class S>
  S generator(const S& logit) const {
    return -logit;
  }
  template <class S>
  S real_slope(const S& logit) const {
    return detail::constant_like(logit, -1);
  }
  template <class S>
  S fake_slope(const S& logit) const {
    return detail::constant_like(logit, 1);
  }
  template <class S>
  S generator_slope(const S& logit) const {
    return detail::constant_like(logit, -1);
  }
};

/// Which share of a game a batch of logits belongs to.
enum class adversarial_part { real, fake, generator };

/// Value per logit and its slope, for logits of any tensor: PatchGAN maps are reduced per item.
/// Reads one tensor, writes one. Computes in the arithmetic of the tensors, values of games with a
/// member `values_in_double` in double.
template <class Game, tensor_like Logits, writable_tensor Gradient>
std::vector<double> adversarial_losses(const Game& game, adversarial_part part,
                                       const Logits& logits, reduction how, Gradient&& gradient) {
  const auto evaluate = [&](const auto& kernel) {
    return detail::per_item("adversarial_losses", how, detail::item_kernel{kernel},
                            std::tuple(detail::named("logits", logits)),
                            std::tuple(detail::named("gradient", gradient)));
  };
  switch (part) {
    case adversarial_part::real:
      return evaluate([=](const auto& l, auto& slope) {
        slope = game.real_slope(l);
        return game.real(detail::for_values<Game>(l));
      });
    case adversarial_part::fake:
      return evaluate([=](const auto& l, auto& slope) {
        slope = game.fake_slope(l);
        return game.fake(detail::for_values<Game>(l));
      });
    case adversarial_part::generator:
      return evaluate([=](const auto& l, auto& slope) {
        slope = game.generator_slope(l);
        return game.generator(detail::for_values<Game>(l));
      });
  }
  detail::fail("adversarial_losses", "unknown adversarial_part");
}

/// Loss of a pair of logits and its two slopes.
struct pair_loss {
  double value = 0;
  double real_slope = 0;
  double fake_slope = 0;
};

/// Discriminator's loss of a relativistic pair; the generator's is this with real and fake
/// exchanged (Jolicoeur-Martineau 2019, eq. 5; RpGAN of Huang et al. 2024).
inline pair_loss relativistic_loss(double real, double fake) {
  const double slope = sigmoid(fake - real);
  return {softplus(fake - real), -slope, slope};
}

/// lambda (|g| - 1)^2 of the norm of the discriminator's gradient at a point between real and fake
/// data, and its slope in |g| (Gulrajani et al. 2017, eq. 3).
struct penalty {
  double value = 0;
  double slope = 0;
};
inline penalty gradient_penalty(double gradient_norm, double lambda) {
  detail::require(gradient_norm >= 0, "gradient_penalty", "gradient_norm", gradient_norm,
                  "valid: gradient_norm >= 0");
  const double excess = gradient_norm - 1;
  return {lambda * excess * excess, 2 * lambda * excess};
}

/// gamma/2 |g|^2 of the discriminator's gradient at real data (R1) or at generated data (R2), and
/// its slope in |g|^2 (Mescheder et al. 2018, eq. 9).
inline penalty zero_centred_penalty(double squared_gradient_norm, double gamma) {
  detail::require(squared_gradient_norm >= 0, "zero_centred_penalty", "squared_gradient_norm",
                  squared_gradient_norm, "valid: squared_gradient_norm >= 0");
  return {gamma / 2 * squared_gradient_norm, gamma / 2};
}

}  // namespace tweedie
