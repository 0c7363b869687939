#include "tweedie/solve/add_noise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tweedie/schedule/continuous.hpp"
#include "tweedie/tensor/eigen_tensor.hpp"

namespace tweedie {
namespace {

template <int Rank>
Eigen::Tensor<double, Rank> filled(double phase) {
  Eigen::array<Eigen::Index, Rank> shape;
  for (int i = 0; i < Rank; ++i) shape[static_cast<std::size_t>(i)] = 2 + i % 2;
  Eigen::Tensor<double, Rank> t(shape);
  for (Eigen::Index i = 0; i < t.size(); ++i) t.data()[i] = std::sin(phase + 1.3 * double(i));
  return t;
}

template <int Rank>
void check_rank() {
  const auto schedule = linear_beta_schedule(1000);
  const auto x0 = filled<Rank>(0.3);
  const auto z = filled<Rank>(1.7);
  auto out = x0;
  const std::size_t items = traits_of<decltype(out)>::items(out);
  std::vector<double> times;
  for (std::size_t i = 0; i < items; ++i) times.push_back(std::vector<double>{-1, 500, 999}[i % 3]);
  add_noise(schedule, x0, z, times, out);
  const std::size_t each = static_cast<std::size_t>(out.size()) / items;
  for (std::size_t e = 0; e < items * each; ++e) {
    const auto [alpha, sigma] = schedule(times[e / each]);
    EXPECT_NEAR(out.data()[e], alpha * x0.data()[e] + sigma * z.data()[e], 1e-16);
  }
}

TEST(add_noise, every_item_has_its_own_time_in_tensors_of_every_rank) {
  check_rank<1>();
  check_rank<2>();
  check_rank<3>();
  check_rank<4>();
  check_rank<5>();
}

TEST(add_noise, equals_a_loop_over_items_bit_for_bit) {
  Eigen::MatrixXf x0 = Eigen::MatrixXf::Random(17, 4), z = Eigen::MatrixXf::Random(17, 4),
                  all(17, 4);
  const std::vector<double> times{0, 10.5, 700, 999};
  const auto schedule = cosine_schedule(1000);
  add_noise(schedule, x0, z, times, all);
  for (Eigen::Index i = 0; i < 4; ++i) {
    Eigen::VectorXf x = x0.col(i), n = z.col(i), one(17);
    add_noise(schedule, x, n, std::span(&times[static_cast<std::size_t>(i)], 1), one);
    EXPECT_EQ(one, all.col(i));
  }
}

TEST(add_noise, may_write_over_its_inputs) {
  std::vector<double> x{1, 2, 3}, z{4, 5, 6};
  const std::vector<signal_noise> level{{0.6, 0.8}};
  add_noise(x, z, level, x);
  EXPECT_DOUBLE_EQ(x[1], 0.6 * 2 + 0.8 * 5);
}

TEST(add_noise, clean_time_is_the_identity_and_zero_signal_forgets) {
  const std::vector<double> x{1e300, -2}, z{0.5, 0.25};
  std::vector<double> out(2);
  add_noise(rectified_flow{}, x, z, std::vector{0.0}, out);
  EXPECT_EQ(out, x);
  add_noise(rectified_flow{}, x, z, std::vector{1.0}, out);
  EXPECT_EQ(out, z);
}

TEST(prediction_target, is_the_row_of_the_kind) {
  const std::vector<double> x0{0.3}, z{-0.9};
  std::vector<double> out(1);
  const node n{0, {0.6, 0.8}};
  const auto target = [&](plane_row row) {
    prediction_target(x0, z, std::span<const plane_row>(&row, 1), out);
    return out[0];
  };
  EXPECT_EQ(target(predicts_sample(n)), 0.3);
  EXPECT_EQ(target(predicts_noise(n)), -0.9);
  EXPECT_DOUBLE_EQ(target(predicts_v(n)), 0.6 * -0.9 - 0.8 * 0.3);
  EXPECT_DOUBLE_EQ(target(predicts_rectified_velocity(n)), -0.9 - 0.3);
}

TEST(apply_transition, chain_of_steps_on_tensors_has_the_closed_form) {
  const auto schedule = linear_beta_schedule(50);
  std::vector<double> x{0.8, -0.2};
  std::vector<std::vector<double>> noises;
  for (int k = 0; k < 50; ++k) {
    noises.push_back({std::sin(k + 0.5), std::cos(2.0 * k)});
    const std::vector<transition_kernel> step{forward_step(schedule.beta(k))};
    apply_transition(x, noises.back(), step, x);
  }
  const auto weights = chain_noise_weights(schedule, 49);
  for (std::size_t e = 0; e < 2; ++e) {
    double z = 0;
    for (std::size_t k = 0; k < 50; ++k) z += weights[k] * noises[k][e];
    EXPECT_NEAR(x[e], schedule.at(49).alpha * (e == 0 ? 0.8 : -0.2) + schedule.at(49).sigma * z,
                1e-13);
  }
}

TEST(apply_transition, ends_of_a_step) {
  const std::vector<double> x{1.5}, z{std::nan("")};
  std::vector<double> out(1);
  apply_transition(x, z, std::vector{forward_step(0)}, out);
  EXPECT_EQ(out[0], 1.5);  // no noise is read
  apply_transition(z, x, std::vector{forward_step(1)}, out);
  EXPECT_EQ(out[0], 1.5);  // no state is read
}

TEST(transition_log_density, equals_the_normal_density_per_item) {
  Eigen::MatrixXd to = Eigen::MatrixXd::Random(5, 3), from = Eigen::MatrixXd::Random(5, 3);
  const std::vector<transition_kernel> kernels{{0.9, 0.1}, {0.5, 2}, {0, 1}};
  const auto values = transition_log_density(to, from, kernels);
  for (Eigen::Index i = 0; i < 3; ++i) {
    const auto& k = kernels[static_cast<std::size_t>(i)];
    const double d = (to.col(i) - k.mean * from.col(i)).squaredNorm();
    EXPECT_NEAR(values[static_cast<std::size_t>(i)], isotropic_log_density(d, k.variance, 5),
                1e-13);
  }
  EXPECT_THROW(transition_log_density(to, from, std::vector{transition_kernel{1, 0}}),
               std::invalid_argument);
}

TEST(noising, refuses_mismatched_shapes_and_changes_nothing) {
  const auto schedule = linear_beta_schedule(10);
  Eigen::MatrixXd x = Eigen::MatrixXd::Ones(2, 3), z = x, out = Eigen::MatrixXd::Constant(2, 3, 7);
  Eigen::MatrixXd narrow = Eigen::MatrixXd::Ones(3, 2);
  EXPECT_THROW(add_noise(schedule, x, narrow, std::vector{1.0}, out), std::invalid_argument);
  EXPECT_THROW(add_noise(schedule, x, z, std::vector{1.0, 2.0}, out), std::invalid_argument);
  EXPECT_THROW(add_noise(schedule, x, z, std::vector{1.0, 2.0, 10.0}, out), std::invalid_argument);
  EXPECT_THROW(add_noise(schedule, x, z, std::vector<double>{}, out), std::invalid_argument);
  EXPECT_EQ(out, Eigen::MatrixXd::Constant(2, 3, 7));
}

}  // namespace
}  // namespace tweedie
