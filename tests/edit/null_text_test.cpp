#include "tweedie/edit/null_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace tweedie {
namespace {

// Some network of two elements that is told a word.
constexpr auto prompted = [](double word) {
  return [word](auto in, double t, auto out) {
    for (std::size_t i = 0; i < 2; ++i)
      out[i] = static_cast<std::remove_cvref_t<decltype(out[0])>>(
          0.3 * std::sin(3 * in[i] + word) + 0.5 * in[1 - i] + 0.1 * std::cos(t));
  };
};

template <class S>
void returns_to_the_picture(const grid& nodes, const network_description& network, double w,
                            double tolerance) {
  const std::vector<S> picture{S(0.3), S(-1)};
  const null_text null(nodes, network, picture, prompted(1));
  sampling s(ddim(nodes), network, null.start(), guidance_scale(w));
  for (auto now = s.advance(); now != sampling_event::finished; now = s.advance()) {
    if (now == sampling_event::evaluate) {
      prompted(1)(s.input(), s.network_time(), s.output(1));
      null.answer(s);
    } else {
      for (std::size_t i = 0; i < 2; ++i)
        EXPECT_NEAR(s.state()[i], null.pivot(s.steps_done())[i], tolerance);
    }
  }
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(s.state()[i], picture[i], tolerance);
}

TEST(null_text, answers_keep_a_guided_run_on_the_pivots) {
  const auto table = scaled_linear_beta_schedule(1000);
  for (const double w : {7.5, 3.0, -1.0, 0.0}) {
    returns_to_the_picture<double>(leading(table, 10, 1), {predicts_noise}, w, 1e-12);
    returns_to_the_picture<double>(karras(table, 10), {predicts_v}, w, 1e-12);
    returns_to_the_picture<double>(
        variance_exploding(karras(table, 10)),
        {.prediction = predicts_noise, .input_scale = variance_preserving_input}, w, 1e-11);
  }
  returns_to_the_picture<float>(leading(table, 10, 1), {predicts_noise}, 7.5, 2e-5);
  returns_to_the_picture<double>({node_at(table, 500), node_at(table, 300)}, {predicts_noise}, 7.5,
                                 1e-13);
}

// What inversion was answered, at the level above about the state below, is what the guided answers have to be.
TEST(null_text, answers_are_the_fixed_point_and_become_the_prompts) {
  const double w = 7.5;
  double before = 0;
  for (const int steps : {25, 50, 100}) {
    const grid nodes = karras(scaled_linear_beta_schedule(1000), steps);
    const std::vector<double> picture{0.3, -1};
    const null_text null(nodes, {predicts_noise}, picture, prompted(1));
    sampling s(ddim(nodes), network_description{predicts_noise}, null.start(), guidance_scale(w));
    double largest = 0;
    while (s.next()) {
      prompted(1)(s.input(), s.network_time(), s.output(1));
      null.answer(s);
      std::vector<double> asked(2);
      prompted(1)(null.pivot(s.steps_done() + 1), s.network_time(), std::span<double>(asked));
      for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_NEAR(s.output(0)[i] - s.output(1)[i], (asked[i] - s.output(1)[i]) / (1 - w), 1e-9);
        if (s.steps_done() > 0 && s.at().level.sigma > 0.2)
          largest = std::max(largest, std::abs(s.output(0)[i] - s.output(1)[i]));
      }
    }
    if (before > 0) {
      EXPECT_NEAR(before / largest, 2, 0.4);  // of first order
    }
    before = largest;
  }
}

// Data N(e, v I) for the embedding e: noise = sigma (x - alpha e) / (alpha^2 v + sigma^2).
struct gaussian_of_embedding {
  double v;
  double slope(signal_noise l) const {
    return -l.sigma * l.alpha / (l.alpha * l.alpha * v + l.sigma * l.sigma);
  }
  template <class In, class E, class Out>
  void operator()(signal_noise l, const In& x, const E& e, Out out) const {
    for (std::size_t i = 0; i < e.size(); ++i)
      out[i] = slope(l) * (e[i] - static_cast<double>(x[i]) / l.alpha);
  }
};

TEST(null_text, optimised_embeddings_reach_the_fixed_point_of_an_oracle) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 12);
  const gaussian_of_embedding network{0.3};
  const std::vector<double> prompt{1, -0.5}, picture{1.4, 0.2};
  const double w = 5;
  std::size_t level = nodes.size() - 1;
  const null_text null(nodes, {predicts_noise}, picture, [&](auto in, double, auto out) {
    network(nodes[--level].level, in, prompt, out);
  });
  sampling s(ddim(nodes), network_description{predicts_noise}, null.start(), guidance_scale(w));
  std::vector<double> e{0, 0};  // the empty prompt; each step starts where the last one ended
  while (s.next()) {
    const signal_noise at = s.at().level;
    network(at, s.input(), prompt, s.output(1));
    const double left = null.optimise(
        s, e, [&](std::span<const double> now) { network(at, s.input(), now, s.output(0)); },
        [&](std::span<const double>, std::span<const double> slope, std::span<double> gradient) {
          for (std::size_t i = 0; i < 2; ++i) gradient[i] = slope[i] * network.slope(at);
        },
        {.iterations = 20000, .rate = 0.003, .enough = 1e-20});
    EXPECT_LT(left, 1e-20);
    std::vector<double> asked(2), own(2);
    network(at, null.pivot(s.steps_done() + 1), prompt, std::span<double>(asked));
    network(at, null.pivot(s.steps_done()), prompt, std::span<double>(own));
    for (std::size_t i = 0; i < 2; ++i) {
      const double fixed = prompt[i] + (asked[i] - own[i]) / ((1 - w) * network.slope(at));
      EXPECT_NEAR(e[i], fixed, 1e-5) << s.steps_done();
    }
  }
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(s.state()[i], picture[i], 1e-8);
}

TEST(null_text, refuses_runs_it_is_not_of_and_keeps_the_embedding) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 4);
  const std::vector<double> picture{0.3, -1};
  const network_description noise{predicts_noise};
  const null_text null(nodes, noise, picture, prompted(1));
  const auto pending = [&](auto weights, const grid& at = {}) {
    sampling s(ddim(at.empty() ? nodes : at), noise, null.start(), weights);
    s.next();
    return s;
  };
  auto plain = pending(guidance_scale(1));
  EXPECT_NE(refusal([&] { null.answer(plain); }).find("branch_weights()[0] = 0"),
            std::string::npos);
  auto three = pending(std::array{-1.0, 1.0, 1.0});
  EXPECT_THROW(null.answer(three), std::invalid_argument);
  auto elsewhere = pending(guidance_scale(3), karras(scaled_linear_beta_schedule(1000), 3));
  elsewhere.next();
  EXPECT_THROW(null.answer(elsewhere), std::invalid_argument);
  auto s = pending(guidance_scale(3));
  prompted(1)(s.input(), 0, s.output(1));
  std::vector<double> e{0.25};
  const auto unconditional = [&](std::span<const double>) {
    prompted(0)(s.input(), 0, s.output(0));
  };
  const auto nan_gradient = [](auto, auto, std::span<double> g) { g[0] = std::nan(""); };
  EXPECT_THROW(null.optimise(s, e, unconditional, nan_gradient), std::invalid_argument);
  const auto nan_network = [&](std::span<const double>) { s.output(0)[1] = std::nan(""); };
  EXPECT_THROW(null.optimise(s, e, nan_network, nan_gradient), std::invalid_argument);
  EXPECT_EQ(e[0], 0.25);
  EXPECT_THROW(null_text(reversed(nodes), noise, picture, prompted(1)), std::invalid_argument);
  const grid flow = uniform(rectified_flow(), 4);
  EXPECT_THROW(null_text(flow, {predicts_rectified_velocity}, picture, prompted(1)),
               std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
