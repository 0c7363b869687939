#include "tweedie/training/weighting.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "objective/gradient_check.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;

constexpr double infinity = std::numeric_limits<double>::infinity();

TEST(weighting, named_weights_follow_their_definitions_in_snr) {
  for (const double snr : {1e-4, 0.02, 0.7, 1.0, 5.0, 30.0, 1e4}) {
    const double l = std::log(snr);
    const auto near = [&](auto weighting, double expected) {
      EXPECT_NEAR(sample_weight(weighting, l) / expected, 1, 1e-13) << "SNR " << snr;
      EXPECT_NEAR(noise_weight(weighting, l) / (expected / snr), 1, 1e-13);
      EXPECT_NEAR(v_weight(weighting, l) / (expected / (1 + snr)), 1, 1e-13);
    };
    near(simple_weighting, snr);
    near(sample_weighting, 1);
    near(truncated_snr_weighting, std::max(snr, 1.0));
    near(snr_plus_one_weighting, snr + 1);
    near(min_snr_weighting(5), std::min(snr, 5.0));
    near(soft_min_snr_weighting(4), 4 * snr / (snr + 4));
    near(p2_weighting(1.5, 0.5), snr / std::pow(0.5 + snr, 1.5));
    near(debiased_weighting, std::sqrt(snr));
    near(edm_weighting(0.5), snr + 4);
    near(sigmoid_weighting(-1), snr / (1 + snr * std::exp(1)));
    near(velocity_weighting, (1 + std::sqrt(snr)) * (1 + std::sqrt(snr)));
    const double t = 1 / (1 + std::sqrt(snr));
    near(truncated_velocity_weighting(0.05), 1 / std::pow(std::max(t, 0.05), 2));
    const double logit = std::log(t / (1 - t));
    near(logit_normal_weighting(0.3, 0.8),
         std::exp(-std::pow((logit - 0.3) / 0.8, 2) / 2) /
             (0.8 * std::sqrt(2 * std::numbers::pi) * t * (1 - t) * t * t));
    near(weighting_of_sample_error([](double x) { return 2 + std::tanh(x); }), 2 + std::tanh(l));
    near(weighting_of_noise_error([](double) { return 3.0; }), 3 * snr);
    near(weighting_of_v_error([](double) { return 3.0; }), 3 * (1 + snr));
  }
}

TEST(weighting, edm_is_one_over_c_out_squared) {  // Karras et al. 2022, table 1
  const double sigma_data = 0.5;
  for (const double level : {80.0, 0.5, 0.002}) {
    const double c_out = level * sigma_data / std::hypot(level, sigma_data);
    EXPECT_NEAR(sample_weight(edm_weighting(sigma_data), log_snr({1, level})) * c_out * c_out, 1,
                1e-13);
  }
  EXPECT_NEAR(sample_weight(edm_weighting(0.5), log_snr({1, 80})), 4.00015625, 1e-12);
  EXPECT_NEAR(sample_weight(edm_weighting(0.5), log_snr({1, 0.002})), 250004, 1e-7);
}

TEST(weighting, kinds_agree_under_gain) {
  for (const signal_noise level :
       {signal_noise{0.9, std::sqrt(0.19)}, signal_noise{1, 3.7}, signal_noise{0.3, 0.7}}) {
    const node at{0.4, level};
    const double l = log_snr(level);
    const auto same_loss = [&](auto weighting) {
      const double of_sample = sample_weight(weighting, l);
      for (const plane_row row : {predicts_noise(at), predicts_v(at), predicts_score(at),
                                  predicts_rectified_velocity(at), plane_row{0.3, -1.2}})
        EXPECT_NEAR(prediction_weight(weighting, level, row) *
                        loss_gain(level, predicts_sample(at), row) / of_sample,
                    1, 1e-12);
    };
    same_loss(simple_weighting);
    same_loss(min_snr_weighting(5));
    same_loss(edm_weighting(0.5));
  }
}

TEST(weighting, loss_gains_of_the_classical_kinds) {
  const signal_noise level{0.6, 0.8};
  const node at{0, level};
  const double snr = signal_to_noise_ratio(level);
  EXPECT_NEAR(loss_gain(level, predicts_sample(at), predicts_noise(at)), snr, 1e-15);
  EXPECT_NEAR(loss_gain(level, predicts_sample(at), predicts_v(at)), 1 + snr, 1e-15);
  const signal_noise straight{0.7, 0.3};
  EXPECT_NEAR(loss_gain(straight, predicts_sample({0.3, straight}),
                        predicts_rectified_velocity({0.3, straight})),
              1 / 0.09, 1e-12);
}

TEST(weighting, v_weights_are_finite_at_both_ends) {
  const auto finite = [](auto weighting, double at_clean, double at_noise) {
    EXPECT_NEAR(v_weight(weighting, infinity), at_clean, 1e-12);
    EXPECT_NEAR(v_weight(weighting, -infinity), at_noise, 1e-12);
  };
  finite(simple_weighting, 1, 0);
  finite(sample_weighting, 0, 1);
  finite(truncated_snr_weighting, 1, 1);
  finite(snr_plus_one_weighting, 1, 1);
  finite(min_snr_weighting(5), 0, 0);
  finite(p2_weighting(1), 0, 0);
  finite(edm_weighting(0.5), 1, 4);
  finite(velocity_weighting, 1, 1);
}

TEST(weighting, ends_of_other_kinds) {
  EXPECT_EQ(noise_weight(simple_weighting, -infinity), 1);
  EXPECT_EQ(noise_weight(simple_weighting, infinity), 1);
  EXPECT_EQ(sample_weight(min_snr_weighting(5), -infinity), 0);
  EXPECT_NEAR(sample_weight(min_snr_weighting(5), infinity), 5, 1e-14);
  EXPECT_THROW(noise_weight(sample_weighting, -infinity), std::invalid_argument);
  EXPECT_THROW(sample_weight(simple_weighting, infinity), std::invalid_argument);
  EXPECT_THROW(min_snr_weighting(0), std::invalid_argument);
  EXPECT_THROW(soft_min_snr_weighting(-1), std::invalid_argument);
  EXPECT_THROW(p2_weighting(-1), std::invalid_argument);
  EXPECT_THROW(p2_weighting(1, 0), std::invalid_argument);
  EXPECT_THROW(truncated_velocity_weighting(0), std::invalid_argument);
  EXPECT_THROW(logit_normal_weighting(0, 0), std::invalid_argument);
  EXPECT_THROW(log_snr_rate({1, 0}, {0, 1}), std::invalid_argument);
  EXPECT_THROW(elbo_noise_weight(1, 0), std::invalid_argument);
  EXPECT_THROW(elbo_step_sample_weight({1, 0}, {0.6, 0.8}), std::invalid_argument);
  EXPECT_THROW(edm_weighting(std::nan("")), std::invalid_argument);
  // Zero terminal SNR with a v network: the simple loss vanishes, v is all there is to learn.
  EXPECT_NEAR(prediction_weight(snr_plus_one_weighting, {0, 1}, {-1, 0}), 1, 1e-14);
}

TEST(weighting, elbo_step_weight_is_the_ddpm_weight_on_noise) {
  // Ho et al. 2020, eq. 12 with sigma^2 = beta~: beta / (2 (1 - beta) (1 - alpha_bar_{t-1})).
  const auto schedule = linear_beta_schedule(1000);
  const std::vector<std::pair<int, double>> published = {{2, .59967151},  {3, .31799535},
                                                         {10, .08643656}, {100, .01026695},
                                                         {500, .0055082}, {1000, .0102045}};
  for (const auto& [step, weight] : published) {
    const signal_noise noisy = schedule.at(step - 1), clean = schedule.at(step - 2);
    EXPECT_NEAR(elbo_step_sample_weight(clean, noisy) / signal_to_noise_ratio(noisy), weight, 5e-8);
  }
}

TEST(weighting, elbo_weights_of_steps_tend_to_the_continuous_weight) {
  // alpha = cos(pi t / 2), sigma = sin(pi t / 2): d log-SNR / dt = -2 pi / sin(pi t).
  const auto level = [](double t) {
    return signal_noise{std::cos(std::numbers::pi * t / 2), std::sin(std::numbers::pi * t / 2)};
  };
  const double t = 0.3, h = 1e-5, angle = std::numbers::pi * t / 2;
  const signal_noise_rate rate{-std::numbers::pi / 2 * std::sin(angle),
                               std::numbers::pi / 2 * std::cos(angle)};
  const double continuous = elbo_noise_weight(log_snr_rate(level(t), rate), 1);
  const double step = elbo_step_sample_weight(level(t - h / 2), level(t + h / 2)) /
                      signal_to_noise_ratio(level(t)) / h;
  EXPECT_NEAR(continuous, std::numbers::pi / std::sin(std::numbers::pi * t), 1e-12);
  EXPECT_NEAR(step, continuous, 1e-6);
}

TEST(weighting, unified_weight_of_the_elbo_is_one) {
  // W = ELBO weight means noise weight 1/(2 p(l)) for a density p of log-SNR.
  const double density = 0.07;
  const auto elbo = weighting_of_noise_error([&](double) { return 1 / (2 * density); });
  EXPECT_NEAR(unified_weight(elbo, 1.3, density), 1, 1e-14);
}

TEST(weighting, uncertainty_is_best_where_it_equals_the_log_loss) {
  const double loss = 0.37;
  EXPECT_NEAR(with_uncertainty(loss, std::log(loss)).slope, 0, 1e-15);
  EXPECT_NEAR(with_uncertainty(loss, std::log(loss)).value, 1 + std::log(loss), 1e-15);
  for (const double u : {-30.0, 0.4, 30.0})
    for (const double of : {1e-6, 0.37, 60.0}) {
      const auto in_u = [&](auto v) {
        using std::exp;
        return decltype(v)(of * decltype(v)(exp(decltype(v)(-v))) + v);
      };
      const auto in_loss = [&](auto v) { return decltype(v)(std::exp(-u) * v + u); };
      const uncertainty_loss l = with_uncertainty(of, u);
      EXPECT_LT(relative_error(l.value, in_u(u)), 1e-14);
      EXPECT_LT(relative_error(l.slope, forward_mode(in_u, u)), 1e-14);
      EXPECT_LT(relative_error(l.slope, central_difference(in_u, u, 1e-4)), 1e-8);
      EXPECT_LT(relative_error(l.gradient_factor, forward_mode(in_loss, of)), 1e-14);
    }
}

TEST(weighting, elbo_step_weight_refuses_steps_that_do_not_lose_noise) {
  const signal_noise noise{0, 1}, noisy{0.5, 0.8}, clean{0.9, 0.4};
  EXPECT_NEAR(elbo_step_sample_weight(clean, noise), signal_to_noise_ratio(clean) / 2, 1e-15);
  EXPECT_THROW(elbo_step_sample_weight(noise, noise), std::invalid_argument);
  EXPECT_THROW(elbo_step_sample_weight(clean, clean), std::invalid_argument);
  EXPECT_THROW(elbo_step_sample_weight(noisy, clean), std::invalid_argument);
}

TEST(weighting, a_negative_weight_is_named) {
  const auto refuses = [](const auto& weighting) {
    try {
      sample_weight(weighting, 0);
      FAIL();
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find("weight = -1; valid: weight >= 0"), std::string::npos)
          << e.what();
    }
  };
  const auto minus_one = [](double) { return -1.0; };
  refuses(weighting_of_sample_error(minus_one));
  refuses(weighting_of_noise_error(minus_one));
  refuses(weighting_of_v_error(minus_one));
  EXPECT_EQ(sample_weight(weighting_of_sample_error([](double) { return 0.0; }), 1), 0);
}

}  // namespace
