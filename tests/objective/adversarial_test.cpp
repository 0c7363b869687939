#include "tweedie/objective/adversarial.hpp"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <complex>

#include "objective/gradient_check.hpp"
#include "objective/integral.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/metric/divergence.hpp"
#include "tweedie/objective/f_divergence.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;

// p = N(0, 1), q = N(1, 1.5^2).
double log_p(double x) { return normal_log_density(x, 0.0, 0.0); }
double log_q(double x) { return normal_log_density(x, 1.0, 2 * std::log(1.5)); }

template <class Game>
void check_slopes(const Game& game) {
  for (const double l : {-60.0, -2.3, -0.4, 0.7, 2.1, 60.0}) {
    const auto real = [&](auto x) -> decltype(x) { return game.real(x); };
    const auto fake = [&](auto x) -> decltype(x) { return game.fake(x); };
    const auto generator = [&](auto x) -> decltype(x) { return game.generator(x); };
    EXPECT_LT(relative_error(game.real_slope(l), forward_mode(real, l)), 1e-14);
    EXPECT_LT(relative_error(game.fake_slope(l), forward_mode(fake, l)), 1e-14);
    EXPECT_LT(relative_error(game.generator_slope(l), forward_mode(generator, l)), 1e-14);
    EXPECT_LT(relative_error(game.real_slope(l), central_difference(real, l, 1e-5)), 1e-7);
    EXPECT_LT(relative_error(game.fake_slope(l), central_difference(fake, l, 1e-5)), 1e-7);
    EXPECT_LT(relative_error(game.generator_slope(l), central_difference(generator, l, 1e-5)),
              1e-7);
    // A batch of one map of logits.
    const Eigen::VectorXd logits = Eigen::VectorXd::Constant(1, l);
    Eigen::VectorXd slope(1);
    const auto batch = [&](adversarial_part part) {
      return adversarial_losses(game, part, logits, reduction::sum_over_dimensions, slope)[0];
    };
    EXPECT_LT(relative_error(batch(adversarial_part::real), game.real(l)), 1e-14);
    EXPECT_LT(relative_error(slope[0], game.real_slope(l)), 1e-14);
    EXPECT_LT(relative_error(batch(adversarial_part::fake), game.fake(l)), 1e-14);
    EXPECT_LT(relative_error(slope[0], game.fake_slope(l)), 1e-14);
    EXPECT_LT(relative_error(batch(adversarial_part::generator), game.generator(l)), 1e-14);
    EXPECT_LT(relative_error(slope[0], game.generator_slope(l)), 1e-14);
  }
}

TEST(adversarial, slopes_equal_forward_mode_and_central_differences) {
  check_slopes(minimax_game{});
  check_slopes(non_saturating_game{});
  check_slopes(least_squares_game{});
  check_slopes(least_squares_game{-1, 1, 0});
  check_slopes(hinge_game{});
  check_slopes(wasserstein_game{});
}

TEST(adversarial, huge_logits_stay_finite) {
  EXPECT_EQ(minimax_game{}.real(-1e4), 1e4);
  EXPECT_EQ(minimax_game{}.fake(1e4), 1e4);
  EXPECT_EQ(minimax_game{}.real(1e4), 0);
  EXPECT_EQ(minimax_game{}.generator_slope(-1e4), 0);  // the saturated generator learns nothing,
  EXPECT_EQ(non_saturating_game{}.generator_slope(-1e4), -1);  // the other one does
}

TEST(adversarial, maps_of_logits_are_reduced_per_item) {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Random(150, 3) * 10;
  Eigen::MatrixXf slopes(150, 3);
  const auto values = adversarial_losses(hinge_game{}, adversarial_part::real, logits,
                                         reduction::mean_over_dimensions, slopes);
  for (int i = 0; i < 3; ++i) {
    double sum = 0;
    for (int j = 0; j < 150; ++j) sum += std::max(0.0, 1 - static_cast<double>(logits(j, i)));
    EXPECT_NEAR(values[nth(i)], sum / 150, 1e-12);
  }
}

TEST(adversarial, value_at_the_optimal_discriminator_is_the_jensen_shannon_divergence) {
  const auto value = [](double shift) {
    return -integral(-16, 16, [&](double x) {
      const double l = optimal_discriminator(log_p(x), log_q(x)) + shift * std::sin(x);
      return std::exp(log_p(x)) * minimax_game{}.real(l) +
             std::exp(log_q(x)) * minimax_game{}.fake(l);
    });
  };
  const double js = js_divergence(log_p, log_q, -16.0, 16.0);
  EXPECT_NEAR(js, 0.099290097, 5e-10);
  EXPECT_NEAR(value(0), -std::log(4) + 2 * js, 1e-12);
  EXPECT_NEAR(value(0), -1.187714168, 5e-10);
  EXPECT_LT(value(0.1), value(0));
  EXPECT_LT(value(-0.1), value(0));
  EXPECT_NEAR((value(1e-4) - value(-1e-4)) / 2e-4, 0, 1e-9);  // stationary
  EXPECT_NEAR(-std::log(4), -1.386294361, 5e-10);             // equilibrium p = q
}

TEST(adversarial, non_saturating_generator_at_the_optimal_discriminator) {
  const double value = integral(-16, 16, [](double x) {
    return std::exp(log_q(x)) *
           non_saturating_game{}.generator(optimal_discriminator(log_p(x), log_q(x)));
  });
  const double kl =
      integral(-16, 16, [](double x) { return std::exp(log_q(x)) * (log_q(x) - log_p(x)); });
  const double kl_mixture = integral(-16, 16, [](double x) {
    return std::exp(log_q(x)) *
           (log_q(x) - std::log((std::exp(log_p(x)) + std::exp(log_q(x))) / 2));
  });
  EXPECT_NEAR(value, kl - kl_mixture + std::log(2), 1e-12);
  EXPECT_NEAR(value, 1.3332080892, 5e-10);
}

TEST(adversarial, least_squares_optimum_is_a_pearson_divergence) {
  const least_squares_game game{-1, 1, 0};
  const double twice = integral(-16, 16, [&](double x) {
    const double p = std::exp(log_p(x)), q = std::exp(log_q(x));
    const double best = (p * game.b + q * game.a) / (p + q);
    return 2 * (p + q) * game.generator(best);
  });
  EXPECT_NEAR(twice, .3486294075, 5e-10);
}

TEST(adversarial, hinge_optimum_is_the_total_variation) {
  const double optimum = integral(-16, 16, [](double x) {
    const double l = log_p(x) > log_q(x) ? 1 : -1;
    return std::exp(log_p(x)) * hinge_game{}.real(l) + std::exp(log_q(x)) * hinge_game{}.fake(l);
  });
  const double tv = 0.5 * integral(-16, 16, [](double x) {
                      return std::abs(std::exp(log_p(x)) - std::exp(log_q(x)));
                    });
  EXPECT_NEAR(optimum, 2 - 2 * tv, 1e-12);
  EXPECT_NEAR(optimum, 1.3077538318, 1e-8);
}

TEST(adversarial, wasserstein_critic_and_its_penalty) {
  // W1 on the line is int |F - G|; the critic with slope sign(G - F) reaches it, no 1-Lipschitz
  // function does better.
  const auto loss_of = [](const auto& slope) {
    const double h = 1e-3;
    double critic = 0, loss = 0;
    for (double x = -16; x <= 16; x += h) {
      critic += h * slope(x);
      loss += h * (std::exp(log_p(x)) * wasserstein_game{}.real(critic) +
                   std::exp(log_q(x)) * wasserstein_game{}.fake(critic));
    }
    return loss;
  };
  const auto best = [](double x) { return normal_cdf((x - 1) / 1.5) > normal_cdf(x) ? 1.0 : -1.0; };
  EXPECT_NEAR(loss_of(best), -1.0084907022, 1e-5);
  EXPECT_GT(loss_of([](double) { return -1.0; }), -1.0084907022);
  EXPECT_GT(loss_of([&](double x) { return best(x - 0.3); }), -1.0084907022);
  const double w1 = integral(
      -16, 16, [](double x) { return std::abs(normal_cdf(x) - normal_cdf((x - 1) / 1.5)); });
  EXPECT_NEAR(w1, 1.0084907022, 1e-7);
  EXPECT_EQ(gradient_penalty(1, 10).value, 0);
  EXPECT_NEAR(gradient_penalty(1.3, 10).value, 0.9, 1e-14);
  EXPECT_NEAR(gradient_penalty(1.3, 10).slope, 6, 1e-13);
  EXPECT_EQ(zero_centred_penalty(4, 10).value, 20);
}

TEST(adversarial, relativistic_pairs) {
  EXPECT_NEAR(relativistic_loss(0.3, -0.9).value, std::log1p(std::exp(-1.2)), 1e-15);
  EXPECT_EQ(relativistic_loss(-1e4, 1e4).value, 2e4);
  for (const double real : {-60.0, -0.7, 0.3, 60.0})
    for (const double fake : {-60.0, -0.9, 0.3, 60.0}) {
      const pair_loss l = relativistic_loss(real, fake);
      const double h = 1e-5;
      EXPECT_LT(relative_error(l.real_slope, (relativistic_loss(real + h, fake).value -
                                              relativistic_loss(real - h, fake).value) /
                                                 (2 * h)),
                1e-8);
      EXPECT_LT(relative_error(l.fake_slope, (relativistic_loss(real, fake + h).value -
                                              relativistic_loss(real, fake - h).value) /
                                                 (2 * h)),
                1e-8);
      const auto of_real = [&](const differentiated& x) {
        return softplus(differentiated(fake - x));
      };
      const auto of_fake = [&](const differentiated& x) {
        return softplus(differentiated(x - real));
      };
      EXPECT_NEAR(l.real_slope, forward_mode(of_real, real), 1e-15);
      EXPECT_NEAR(l.fake_slope, forward_mode(of_fake, fake), 1e-15);
    }
}

// D(x) = a.x + x'Bx/2: the penalties by their definition, as functions of one parameter of D.
TEST(adversarial, penalties_differentiate_through_the_norm_of_the_gradient) {
  const double x = 0.7, y = -0.4;
  for (const double b : {-60.0, -1.1, 0.2, 60.0}) {
    const auto squared_norm = [&](auto slope) {  // gradient of D at (x, y) for B = diag(slope, 2)
      using S = decltype(slope);
      const S first = 0.3 + slope * x;
      return S(first * first + (1 + 2 * y) * (1 + 2 * y));
    };
    const auto lipschitz = [&](auto slope) {
      using S = decltype(slope);
      using std::sqrt;
      const S excess = S(sqrt(squared_norm(slope))) - 1;
      return S(10 * excess * excess);
    };
    const auto r1 = [&](auto slope) { return decltype(slope)(0.15 * squared_norm(slope)); };
    const double q = squared_norm(b), of_q = forward_mode(squared_norm, b);
    const penalty gp = gradient_penalty(std::sqrt(q), 10), zero = zero_centred_penalty(q, 0.3);
    EXPECT_LT(relative_error(gp.value, lipschitz(b)), 1e-15);
    EXPECT_LT(relative_error(gp.slope * of_q / (2 * std::sqrt(q)), forward_mode(lipschitz, b)),
              1e-14);
    EXPECT_LT(relative_error(gp.slope * of_q / (2 * std::sqrt(q)),
                             central_difference(lipschitz, b, 1e-5)),
              1e-8);
    EXPECT_LT(relative_error(zero.value, r1(b)), 1e-15);
    EXPECT_LT(relative_error(zero.slope * of_q, forward_mode(r1, b)), 1e-14);
    EXPECT_LT(relative_error(zero.slope * of_q, central_difference(r1, b, 1e-5)), 1e-8);
  }
  EXPECT_THROW(gradient_penalty(-1, 10), std::invalid_argument);
  EXPECT_THROW(gradient_penalty(NAN, 10), std::invalid_argument);
  EXPECT_THROW(zero_centred_penalty(-1, 10), std::invalid_argument);
}

// Dirac-GAN: data at 0, generator at theta, D = psi x. Mescheder et al. 2018, lemma 2.3 and 4.1.
TEST(adversarial, dirac_gan_rotates_and_r1_damps_it) {
  const double gamma = 0.3;
  const auto field = [&](double theta, double psi, double penalty_weight) {
    const double logit = psi * theta;
    return std::pair(-minimax_game{}.generator_slope(logit) * psi,
                     -(minimax_game{}.fake_slope(logit) * theta + penalty_weight * psi));
  };
  const double h = 1e-6;
  const auto eigenvalues = [&](double penalty_weight) {
    Eigen::Matrix2d j;
    const auto column = [&](double dt, double dp) {
      const auto up = field(dt, dp, penalty_weight), down = field(-dt, -dp, penalty_weight);
      return Eigen::Vector2d((up.first - down.first) / (2 * h),
                             (up.second - down.second) / (2 * h));
    };
    j.col(0) = column(h, 0);
    j.col(1) = column(0, h);
    return std::pair(j.trace() / 2,
                     std::sqrt(std::complex<double>(j.trace() * j.trace() / 4 - j.determinant())));
  };
  const auto [real, root] = eigenvalues(0);
  EXPECT_NEAR(real, 0, 1e-9);
  EXPECT_NEAR(root.imag(), 0.5, 1e-9);
  const auto [damped, damped_root] = eigenvalues(2 * zero_centred_penalty(1, gamma).slope);
  EXPECT_NEAR(damped, -gamma / 2, 1e-9);
  EXPECT_NEAR(damped_root.imag(), std::sqrt(0.25 - gamma * gamma / 4), 1e-9);
}

TEST(f_divergence, variational_form_reaches_the_divergence_and_no_more) {
  for (const f_divergence kind :
       {f_divergence::kullback_leibler, f_divergence::reverse_kl, f_divergence::pearson,
        f_divergence::squared_hellinger, f_divergence::jensen_shannon, f_divergence::gan}) {
    // N(0.3, 0.8) against N(0, 1): every divergence is finite.
    const auto a = [](double x) { return normal_log_density(x, 0.3, std::log(0.8)); };
    const auto b = [](double x) { return normal_log_density(x, 0.0, 0.0); };
    const double direct = integral(-16, 16, [&](double x) {
      const double u = std::exp(a(x) - b(x));
      return u > 0 ? std::exp(b(x)) * f_generator(kind, u) : 0;
    });
    const auto bound = [&](double shift) {
      return integral(-16, 16, [&](double x) {
        const double l = f_optimal_logit(kind, a(x) - b(x)) + shift;
        return std::exp(a(x)) * f_activation(kind, l) - std::exp(b(x)) * f_conjugate(kind, l);
      });
    };
    EXPECT_NEAR(bound(0), direct, 1e-9) << static_cast<int>(kind);
    EXPECT_LT(bound(0.05), direct);
    EXPECT_LT(bound(-0.05), direct);
    for (const double l : {-60.0, -5.0, 0.3, 4.0, 60.0}) {
      const auto t = [&](auto x) -> decltype(x) { return f_activation(kind, x); };
      const auto c = [&](auto x) -> decltype(x) { return f_conjugate(kind, x); };
      EXPECT_LT(relative_error(forward_mode(t, l), central_difference(t, l, 1e-5)), 1e-8);
      EXPECT_LT(relative_error(forward_mode(c, l), central_difference(c, l, 1e-5)), 1e-8);
    }
  }
}

TEST(f_divergence, refuses_ratios_that_are_none) {
  EXPECT_THROW(f_generator(f_divergence::pearson, 0), std::invalid_argument);
  EXPECT_THROW(f_generator(f_divergence::gan, NAN), std::invalid_argument);
}

}  // namespace
