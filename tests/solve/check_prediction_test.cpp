#include "tweedie/solve/check_prediction.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

constexpr double mean = 1.2, variance = 0.04;
constexpr double infinity = std::numeric_limits<double>::infinity();

// What a perfect network of `kind`, told `clock` of the nodes it was trained at, answers at any time: of the
// trained nodes the one whose time is nearest.
template <class S>
auto trained(
    const grid& nodes, const named_kind& kind, const named_clock& clock,
    std::function<double(const node&)> scale = [](const node&) { return 1.0; }) {
  return [=](std::span<const S> input, double time, std::span<S> output) {
    const node* at = &nodes.front();
    for (const node& n : nodes)
      if (std::abs(clock.time(n) - time) < std::abs(clock.time(*at) - time)) at = &n;
    const auto [alpha, sigma] = at->level;
    const plane_row row =
        kind.prediction({clock.time(*at), {scale(*at) * alpha, scale(*at) * sigma}});
    for (std::size_t i = 0; i < input.size(); ++i) {
      const double x = static_cast<double>(input[i]) / scale(*at);
      const double total = alpha * alpha * variance + sigma * sigma;
      const double x0 = mean + alpha * variance / total * (x - alpha * mean);
      const double z = sigma / total * (x - alpha * mean);
      output[i] = static_cast<S>(row.x0 * x0 + row.z * z);
    }
  };
}

template <class S>
std::vector<S> data(std::size_t count = 400) {
  std::vector<S> x(count);
  fill_standard_normal(x, 5);
  for (S& v : x) v = static_cast<S>(mean + std::sqrt(variance) * static_cast<double>(v));
  return x;
}

grid inside(const grid& nodes) {
  grid kept;
  for (const node& n : nodes)
    if (n.level.alpha > 0 && n.level.sigma > 0) kept.push_back(n);
  return kept;
}

// Every kind told every clock, described as every kind told the time of the nodes.
template <class S>
void finds_every_pair(const grid& nodes) {
  const std::vector<S> x0 = data<S>();
  double expected = 0,
         total = 0;  // E[v | x] leaves variance sigma^2/(alpha^2 variance + sigma^2) of x0
  for (const node& n : inside(nodes)) {
    const auto [alpha, sigma] = n.level;
    const double all = alpha * alpha * variance + sigma * sigma,
                 norm = alpha * alpha + sigma * sigma;
    expected += variance * sigma * sigma / all * norm / (sigma * sigma);
    total += (alpha * alpha + sigma * sigma * (variance + mean * mean)) / norm;
  }
  const double least = std::sqrt(expected / total);
  const auto kinds = known_kinds();
  const auto clocks = known_clocks();
  for (const named_kind& is : kinds)
    for (const named_clock& told : clocks) {
      const auto network = trained<S>(inside(nodes), is, told);
      for (const named_kind& described : kinds) {
        const prediction_check check =
            check_prediction({.prediction = described.prediction}, nodes, x0, network);
        SCOPED_TRACE(std::string(is.name) + ", " + told.name + ", as " + described.name + ": " +
                     check.sentence());
        EXPECT_NEAR(check.least_error, least, 0.05 * least);
        EXPECT_EQ(check.kind ? check.kind : described.name, std::string(is.name));
        const std::string clock = check.clock ? check.clock : clocks[0].name;
        EXPECT_EQ(clock, told.name);
        EXPECT_EQ(check.fits(), is.name == described.name && clock == clocks[0].name);
        if (!check.fits()) {
          EXPECT_GT(check.error, 1.02 * least);
        }
      }
    }
}

const grid table = trailing(linear_beta_schedule(1000), 8);

TEST(check_prediction, finds_the_kind_and_the_clock_of_any_network) {
  finds_every_pair<double>(table);
  finds_every_pair<float>(table);
}

TEST(check_prediction, says_what_it_found) {
  const auto kinds = known_kinds();
  const auto clocks = known_clocks();
  const auto x0 = data<float>();
  const auto said = [&](std::size_t is, std::size_t told, std::size_t described) {
    return check_prediction({.prediction = kinds[described].prediction}, table, x0,
                            trained<float>(inside(table), kinds[is], clocks[told]))
        .sentence();
  };
  EXPECT_EQ(said(0, 0, 0).substr(0, 46), "the network fits its description: error of v 0");
  EXPECT_EQ(said(2, 0, 0).substr(0, 42), "the network answers v (predicts_v): error ");
  EXPECT_EQ(said(0, 2, 0).substr(0, 69),
            "the network wants to be told 1000 sigma (flow_time_in_thousands): err");
  EXPECT_EQ(said(3, 3, 1).substr(0, 96),
            "the network answers the velocity z - x0 (predicts_rectified_velocity) and wants to be "
            "told 1 - s");
  const auto nonsense = [](auto, double, std::span<float> out) {
    for (float& v : out) v = 100;
  };
  EXPECT_EQ(check_prediction({}, table, x0, nonsense, 0, {}, {}).sentence().substr(0, 13),
            "nothing fits:");
}

// Scaled inputs, batches, and both ends of a grid.
TEST(check_prediction, knows_the_input_scale_and_the_batch) {
  const auto kinds = known_kinds();
  const auto clocks = known_clocks();
  const grid nodes =
      ending_clean(edm_schedule{}, at_times(edm_schedule{}, karras_levels(9, 80, 0.002)));
  const network_description edm{predicts_edm(), edm_input(), edm_time};
  Eigen::ArrayXXd x0(100, 4);
  const auto values = data<double>();
  std::copy(values.begin(), values.end(), x0.data());
  const auto network = [&](const auto& in, double time, auto&& out) {
    trained<double>(inside(nodes), kinds.back(), clocks.back(), edm_input())(
        std::span<const double>(in.data(), 400), time, std::span<double>(out.data(), 400));
  };
  EXPECT_TRUE(check_prediction(edm, nodes, x0, network).fits());
  const prediction_check as_noise =
      check_prediction({predicts_noise, edm_input(), edm_time}, nodes, x0, network);
  EXPECT_EQ(as_noise.kind, std::string(kinds.back().name));
  EXPECT_EQ(as_noise.clock, nullptr);
}

TEST(check_prediction, refuses_what_tells_nothing) {
  const std::vector<float> none, some(4);
  const auto network = [](auto, double, auto) {};
  EXPECT_EQ(refusal([&] { check_prediction({}, table, none, network); }),
            "check_prediction: size of data = 0; valid: at least one element");
  EXPECT_EQ(refusal([&] {
              check_prediction({}, grid{{1, {0, 1}}, clean_node(-1)}, some, network);
            }),
            "check_prediction: nodes with noise and signal = 0; valid: at least one");
  EXPECT_THROW(check_prediction({}, grid{{1, {1, infinity}}}, some, network),
               std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
