#include "tweedie/objective/variational_bound.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/objective/chain_bound.hpp"
#include "tweedie/objective/diffusion_bound.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/training/weighting.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;
using Eigen::MatrixXd;

std::vector<signal_noise> levels_of(const discrete_schedule& schedule) {
  std::vector<signal_noise> levels;
  for (int k = schedule.steps() - 1; k >= -1; --k) levels.push_back(schedule.at(k));
  return levels;
}

TEST(bound_steps, published_posterior_variances) {  // DDPM, linear, T = 1000
  const auto steps = bound_steps(levels_of(linear_beta_schedule(1000)));
  const auto variance = [&](int t) {
    return std::exp(steps[static_cast<std::size_t>(1000 - t)].posterior_log_variance);
  };
  EXPECT_NEAR(variance(2) / 5.45318766e-5, 1, 2e-9);
  EXPECT_NEAR(variance(3) / 8.54891152e-5, 1, 2e-9);
  EXPECT_NEAR(variance(1000) / .0199999835, 1, 2e-9);
  EXPECT_NEAR(steps.back().posterior_log_variance, -9.81672513529567, 1e-11);
  EXPECT_TRUE(steps.back().last);
  const auto ratio = [&](int t) {
    const bound_step& s = steps[static_cast<std::size_t>(1000 - t)];
    return std::exp(s.posterior_log_variance - s.forward_log_variance);
  };
  EXPECT_NEAR(ratio(2), .454736, 5e-7);
  EXPECT_NEAR(ratio(10), .852845, 5e-7);
  EXPECT_NEAR(ratio(100), .981914, 5e-7);
  EXPECT_NEAR(steps[998].clean_weight, .5452915, 5e-8);  // c1 at t = 2
  EXPECT_NEAR(steps[500].clean_weight, .00307007111, 5e-12);
}

TEST(prior_terms, published_bits_per_dimension) {  // Ho et al. 2020, section 4: L_T about 1e-5
  const signal_noise terminal = linear_beta_schedule(1000)(999);
  const auto bits = [&](double second_moment) {
    const MatrixXd x0 = MatrixXd::Constant(10, 1, std::sqrt(second_moment));
    return prior_terms(x0, terminal, 1, reduction::bits_per_dimension)[0];
  };
  EXPECT_NEAR(bits(0.25), 7.279e-6, 5e-10);
  EXPECT_NEAR(bits(1.0 / 3), 9.705e-6, 5e-10);
  EXPECT_NEAR(bits(1), 2.911e-5, 5e-9);
}

TEST(prior_terms, keep_their_digits_where_the_signal_is_tiny) {
  const signal_noise terminal = cosine_schedule(1000)(999);  // alpha_bar = 2.4e-9
  const double a = terminal.alpha * terminal.alpha;
  const MatrixXd zero = MatrixXd::Zero(1, 1);
  EXPECT_NEAR(prior_terms(zero, terminal, 1, reduction::sum_over_dimensions)[0] /
                  (a * a / 4 + a * a * a / 6),
              1, 1e-8);
  const MatrixXd x0 = MatrixXd::Constant(1, 1, 0.3);
  EXPECT_NEAR(prior_terms(x0, {0.6, 0.9}, 1.3, reduction::sum_over_dimensions)[0],
              normal_divergence(0.18, 2 * std::log(0.9), 0.0, 2 * std::log(1.3)), 1e-15);
}

TEST(prior_terms, at_any_share_of_noise_are_divergences_of_normals) {
  const MatrixXd zero = MatrixXd::Zero(1, 1);
  for (const double sigma : {1e-300, 1e-9, 1e-8, 1e-7, 1e-3, 0.49, 0.51, 0.7, 0.72, 0.99})
    EXPECT_NEAR(prior_terms(zero, {std::sqrt(1 - sigma * sigma), sigma}, 1,
                            reduction::sum_over_dimensions)[0] /
                    normal_divergence(0.0, 2 * std::log(sigma), 0.0, 0.0),
                1, 1e-12)
        << sigma;
}

struct example {
  MatrixXd x0, z, output, variance, target;
  std::vector<bound_item> items;
};

example make_example(bound_variance kind, plane_row (*row)(const node&)) {
  const auto steps = bound_steps(levels_of(linear_beta_schedule(1000)));
  example e;
  std::srand(4);
  e.x0 = (MatrixXd::Random(6, 4) * 127.5).array().round() / 127.5;
  e.z = MatrixXd::Random(6, 4);
  e.output = MatrixXd::Random(6, 4);
  e.variance = MatrixXd::Random(6, 4);
  e.target = MatrixXd(6, 4);
  const std::size_t at[] = {0, 400, 998, 999};
  for (int i = 0; i < 4; ++i) {
    const bound_step& s = steps[at[i]];
    const plane_row r = row({0, s.from});
    e.target.col(i) = r.x0 * e.x0.col(i) + r.z * e.z.col(i);
    e.items.push_back(make_bound_item(s, r, kind));
  }
  return e;
}

plane_row noise_row(const node& n) { return predicts_noise(n); }
plane_row v_row(const node& n) { return predicts_v(n); }

TEST(bound_terms, are_divergences_of_the_reverse_kernels) {
  for (const bound_variance kind :
       {bound_variance::fixed_small, bound_variance::fixed_large, bound_variance::learned_range}) {
    const example e = make_example(kind, v_row);
    MatrixXd gradient(6, 4), variance_gradient(6, 4);
    const auto values = learned_variance_bound_terms(
        e.output, e.variance, e.target, e.x0, e.items, discretised_gaussian(),
        reduction::sum_over_dimensions, gradient, variance_gradient);
    for (int i = 0; i < 3; ++i) {
      const bound_item& item = e.items[nth(i)];
      const posterior_weights q = posterior(item.step.from, item.step.to);
      const state_output clean = sample_from(item.step.from, predicts_v({0, item.step.from}));
      double sum = 0;
      for (int j = 0; j < 6; ++j) {
        const double x = item.step.from.alpha * e.x0(j, i) + item.step.from.sigma * e.z(j, i);
        const double estimate = clean.x * x + clean.y * e.output(j, i);
        const double log_variance =
            item.log_variance.offset + item.log_variance.slope * e.variance(j, i);
        sum += normal_divergence(q.clean * e.x0(j, i) + q.state * x, std::log(q.variance),
                                 q.clean * estimate + q.state * x, log_variance);
      }
      EXPECT_NEAR(values[nth(i)] / sum, 1, 1e-9);
    }
  }
}

TEST(bound_terms, weight_of_fixed_small_variances_is_the_elbo_weight) {
  // Ho et al. 2020, eq. 12, published at t = 2: .59967151.
  example e = make_example(bound_variance::fixed_small, noise_row);
  MatrixXd gradient(6, 4);
  const auto values = bound_terms(e.output, e.target, e.x0, e.items, discretised_gaussian(),
                                  reduction::sum_over_dimensions, gradient);
  EXPECT_NEAR(values[2] / (e.output - e.target).col(2).squaredNorm(), .59967151, 5e-9);
  for (int i = 0; i < 3; ++i)
    EXPECT_NEAR(values[nth(i)] /
                    ((e.output - e.target).col(i).squaredNorm() *
                     elbo_step_sample_weight(e.items[nth(i)].step.to, e.items[nth(i)].step.from) /
                     signal_to_noise_ratio(e.items[nth(i)].step.from)),
                1, 1e-9);
  const auto perfect = bound_terms(e.target, e.target, e.x0, e.items, discretised_gaussian(),
                                   reduction::sum_over_dimensions, gradient);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(perfect[nth(i)], 0);
}

TEST(bound_terms, gradients_equal_central_differences) {
  for (const bound_variance kind : {bound_variance::fixed_small, bound_variance::fixed_large,
                                    bound_variance::learned, bound_variance::learned_range}) {
    const example e = make_example(kind, noise_row);
    MatrixXd gradient(6, 4), variance_gradient(6, 4), unused(6, 4);
    learned_variance_bound_terms(e.output, e.variance, e.target, e.x0, e.items,
                                 discretised_gaussian(), reduction::bits_per_dimension, gradient,
                                 variance_gradient);
    const auto value = [&](const MatrixXd& y, const MatrixXd& v, int i) {
      return variance_bound_terms(y, v, e.target, e.x0, e.items, discretised_gaussian(),
                                  reduction::bits_per_dimension, unused)[nth(i)];
    };
    const double h = 1e-6;
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 6; j += 2) {
        MatrixXd up = e.output, down = e.output;
        up(j, i) += h;
        down(j, i) -= h;
        EXPECT_LT(relative_error(gradient(j, i),
                                 (value(up, e.variance, i) - value(down, e.variance, i)) / (2 * h)),
                  2e-6);
        up = down = e.variance;
        up(j, i) += h;
        down(j, i) -= h;
        EXPECT_LT(relative_error(variance_gradient(j, i),
                                 (value(e.output, up, i) - value(e.output, down, i)) / (2 * h)),
                  2e-6);
      }
    value(e.output, e.variance, 0);
    EXPECT_EQ(unused, variance_gradient);
  }
}

TEST(bound_terms, gradient_of_the_divergence_equals_forward_mode) {
  for (const double l : {-30.0, -1.0, 0.0, 2.0, 30.0}) {
    bound_item item;
    item.step.posterior_log_variance = -0.5;
    item.gain = 0.7;
    item.log_variance = {0, 1};
    const MatrixXd y = MatrixXd::Constant(1, 1, 1.3), v = MatrixXd::Constant(1, 1, l),
                   t = MatrixXd::Constant(1, 1, 0.2);
    MatrixXd dy(1, 1), dv(1, 1);
    const std::vector<bound_item> items = {item};
    learned_variance_bound_terms(y, v, t, t, items, discretised_gaussian(),
                                 reduction::sum_over_dimensions, dy, dv);
    const auto of_output = [&](auto x) -> decltype(x) {
      using S = decltype(x);
      return normal_divergence(detail::constant_like(x, 0.7 * 0.2), detail::constant_like(x, -0.5),
                               S(0.7 * x), detail::constant_like(x, l));
    };
    const auto of_variance = [&](auto x) -> decltype(x) {
      return normal_divergence(detail::constant_like(x, 0.7 * 0.2), detail::constant_like(x, -0.5),
                               detail::constant_like(x, 0.7 * 1.3), x);
    };
    EXPECT_LT(relative_error(dy(0, 0), forward_mode(of_output, 1.3)), 1e-13);
    EXPECT_LT(relative_error(dv(0, 0), forward_mode(of_variance, l)), 1e-13);
  }
}

TEST(bound_terms, refused_data_leaves_every_gradient_as_it_was) {
  const MatrixXd before = MatrixXd::Constant(6, 4, 7);
  const auto untouched = [&](const auto& terms) {
    MatrixXd gradient = before, variance_gradient = before;
    EXPECT_THROW(terms(gradient, variance_gradient), std::invalid_argument);
    EXPECT_EQ(gradient, before);
    EXPECT_EQ(variance_gradient, before);
  };
  example e = make_example(bound_variance::fixed_small, noise_row);
  example learned = make_example(bound_variance::learned_range, noise_row);
  e.x0(5, 3) = learned.x0(5, 3) = 255;  // the item at its last step
  const discretised_gaussian decoder;
  const reduction how = reduction::sum_over_dimensions;
  untouched([&](MatrixXd& g, MatrixXd&) {
    bound_terms(e.output, e.target, e.x0, e.items, decoder, how, g);
  });
  untouched([&](MatrixXd& g, MatrixXd& h) {
    learned_variance_bound_terms(learned.output, learned.variance, learned.target, learned.x0,
                                 learned.items, decoder, how, g, h);
  });
  untouched([&](MatrixXd&, MatrixXd& h) {
    variance_bound_terms(learned.output, learned.variance, learned.target, learned.x0,
                         learned.items, decoder, how, h);
  });
}

TEST(bound_terms, fixed_variances_without_an_output_are_the_same) {
  const example e = make_example(bound_variance::fixed_large, noise_row);
  MatrixXd a(6, 4), b(6, 4), c(6, 4);
  const auto fixed = bound_terms(e.output, e.target, e.x0, e.items, discretised_logistic(),
                                 reduction::mean_over_dimensions, a);
  const auto general =
      learned_variance_bound_terms(e.output, e.variance, e.target, e.x0, e.items,
                                   discretised_logistic(), reduction::mean_over_dimensions, b, c);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(fixed[nth(i)] / general[nth(i)], 1, 1e-13);
  EXPECT_LT((a - b).norm(), 1e-12 * a.norm());
  EXPECT_EQ(c.norm(), 0);
  const example learned = make_example(bound_variance::learned, noise_row);
  EXPECT_THROW(bound_terms(e.output, e.target, e.x0, learned.items, discretised_logistic(),
                           reduction::mean_over_dimensions, a),
               std::invalid_argument);
}

// Data N(m, s^2): with exact reverse kernels and prior, log p(x_0:T) - log q(x_1:T | x_0) is
// log p(x_0) on every path.
TEST(variational_bound, telescopes_to_the_log_likelihood_on_every_path) {
  const double m = 0.4, s2 = 0.3;
  const auto levels = levels_of(linear_beta_schedule(1000));
  const auto total = [&](signal_noise l) { return l.alpha * l.alpha * s2 + l.sigma * l.sigma; };
  std::srand(1);
  for (int path = 0; path < 3; ++path) {
    const double x0 = Eigen::MatrixXd::Random(1, 1)(0, 0);
    double x = x0, elbo = 0;
    for (std::size_t i = levels.size() - 1; i > 0; --i) {
      const signal_noise from = levels[i - 1], to = levels[i];
      const transition_kernel k = transition(to, from);
      const double noisier =
          k.mean * x + std::sqrt(3 * k.variance) * Eigen::MatrixXd::Random(1, 1)(0, 0);
      elbo -= normal_log_density(noisier, k.mean * x, std::log(k.variance));
      const double mean =
          to.alpha * m + k.mean * total(to) / total(from) * (noisier - from.alpha * m);
      elbo += normal_log_density(x, mean, std::log(gaussian_variance(from, to, s2)));
      x = noisier;
    }
    elbo += normal_log_density(x, levels[0].alpha * m, std::log(total(levels[0])));
    EXPECT_NEAR(elbo, normal_log_density(x0, m, std::log(s2)), 1e-9);
  }
}

TEST(diffusion_bound, gaussian_data_has_a_closed_form) {
  const double s2 = 0.3;
  const auto levels = [](const discrete_schedule& s) {
    std::vector<signal_noise> l = levels_of(s);
    l.pop_back();
    return l;
  };
  const auto error = [&](double log_snr) { return s2 / (1 + std::exp(log_snr) * s2); };
  const auto at_level = [&](signal_noise l) { return error(log_snr(l)); };
  const auto linear = levels(linear_beta_schedule(1000));
  const double low = log_snr(linear.front()), high = log_snr(linear.back());
  const double exact = 0.5 * std::log((1 + std::exp(high) * s2) / (1 + std::exp(low) * s2));
  EXPECT_NEAR(continuous_diffusion_bound(low, high, error), exact, 1e-12);
  EXPECT_NEAR(exact, 4.0033, 5e-5);
  EXPECT_NEAR(discrete_diffusion_bound(linear, at_level), 4.4611, 5e-5);
  // The bound falls towards the continuous one as steps are added between the same ends.
  double previous = std::numeric_limits<double>::infinity();
  for (const int n : {10, 40, 160, 640, 2560}) {
    std::vector<signal_noise> path;
    for (int i = 0; i <= n; ++i)
      path.push_back(variance_preserving(std::exp(-(low + (high - low) * i / n) / 2)));
    const double bound = discrete_diffusion_bound(path, at_level);
    EXPECT_LT(bound, previous);
    EXPECT_GT(bound, exact);
    if (n == 2560) {
      EXPECT_NEAR((bound - exact) / (previous - exact), 0.25, 0.01);
    }
    previous = bound;
  }
}

TEST(chain_bound, of_an_exact_model_of_a_point_is_the_prior_term) {
  const auto schedule = linear_beta_schedule(50, 1e-3, 0.3);
  std::vector<node> nodes;
  for (int k = 49; k >= -1; --k) nodes.push_back(node_at(schedule, k));
  const MatrixXd x0 = MatrixXd::Constant(4, 2, 21 / 255.0);
  struct recorded {
    void fill(const noise_request&, std::span<double> out) const {
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::sin(static_cast<double>(i));
    }
  };
  const network_description network{predicts_sample};
  const auto exact = [&](std::span<const double>, double, std::span<double> out) {
    std::fill(out.begin(), out.end(), 21 / 255.0);
  };
  const chain_bound bound = evaluate_chain_bound(x0, nodes, network, bound_variance::fixed_small,
                                                 exact, recorded{}, reduction::bits_per_dimension);
  ASSERT_EQ(bound.terms.size(), 50u);
  for (std::size_t k = 0; k + 1 < 50; ++k) EXPECT_EQ(bound.terms[k][1], 0);
  const double last =
      -discretised_gaussian()(21 / 255.0, 21 / 255.0,
                              bound_steps({{nodes[48].level, nodes[49].level, nodes[50].level}})
                                      .back()
                                      .posterior_log_variance /
                                  2)
           .log_probability /
      std::numbers::ln2;
  EXPECT_NEAR(bound.terms[49][0], last, 1e-12);
  EXPECT_NEAR(bound.total()[0], bound.prior[0] + last, 1e-12);
  const chain_bound clipped =
      evaluate_chain_bound(x0, nodes, network, bound_variance::fixed_small, exact, recorded{},
                           reduction::bits_per_dimension, discretised_gaussian(),
                           [](std::span<double> x) { std::fill(x.begin(), x.end(), 0.0); });
  EXPECT_NEAR(clipped.sample_errors[3][0], 21 * 21 / 255.0 / 255.0, 1e-15);
  EXPECT_NEAR(clipped.noise_errors[3][0],
              21 * 21 / 255.0 / 255.0 * signal_to_noise_ratio(nodes[3].level), 1e-13);
}

TEST(chain_bound, a_model_may_always_write_its_variance_output) {
  std::vector<node> nodes;
  for (const double alpha_bar : {0.1, 0.5, 1.0})
    nodes.push_back({2 - 2 * alpha_bar, {std::sqrt(alpha_bar), std::sqrt(1 - alpha_bar)}});
  const MatrixXd x0 = MatrixXd::Zero(4, 2);
  const auto mean_only = [](std::span<const double> x, double, std::span<double> y) {
    for (std::size_t j = 0; j < x.size(); ++j) y[j] = std::sin(x[j]);
  };
  const auto with_variance = [&](std::span<const double> x, double t, std::span<double> y,
                                 std::span<double> v) {
    ASSERT_EQ(v.size(), x.size());
    mean_only(x, t, y);
    std::fill(v.begin(), v.end(), 0.3);
  };
  const auto bound = [&](const auto& model, bound_variance kind) {
    return evaluate_chain_bound(x0, nodes, network_description{predicts_noise}, kind, model,
                                gaussian_noise{1}, reduction::sum_over_dimensions)
        .total();
  };
  for (const bound_variance kind : {bound_variance::fixed_small, bound_variance::fixed_large})
    EXPECT_EQ(bound(with_variance, kind), bound(mean_only, kind));
  EXPECT_THROW(bound(mean_only, bound_variance::learned), std::invalid_argument);
}

// Each item's terms by one call per item; a fixed source of noise that knows the scalars of both.
struct recorded_noise {
  std::size_t first_item = 0;

  template <class S>
  void fill(const noise_request& request, std::span<S> out) const {
    const std::size_t n = out.size() / request.items;
    for (std::size_t j = 0; j < out.size(); ++j)
      out[j] = static_cast<S>(
          1.4 * std::sin(2.3 * static_cast<double>(first_item * n + j) + 0.7 * request.draw));
  }
};

constexpr auto network = [](auto x, double t, auto y, auto v) {
  using S = typename decltype(y)::value_type;
  for (std::size_t j = 0; j < x.size(); ++j) {
    y[j] = static_cast<S>(std::tanh(static_cast<double>(x[j])) + 1e-4 * t);
    if (!v.empty()) v[j] = static_cast<S>(0.2 * std::cos(static_cast<double>(x[j])));
  }
};

template <class Matrix>
chain_bound bound_of(const Matrix& x0, bound_variance kind, std::size_t first_item = 0) {
  const auto schedule = linear_beta_schedule(12, 1e-3, 0.5);
  std::vector<node> nodes;
  for (int k = 11; k >= -1; --k) nodes.push_back(node_at(schedule, k));
  return evaluate_chain_bound(x0, nodes, network_description{predicts_noise}, kind, network,
                              recorded_noise{first_item}, reduction::bits_per_dimension);
}

TEST(chain_bound, of_an_item_is_the_same_alone_and_in_a_batch) {
  std::srand(8);
  const MatrixXd x0 = (MatrixXd::Random(7, 3) * 127.5).array().round() / 127.5;
  for (const bound_variance kind :
       {bound_variance::fixed_small, bound_variance::fixed_large, bound_variance::learned_range}) {
    const chain_bound all = bound_of(x0, kind);
    ASSERT_EQ(all.terms.size(), 12u);
    for (std::size_t i = 0; i < 3; ++i) {
      const chain_bound one = bound_of(MatrixXd(x0.col(static_cast<Eigen::Index>(i))), kind, i);
      EXPECT_EQ(one.prior[0], all.prior[i]);
      for (std::size_t k = 0; k < 12; ++k) {
        EXPECT_EQ(one.terms[k][0], all.terms[k][i]);
        EXPECT_EQ(one.sample_errors[k][0], all.sample_errors[k][i]);
        EXPECT_EQ(one.noise_errors[k][0], all.noise_errors[k][i]);
      }
      EXPECT_EQ(one.total()[0], all.total()[i]);
    }
  }
}

TEST(chain_bound, agrees_in_float_and_double) {
  std::srand(9);
  const Eigen::MatrixXf x0 =
      (MatrixXd::Random(7, 3) * 127.5).array().round().cast<float>() / 127.5f;
  for (const bound_variance kind : {bound_variance::fixed_small, bound_variance::learned_range}) {
    const auto single = bound_of(x0, kind).total(),
               exact = bound_of(MatrixXd(x0.cast<double>()), kind).total();
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(single[i] / exact[i], 1, 2e-5);
  }
}

// L_simple + 0.001 L_vlb: the bound is a function of the variance output alone, so that the gradient
// of the answer is that of the regression (Nichol and Dhariwal 2021, section 3.1).
TEST(hybrid_objective, moves_the_answer_by_regression_and_the_variance_by_the_bound) {
  const example e = make_example(bound_variance::learned_range, noise_row);
  const std::vector<double> w(4, 1.0);
  MatrixXd answer_gradient(6, 4), variance_gradient(6, 4), unused(6, 4);
  const MatrixXd held = e.output;  // what the bound sees: not differentiated
  const auto hybrid = [&](const MatrixXd& y, const MatrixXd& v) {
    auto values = regression(y, e.target, w, squared_error{}, reduction::mean_over_dimensions);
    const auto bound =
        variance_bound_terms(held, v, e.target, e.x0, e.items, discretised_gaussian(),
                             reduction::bits_per_dimension, unused);
    for (std::size_t i = 0; i < 4; ++i) values[i] += 1e-3 * bound[i];
    return values;
  };
  regression(e.output, e.target, w, squared_error{}, reduction::mean_over_dimensions,
             answer_gradient);
  variance_bound_terms(held, e.variance, e.target, e.x0, e.items, discretised_gaussian(),
                       reduction::bits_per_dimension, variance_gradient);
  variance_gradient *= 1e-3;
  const double h = 1e-5;
  for (int j = 0; j < 6; ++j) {
    MatrixXd up = e.output, down = e.output;
    up.row(j).array() += h;
    down.row(j).array() -= h;
    const auto above = hybrid(up, e.variance), below = hybrid(down, e.variance);
    up = down = e.variance;
    up.row(j).array() += h;
    down.row(j).array() -= h;
    const auto more = hybrid(e.output, up), less = hybrid(e.output, down);
    for (int i = 0; i < 4; ++i) {
      EXPECT_NEAR(answer_gradient(j, i), (above[nth(i)] - below[nth(i)]) / (2 * h), 1e-8);
      EXPECT_NEAR(variance_gradient(j, i), (more[nth(i)] - less[nth(i)]) / (2 * h), 1e-8);
    }
  }
}

TEST(bound_steps, refuse_chains_that_do_not_end_at_data) {
  const signal_noise noisy{0.6, 0.8}, less{0.8, 0.6}, data{1, 0};
  EXPECT_NO_THROW(bound_steps({{noisy, less, data}}));
  EXPECT_THROW(bound_steps({{data}}), std::invalid_argument);
  EXPECT_THROW(bound_steps({{noisy, less}}), std::invalid_argument);
  EXPECT_THROW(bound_steps({{less, noisy, data}}), std::invalid_argument);
  EXPECT_THROW(bound_steps({{noisy, noisy, data}}), std::invalid_argument);
  const MatrixXd x0 = MatrixXd::Zero(2, 1);
  EXPECT_THROW(prior_terms(x0, data, 1, reduction::sum_over_dimensions), std::invalid_argument);
  EXPECT_THROW(prior_terms(x0, noisy, 0, reduction::sum_over_dimensions), std::invalid_argument);
  EXPECT_THROW(discrete_diffusion_bound(std::vector{noisy}, [](signal_noise) { return 1.0; }),
               std::invalid_argument);
  EXPECT_THROW(discrete_diffusion_bound(std::vector{less, noisy}, [](signal_noise) { return 1.0; }),
               std::invalid_argument);
  EXPECT_THROW(continuous_diffusion_bound(1, 0, [](double) { return 1.0; }), std::invalid_argument);
  EXPECT_THROW(continuous_diffusion_bound(
                   0, 1, [](double) { return 1.0; }, 0),
               std::invalid_argument);
}

}  // namespace
