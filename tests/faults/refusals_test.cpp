// Errors that comments promise, of functions whose own tests expect none.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "refusal.hpp"
#include "tweedie/conditioning/low_rank.hpp"
#include "tweedie/conditioning/modulation.hpp"
#include "tweedie/conditioning/position.hpp"
#include "tweedie/continuous/langevin_dynamics.hpp"
#include "tweedie/continuous/sde.hpp"
#include "tweedie/discrete.hpp"
#include "tweedie/edit/answer_step.hpp"
#include "tweedie/edit/known_region.hpp"
#include "tweedie/edit/null_text.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/guidance/particle_weights.hpp"
#include "tweedie/guidance/particles.hpp"
#include "tweedie/guidance/several.hpp"
#include "tweedie/restore/flow.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/solve/langevin.hpp"
#include "tweedie/training/training_batch.hpp"

namespace tweedie::refusals_test {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = INFINITY;

// The error begins with these words: who refuses, and what.
void expect_refusal(const auto& call, const std::string& begins) {
  const std::string said = refusal(call);
  EXPECT_EQ(said.rfind(begins, 0), 0U) << said;
}

TEST(refusals, conditioning) {
  const low_rank_update<double> update{Eigen::MatrixXd::Ones(2, 3), Eigen::MatrixXd::Ones(4, 2)};
  Eigen::MatrixXd w = Eigen::MatrixXd::Ones(4, 4);
  expect_refusal([&] { unmerge_update(w, update); }, "unmerge_update: down.cols() = 3");
  EXPECT_TRUE(w == Eigen::MatrixXd::Ones(4, 4));
  const Eigen::MatrixXd h = Eigen::MatrixXd::Random(3, 5), column = Eigen::MatrixXd::Zero(3, 1);
  const Eigen::MatrixXd two = Eigen::MatrixXd::Zero(3, 2);
  expect_refusal([&] { adaptive_layer_norm(h, two, column); }, "adaptive_layer_norm: scale = 2");
  expect_refusal([&] { adaptive_layer_norm(h, column, two); }, "adaptive_layer_norm: shift = 2");
  std::vector<float> image(16, 7.0f), tokens(12);
  expect_refusal(
      [&] {
        unpatchify(std::span<const float>(tokens), image_shape{1, 4, 4}, 2, std::span(image));
      },
      "unpatchify: ");
  EXPECT_EQ(image, std::vector<float>(16, 7.0f));
}

TEST(refusals, continuous) {
  const scored_point one{{0}, 0, {1}}, two{{0, 0}, 0, {1, 1}};
  expect_refusal([&] { log_acceptance(one, two, 0.1); }, "log_acceptance: to.x.size() = 2");
  expect_refusal([&] { log_acceptance(one, one, 0); }, "log_acceptance: e = 0");
  expect_refusal([&] { log_acceptance(one, one, nan); }, "log_acceptance: e = nan");
  std::vector<double> x{1}, out{5};
  expect_refusal([&] { noising_sde{rectified_flow{}}.drift(x, 1, out); }, "forward_sde: alpha = 0");
  expect_refusal([&] { forward_sde(rectified_flow{}, 1); }, "forward_sde: alpha = 0");
  EXPECT_EQ(out[0], 5);
  expect_refusal([&] { langevin_step_size(0.1, 1, 0); }, "langevin_step_size: score norm = 0");
  expect_refusal([&] { langevin_step_size(0.1, inf, 1); }, "langevin_step_size: noise norm = inf");
  expect_refusal([&] { langevin_step_size(-1, 1, 1); }, "langevin_step_size: snr = -1");
  expect_refusal([&] { langevin_step_size(0.1, 1, 1, 0); }, "langevin_step_size: a = 0");
}

TEST(refusals, laws_of_tokens) {
  using namespace discrete;
  std::vector<double> rates{-1, 0.6, 0.4}, out{9, 9, 9};
  const std::vector<double> untouched = out;
  expect_refusal([&] { leap_law(rates, 0, -1, out); }, "leap_law: h = -1");
  expect_refusal([&] { leap_law(rates, 1, 1, out); }, "leap_law: rate = -1");
  expect_refusal([&] { leap_law(rates, 0, 1, std::span(out).first(2)); }, "leap_law: out = 2");
  expect_refusal([&] { trapezoidal_rates(1, rates, 0, rates, 0, out); },
                 "trapezoidal_rates: theta = 1");
  expect_refusal([&] { trapezoidal_rates(0.5, rates, 0, rates, 3, out); }, "trapezoidal_rates: ");
  expect_refusal([&] { uniformised_law(rates, 0, 0.5, out); }, "uniformised_law: bound = 0.5");
  EXPECT_EQ(out, untouched);
  expect_refusal([&] { next_hitting(0.5, 0, 0.5); }, "next_hitting: masked = 0");
  expect_refusal([&] { next_hitting(0.5, 1, 0); }, "next_hitting: u = 0");
  const std::vector<float> row{0, NAN, 0};
  expect_refusal([&] { unmasking_log_probabilities<float>(row, 2, 2, std::span(out).first(2)); },
                 "unmasking_log_probabilities: out = 2");
  expect_refusal([&] { unmasking_log_probabilities<float>(row, 2, 2, out); },
                 "unmasking_log_probabilities: ");
  expect_refusal(
      [&] {
        staggered_ratios({0, 1, 0}, {3, -1}, rates, out);
      },
      "staggered_ratios: keep = 0");
  std::vector<token> x{0, 4, 1};
  const token_kernel kernel = absorbing_kernel(0.5);
  expect_refusal(
      [&] {
        corrupt(token_batch{x}, std::span(&kernel, 1), {3, 3}, counter_uniform{1});
      },
      "corrupt: ");
  EXPECT_EQ(x, (std::vector<token>{0, 4, 1}));
}

TEST(refusals, proposals) {
  using namespace discrete;
  proposer propose;
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    const std::vector<float> row{bad, bad};
    expect_refusal([&] { propose(row.data(), 2, -1, {}, counter_uniform{1}, {}, "caller", 7); },
                   "caller: ");
  }
}

TEST(refusals, texts) {
  using namespace discrete;
  expect_refusal([] { joint_table(2, 2, {1, 1, 1}); }, "joint_table: weights = 3");
  expect_refusal([] { joint_table(1, 2, {1, -1}); }, "joint_table: weight = -1");
  expect_refusal([] { joint_table(1, 2, {0, 0}); }, "joint_table: sum of weights = 0");
  const joint_table table(2, 2, {1, 2, 3, 4});
  const std::vector<token> beyond{0, 2}, one{0}, long_text(21, 0);
  expect_refusal([&] { table.log_probability(one); }, "joint_table::log_probability: x = 1");
  expect_refusal([&] { table.log_probability(beyond); }, "joint_table::log_probability: ");
  const Eigen::RowVectorXd even = Eigen::RowVectorXd::Constant(2, 0.5);
  const Eigen::MatrixXd moves = Eigen::MatrixXd::Constant(2, 2, 0.5);
  expect_refusal([&] { markov_text(0, even, moves); }, "markov_text: length = 0");
  expect_refusal([&] { markov_text(2, even, 2 * moves); }, "markov_text: the probabilities");
  const markov_text text(2, even, moves);
  expect_refusal([&] { text.log_probability(one); }, "markov_text::log_probability: x = 1");
  expect_refusal([&] { text.log_probability(beyond); }, "markov_text::log_probability: ");
  expect_refusal([&] { exact_masked_bound(text, std::span<const token>(long_text)); },
                 "exact_masked_bound: length = 21");
}

TEST(refusals, editing) {
  const node clean{0, {1, 0}}, noisy{1, {0.6, 0.8}}, pure{1, {0, 1}};
  EXPECT_NE(refusal([&] { ddim_step_of_answer({predicts_noise}, pure, noisy); }), "");
  EXPECT_NE(refusal([&] { ddim_step_of_answer({predicts_noise}, clean, noisy); }), "");
  const std::vector<float> original(4), change{0, 0.5f, 1, 1.5f};
  expect_refusal([&] { known_region<float>::with_change_map(original, change, 1); },
                 "known_region");
  known_region<float> region(original, std::vector<float>(4), 1);
  sampling run(ddim(grid{noisy, clean}), {predicts_noise}, std::vector<float>(3));
  ASSERT_TRUE(run.next());
  EXPECT_NE(refusal([&] { region.paste(run); }), "");
  expect_refusal([&] { pivotal_inversion({clean, noisy}); }, "pivotal_inversion: ");
  expect_refusal([&] { pivotal_inversion({pure, noisy}); }, "pivotal_inversion: ");
}

TEST(refusals, particles) {
  expect_refusal([] { particle_weights(0); }, "particle_weights: items = 0");
  particle_weights weights(2);
  expect_refusal([&] { weights.multiply(1, inf); }, "particle_weights::multiply: log_factor = inf");
  expect_refusal([&] { weights.multiply(1, nan); }, "particle_weights::multiply: log_factor = nan");
  Eigen::ArrayXXd x(2, 3);
  expect_refusal([&] { weights.resample(0.5, x); }, "particle_weights::resample: items = 3");
  Eigen::ArrayXXd y = Eigen::ArrayXXd::Random(2, 2);
  const Eigen::ArrayXXd before = y;
  EXPECT_NE(refusal([&] { weights.resample(1, y); }), "");
  EXPECT_TRUE((y == before).all());
  expect_refusal([] { guided_particles(inf, {predicts_noise}, 2); }, "guided_particles: w = inf");
  expect_refusal([] { guided_particles(2, {predicts_noise}, 0); }, "particle_weights: items = 0");
  const std::vector<double> a{1, 2}, short_a{1};
  std::vector<double> out(2);
  expect_refusal([&] { anneal_condition(a, short_a, 0.5, 1, 1, out); }, "anneal_condition: size");
  expect_refusal([&] { anneal_condition(a, a, 2, 1, 1, out); }, "anneal_condition: gamma = 2");
  expect_refusal([&] { anneal_condition(a, a, 0.5, inf, 1, out); },
                 "anneal_condition: scale = inf");
  expect_refusal([&] { anneal_condition(a, a, 0.5, 1, -1, out); }, "anneal_condition: psi = -1");
}

TEST(refusals, planning) {
  const node clean{0, {1, 0}}, noisy{1, {0.6, 0.8}}, pure{1, {0, 1}};
  expect_refusal([&] { flow_dps(grid{clean, noisy}); }, "flow_dps: ");
  expect_refusal([&] { heun_plus_plus(grid{clean, noisy}); }, "heun_plus_plus: ");
  expect_refusal([&] { heun_plus_plus(grid{pure, noisy}); }, "heun_plus_plus: ");
  expect_refusal([&] { chart_coordinate(noise_row, pure.level); },
                 "chart_coordinate: noise level = inf");
  expect_refusal([&] { chart_coordinate(clean_row, clean.level); },
                 "chart_coordinate: noise level = 0");
  EXPECT_NE(refusal([] { over_levels(rectified_flow{}, karras_levels, 5, 7.0); }), "");
  const std::vector<double> times{0.5};
  EXPECT_NE(refusal([&] {
              training_items(rectified_flow{}, {predicts_noise}, times, [](double) { return inf; });
            }),
            "");
}

}  // namespace
}  // namespace tweedie::refusals_test
