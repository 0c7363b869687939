#include "tweedie/objective/consistency.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "sampler/exact_flow.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/sampler/consistency.hpp"
#include "tweedie/sampler/restart.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/precondition.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;
using Eigen::MatrixXd;

TEST(consistency_levels, published_curricula) {  // Song et al. 2023: s0 = 2, s1 = 150, K = 800000
  const int expected[][2] = {{0, 2}, {80000, 48}, {400000, 107}, {800000, 151}};
  for (const auto& [step, levels] : expected)
    EXPECT_EQ(consistency_levels(step, 8e5, 2, 150), levels);
  EXPECT_NEAR(consistency_decay(0.9, 2, 2), .9, 1e-15);
  EXPECT_NEAR(consistency_decay(0.9, 2, 151), .99860547, 5e-9);
  // Song and Dhariwal 2024: s0 = 10, s1 = 1280, K = 400000
  const int doubling[][2] = {{0, 11},      {49999, 11},   {50000, 21},
                             {100000, 41}, {200000, 161}, {399999, 1281}};
  for (const auto& [step, levels] : doubling)
    EXPECT_EQ(doubling_levels(step, 4e5, 10, 1280), levels);
  EXPECT_THROW(consistency_levels(-1, 10, 2, 3), std::invalid_argument);
  EXPECT_THROW(consistency_levels(11, 10, 2, 3), std::invalid_argument);
  EXPECT_THROW(consistency_levels(1, 10, 0, 3), std::invalid_argument);
  EXPECT_THROW(consistency_levels(0, 0, 2, 150), std::invalid_argument);
  EXPECT_THROW(consistency_levels(INFINITY, INFINITY, 2, 150), std::invalid_argument);
  EXPECT_THROW(consistency_decay(1, 2, 3), std::invalid_argument);
  EXPECT_THROW(consistency_decay(0.9, 2, 0), std::invalid_argument);
  EXPECT_THROW(doubling_levels(1, 10, 5, 3), std::invalid_argument);
  EXPECT_THROW(doubling_levels(NAN, 10, 3, 5), std::invalid_argument);
}

TEST(level_probabilities, published_for_eleven_levels) {
  std::vector<double> levels;
  for (int i = 0; i <= 10; ++i)
    levels.push_back(std::pow(
        std::pow(0.002, 1 / 7.0) + i / 10.0 * (std::pow(80.0, 1 / 7.0) - std::pow(0.002, 1 / 7.0)),
        7));
  const double expected[] = {.06263, .18174, .24550, .21349, .14245,
                             .08060, .04108, .01958, .00894, .00398};
  const std::vector<double> p = level_probabilities(levels, -1.1, 2);
  double sum = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(p[i], expected[i], 5.1e-6);
    sum += p[i];
  }
  EXPECT_NEAR(sum, 1, 1e-14);
  EXPECT_THROW(level_probabilities(std::vector<double>{1}, -1.1, 2), std::invalid_argument);
  EXPECT_THROW(level_probabilities(std::vector<double>{2, 1}, -1.1, 2), std::invalid_argument);
  EXPECT_THROW(level_probabilities(levels, -1.1, 0), std::invalid_argument);
  EXPECT_THROW(level_probabilities(levels, NAN, 2), std::invalid_argument);
  EXPECT_THROW(level_probabilities(std::vector<double>{1e100, 1e101, 1e102}, -1.1, 2),
               std::invalid_argument);
}

TEST(consistency, a_first_order_step_with_the_data_is_the_same_noise) {
  const signal_noise t{0.6, 0.8}, s{0.9, std::sqrt(0.19)};
  const double x0 = 0.7, z = -1.3;
  const solver_step step = first_order_step(t, s);
  EXPECT_NEAR(step.x * (t.alpha * x0 + t.sigma * z) + step.clean * x0, s.alpha * x0 + s.sigma * z,
              1e-15);
  EXPECT_NEAR(first_order_step(t, {1, 0}).clean, 1, 1e-15);
  EXPECT_THROW(first_order_step({1, 0}, {1, 0}), std::invalid_argument);
}

TEST(easy_consistency_level, closes_the_gap_stage_by_stage) {
  EXPECT_EQ(easy_consistency_level(1, 0), 0);  // the first stage is diffusion pretraining
  double previous = 0;
  for (int stage = 4; stage < 12; ++stage) {
    const double r = easy_consistency_level(1, stage);
    EXPECT_GT(r, previous);
    EXPECT_LT(r, 1);
    previous = r;
  }
  EXPECT_NEAR((1 - easy_consistency_level(1, 9)) * 2, 1 - easy_consistency_level(1, 8), 1e-15);
  EXPECT_THROW(easy_consistency_level(0, 1), std::invalid_argument);
  EXPECT_THROW(easy_consistency_level(1, -1), std::invalid_argument);
  EXPECT_THROW(easy_consistency_level(1, 1, 1), std::invalid_argument);
}

// Data N(m, S) with full covariance, for which f(x, t) = m + S^1/2 C_t^-1/2 (x - alpha m).
oracle::gaussian<double> full_gaussian() {
  MatrixXd root(3, 3);
  root << 1, 0, 0, 0.4, 0.5, 0, -0.3, 0.2, 0.1;
  return {Eigen::Vector3d(0.7, -0.2, 1.1), root * root.transpose()};
}
constexpr signal_noise clean{1, 0};

TEST(consistency_function, is_the_identity_on_data_and_constant_on_trajectories) {
  const auto data = full_gaussian();
  std::srand(1);
  const MatrixXd x = 2 * MatrixXd::Random(3, 5);
  EXPECT_LT((data.flow_map(clean, clean, x) - x).norm(), 1e-13);
  const signal_noise t{0.6, 0.8};
  const MatrixXd end = data.flow_map(t, clean, x);
  for (const signal_noise s : {signal_noise{0.999, std::sqrt(1 - 0.999 * 0.999)},
                               signal_noise{0.8, 0.6}, signal_noise{0.1, std::sqrt(0.99)}})
    EXPECT_LT((data.flow_map(s, clean, data.flow_map(t, s, x)) - end).norm(), 1e-12);
}

TEST(consistency_function, carries_every_marginal_to_the_data) {
  const auto data = full_gaussian();
  for (const signal_noise t : {signal_noise{0.999, std::sqrt(1 - 0.999 * 0.999)},
                               signal_noise{0.6, 0.8}, signal_noise{0, 1}, signal_noise{1, 80}}) {
    const MatrixXd origin = MatrixXd::Zero(3, 1);
    const Eigen::VectorXd offset = data.flow_map(t, clean, origin);
    const MatrixXd gain =
        data.flow_map(t, clean, MatrixXd(MatrixXd::Identity(3, 3))).colwise() - offset;
    EXPECT_LT((gain * t.alpha * data.mean() + offset - data.mean()).norm(), 1e-12);
    EXPECT_LT(
        (gain * data.marginal_covariance(t) * gain.transpose() - data.marginal_covariance(clean))
            .norm(),
        1e-12);
  }
}

// Every way of writing f with a network gives f = x at the clean end, whatever the network says.
TEST(consistency_function, boundary_scalings_leave_data_alone) {
  const preconditioning cm = consistency_preconditioning(0.002);
  EXPECT_EQ(cm.skip, 1);
  EXPECT_EQ(cm.out, 0);
  const consistency_scaling lcm = latent_consistency_scaling(0);
  EXPECT_EQ(lcm.skip, 1);
  EXPECT_EQ(lcm.out, 0);
  const trigonometric_schedule trigflow;  // f = cos t x - sin t F
  const state_output f = sample_from(trigflow(0), predicts_velocity(trigflow)({0, trigflow(0)}));
  EXPECT_EQ(f.x, 1);
  EXPECT_EQ(f.y, 0);
  const node t{0.8, trigflow(0.8)};
  const state_output later = sample_from(t.level, predicts_velocity(trigflow)(t));
  EXPECT_NEAR(later.x, std::cos(0.8), 1e-15);
  EXPECT_NEAR(later.y, -std::sin(0.8), 1e-15);
  // Just above the least level f has left x by the network's answer times a vanishing factor.
  EXPECT_NEAR(consistency_preconditioning(0.002 * (1 + 1e-9)).skip, 1, 1e-15);
  EXPECT_NEAR(consistency_preconditioning(0.002 * (1 + 1e-9)).out, 2e-12, 1e-15);
}

// The x0 estimate with which a first-order step is the exact flow of data N(0, s^2).
affine_denoiser exact_step(signal_noise from, signal_noise to) {
  const solver_step s = first_order_step(from, to);
  return {(std::sqrt(total_variance(to) / total_variance(from)) - s.x) / s.clean, 0};
}

// Laws at every mark of a plan whose steps are exact maps: the marginals, whatever is renoised.
void expect_exact_marginals(const program& plan, const std::function<signal_noise(node)>& end_of) {
  const program_law l = law(plan, [&](const node& n) { return exact_step(n.level, end_of(n)); },
                            {0, total_variance(plan.start.level)});
  EXPECT_GT(plan.draws.size(), 1u);
  for (const auto& [at, state] : l.marks)
    EXPECT_NEAR(state.variance / total_variance(at.level), 1, 1e-12) << at.time;
}

// Where each Euler step of the plan leads.
std::function<signal_noise(node)> ends_of_steps(const program& plan) {
  return [&plan](const node& n) {
    for (const stage& s : plan.stages)
      if (s.evaluate && s.evaluate->at == n && s.mark) return s.mark->at.level;
    ADD_FAILURE() << "no step from " << n.time;
    return n.level;
  };
}

TEST(trajectory_consistency, with_exact_maps_keeps_the_marginals_for_any_gamma) {
  const auto schedule = linear_beta_schedule(1000);
  const grid nodes = trailing(schedule, 5);
  for (const double gamma : {0.1, 0.5, 0.9, 1.0})
    expect_exact_marginals(trajectory_consistency(schedule, nodes, gamma), [&](const node& n) {
      for (std::size_t i = 0; i + 1 < nodes.size(); ++i)
        if (nodes[i] == n) {
          const double s = nodes[i + 1].time;
          return gamma == 1 || i + 2 == nodes.size() ? schedule(-1)
                                                     : schedule(s + gamma * (-1 - s));
        }
      ADD_FAILURE() << "no step from " << n.time;
      return n.level;
    });
}

TEST(restart, with_exact_maps_keeps_the_marginals) {
  const std::vector<restart_interval> intervals = {{0.3, 2, 3, 2}, {0.1, 0.4, 2, 3}};
  const program plan = restart(geometric_grid(8), noise_level_nodes, intervals, euler_tableau);
  expect_exact_marginals(plan, ends_of_steps(plan));
}

TEST(stochastic_edm, with_exact_maps_keeps_the_marginals) {
  const program plan =
      stochastic_edm(geometric_grid(6), noise_level_nodes, {.amount = 2}, euler_tableau);
  expect_exact_marginals(plan, ends_of_steps(plan));
}

double distillation_loss(const MatrixXd& at_t, const MatrixXd& at_s) {
  return mean_over_items(regression(at_t, at_s,
                                    std::vector<double>(static_cast<std::size_t>(at_t.cols()), 1.0),
                                    squared_error{}, reduction::mean_over_dimensions));
}

TEST(consistency_distillation, of_exact_steps_has_the_consistency_function_as_its_zero) {
  const auto data = full_gaussian();
  std::srand(2);
  const MatrixXd x = MatrixXd::Random(3, 8);
  const signal_noise t{0.6, 0.8}, s{0.65, std::sqrt(1 - 0.65 * 0.65)};
  const MatrixXd f = data.flow_map(t, clean, x);
  EXPECT_LT(distillation_loss(f, data.flow_map(s, clean, data.flow_map(t, s, x))), 1e-26);
  // Any other map of x is not consistent with the data's end of the trajectory.
  EXPECT_GT(distillation_loss(1.1 * f, data.flow_map(s, clean, data.flow_map(t, s, x))), 1e-4);
}

// A first-order step with the teacher's x0 estimate is off by h^2, the loss by h^4.
TEST(consistency_distillation, of_first_order_steps_has_an_error_of_second_order) {
  const auto data = full_gaussian();
  std::srand(3);
  const MatrixXd x = MatrixXd::Random(3, 8);
  const trigonometric_schedule path;
  const auto loss = [&](double h) {
    const signal_noise t = path(0.9), s = path(0.9 - h);
    const solver_step step = first_order_step(t, s);
    const MatrixXd next = step.x * x + step.clean * data.denoise(t, x);
    return distillation_loss(data.flow_map(t, clean, x), data.flow_map(s, clean, next));
  };
  EXPECT_NEAR(std::log2(loss(1e-2) / loss(5e-3)), 4, 0.15);
  EXPECT_NEAR(std::log2(loss(5e-3) / loss(2.5e-3)), 4, 0.15);
}

// Training takes x0 itself in place of its estimate: given x_t, the same gradient on average. Two
// points per x_t carry the mean of x0 | x_t; f is affine.
TEST(consistency_training, has_the_gradient_of_distillation_on_average) {
  const auto data = full_gaussian();
  std::srand(4);
  const MatrixXd x = MatrixXd::Random(3, 4), spread = MatrixXd::Random(3, 4);
  const signal_noise t{0.6, 0.8}, s{0.7, std::sqrt(0.51)};
  const solver_step step = first_order_step(t, s);
  const MatrixXd f = 1.2 * data.flow_map(t, clean, x);  // a model that is not yet right
  const auto gradient = [&](const MatrixXd& x0) {
    MatrixXd g(3, 4);
    regression(f, data.flow_map(s, clean, MatrixXd(step.x * x + step.clean * x0)),
               std::vector<double>(4, 1.0), squared_error{}, reduction::sum_over_dimensions, g);
    return g;
  };
  const MatrixXd estimate = data.denoise(t, x);
  EXPECT_LT(
      (gradient(estimate) - (gradient(estimate + spread) + gradient(estimate - spread)) / 2).norm(),
      1e-13);
  EXPECT_GT((gradient(estimate) - gradient(estimate + spread)).norm(), 1e-2);
}

// Data N(0, s^2) in the trigonometric path: exact consistency function x s / sqrt(c), for which the
// tangent vanishes along the flow.
TEST(trigflow_tangent, vanishes_at_the_exact_consistency_function) {
  const double s = 0.5, sigma_d = 1;
  const auto c = [&](double t) {
    return std::cos(t) * std::cos(t) * s * s + std::sin(t) * std::sin(t);
  };
  const auto network = [&](double x, double t) {  // f = cos t x - sin t sigma_d F
    return (std::cos(t) * x - x * s / std::sqrt(c(t))) / (std::sin(t) * sigma_d);
  };
  for (const double t : {0.1, 0.7, 1.5}) {
    const double x = 0.9, h = 1e-5;
    const auto flow = [&](double to) { return x * std::sqrt(c(to) / c(t)); };
    const double velocity = (flow(t + h) - flow(t - h)) / (2 * h);
    const double rate = (network(flow(t + h), t + h) - network(flow(t - h), t - h)) / (2 * h);
    const double g = trigflow_tangent(x, network(x, t), velocity, rate, t, sigma_d, 1.0);
    EXPECT_NEAR(g, 0, 1e-7);
  }
}

// Any network F on any path x = cos t x0 + sin t z: the tangent is cos t df/dt, by forward mode in t.
TEST(trigflow_tangent, is_the_total_derivative_of_the_model_times_the_cosine) {
  const double x0 = 0.8, z = -1.3, sigma_d = 0.5;
  const auto state = [&](auto t) {
    using std::cos, std::sin;
    using S = decltype(t);
    return S(S(cos(t)) * x0 + S(sin(t)) * z);
  };
  const auto network = [&](auto t) {
    using std::sin;
    using S = decltype(t);
    return S(sin(S(0.7 * state(t) + 0.3 * t)));
  };
  const auto model = [&](auto t) {
    using std::cos, std::sin;
    using S = decltype(t);
    return S(S(cos(t)) * state(t) - S(sin(t)) * (sigma_d * network(t)));
  };
  for (const double t : {0.0, 1e-6, 0.4, 1.2, std::numbers::pi / 2 - 1e-6, std::numbers::pi / 2}) {
    const double velocity = forward_mode(state, t), rate = forward_mode(network, t);
    const double g = trigflow_tangent(state(t), network(t), velocity, rate, t, sigma_d, 1.0);
    EXPECT_NEAR(g, std::cos(t) * forward_mode(model, t), 1e-14) << t;
    EXPECT_NEAR(g, std::cos(t) * central_difference(model, t, 1e-5), 1e-9) << t;
    // Without warm-up only the first part is left, -cos^2 t (sigma_d F - dx/dt).
    EXPECT_NEAR(trigflow_tangent(state(t), network(t), velocity, rate, t, sigma_d, 0.0),
                std::cos(t) * std::cos(t) * (velocity - sigma_d * network(t)), 1e-15);
  }
}

TEST(trigflow_tangent, is_minus_half_the_gradient_of_its_objective) {
  std::srand(5);
  const MatrixXd network = MatrixXd::Random(7, 2), g = MatrixXd::Random(7, 2);
  const MatrixXd target = network + 0.3 * g;  // F_fixed + weight g
  MatrixXd gradient(7, 2);
  const auto value = [&](const MatrixXd& f) {
    return regression(f, target, std::vector<double>{1, 1}, squared_error{},
                      reduction::sum_over_dimensions);
  };
  regression(network, target, std::vector<double>{1, 1}, squared_error{},
             reduction::sum_over_dimensions, gradient);
  EXPECT_LT((gradient + 2 * 0.3 * g).norm(), 1e-14);
  for (int j = 0; j < 7; ++j) {
    MatrixXd up = network, down = network;
    up.row(j).array() += 1e-5;
    down.row(j).array() -= 1e-5;
    for (int i = 0; i < 2; ++i) {
      EXPECT_NEAR(gradient(j, i), (value(up)[nth(i)] - value(down)[nth(i)]) / 2e-5, 1e-9);
      const auto of_network = [&](const differentiated& f) {
        return squared_error{}.value(differentiated(f - target(j, i)));
      };
      EXPECT_NEAR(gradient(j, i), forward_mode(of_network, network(j, i)), 1e-15);
    }
  }
}

template <class S>
class normalised_tangent : public testing::Test {};
using scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(normalised_tangent, scalars);

TYPED_TEST(normalised_tangent, has_a_norm_below_one_for_any_tangent) {
  using S = TypeParam;
  for (const double size : {0.0, 1e-6, 1.0, 60.0, 1e15}) {
    std::vector<S> g = {static_cast<S>(3 * size), static_cast<S>(-4 * size)};
    normalise_tangent(std::span(g), 0.1);
    const double tolerance = 4 * static_cast<double>(std::numeric_limits<S>::epsilon());
    EXPECT_NEAR(g[0], 3 * size / (5 * size + 0.1), tolerance);
    EXPECT_NEAR(g[1], -4 * size / (5 * size + 0.1), tolerance);
  }
  std::vector<S> none;
  normalise_tangent(std::span(none), 0.1);
  EXPECT_THROW(normalise_tangent(std::span(none), 0), std::invalid_argument);
}

}  // namespace
