#include "tweedie/restore/posterior.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>

#include "restore/measuring.hpp"
#include "tweedie/tweedie.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using tweedie_test::measuring;

// Data N(mean, covariance), whose denoiser is E[x0 | x] = gain x + offset.
struct gaussian_data {
  VectorXd mean;
  MatrixXd covariance;

  MatrixXd total(signal_noise l) const {
    return l.alpha * l.alpha * covariance +
           l.sigma * l.sigma * MatrixXd::Identity(mean.size(), mean.size());
  }
  MatrixXd gain(signal_noise l) const { return l.alpha * covariance * total(l).inverse(); }
  VectorXd denoise(const VectorXd& x, signal_noise l) const {
    return mean + gain(l) * (x - l.alpha * mean);
  }
  auto jacobian(signal_noise l) const {
    return [g = gain(l)](std::span<const double> v, std::size_t, std::span<double> out) {
      const auto n = static_cast<Eigen::Index>(v.size());
      Eigen::Map<VectorXd>(out.data(), n) = g.transpose() * Eigen::Map<const VectorXd>(v.data(), n);
    };
  }
  // E and Cov of x0 given y = A x0 + s e: Kalman's update.
  gaussian_data given(const MatrixXd& a, const VectorXd& y, double s) const {
    const MatrixXd k =
        covariance * a.transpose() *
        (a * covariance * a.transpose() + s * s * MatrixXd::Identity(a.rows(), a.rows())).inverse();
    return {mean + k * (y - a * mean), covariance - k * a * covariance};
  }
};

const gaussian_data& data() {
  static const gaussian_data d = [] {
    MatrixXd c(3, 3);
    c << 1, 0.8, 0.1, 0.8, 1.5, -0.3, 0.1, -0.3, 0.4;
    return gaussian_data{VectorXd::LinSpaced(3, -0.5, 1), c};
  }();
  return d;
}
const std::vector<double> seen{1.5, -0.2};
VectorXd vector(std::span<const double> v) {
  return Eigen::Map<const VectorXd>(v.data(), static_cast<Eigen::Index>(v.size()));
}
template <class Restored>
VectorXd moved(Restored&& r, VectorXd x0, signal_noise level) {
  r(std::span<double>(x0.data(), static_cast<std::size_t>(x0.size())), 1, node{0, level});
  return x0;
}

const VectorXd x = (VectorXd(3) << 0.3, -1, 0.7).finished();

TEST(restored, moment_matching_is_the_exact_conditional_mean_of_gaussian_data) {
  for (const double s : {0.0, 1e-3, 0.3})
    for (const signal_noise level :
         {signal_noise{0.8, 0.6}, {1, 2}, {0.05, 0.999}, {0.999, 0.02}}) {
      const VectorXd ours = moved(
          restored(moment_matching(), dense_operator{measuring()}, seen, s, data().jacobian(level)),
          data().denoise(x, level), level);
      const VectorXd exact = data().given(measuring(), vector(seen), s).denoise(x, level);
      EXPECT_LT((ours - exact).norm(), 1e-9 * (1 + exact.norm())) << s << ' ' << level.sigma;
    }
}

TEST(restored, pseudo_inverse_guidance_is_exact_for_isotropic_data_only) {
  const signal_noise level{0.8, 0.6};
  const gaussian_data round{VectorXd::Zero(3), 0.7 * MatrixXd::Identity(3, 3)};
  const auto error = [&](const gaussian_data& d) {
    const VectorXd ours = moved(
        restored(pseudo_inverse(0.7), dense_operator{measuring()}, seen, 0.3, d.jacobian(level)),
        d.denoise(x, level), level);
    return (ours - d.given(measuring(), vector(seen), 0.3).denoise(x, level)).norm();
  };
  EXPECT_LT(error(round), 1e-12);
  EXPECT_GT(error(data()), 0.05);
}

// DPS adds the gradient of log N(y; A x0(x), s^2 I) to the score, that is sigma^2/alpha of it to x0.
TEST(restored, posterior_sampling_is_the_gradient_of_the_likelihood_at_the_estimate) {
  const signal_noise level{0.8, 0.6};
  const double s = 0.3, h = 1e-5;
  const auto log_likelihood = [&](const VectorXd& at) {
    return -(vector(seen) - measuring() * data().denoise(at, level)).squaredNorm() / (2 * s * s);
  };
  const VectorXd clean = data().denoise(x, level);
  const VectorXd shift = moved(restored(posterior_sampling(2), dense_operator{measuring()}, seen, s,
                                        data().jacobian(level)),
                               clean, level) -
                         clean;
  for (Eigen::Index i = 0; i < 3; ++i) {
    const double slope = (log_likelihood(x + h * VectorXd::Unit(3, i)) -
                          log_likelihood(x - h * VectorXd::Unit(3, i))) /
                         (2 * h);
    EXPECT_NEAR(shift(i), 2 * level.sigma * level.sigma / level.alpha * slope, 1e-8);
  }
}

// The plane N(0, [[1, 0.8], [0.8, 1]]) seen at x = (0.3, 1.2), alpha = 0.8, sigma = 0.6, its first coordinate measured as 1 with
// deviation 0.1 (T65): the first slope of log p(y | x) is 0.930. DPS, which takes the estimate for x0 itself, has 27.7 at
// the weight of its derivation: (s^2 + Var[x0_1 | x])/s^2 = 29.8 times as much.
TEST(restored, posterior_sampling_overstates_the_slope_thirtyfold_where_moment_matching_is_exact) {
  const signal_noise level{0.8, 0.6};
  const double s = 0.1, h = 1e-5;
  const VectorXd at = (VectorXd(2) << 0.3, 1.2).finished();
  const MatrixXd first = (MatrixXd(1, 2) << 1, 0).finished();
  const gaussian_data plane{VectorXd::Zero(2), (MatrixXd(2, 2) << 1, 0.8, 0.8, 1).finished()};
  const auto slope = [&](const restoration& how) {
    const VectorXd clean = plane.denoise(at, level);
    const VectorXd shift = moved(restored(how, dense_operator{first}, std::vector<double>{1}, s,
                                          plane.jacobian(level)),
                                 clean, level) -
                           clean;
    return shift[0] * level.alpha / (level.sigma * level.sigma);
  };
  EXPECT_NEAR(slope(moment_matching()), 0.930, 5e-4);
  EXPECT_NEAR(slope(posterior_sampling()), 27.7, 0.05);
  // By differences of log N(1; E[x0_1 | x], Var[x0_1 | x] + s^2).
  const double variance = level.sigma * level.sigma / level.alpha * plane.gain(level)(0, 0) + s * s;
  const auto log_likelihood = [&](double x_1) {
    const double d = 1 - plane.denoise((VectorXd(2) << x_1, 1.2).finished(), level)[0];
    return -d * d / (2 * variance);
  };
  EXPECT_NEAR(slope(moment_matching()),
              (log_likelihood(0.3 + h) - log_likelihood(0.3 - h)) / (2 * h), 1e-8);
  EXPECT_NEAR(slope(posterior_sampling()) / slope(moment_matching()), variance / (s * s), 1e-10);
}

TEST(restored, null_space_gives_the_nearest_estimate_that_fits) {
  const MatrixXd& a = measuring();
  const VectorXd fitted =
      moved(restored(null_space(), dense_operator{a}, seen, 0.3), x, {0.8, 0.6});
  EXPECT_LT((a * fitted - vector(seen)).norm(), 1e-12);
  const VectorXd nearest =
      x + a.transpose() * (a * a.transpose()).inverse() * (vector(seen) - a * x);
  EXPECT_LT((fitted - nearest).norm(), 1e-12);
  // Also at clean data, where it is the last thing done.
  EXPECT_LT(
      (a * moved(restored(null_space(), dense_operator{a}, seen, 0), x, {1, 0}) - vector(seen))
          .norm(),
      1e-12);
}

TEST(restored, null_space_of_a_mask_pastes_what_is_known) {
  const selection kept(3, {2, 0});
  const VectorXd out = moved(restored(null_space(), kept, seen, 0), x, {0.8, 0.6});
  EXPECT_EQ(out(2), seen[0]);
  EXPECT_EQ(out(0), seen[1]);
  EXPECT_EQ(out(1), x(1));
}

// argmin |y - A v|^2 / (2 s^2) + |v - x0|^2 / (2 r^2)
TEST(restored, proximal_minimises_its_penalty) {
  const signal_noise level{0.8, 0.6};
  const double s = 0.3, lambda = 7, r2 = 0.36 / (0.64 * lambda);
  const VectorXd v =
      moved(restored(proximal(lambda), dense_operator{measuring()}, seen, s), x, level);
  const VectorXd slope =
      measuring().transpose() * (measuring() * v - vector(seen)) / (s * s) + (v - x) / r2;
  EXPECT_LT(slope.norm(), 1e-10);
}

// A whole run on the deterministic sampler: the result is affine in the start, so that its law is found
// from four runs. With the exact conditional denoiser it is that of the posterior.
TEST(restored, sampling_with_moment_matching_ends_in_the_posterior) {
  const double s = 0.3;
  const gaussian_data posterior = data().given(measuring(), vector(seen), s);
  const auto errors = [&](int steps) {
    const auto schedule = linear_beta_schedule(1000);
    const program plan = dpm_solver_plus_plus(exponential(schedule, steps), 2);
    const auto result = [&](std::vector<double> start) {
      signal_noise now;
      auto jacobian = [&now](std::span<const double> v, std::size_t, std::span<double> out) {
        data().jacobian(now)(v, 0, out);
      };
      restored likely(moment_matching(), dense_operator{measuring()}, seen, s, jacobian);
      const auto restore = [&](std::span<double> clean, std::size_t items, const node& at) {
        now = at.level;
        likely(clean, items, at);
      };
      sampling run(plan, network_description{predicts_sample}, start, no_noise{}, restore);
      while (run.next()) {
        const VectorXd clean = data().denoise(vector(run.input()), run.at().level);
        std::copy(clean.begin(), clean.end(), run.output().begin());
      }
      return VectorXd(vector(run.state()));
    };
    const VectorXd mean = result({0, 0, 0});
    MatrixXd map(3, 3);
    for (Eigen::Index i = 0; i < 3; ++i) {
      std::vector<double> start(3, 0.0);
      start[static_cast<std::size_t>(i)] = 1;
      map.col(i) = result(start) - mean;
    }
    return std::pair{(mean - posterior.mean).norm(),
                     (map * map.transpose() - posterior.covariance).norm()};
  };
  const auto coarse = errors(50), fine = errors(200);
  EXPECT_LT(fine.first, 6e-3);
  EXPECT_LT(fine.second, 6e-3);
  EXPECT_LT(fine.second, coarse.second / 4);
}

TEST(restored, items_have_measurements_of_their_own_and_float_equals_double) {
  const auto one = [&](std::vector<double> y) {
    return moved(restored(null_space(), dense_operator{measuring()}, std::move(y), 0), x,
                 {0.8, 0.6});
  };
  const VectorXd a = one({1.5, -0.2}), b = one({0.1, 0.4});
  restored both(null_space(), dense_operator{measuring()}, {1.5, -0.2, 0.1, 0.4}, 0);
  std::vector<float> f;
  for (int item = 0; item < 2; ++item)
    for (const double v : x) f.push_back(static_cast<float>(v));
  both(std::span<float>(f), 2, node{0, {0.8, 0.6}});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(f[i], a(static_cast<Eigen::Index>(i)), 1e-6);
    EXPECT_NEAR(f[3 + i], b(static_cast<Eigen::Index>(i)), 1e-6);
  }
}

TEST(restored, refuses_what_cannot_be_solved) {
  const dense_operator a{measuring()};
  EXPECT_THROW(restored(null_space(), a, {1.0}, 0), std::invalid_argument);
  EXPECT_THROW(restored(null_space(), a, {1.0, std::nan("")}, 0), std::invalid_argument);
  EXPECT_THROW(restored(null_space(), a, seen, -1), std::invalid_argument);
  EXPECT_THROW(restored(moment_matching(), a, seen, 1), std::invalid_argument);
  EXPECT_THROW(restored(posterior_sampling(), a, seen, 0, data().jacobian({1, 1})),
               std::invalid_argument);
  EXPECT_THROW(pseudo_inverse(0), std::invalid_argument);
  EXPECT_THROW(proximal(-1), std::invalid_argument);
  EXPECT_THROW(posterior_sampling(std::nan("")), std::invalid_argument);
  std::vector<double> v(3, 1.0), four(4, 1.0);
  restored r(null_space(), a, seen, 0);
  EXPECT_THROW(r(std::span<double>(v), 2, node{0, {1, 1}}), std::invalid_argument);
  EXPECT_THROW(r(std::span<double>(four), 1, node{0, {1, 1}}), std::invalid_argument);
  const auto negative = [](std::span<const double> in, std::size_t, std::span<double> out) {
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = -in[i];
  };
  restored wrong(moment_matching(), a, seen, 0.1, negative);
  EXPECT_THROW(wrong(std::span<double>(v), 1, node{0, {1, 1}}), std::domain_error);
  restored early(moment_matching(), a, seen, 0.1, data().jacobian({1, 1}));
  EXPECT_THROW(early(std::span<double>(v), 1, node{0, {0, 1}}), std::invalid_argument);
  EXPECT_EQ(v, std::vector<double>(3, 1.0));
}

TEST(restored, refuses_networks_that_answer_nan_and_leaves_the_estimate) {
  const dense_operator a{measuring()};
  const node at{0, {0.8, 0.6}};
  const auto nan_product = [](auto, std::size_t, std::span<double> out) { out[0] = std::nan(""); };
  for (const restoration& how : {null_space(), proximal(), flow_posterior(), pseudo_inverse(),
                                 posterior_sampling(), moment_matching()}) {
    std::vector<double> v{1, 2, 3}, bad{1, std::nan(""), 3};
    if (how.needs_jacobian()) {
      restored r(how, a, seen, 0.1, nan_product);
      EXPECT_ANY_THROW(r(std::span<double>(v), 1, at));
    }
    restored r(how, a, seen, 0.1, data().jacobian(at.level));
    EXPECT_THROW(r(std::span<double>(bad), 1, at), std::invalid_argument);
    EXPECT_EQ(v, (std::vector<double>{1, 2, 3}));
    EXPECT_EQ(bad[0], 1);
  }
}

}  // namespace
}  // namespace tweedie
