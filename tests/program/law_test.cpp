#include "tweedie/program/law.hpp"

#include <gtest/gtest.h>

#include "tweedie/program/recorder.hpp"

namespace tweedie {
namespace {

const node start{10, {0.6, 0.8}};
const node middle{5, {0.8, 0.6}};

// x = alpha x0 + sigma z of data N(m, s^2): regression of x0 on x, and where it degenerates.
TEST(gaussian_denoiser, is_the_regression_of_data_on_the_state) {
  constexpr double m = 0.4, s2 = 0.3;
  const auto denoise = gaussian_denoiser(m, s2);
  const affine_denoiser d = denoise(start);
  const double variance = 0.36 * s2 + 0.64;
  EXPECT_NEAR(d.gain, 0.6 * s2 / variance, 1e-15);
  EXPECT_NEAR(d.gain * 0.6 * m + d.offset, m, 1e-15);
  const affine_denoiser noiseless = denoise({0, {0.5, 0}});
  EXPECT_DOUBLE_EQ(noiseless.gain, 2);
  EXPECT_NEAR(noiseless.offset, 0, 1e-15);
  const affine_denoiser blind = denoise({0, {0, 1}});
  EXPECT_EQ(blind.gain, 0);
  EXPECT_EQ(blind.offset, m);
  EXPECT_EQ(gaussian_denoiser(m, 0)({0, {1, 0}}).gain, 0);  // a point of data, no noise
}

// At sigma = 0 the noise estimate of Gaussian data is its limit, 0: a step from clean data N(m, s^2)
// along the straight path to t = h has x = (1 - h) x0. A denoiser that knows another point than the
// state has no such limit.
TEST(law, starts_at_clean_data_or_says_why_not) {
  recorder r({0, {1, 0}});
  const estimate e = r.evaluate(r.state(), {0, {1, 0}});
  const program plan = r.finish(r.state() + 0.25 * (e.noise - e.clean));
  const scalar_law exact = law(plan, gaussian_denoiser(0.5, 0.25), {0.5, 0.25}).result;
  EXPECT_NEAR(exact.mean, 0.375, 1e-14);
  EXPECT_NEAR(exact.variance, 0.5625 * 0.25, 1e-14);
  EXPECT_THROW(law(plan, perfect_denoiser(0.5), {0.5, 0}), std::invalid_argument);
  EXPECT_THROW(law(plan, gaussian_denoiser(0.5, 0), {0.5, 0}), std::invalid_argument);
}

// var(a x + b D(x) + c z) = (a + b gain)^2 var(x) + c^2; the noise estimate is
// (x - alpha D(x))/sigma.
TEST(law, of_one_step_is_the_affine_rule) {
  constexpr double a = 0.7, b = -0.2, c = 0.5, e = 0.3;
  recorder r(start);
  linear x = r.state();
  const estimate out = r.evaluate(x, start);
  x = a * x + b * out.clean + e * out.noise + c * r.draw();
  r.mark(x, middle);
  const auto denoise = gaussian_denoiser(0.4, 0.3);
  const program_law exact = law(r.finish(x), denoise, {1.5, 2});
  const affine_denoiser d = denoise(start);
  const double gain = a + b * d.gain + e * (1 - 0.6 * d.gain) / 0.8;
  const double offset = b * d.offset - e * 0.6 * d.offset / 0.8;
  ASSERT_EQ(exact.marks.size(), 1u);
  EXPECT_EQ(exact.marks[0].first.time, middle.time);
  EXPECT_NEAR(exact.marks[0].second.mean, gain * 1.5 + offset, 1e-14);
  EXPECT_NEAR(exact.result.variance, gain * gain * 2 + c * c, 1e-14);
}

TEST(law, follows_covariances_between_registers) {
  recorder r(start);
  linear x = r.state();
  const linear first = x;
  x = 0.5 * x + r.draw();
  r.mark(x, middle);
  x = x - 0.5 * first;  // the draw alone is left
  r.mark(x, middle);
  const program_law exact = law(r.finish(x), perfect_denoiser(0), {3, 4});
  EXPECT_DOUBLE_EQ(exact.marks[0].second.variance, 2);
  EXPECT_DOUBLE_EQ(exact.result.mean, 0);
  EXPECT_DOUBLE_EQ(exact.result.variance, 1);
}

TEST(law, refuses_what_has_no_meaning_without_a_network) {
  recorder raw(start);
  linear x = raw.state();
  x += raw.evaluate(x, start).output;
  EXPECT_THROW(law(raw.finish(x), perfect_denoiser(0), {0, 1}), std::invalid_argument);
  recorder learned(start);
  linear y = learned.state();
  y += learned.draw({.learned = true});
  EXPECT_THROW(law(learned.finish(y), perfect_denoiser(0), {0, 1}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
