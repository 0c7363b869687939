// Laws of samplers and identities of bounds on texts whose every conditional is known: computed by
// enumeration, nothing is sampled.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "refusal.hpp"
#include "tweedie/discrete/ancestral.hpp"
#include "tweedie/discrete/chain_bound.hpp"
#include "tweedie/discrete/exact_text.hpp"
#include "tweedie/discrete/flow_matching.hpp"
#include "tweedie/discrete/jump.hpp"
#include "tweedie/discrete/masked_bound.hpp"
#include "tweedie/discrete/rates.hpp"
#include "tweedie/discrete/score_entropy.hpp"
#include "tweedie/discrete/survival.hpp"

namespace tweedie::discrete {
namespace {

std::vector<double> random_weights(std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::exponential_distribution<double> weight;
  std::vector<double> all(count);
  for (double& w : all) w = weight(engine) + 0.01;
  return all;
}

markov_text some_chain(std::size_t length, Eigen::Index n) {
  Eigen::RowVectorXd initial(n);
  Eigen::MatrixXd transition(n, n);
  const std::vector<double> w = random_weights(static_cast<std::size_t>(n * n + n), 3);
  for (Eigen::Index i = 0; i < n; ++i) {
    initial(i) = w[static_cast<std::size_t>(i)];
    for (Eigen::Index j = 0; j < n; ++j)
      transition(i, j) = w[static_cast<std::size_t>(n + i * n + j)];
  }
  initial /= initial.sum();
  for (Eigen::Index i = 0; i < n; ++i) transition.row(i) /= transition.row(i).sum();
  return {length, initial, transition};
}

joint_table table_of(const markov_text& text) {
  std::size_t count = 1;
  for (std::size_t i = 0; i < text.length(); ++i) count *= text.vocabulary();
  const joint_table digits(text.length(), text.vocabulary(), std::vector<double>(count, 1));
  std::vector<double> weights;
  for (std::size_t k = 0; k < count; ++k)
    weights.push_back(std::exp(text.log_probability(digits.text(k))));
  return {text.length(), text.vocabulary(), weights};
}

TEST(ExactText, ChainIsItsTable) {
  const markov_text chain = some_chain(4, 3);
  const joint_table table = table_of(chain);
  const alphabet symbols{3, 3};
  const token_kernel hybrid{0.5, 0.2, 0.3};
  std::vector<double> a(12), b(12);
  for (const std::vector<token>& x : {std::vector<token>{3, 0, 3, 2}, {0, 1, 2, 0}, {3, 3, 3, 3}}) {
    const std::vector<double> evidence = evidence_of(hybrid, symbols, x);
    chain.posterior(evidence, a);
    table.posterior(evidence, b);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-14);
  }
  EXPECT_NEAR(chain.log_probability(table.text(17)), table.log_probability(table.text(17)), 1e-13);
}

// T113: with exact conditionals the masked bound of every text is its -log p.
TEST(MaskedBound, IsMinusLogProbabilityOfEveryText) {
  const joint_table table(3, 3, random_weights(27, 1));
  for (std::size_t k = 0; k < 27; ++k)
    EXPECT_NEAR(exact_masked_bound(table, table.text(k)), -table.log_probability(table.text(k)),
                1e-12);
  const markov_text chain = some_chain(8, 4);
  const std::vector<token> x = {0, 3, 1, 1, 2, 0, 3, 2};
  EXPECT_NEAR(exact_masked_bound(chain, x), -chain.log_probability(x), 1e-12);
}

// The same bound by the loss itself, its time integrated by Simpson's rule: the integrand is a
// polynomial of degree L - 1 in t for alpha = 1 - t.
TEST(MaskedBound, LossIntegratesToMinusLogProbability) {
  const joint_table table(3, 2, random_weights(8, 2));
  const alphabet symbols{2, 2};
  for (std::size_t k = 0; k < 8; ++k) {
    const std::vector<token> x = table.text(k);
    const auto integrand = [&](double t) {
      double sum = 0;
      for (std::size_t set = 1; set < 8; ++set) {
        std::vector<token> x_t = x;
        double probability = 1;
        for (std::size_t i = 0; i < 3; ++i) {
          if (set >> i & 1) x_t[i] = symbols.mask;
          probability *= set >> i & 1 ? t : 1 - t;
        }
        std::vector<double> p(6);
        table.posterior(evidence_of(absorbing_kernel(1 - t), symbols, x_t), p);
        std::vector<double> logits;
        for (const double v : p) logits.push_back(std::log(v));
        const double weight = unmasking_weight(log_linear{0}, t);
        for (const double v : masked_bound(logits_view<double>(logits, 2), x, x_t, symbols.mask,
                                           std::span(&weight, 1)))
          sum += probability * v;
      }
      return sum;
    };
    // Gauss's three points are exact to degree five.
    const double r = std::sqrt(0.6) / 2;
    const double bound =
        (5 * integrand(0.5 - r) + 8 * integrand(0.5) + 5 * integrand(0.5 + r)) / 18;
    EXPECT_NEAR(bound, -table.log_probability(x), 1e-12);
  }
}

// T117: with the exact p(x_0 | x_t) the terms of D3PM's bound add up to -log p(x_0). The states are
// whole texts, so the reverse step is that of the joint, not of independent tokens.
TEST(ChainBound, TelescopesToMinusLogProbability) {
  const int n = 4;
  const std::vector<double> weights = random_weights(4, 4);
  Eigen::RowVectorXd p = Eigen::Map<const Eigen::RowVectorXd>(weights.data(), n);
  p /= p.sum();
  std::vector<Eigen::MatrixXd> steps = {
      gaussian_matrix(n, 0.3, n - 1), nearest_neighbour_matrix(n, 0.4),
      banded_uniform_matrix(n, 0.3, n - 1), matrix_of(absorbing_kernel(0.6), {3, 1})};
  const transition_chain chain(steps);
  for (token x_0 = 0; x_0 < n; ++x_0) {
    double bound = 0;
    for (std::size_t t = 1; t <= chain.steps(); ++t) {
      const Eigen::RowVectorXd marginal = p * chain.marginal(t);
      for (token x_t = 0; x_t < n; ++x_t) {
        const double reached = chain.marginal(t)(x_0, x_t);
        if (reached == 0) continue;
        std::vector<double> logits(n);
        for (int x = 0; x < n; ++x)
          logits[static_cast<std::size_t>(x)] = std::log(p(x) * chain.marginal(t)(x, x_t));
        bound += reached * step_bound(chain, t, x_t, x_0, logits);
        if (t == chain.steps()) bound += reached * std::log(reached / marginal(x_t));
      }
    }
    EXPECT_NEAR(bound, -std::log(p(x_0)), 1e-12);
  }
}

// Both forms of the step's bound agree, and gradients are finite differences.
TEST(ChainBound, GradientsAreFiniteDifferences) {
  const alphabet symbols{4, 4};
  const token_kernel to_s{0.5, 0.3, 0.2}, step{0.7, 0.2, 0.1};
  const transition_chain chain({matrix_of(to_s, symbols), matrix_of(step, symbols)});
  std::vector<double> logits = {0.3, -1.2, 0.8, 0.1, -INFINITY};
  for (const token x_t : {0, 2, 4})
    for (const token x_0 : {0, 3}) {
      std::vector<double> gradient(5, 0.0), same(5, 0.0), hybrid(5, 0.0);
      const double value = step_bound(chain, 2, x_t, x_0, logits, 1.5, gradient);
      EXPECT_NEAR(step_bound(to_s, step, symbols, x_t, x_0, logits, 1.5, same), value, 1e-14);
      hybrid_bound(chain, 2, x_t, x_0, logits, 0.01, hybrid);
      for (std::size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(same[k], gradient[k], 1e-14);
        const double h = 1e-6;
        std::vector<double> up = logits, down = logits;
        up[k] += h;
        down[k] -= h;
        EXPECT_NEAR(
            gradient[k],
            1.5 * (step_bound(chain, 2, x_t, x_0, up) - step_bound(chain, 2, x_t, x_0, down)) /
                (2 * h),
            1e-8);
        EXPECT_NEAR(hybrid[k],
                    (hybrid_bound(chain, 2, x_t, x_0, up, 0.01) -
                     hybrid_bound(chain, 2, x_t, x_0, down, 0.01)) /
                        (2 * h),
                    1e-8);
      }
    }
}

TEST(MaskedBound, GradientIsAFiniteDifferenceAndZeroElsewhere) {
  const std::vector<token> x_0 = {0, 2, 1}, x_t = {0, 3, 3};
  const double weight = 2.5;
  std::vector<double> logits = random_weights(12, 8), gradient(12, 7.0);
  const auto sum = [&](const std::vector<double>& l) {
    double s = 0;
    for (const double v :
         masked_bound(logits_view<double>(l, 4), x_0, x_t, 3, std::span(&weight, 1)))
      s += v;
    return s;
  };
  masked_bound(logits_view<double>(logits, 4), x_0, x_t, 3, std::span(&weight, 1),
               std::span<double>(gradient));
  for (std::size_t k = 0; k < 12; ++k) {
    std::vector<double> up = logits, down = logits;
    up[k] += 1e-6;
    down[k] -= 1e-6;
    EXPECT_NEAR(gradient[k], (sum(up) - sum(down)) / 2e-6, 1e-8);
    if (k < 4 || k % 4 == 3) {
      EXPECT_EQ(gradient[k], 0);
    }
  }
  const std::vector<double> before = gradient;
  logits[5] = NAN;
  EXPECT_EQ(refusal([&] {
              masked_bound(logits_view<double>(logits, 4), x_0, x_t, 3, std::span(&weight, 1),
                           std::span<double>(gradient));
            }),
            "masked_bound: a logit of row 1 = nan; valid: finite or -inf");
  EXPECT_EQ(gradient, before);
}

// T114: rates made of exact ratios reverse the flow of probability: dp/dsigma = p Q = -p R.
TEST(Rates, ReverseRatesSatisfyKolmogorov) {
  for (const token_rates& rates : {uniform_rates, absorbing_rates, token_rates{0.3, 0.7}}) {
    const alphabet symbols{4, rates.mask > 0 ? 4 : -1};
    const std::size_t n = symbols.size();
    std::vector<double> p_0 = random_weights(n, 6), p(n, 0.0), q(n), r(n), ratios(n);
    if (symbols.mask >= 0) p_0[4] = 0;
    const token_kernel kernel = kernel_of(rates, 0.8);
    for (std::size_t x = 0; x < n; ++x)
      for (std::size_t y = 0; y < n; ++y)
        p[y] += p_0[x] * probability(kernel, symbols, static_cast<token>(x), static_cast<token>(y));
    std::vector<double> forward(n, 0.0), backward(n, 0.0);
    for (std::size_t x = 0; x < n; ++x) {
      for (std::size_t y = 0; y < n; ++y) ratios[y] = p[y] / p[x];
      reverse_rates(rates, symbols, static_cast<token>(x), ratios, r);
      for (std::size_t y = 0; y < n; ++y) {
        forward[y] += p[x] * rate(rates, symbols, static_cast<token>(x), static_cast<token>(y));
        backward[y] += p[x] * r[y];
      }
    }
    for (std::size_t y = 0; y < n; ++y) EXPECT_NEAR(backward[y], -forward[y], 1e-15);
    // Staggered ratios are those at less noise, and analytic weights the exact posterior.
    const token_kernel step = kernel_of(rates, 0.3), to_s = kernel_of(rates, 0.5);
    std::vector<double> p_s(n, 0.0), out(n);
    for (std::size_t x = 0; x < n; ++x)
      for (std::size_t y = 0; y < n; ++y)
        p_s[y] += p_0[x] * probability(to_s, symbols, static_cast<token>(x), static_cast<token>(y));
    for (std::size_t x = 0; x < n; ++x) {
      for (std::size_t y = 0; y < n; ++y) ratios[y] = p[y] / p[x];
      staggered_ratios(step, symbols, ratios, out);
      for (std::size_t y = 0; y < n; ++y) EXPECT_NEAR(out[y], p_s[y] / p[x], 1e-14);
      analytic_weights(step, symbols, static_cast<token>(x), ratios, out);
      double whole = 0;
      for (const double w : out) whole += w;
      EXPECT_NEAR(whole, 1, 1e-13);
    }
  }
}

// The law of one token after reversing from total noise 2 to 0.1 in `steps` leaps with exact rates.
struct reversal {
  std::vector<double> p_0 = {0.7, 0.1, 0.15, 0.05};
  alphabet symbols{4, -1};
  std::vector<double> at(double total) const {
    std::vector<double> p(4, 0.0);
    for (std::size_t x = 0; x < 4; ++x)
      for (std::size_t y = 0; y < 4; ++y)
        p[y] += p_0[x] * probability(kernel_of(uniform_rates, total), symbols,
                                     static_cast<token>(x), static_cast<token>(y));
    return p;
  }
  std::vector<double> rates(double total, std::size_t x) const {
    const std::vector<double> p = at(total);
    std::vector<double> ratios(4), r(4);
    for (std::size_t y = 0; y < 4; ++y) ratios[y] = p[y] / p[x];
    reverse_rates(uniform_rates, symbols, static_cast<token>(x), ratios, r);
    return r;
  }
};

double leap_error(int steps) {
  const reversal v;
  std::vector<double> p = v.at(2), law(4);
  const double h = 1.9 / steps;
  for (int k = 0; k < steps; ++k) {
    std::vector<double> next(4, 0.0);
    for (std::size_t x = 0; x < 4; ++x) {
      leap_law(v.rates(2 - k * h, x), static_cast<token>(x), h, law);
      for (std::size_t y = 0; y < 4; ++y) next[y] += p[x] * law[y];
    }
    p = next;
  }
  return std::abs(p[0] - v.at(0.1)[0]);
}
double trapezoidal_error(int steps, double theta) {
  reversal v;
  v.p_0 = {0.3, 0.25, 0.25, 0.2};  // close enough that no rate is cut off
  std::vector<double> p = v.at(2), law(4), second(4), mixed(4);
  const double h = 1.9 / steps;
  for (int k = 0; k < steps; ++k) {
    const double total = 2 - k * h;
    std::vector<double> next(4, 0.0);
    for (std::size_t x = 0; x < 4; ++x) {
      leap_law(v.rates(total, x), static_cast<token>(x), theta * h, law);
      for (std::size_t z = 0; z < 4; ++z) {
        trapezoidal_rates(theta, v.rates(total, x), static_cast<token>(x),
                          v.rates(total - theta * h, z), static_cast<token>(z), mixed);
        leap_law(mixed, static_cast<token>(z), (1 - theta) * h, second);
        for (std::size_t y = 0; y < 4; ++y) next[y] += p[x] * law[z] * second[y];
      }
    }
    p = next;
  }
  return std::abs(p[0] - v.at(0.1)[0]);
}

TEST(Leaps, AreOfWeakOrderOne) {
  EXPECT_NEAR(std::log2(leap_error(256) / leap_error(512)), 1, 0.03);
}

// Uniformisation: a Poisson mixture of event laws is the exponential of the rates, when these stand
// still: h R for the reversal of a stationary process.
TEST(Uniformisation, IsExact) {
  const std::vector<double> ratios(4, 1.0);
  const alphabet symbols{4, -1};
  std::vector<double> r(4), law(4);
  const double h = 0.9, bound = 1.3;
  std::vector<double> state = {1, 0, 0, 0}, total(4, 0.0);
  double poisson = std::exp(-bound * h);
  for (int k = 0; k < 60; ++k) {
    for (std::size_t y = 0; y < 4; ++y) total[y] += poisson * state[y];
    std::vector<double> next(4, 0.0);
    for (std::size_t x = 0; x < 4; ++x) {
      reverse_rates(uniform_rates, symbols, static_cast<token>(x), ratios, r);
      uniformised_law(r, static_cast<token>(x), bound, law);
      for (std::size_t y = 0; y < 4; ++y) next[y] += state[x] * law[y];
    }
    state = next;
    poisson *= bound * h / (k + 1);
  }
  for (token y = 0; y < 4; ++y)
    EXPECT_NEAR(total[static_cast<std::size_t>(y)],
                probability(kernel_of(uniform_rates, h), symbols, 0, y), 1e-15);
}

// First hitting: the largest of n uniform times on (0, c) has distribution function (t / c)^n.
TEST(FirstHitting, IsTheLargestOfUniformTimes) {
  for (const std::size_t n : {1, 2, 10})
    for (const double u : {0.1, 0.5, 1.0})
      EXPECT_NEAR(std::pow(next_hitting(0.8, n, u) / 0.8, static_cast<double>(n)), u, 1e-14);
}

// T115: score entropy is 0 with gradient 0 at the ratios of one text, and its expectation over
// clean tokens has gradient 0 at the ratios of the marginals.
TEST(ScoreEntropy, IsLeastAtTheRatios) {
  for (const token_rates& rates : {uniform_rates, absorbing_rates, token_rates{0.5, 0.5}}) {
    const alphabet symbols{3, rates.mask > 0 ? 3 : -1};
    const std::size_t n = symbols.size();
    const token_kernel kernel = kernel_of(rates, 0.7);
    const std::vector<double> p_0 = {0.2, 0.5, 0.3};
    for (std::size_t x = 0; x < n; ++x) {
      std::vector<double> marginal(n, 0.0), expected(n, 0.0), log_scores(n, 0.0);
      for (std::size_t x_0 = 0; x_0 < 3; ++x_0)
        for (std::size_t y = 0; y < n; ++y)
          marginal[y] += p_0[x_0] * probability(kernel, symbols, static_cast<token>(x_0),
                                                static_cast<token>(y));
      for (std::size_t y = 0; y < n; ++y) log_scores[y] = std::log(marginal[y] / marginal[x]);
      for (std::size_t x_0 = 0; x_0 < 3; ++x_0) {
        const double reached =
            probability(kernel, symbols, static_cast<token>(x_0), static_cast<token>(x));
        if (reached == 0) continue;
        std::vector<double> own(n), gradient(n, 0.0);
        for (std::size_t y = 0; y < n; ++y)
          own[y] = std::log(
              probability(kernel, symbols, static_cast<token>(x_0), static_cast<token>(y)) /
              reached);
        EXPECT_NEAR(score_entropy(rates, kernel, symbols, static_cast<token>(x),
                                  static_cast<token>(x_0), own, 1, gradient),
                    0, 1e-14);
        for (const double g : gradient) EXPECT_NEAR(g, 0, 1e-14);
        const double value =
            score_entropy(rates, kernel, symbols, static_cast<token>(x), static_cast<token>(x_0),
                          log_scores, p_0[x_0] * reached / marginal[x], expected);
        EXPECT_GE(value, -1e-15);
      }
      for (const double g : expected) EXPECT_NEAR(g, 0, 1e-14);
    }
  }
}

// T116: the flow's velocity moves the marginal: d/dt p_t(y) = sum over x of p_t(x) u_t(y, x).
TEST(FlowMatching, SatisfiesTheContinuityEquation) {
  const std::vector<double> p_1 = {0.6, 0.3, 0.1}, p_0 = {0.2, 0.3, 0.5};
  for (const double power : {1.0, 2.0, 3.5}) {
    const polynomial_path path{power};
    for (const double t : {0.05, 0.5, 0.95}) {
      const double kappa = path.kappa(t);
      std::vector<double> change(3, 0.0), u(3), clean(3);
      for (std::size_t x = 0; x < 3; ++x) {
        const double here = (1 - kappa) * p_0[x] + kappa * p_1[x];
        for (std::size_t y = 0; y < 3; ++y)
          clean[y] = p_1[y] * ((1 - kappa) * p_0[x] + (x == y ? kappa : 0)) / here;
        flow_velocity(arrival_rate(path, t), clean, static_cast<token>(x), u);
        for (std::size_t y = 0; y < 3; ++y) change[y] += here * u[y];
      }
      for (std::size_t y = 0; y < 3; ++y)
        EXPECT_NEAR(change[y], path.rate(t) * (p_1[y] - p_0[y]), 1e-13);
      // With the divergence-free part the marginal moves in the same way.
      const flow_jumps jumps = jump_rates(path, t, 1.7);
      std::vector<double> corrected(3, 0.0);
      for (std::size_t x = 0; x < 3; ++x)
        for (std::size_t x_1 = 0; x_1 < 3; ++x_1) {
          const double joint = p_1[x_1] * ((1 - kappa) * p_0[x] + (x == x_1 ? kappa : 0));
          const double leaving =
              intensity(jumps, p_0, static_cast<token>(x), static_cast<token>(x_1));
          corrected[x] -= joint * leaving;
          for (std::size_t y = 0; y < 3; ++y)
            if (y != x)
              corrected[y] += joint * (jumps.noise * p_0[y] + (y == x_1 ? jumps.toward : 0));
        }
      for (std::size_t y = 0; y < 3; ++y)
        EXPECT_NEAR(corrected[y], path.rate(t) * (p_1[y] - p_0[y]), 1e-12);
    }
  }
}

TEST(FlowMatching, GradientIsAFiniteDifference) {
  const std::vector<double> logits = {0.2, -0.4, 1.1, 0.3};
  for (const token x : {0, 2})
    for (const token x_1 : {0, 1}) {
      std::vector<double> gradient(4, 0.0);
      flow_bound(2.5, logits, x, x_1, 1.5, gradient);
      for (std::size_t k = 0; k < 4; ++k) {
        std::vector<double> up = logits, down = logits;
        up[k] += 1e-6;
        down[k] -= 1e-6;
        EXPECT_NEAR(gradient[k],
                    1.5 * (flow_bound(2.5, up, x, x_1) - flow_bound(2.5, down, x, x_1)) / 2e-6,
                    1e-8);
      }
    }
}

// Any remasking probability, and any sigma of discrete DDIM, keeps the marginals of one token.
TEST(ReverseSteps, KeepMarginals) {
  const std::vector<double> p_0 = {0.5, 0.3, 0.2};
  const double alpha_t = 0.3, alpha_s = 0.55;
  for (const double share : {0.0, 0.4, 1.0}) {
    const alphabet masked{3, 3};
    std::vector<double> out(4), law(4, 0.0);
    const double sigma = share * most_remasking(alpha_t, alpha_s);
    for (token x = 0; x < 4; ++x) {
      const double here = x == 3 ? 1 - alpha_t : alpha_t * p_0[static_cast<std::size_t>(x)];
      std::vector<double> clean(4, 0.0);
      for (std::size_t y = 0; y < 3; ++y) clean[y] = x == 3 ? p_0[y] : (static_cast<token>(y) == x);
      remasking_weights(alpha_t, alpha_s, sigma, masked, x, clean, out);
      for (std::size_t y = 0; y < 4; ++y) law[y] += here * out[y];
    }
    for (std::size_t y = 0; y < 3; ++y) EXPECT_NEAR(law[y], alpha_s * p_0[y], 1e-15);
    EXPECT_NEAR(law[3], 1 - alpha_s, 1e-15);

    std::vector<double> ddim(3), marginal(3, 0.0);
    for (token x = 0; x < 3; ++x) {
      const double here = alpha_t * p_0[static_cast<std::size_t>(x)] + (1 - alpha_t) / 3;
      std::vector<double> clean(3);
      for (std::size_t y = 0; y < 3; ++y)
        clean[y] = p_0[y] * ((static_cast<token>(y) == x ? alpha_t : 0) + (1 - alpha_t) / 3) / here;
      ddim_weights(alpha_t, alpha_s, share * (1 - alpha_s) / (1 - alpha_t), x, clean, ddim);
      for (std::size_t y = 0; y < 3; ++y) marginal[y] += here * ddim[y];
    }
    for (std::size_t y = 0; y < 3; ++y)
      EXPECT_NEAR(marginal[y], alpha_s * p_0[y] + (1 - alpha_s) / 3, 1e-15);
  }
  std::vector<double> clean(4, 0.25), out(4);
  EXPECT_EQ(refusal([&] {
              remasking_weights(0.5, 0.9, 0.3, {3, 3}, 0, clean, out);
            }),
            "remasking_weights: sigma = 0.3; valid: 0 ... min(1, (1 - alpha_s) / alpha_t)");
}

// The law of ancestral unmasking with independent tokens tends to the text's as steps grow: total
// variation falls with order one, and it is exact where one token is left to fill.
double total_variation(int steps) {
  const joint_table table(2, 2, {0.4, 0.1, 0.05, 0.45});
  const alphabet symbols{2, 2};
  // The law over pairs of {0, 1, mask}.
  std::vector<double> law(9, 0.0);
  law[8] = 1;
  for (int k = 0; k < steps; ++k) {
    const double t = 1 - static_cast<double>(k) / steps, s = 1 - static_cast<double>(k + 1) / steps;
    std::vector<double> next(9, 0.0);
    for (token a = 0; a < 3; ++a)
      for (token b = 0; b < 3; ++b) {
        const token x[] = {a, b};
        if (law[static_cast<std::size_t>(a * 3 + b)] == 0) continue;
        std::vector<double> p(4), first(3), second(3);
        table.posterior(evidence_of(absorbing_kernel(0.5), symbols, x), p);
        const std::vector<double> c0 = {p[0], p[1], 0}, c1 = {p[2], p[3], 0};
        const token_kernel to_s = absorbing_kernel(1 - s), to_t = absorbing_kernel(1 - t);
        reverse(to_s, between(to_s, to_t), symbols, a, c0, first);
        reverse(to_s, between(to_s, to_t), symbols, b, c1, second);
        for (std::size_t i = 0; i < 3; ++i)
          for (std::size_t j = 0; j < 3; ++j)
            next[i * 3 + j] += law[static_cast<std::size_t>(a * 3 + b)] * first[i] * second[j];
      }
    law = next;
  }
  double distance = 0;
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 2; ++j)
      distance += std::abs(law[i * 3 + j] - table.probabilities()[i * 2 + j]) / 2;
  return distance;
}
TEST(ReverseSteps, UnmaskingTendsToTheTextsLaw) {
  EXPECT_NEAR(total_variation(16) / total_variation(32), 2, 1e-9);
}

TEST(Leaps, TrapezoidalRuleIsOfWeakOrderTwo) {
  for (const double theta : {0.3, 0.5})
    EXPECT_NEAR(std::log2(trapezoidal_error(128, theta) / trapezoidal_error(256, theta)), 2, 0.1)
        << theta;
}

}  // namespace
}  // namespace tweedie::discrete
