#include "tweedie/schedule/prediction.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/precondition.hpp"

namespace tweedie {
namespace {

struct kind {
  const char* name;
  std::function<plane_row(const node&)> row;
};

std::vector<kind> every_kind() {
  return {{"sample", predicts_sample}, {"noise", predicts_noise},
          {"v", predicts_v},           {"rectified velocity", predicts_rectified_velocity},
          {"score", predicts_score},   {"velocity", predicts_velocity(trigonometric_schedule{})},
          {"edm", predicts_edm(0.5)}};
}

std::vector<node> levels() {
  std::vector<node> nodes;
  for (const double t : {0.05, 0.3, 0.7, 1.2, 1.5}) {
    const signal_noise s = trigonometric_schedule{}(t);
    nodes.push_back({t, s});
    nodes.push_back({t, to_variance_exploding(s)});
    nodes.push_back({t, rectified(noise_level(s))});
  }
  return nodes;
}

TEST(prediction, every_kind_converts_to_every_other_and_back) {
  constexpr double x0 = 0.7;
  constexpr double z = -1.3;
  for (const node& n : levels())
    for (const kind& a : every_kind())
      for (const kind& b : every_kind()) {
        const double x = n.level.alpha * x0 + n.level.sigma * z;
        const plane_row from = a.row(n);
        const plane_row to = b.row(n);
        const double y = from.x0 * x0 + from.z * z;
        const double expected = to.x0 * x0 + to.z * z;
        const state_output there = convert(n.level, from, to);
        const state_output back = convert(n.level, to, from);
        const double converted = there.x * x + there.y * y;
        const double size = std::abs(there.x * x) + std::abs(there.y * y) + 1;
        EXPECT_NEAR(converted, expected, 1e-14 * size) << a.name << " to " << b.name;
        const double size_back =
            std::abs(back.x * x) + std::abs(back.y * converted) + std::abs(back.y) * size + 1;
        EXPECT_NEAR(back.x * x + back.y * converted, y, 1e-14 * size_back);
      }
}

TEST(prediction, gains_of_losses) {
  for (const node& n : levels()) {
    const double snr = signal_to_noise_ratio(n.level);
    const plane_row sample = predicts_sample(n);
    EXPECT_NEAR(loss_gain(n.level, sample, predicts_noise(n)) / snr, 1, 1e-13);
    const node vp{n.time, to_variance_preserving(n.level)};
    EXPECT_NEAR(loss_gain(vp.level, sample, predicts_v(vp)) / (snr + 1), 1, 1e-13);
    const node flow{n.time, rectified(noise_level(n.level))};
    const double t = flow.level.sigma;
    EXPECT_NEAR(loss_gain(flow.level, sample, predicts_rectified_velocity(flow)) * t * t, 1, 1e-13);
    // EDM: error in F is error in D over c_out.
    const double out = edm_preconditioning(noise_level(n.level)).out;
    EXPECT_NEAR(loss_gain(n.level, sample, predicts_edm()(n)) * out * out, 1, 1e-12);
  }
}

TEST(prediction, gain_is_the_square_of_the_numeric_derivative) {
  const node n{0.7, trigonometric_schedule{}(0.7)};
  for (const kind& a : every_kind())
    for (const kind& b : every_kind()) {
      const state_output c = convert(n.level, a.row(n), b.row(n));
      const double x = 0.4, y = 0.9, h = 1e-6;
      const double slope = ((c.x * x + c.y * (y + h)) - (c.x * x + c.y * (y - h))) / (2 * h);
      EXPECT_NEAR(loss_gain(n.level, a.row(n), b.row(n)), slope * slope,
                  1e-6 * (1 + slope * slope));
    }
}

TEST(prediction, ends_are_exact_or_refused) {
  const node clean{0, {1, 0}};
  const node pure{0, {0, 1}};
  EXPECT_EQ(sample_from(pure.level, {4, 0}).y, 0.25);
  EXPECT_EQ(noise_from(clean.level, {0, 4}).y, 0.25);
  EXPECT_EQ(sample_from(pure.level, predicts_v(pure)).y, -1);
  EXPECT_EQ(sample_from(pure.level, predicts_v(pure)).x, 0);
  EXPECT_EQ(sample_from(clean.level, predicts_v(clean)).x, 1);
  EXPECT_EQ(sample_from(clean.level, predicts_noise(clean)).x, 1);
  EXPECT_EQ(noise_from(pure.level, predicts_sample(pure)).x, 1);
  EXPECT_EQ(sample_from(pure.level, predicts_rectified_velocity(pure)).x, 1);
  EXPECT_THROW(sample_from(pure.level, predicts_noise(pure)), std::invalid_argument);
  EXPECT_THROW(noise_from(clean.level, predicts_sample(clean)), std::invalid_argument);
  EXPECT_THROW(predicts_score(clean), std::invalid_argument);
  EXPECT_THROW(predicts_edm()(clean), std::invalid_argument);
}

TEST(prediction, chart_equation_holds_on_the_exact_flow_of_a_gaussian) {
  // d(x/l)/dt = (alpha sigma' - alpha' sigma)/l^2 * (p_x D + p_z eps) for constant p, with
  // l = alpha p_z - sigma p_x, along x(t) = sqrt(c(t)/c(0)) x(0), c = alpha^2 s^2 + sigma^2.
  const trigonometric_schedule schedule;
  constexpr double variance = 0.3;
  const auto c = [&](double t) {
    const auto [a, s] = schedule(t);
    return a * a * variance + s * s;
  };
  for (const plane_row p : {plane_row{1, 0}, plane_row{0, 1}, plane_row{-1, 1}, plane_row{0.5, 2}})
    for (const double t : {0.4, 0.8, 1.1}) {
      const auto scaled = [&](double at) {
        return std::sqrt(c(at)) / determinant(schedule(at), p);
      };
      const double h = 1e-5;
      const double derivative = (scaled(t + h) - scaled(t - h)) / (2 * h);
      const auto [a, s] = schedule(t);
      const auto [da, ds] = schedule.rate(t);
      const double x = std::sqrt(c(t));
      const double clean = a * variance / c(t) * x;
      const double noise = s / c(t) * x;
      const double l = determinant({a, s}, p);
      EXPECT_NEAR(derivative, (a * ds - da * s) / (l * l) * (p.x0 * clean + p.z * noise),
                  1e-8 * (1 + std::abs(derivative)));
    }
}

TEST(precondition, published_coefficients) {
  const auto high = edm_preconditioning(80);
  EXPECT_NEAR(high.skip, 3.9060974e-5, 1e-12);
  EXPECT_NEAR(high.out, 0.49999023, 1e-8);
  EXPECT_NEAR(high.in, 0.012499756, 1e-9);
  EXPECT_NEAR(high.noise, 1.09550666, 1e-8);
  EXPECT_NEAR(high.weight, 4.00015625, 1e-8);
  const auto middle = edm_preconditioning(0.5);
  EXPECT_NEAR(middle.skip, 0.5, 1e-15);
  EXPECT_NEAR(middle.out, 0.35355339, 1e-8);
  EXPECT_NEAR(middle.in, 1.41421356, 1e-8);
  EXPECT_NEAR(middle.noise, -0.17328680, 1e-8);
  EXPECT_NEAR(middle.weight, 8, 1e-13);
  const auto low = edm_preconditioning(0.002);
  EXPECT_NEAR(low.skip, 0.999984, 1e-9);
  EXPECT_NEAR(low.out, 0.00199998400, 1e-12);
  EXPECT_NEAR(low.in, 1.999984, 1e-8);
  EXPECT_NEAR(low.noise, -1.553652, 1e-6);
  EXPECT_NEAR(low.weight, 250004, 1e-6);
}

TEST(precondition, unit_variances_and_least_amplification) {
  for (const double level : {1e-6, 0.002, 0.5, 3.0, 80.0, 1e6}) {
    constexpr double deviation = 0.7;
    const auto p = edm_preconditioning(level, deviation);
    const double variance = deviation * deviation;
    EXPECT_NEAR(p.in * p.in * (variance + level * level), 1, 1e-13);
    // Var[(x0 - skip (x0 + s z)) / out] = 1.
    const double keep = level * level / (level * level + variance);  // 1 - skip, without cancelling
    EXPECT_NEAR((keep * keep * variance + p.skip * p.skip * level * level) / (p.out * p.out), 1,
                1e-12);
    EXPECT_NEAR(p.weight * p.out * p.out, 1, 1e-14);
    // skip minimises that variance: derivative -2 (1 - k) variance + 2 k level^2 = 0.
    EXPECT_NEAR(-keep * variance + p.skip * level * level, 0, 1e-13 * level * level);
  }
  EXPECT_EQ(edm_preconditioning(0).skip, 1);
  EXPECT_EQ(edm_preconditioning(0).out, 0);
  EXPECT_THROW(edm_preconditioning(-1), std::invalid_argument);
  EXPECT_THROW(edm_preconditioning(1, 0), std::invalid_argument);
}

TEST(precondition, consistency_models_are_the_identity_at_the_least_level) {
  const auto p = consistency_preconditioning(0.002);
  EXPECT_EQ(p.skip, 1);
  EXPECT_EQ(p.out, 0);
  EXPECT_THROW(consistency_preconditioning(0.001), std::invalid_argument);
}

TEST(precondition, f_at_pure_noise_is_x0_in_units_of_the_deviation) {
  const node pure{0, {0, 1}};
  const plane_row row = predicts_edm(0.5)(pure);
  EXPECT_EQ(row.x0, 2);
  EXPECT_EQ(row.z, 0);
  EXPECT_EQ(sample_from(pure.level, row).x, 0);
  EXPECT_EQ(sample_from(pure.level, row).y, 0.5);
  const node near{0, {1e-9, 1}};
  const state_output clean = sample_from(near.level, predicts_edm(0.5)(near));
  EXPECT_NEAR(clean.x, 0, 1e-9);
  EXPECT_NEAR(clean.y, 0.5, 1e-9);
}

TEST(precondition, rows_of_consistency_networks_agree_with_their_definition) {
  constexpr double deviation = 0.7;
  constexpr double least = 0.01;
  for (const signal_noise level : {signal_noise{1, 0.05}, {0.6, 0.8}, {1, 80}}) {
    const node n{0, level};
    const preconditioning p = consistency_preconditioning(noise_level(level), deviation, least);
    // f = skip x/alpha + out F.
    const state_output clean = sample_from(level, predicts_consistency(deviation, least)(n));
    EXPECT_NEAR(clean.x, p.skip / level.alpha, 1e-12);
    EXPECT_NEAR(clean.y, p.out, 1e-12);
  }
  EXPECT_THROW(predicts_consistency(deviation, least)({0, {1, least}}), std::invalid_argument);
  EXPECT_THROW(predicts_consistency(deviation, least)({0, {0, 1}}), std::invalid_argument);
}

TEST(precondition, refuses_deviations_that_are_none) {
  for (const double deviation : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(predicts_edm(deviation), std::invalid_argument);
    EXPECT_THROW(predicts_consistency(deviation), std::invalid_argument);
    EXPECT_THROW(edm_input(deviation), std::invalid_argument);
    EXPECT_THROW(edm_preconditioning(1, deviation), std::invalid_argument);
  }
}

TEST(prediction, refuses_rows_that_are_not_finite) {
  const signal_noise level{0.6, 0.8};
  for (const double bad : {std::nan(""), HUGE_VAL})
    for (const plane_row row :
         {plane_row{bad, 0}, plane_row{0, bad}, plane_row{bad, 1}, plane_row{1, bad}}) {
      EXPECT_THROW(sample_from(level, row), std::invalid_argument);
      EXPECT_THROW(noise_from(level, row), std::invalid_argument);
      EXPECT_THROW(convert(level, row, {-0.8, 0.6}), std::invalid_argument);
      EXPECT_THROW(convert(level, {-0.8, 0.6}, row), std::invalid_argument);
    }
}

TEST(precondition, rows_of_f_agree_with_its_definition) {
  const node n{0, {0.6, 0.8}};
  const double level = 0.8 / 0.6;
  const auto p = edm_preconditioning(level);
  const plane_row row = predicts_edm()(n);
  EXPECT_NEAR(row.x0, (1 - p.skip) / p.out, 1e-14);
  EXPECT_NEAR(row.z, -p.skip * level / p.out, 1e-14);
  EXPECT_NEAR(edm_input()(n), p.in / n.level.alpha, 1e-14);
  EXPECT_NEAR(edm_time(n), p.noise, 1e-15);
}

}  // namespace
}  // namespace tweedie
