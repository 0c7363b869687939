// Corruption of tokens: closed forms against chains, posteriors against Bayes' rule by enumeration.
#include <gtest/gtest.h>

#include <cmath>
#include <unsupported/Eigen/MatrixFunctions>
#include <vector>

#include "refusal.hpp"
#include "tweedie/discrete/survival.hpp"
#include "tweedie/discrete/token_kernel.hpp"
#include "tweedie/discrete/transition_matrix.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie::discrete {
namespace {

struct process {
  const char* name;
  alphabet symbols;
  token_kernel step;  // per unit of beta
};
const process processes[] = {{"uniform", {5, -1}, {0, 1, 0}},
                             {"absorbing", {4, 4}, {0, 0, 1}},
                             {"mask in the middle", {4, 2}, {0, 0, 1}},
                             {"hybrid", {4, 0}, {0, 0.4, 0.6}},
                             {"one token and a mask", {1, 1}, {0, 0, 1}}};

token_kernel step_of(const process& p, double beta) {
  return {1 - beta, beta * p.step.uniform, beta * p.step.mask};
}

// T111: the product of the steps' matrices is the matrix of the composed kernel, ends included.
TEST(TokenKernel, MarginalsAreTheChainsProducts) {
  for (const process& p : processes) {
    token_kernel marginal;
    Eigen::MatrixXd product = Eigen::MatrixXd::Identity(static_cast<int>(p.symbols.size()),
                                                        static_cast<int>(p.symbols.size()));
    double survival = 1;
    for (const double beta : {0.0, 0.01, 0.3, 0.3, 0.999, 1.0, 0.5}) {
      marginal = compose(marginal, step_of(p, beta));
      product *= matrix_of(step_of(p, beta), p.symbols);
      survival *= 1 - beta;
      EXPECT_LT((matrix_of(marginal, p.symbols) - product).cwiseAbs().maxCoeff(), 1e-15) << p.name;
      EXPECT_LT((product.rowwise().sum().array() - 1).abs().maxCoeff(), 1e-14) << p.name;
      EXPECT_NEAR(marginal.keep, survival, 1e-16);
    }
  }
}

// jsd-style betas 1 / (T - t + 1) mask with probability t / T.
TEST(TokenKernel, MutualInformationBetasSurviveLinearly) {
  token_kernel marginal;
  const std::vector<double> betas = mutual_information_betas(7);
  for (std::size_t t = 1; t <= 7; ++t) {
    marginal = compose(marginal, absorbing_kernel(1 - betas[t - 1]));
    EXPECT_NEAR(marginal.keep, 1 - static_cast<double>(t) / 7, 1e-15);
    EXPECT_NEAR(marginal.mask, static_cast<double>(t) / 7, 1e-15);
  }
}

TEST(TokenKernel, BetweenUndoesCompose) {
  for (const process& p : processes) {
    const token_kernel s = step_of(p, 0.3), step = step_of(p, 0.45);
    const token_kernel again = between(s, compose(s, step));
    EXPECT_NEAR(again.keep, step.keep, 1e-15) << p.name;
    EXPECT_NEAR(again.uniform, step.uniform, 1e-15) << p.name;
    EXPECT_NEAR(again.mask, step.mask, 1e-15) << p.name;
  }
  EXPECT_EQ(refusal([] { between(uniform_kernel(0.4), uniform_kernel(0.5)); }),
            "between: keep = 1.25; valid: survival and unmasked share may only fall from s to t");
}

// T112: the posterior is Bayes' rule on the joint q(x_s, x_t | x_0), and the reverse step its
// mixture over x_0.
TEST(TokenKernel, PosteriorsAreBayes) {
  for (const process& p : processes) {
    const token_kernel to_s = step_of(p, 0.35), step = step_of(p, 0.2);
    const Eigen::MatrixXd first = matrix_of(to_s, p.symbols), second = matrix_of(step, p.symbols);
    const std::size_t n = p.symbols.size();
    std::vector<double> clean(n), mixture(n), out(n);
    for (std::size_t x_t = 0; x_t < n; ++x_t) {
      for (std::size_t k = 0; k < n; ++k)
        clean[k] = p.symbols.masked(static_cast<token>(k)) ? 0 : 1.0 + static_cast<double>(k);
      // The posterior of x_0 given x_t under a uniform prior weighted by `clean`.
      std::vector<double> expected(n, 0.0);
      for (std::size_t x_0 = 0; x_0 < n; ++x_0) {
        if (clean[x_0] == 0) continue;
        const auto a = static_cast<Eigen::Index>(x_0), c = static_cast<Eigen::Index>(x_t);
        const double evidence = first.row(a) * second.col(c);
        if (evidence == 0) continue;
        posterior(to_s, step, p.symbols, static_cast<token>(x_t), static_cast<token>(x_0), out);
        for (std::size_t y = 0; y < n; ++y) {
          const auto b = static_cast<Eigen::Index>(y);
          const double bayes = first(a, b) * second(b, c) / evidence;
          EXPECT_NEAR(out[y], bayes, 1e-15) << p.name;
          expected[y] += clean[x_0] * bayes;
        }
      }
      reverse(to_s, step, p.symbols, static_cast<token>(x_t), clean, mixture);
      for (std::size_t y = 0; y < n; ++y) EXPECT_NEAR(mixture[y], expected[y], 1e-13) << p.name;
    }
  }
}

// The same with matrices, and the forward marginal is preserved: sum over x_t of q(x_s | x_t)
// q(x_t) is q(x_s) when x_0's posterior is exact.
TEST(TransitionChain, ReverseStepsOfTheExactPosteriorPreserveMarginals) {
  const int n = 6;
  std::vector<Eigen::MatrixXd> steps;
  for (const double beta : {0.02, 0.1, 0.4}) {
    steps.push_back(gaussian_matrix(n, beta, n - 1));
    steps.push_back(nearest_neighbour_matrix(n, beta));
    steps.push_back(banded_uniform_matrix(n, beta, 2));
  }
  steps.push_back(matrix_of(absorbing_kernel(0.7), {5, 5}));
  const transition_chain chain(steps);
  Eigen::RowVectorXd prior(n);
  prior << 0.3, 0.05, 0.1, 0.25, 0.2, 0.1;
  for (std::size_t t = 1; t <= chain.steps(); ++t) {
    const Eigen::RowVectorXd at_t = prior * chain.marginal(t), at_s = prior * chain.marginal(t - 1);
    Eigen::RowVectorXd back = Eigen::RowVectorXd::Zero(n);
    for (token x_t = 0; x_t < n; ++x_t) {
      std::vector<double> clean(n), out(n), bayes(n);
      for (int x = 0; x < n; ++x)
        clean[static_cast<std::size_t>(x)] = prior(x) * chain.marginal(t)(x, x_t) / at_t(x_t);
      reverse(chain, t, x_t, clean, out);
      for (int y = 0; y < n; ++y) {
        const double joint = at_s(y) * chain.step(t)(y, x_t) / at_t(x_t);
        EXPECT_NEAR(out[static_cast<std::size_t>(y)], joint, 1e-14);
        back(y) += at_t(x_t) * out[static_cast<std::size_t>(y)];
      }
      // One-hot x_0: the logits of the product are the posterior's.
      for (int x = 0; x < n; ++x) {
        std::vector<double> hot(n, 0.0);
        hot[static_cast<std::size_t>(x)] = 1;
        if (chain.marginal(t)(x, x_t) == 0) continue;
        posterior_logits(chain, t, x_t, hot, out);
        double whole = 0;
        for (const double l : out) whole += std::exp(l);
        EXPECT_NEAR(whole, chain.marginal(t)(x, x_t), 1e-15);
      }
    }
    EXPECT_LT((back - at_s).cwiseAbs().maxCoeff(), 1e-14);
  }
}

// The discretised Gaussian is symmetric, so that the uniform distribution is stationary.
TEST(TransitionMatrix, GaussianIsDoublyStochastic) {
  for (const int bands : {1, 3, 9}) {
    const Eigen::MatrixXd q = gaussian_matrix(10, 0.05, bands);
    EXPECT_EQ(q, q.transpose());
    EXPECT_LT((q.colwise().sum().array() - 1).abs().maxCoeff(), 1e-15);
  }
}

// T114, forward half: exp(sigma Q) of the generators is the kernel with survival exp(-sigma).
TEST(TokenKernel, ContinuousTimeIsTheExponentialOfTheGenerator) {
  for (const process& p : processes) {
    const auto n = static_cast<Eigen::Index>(p.symbols.size());
    const Eigen::MatrixXd generator =
        matrix_of(step_of(p, 1), p.symbols) - Eigen::MatrixXd::Identity(n, n);
    for (const double total : {1e-9, 0.2, 3.0}) {
      const double corrupted = -std::expm1(-total);
      const token_kernel closed{std::exp(-total), corrupted * p.step.uniform,
                                corrupted * p.step.mask};
      // Hybrid processes mask what was replaced too: masks grow with their own rate.
      const double mask = -std::expm1(-total * p.step.mask);
      const token_kernel kernel{closed.keep, 1 - closed.keep - mask, mask};
      const Eigen::MatrixXd exact = (total * generator).exp();
      EXPECT_LT((matrix_of(kernel, p.symbols) - exact).cwiseAbs().maxCoeff(), 1e-14) << p.name;
    }
  }
}

template <class Schedule>
void expect_rates_are_derivatives(const Schedule& s) {
  for (const double t : {0.1, 0.4, 0.8}) {
    const double h = 1e-5;
    EXPECT_NEAR(s.rate(t), (s.total(t + h) - s.total(t - h)) / (2 * h), 1e-7 * s.rate(t));
  }
}
TEST(Survival, RatesAreDerivatives) {
  expect_rates_are_derivatives(log_linear{});
  expect_rates_are_derivatives(geometric{});
  expect_rates_are_derivatives(linear_noise{0, 3});
  expect_rates_are_derivatives(cosine_survival{});
  expect_rates_are_derivatives(cosine_squared_survival{});
  expect_rates_are_derivatives(survival_of{variance_preserving_schedule()});
}

TEST(Survival, LogLinearWeighsByOneOverTime) {
  for (const double t : {1e-9, 0.25, 1.0 - 1e-9})
    EXPECT_NEAR(unmasking_weight(log_linear{0}, t) * t, 1, 1e-12);
  EXPECT_EQ(refusal([] { unmasking_weight(log_linear{}, 0); }),
            "unmasking_weight: t = 0; valid: where alpha < 1");
}

TEST(TokenKernel, CorruptDrawsTheKernel) {
  for (const process& p : processes) {
    const token_kernel kernel = step_of(p, 0.6);
    const std::size_t n = p.symbols.size();
    const token x = p.symbols.mask == 0 ? 1 : 0;
    std::vector<int> count(n);
    constexpr int draws = 1 << 16;
    for (int i = 0; i < draws; ++i)
      ++count[static_cast<std::size_t>(corrupt(kernel, p.symbols, x, (i + 0.5) / draws))];
    // The numbers are equidistant, so counts are exact up to one for each of the three ways.
    for (std::size_t y = 0; y < n; ++y)
      EXPECT_NEAR(count[y], draws * probability(kernel, p.symbols, x, static_cast<token>(y)), 3);
  }
}

TEST(TransitionChain, RefusesWhatIsNoChain) {
  EXPECT_EQ(refusal([] { transition_chain({}); }), "transition_chain: there are no steps");
  Eigen::MatrixXd q(2, 2);
  q << 0.5, 0.4, 0.5, 0.5;
  EXPECT_EQ(refusal([&] { transition_chain({q}); }),
            "transition_chain: matrix = 1; valid: rows that sum to 1");
  q << 1.5, -0.5, 0.5, 0.5;
  EXPECT_EQ(refusal([&] { transition_chain({q}); }),
            "transition_chain: matrix = 1; valid: no entry below 0");
  const transition_chain chain({Eigen::MatrixXd::Identity(2, 2)});
  EXPECT_EQ(refusal([&] { chain.step(2); }), "transition_chain::step: t = 2; valid: 1 ... 1");
  std::vector<double> two(2, 0.5);
  EXPECT_EQ(refusal([&] { posterior_logits(chain, 1, 2, two, two); }),
            "posterior_logits: token at 0 = 2; valid: 0 ... 1");
}

}  // namespace
}  // namespace tweedie::discrete
