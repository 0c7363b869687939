#include "tweedie/edit/flow_edit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tweedie/edit/flow_inversion.hpp"
#include "tweedie/solve/run.hpp"

namespace tweedie {
namespace {

// Straight path with uneven steps from t = `highest` to 0; in the gauge alpha^2 + sigma^2 = 1 if asked for.
grid flow_nodes(int steps, double highest, bool preserving = false) {
  grid nodes;
  for (int i = 0; i <= steps; ++i) {
    const double t = highest * std::pow(1 - static_cast<double>(i) / steps, 1.3);
    nodes.push_back({t, {1 - t, t}});
  }
  return preserving ? variance_preserving(nodes) : nodes;
}

// The velocity of data N(mean, 0.3^2), with x and t on the straight path of any gauge.
double velocity(double x, signal_noise l, double mean) {
  const double v = 0.09;
  const double total = l.alpha * l.alpha * v + l.sigma * l.sigma;
  const double clean = mean + l.alpha * v / total * (x - l.alpha * mean);
  const double noise = l.sigma / total * (x - l.alpha * mean);
  return noise - clean;
}

const std::vector<double> picture{0.3, -1, 0.7};

std::vector<double> edited(const grid& nodes, double from, double to, int averages = 1) {
  sampling s(flow_edit(nodes, averages), network_description{predicts_rectified_velocity}, picture,
             gaussian_noise{3});
  for (int call = 0; s.next(); ++call)
    for (std::size_t i = 0; i < 3; ++i)
      s.output()[i] = velocity(s.input()[i], s.at().level, call % 2 == 0 ? from : to);
  return {s.state().begin(), s.state().end()};
}

TEST(flow_edit, agreeing_prompts_leave_the_picture) {
  for (const bool preserving : {false, true}) {
    const auto out = edited(flow_nodes(10, 0.8, preserving), 0.5, 0.5);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(out[i], picture[i], 1e-12);
  }
}

TEST(flow_edit, moves_from_one_gaussian_to_another_exactly_on_any_grid) {
  for (const int steps : {1, 2, 7})
    for (const bool preserving : {false, true})
      for (const int averages : {1, 3}) {
        const auto out = edited(flow_nodes(steps, 1, preserving), 0.5, -1.2, averages);
        for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(out[i], picture[i] - 1.7, 1e-12);
      }
}

TEST(flow_edit, starting_later_keeps_more) {
  const double whole = edited(flow_nodes(20, 1), 0.5, -1.2)[0];
  const double half = edited(flow_nodes(20, 0.5), 0.5, -1.2)[0];
  EXPECT_LT(whole, half - 0.1);
  EXPECT_LT(half, picture[0] - 0.1);
}

TEST(flow_edit, asks_in_pairs_and_previews_clean_states) {
  const program plan = flow_edit(flow_nodes(4, 1), 3);
  EXPECT_EQ(plan.evaluations(), 24u);
  EXPECT_EQ(plan.draws.size(), 12u);
  for (const stage& s : plan.stages) EXPECT_TRUE(!s.mark || s.mark->at.level.sigma == 0);
  EXPECT_THROW(flow_edit(flow_nodes(4, 1), 0), std::invalid_argument);
  EXPECT_THROW(flow_edit(reversed(flow_nodes(4, 1))), std::invalid_argument);
  grid noisy = flow_nodes(4, 1);
  noisy.pop_back();
  EXPECT_THROW(flow_edit(noisy), std::invalid_argument);
}

struct there_and_back {
  double turned = 0, ended = 0;
};
template <class Share>
there_and_back inverted(const grid& nodes, double gamma, const Share& eta, double mean = 0.5) {
  const std::vector<double> x{picture[0]};
  there_and_back out;
  sampling s(rf_inversion(nodes, gamma, eta), network_description{predicts_rectified_velocity}, x,
             gaussian_noise{3});
  for (auto now = s.advance(); now != sampling_event::finished; now = s.advance())
    if (now == sampling_event::evaluate)
      s.output()[0] =
          velocity(s.input()[0], s.at().level, s.steps_done() < nodes.size() - 1 ? 0.5 : mean);
    else if (s.steps_done() == nodes.size() - 1)
      out.turned = s.state()[0];
  out.ended = s.state()[0];
  return out;
}

TEST(rf_inversion, the_controller_alone_is_noising_and_pasting) {
  std::vector<double> z(1);
  gaussian_noise{3}.fill(noise_request{}, std::span<double>(z));
  const auto one = [](double) { return 1.0; };
  for (const bool preserving : {false, true}) {
    EXPECT_NEAR(inverted(flow_nodes(7, 1, preserving), 1, one).turned, z[0], 1e-12);
    EXPECT_NEAR(inverted(flow_nodes(7, 1, preserving), 1, one).ended, picture[0], 1e-12);
    // With the controller in the last step only, the picture is back all the same.
    const auto last = [](double t) { return t < 0.1 ? 1.0 : 0.0; };
    EXPECT_NEAR(inverted(flow_nodes(7, 1, preserving), 0.3, last).ended, picture[0], 1e-12);
  }
  EXPECT_NEAR(inverted(flow_nodes(7, 0.6), 1, one).turned, 0.4 * picture[0] + 0.6 * z[0], 1e-12);
}

// Without a controller it is the flow, which takes quantiles to quantiles: x0 = m + s y to y at t = 1.
TEST(rf_inversion, without_a_controller_is_the_flow_to_first_order) {
  const auto none = [](double) { return 0.0; };
  const double quantile = (picture[0] - 0.5) / 0.3;
  const auto error = [&](int steps) {
    return std::abs(inverted(flow_nodes(steps, 1), 0, none).turned - quantile);
  };
  EXPECT_NEAR(std::log2(error(200) / error(400)), 1, 0.1);
  EXPECT_NEAR(inverted(flow_nodes(800, 1), 0, none).ended, picture[0], 5e-3);
  // Another Gaussian after the turn: the same quantile of it.
  EXPECT_NEAR(inverted(flow_nodes(800, 1), 0, none, -2).ended, -2 + 0.3 * quantile, 5e-3);
}

TEST(rf_inversion, refuses_what_it_cannot_control) {
  const auto half = [](double) { return 0.5; };
  EXPECT_THROW(rf_inversion(flow_nodes(4, 1), -0.1, half), std::invalid_argument);
  EXPECT_THROW(rf_inversion(flow_nodes(4, 1), std::nan(""), half), std::invalid_argument);
  EXPECT_THROW(rf_inversion(flow_nodes(4, 1), 0.5, [](double) { return 1.5; }),
               std::invalid_argument);
  EXPECT_THROW(rf_inversion(reversed(flow_nodes(4, 1)), 0.5, half), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
