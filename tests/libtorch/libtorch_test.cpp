#include "tweedie/interop/libtorch.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/solve/run_on.hpp"
#include "tweedie/tensor/random.hpp"
#include "tweedie/training/training_batch.hpp"

namespace tweedie {
namespace {

grid test_grid() { return karras(scaled_linear_beta_schedule(1000), 6); }
const network_description network{predicts_noise};

torch::Tensor answer(const torch::Tensor& x, double time) {
  return torch::sin(x) * 0.3 + x * 0.2 + 0.1 * std::cos(time);
}

TEST(libtorch, tensors_are_batches_in_place) {
  static_assert(tensor_like<torch::Tensor> && writable_tensor<torch::Tensor&>);
  static_assert(!writable_tensor<const torch::Tensor&>);
  torch::Tensor x = torch::arange(24, torch::kFloat).reshape({2, 3, 2, 2});
  EXPECT_EQ(traits_of<torch::Tensor>::items(x), 2u);
  EXPECT_EQ(item_elements(x, 1)[0], 12.0f);
  EXPECT_EQ(elements(x).data(), x.data_ptr<float>());
  elements(x)[23] = -1;
  EXPECT_EQ(x[1][2][1][1].item<float>(), -1.0f);
  EXPECT_EQ(traits_of<torch::Tensor>::items(torch::zeros({5})), 1u);
  EXPECT_EQ(traits_of<torch::Tensor>::items(torch::zeros({0, 5})), 0u);
}

TEST(libtorch, a_run_gives_the_bits_of_other_tensors_in_the_shape_of_torch) {
  for (const program& plan : {dpm_solver_plus_plus(test_grid(), 2), ddpm(test_grid())}) {
    torch::Tensor x = torch::empty({3, 2, 5});
    fill_standard_normal(x, 4);
    Eigen::ArrayXXf same(10, 3);
    fill_standard_normal(same, 4);
    run(
        plan, network, same,
        [](const auto& in, double time, auto&& out) {
          const torch::Tensor shown = torch::from_blob(const_cast<float*>(in.data()), {3, 2, 5});
          std::copy_n(answer(shown, time).data_ptr<float>(), 30, out.data());
        },
        gaussian_noise{9});
    sampling s(plan, network, x, gaussian_noise{9});
    while (s.next()) {
      EXPECT_EQ(s.input().sizes(), x.sizes());
      s.output().copy_(answer(s.input(), s.network_time()));
    }
    EXPECT_TRUE(std::equal(same.data(), same.data() + 30, s.state().data_ptr<float>()));
    EXPECT_EQ(s.state().sizes(), x.sizes());
  }
}

TEST(libtorch, refuses_other_tensors_in_plain_words) {
  const auto said = [](torch::Tensor t) { return refusal([&] { elements(t); }); };
  const std::string head = "tensor_traits<torch::Tensor>: the tensor ";
  const std::string tail = "; or run_on with torch_arithmetic runs on it where it is";
  EXPECT_EQ(said(torch::zeros({2, 3}, torch::kDouble)),
            head + "is of Double; use t.to(torch::kFloat)" + tail);
  EXPECT_EQ(said(torch::zeros({2, 3}).t()), head + "has strides; use t.contiguous()" + tail);
  EXPECT_EQ(said(torch::zeros({2, 3}, torch::kMeta)), head + "is on meta; use t.cpu()" + tail);
  EXPECT_EQ(said({}), head + "is undefined");
}

TEST(libtorch, a_training_batch_shares_no_memory) {
  const torch::Tensor x0 = torch::ones({2, 3}), z = torch::full({2, 3}, 2.0f);
  const auto batch = make_training_batch(x0, z, linear_beta_schedule(1000), {predicts_noise},
                                         std::vector{0.0, 999.0}, simple_weighting);
  EXPECT_TRUE(torch::equal(x0, torch::ones({2, 3})));
  EXPECT_TRUE(torch::equal(batch.target, z));
  EXPECT_NE(batch.input.data_ptr<float>(), batch.target.data_ptr<float>());
}

// The library's gradient against autograd of the loss as one would write it in torch, through a network with
// parameters, with weights of items and a head behind the loss.
TEST(libtorch, gradients_of_losses_are_those_of_autograd) {
  torch::manual_seed(1);
  torch::nn::Linear layer(7, 7);
  const torch::Tensor x = torch::randn({5, 7}), target = torch::randn({5, 7});
  const std::vector<double> weights{0.5, 2, 0, 1, 3};
  const torch::Tensor w = torch::tensor({0.5f, 2.0f, 0.0f, 1.0f, 3.0f});
  const auto gradients = [&](auto&& loss) {
    layer->zero_grad();
    torch::Tensor in = x.clone().requires_grad_();
    torch::Tensor losses = loss(torch::tanh(layer->forward(in)));
    (losses.pow(2).sum() + losses.mean()).backward();
    return std::vector{losses.detach(), in.grad(), layer->weight.grad().clone(),
                       layer->bias.grad().clone()};
  };
  const auto expect_equal = [&](const auto& ours, const auto& theirs) {
    for (std::size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i].sizes(), theirs[i].sizes());
      EXPECT_TRUE(torch::allclose(ours[i], theirs[i], 1e-5, 1e-6)) << ours[i] << theirs[i];
      EXPECT_GT(theirs[i].abs().max().template item<float>(), 1e-3);
    }
  };
  expect_equal(gradients([&](const torch::Tensor& y) {
                 return joined(y, [&](const torch::Tensor& values, torch::Tensor& gradient) {
                   return regression(values, target, weights, squared_error{},
                                     reduction::mean_over_dimensions, gradient);
                 });
               }),
               gradients([&](const torch::Tensor& y) { return w * (y - target).pow(2).mean(1); }));
  expect_equal(gradients([&](const torch::Tensor& y) {
                 return joined(y, [&](const torch::Tensor& values, torch::Tensor& gradient) {
                   return regression(values, target, weights, pseudo_huber_error{0.3},
                                     reduction::sum_over_dimensions, gradient);
                 });
               }),
               gradients([&](const torch::Tensor& y) {
                 return w * (((y - target).pow(2) + 0.09).sqrt() - 0.3).sum(1);
               }));
  EXPECT_EQ(refusal([&] {
              joined(x, [](const torch::Tensor&, torch::Tensor&) { return std::vector{1.0}; });
            }),
            "joined: number of losses = 1; valid: 5");
}

TEST(libtorch, run_on_is_run_and_takes_tensors_that_are_not_in_place) {
  for (const program& plan :
       {ddim(test_grid()), dpm_solver_plus_plus(test_grid(), 3), ddpm(test_grid())}) {
    torch::Tensor x = torch::empty({3, 2, 5});
    fill_standard_normal(x, 4);
    torch::Tensor same = x.clone();
    run(
        plan, network, same,
        [](const torch::Tensor& in, double time, torch::Tensor out) {
          out.copy_(answer(in, time));
        },
        gaussian_noise{9});
    const auto on = [&](const torch::Tensor& from) {
      return run_on(plan, network, from, torch_arithmetic{from, {9}}, answer);
    };
    EXPECT_TRUE(torch::allclose(on(x), same, 1e-5, 1e-5));
    // In double the numbers drawn are those of a run in double.
    Eigen::ArrayXXd wide = Eigen::Map<Eigen::ArrayXXf>(x.data_ptr<float>(), 10, 3).cast<double>();
    const torch::Tensor on_wide = on(x.to(torch::kDouble));
    run(
        plan, network, wide,
        [](const auto& in, double time, auto&& out) {
          const torch::Tensor shown =
              torch::from_blob(const_cast<double*>(in.data()), {3, 2, 5}, torch::kDouble);
          std::copy_n(answer(shown, time).data_ptr<double>(), 30, out.data());
        },
        gaussian_noise{9});
    EXPECT_TRUE(torch::allclose(on_wide, torch::from_blob(wide.data(), {3, 2, 5}, torch::kDouble),
                                1e-10, 1e-10));
    const torch::Tensor strided = x.transpose(1, 2);
    EXPECT_TRUE(torch::equal(on(strided), on(strided.contiguous())));
  }
}

// Weights of a program are constants to autograd: a gradient of the result by the start flows through the run.
TEST(libtorch, run_on_lets_gradients_through) {
  torch::Tensor x = torch::full({1, 2}, 0.5).requires_grad_();
  const program plan = ddim(test_grid());
  const auto zero = [](const torch::Tensor& in, double) { return torch::zeros_like(in); };
  const torch::Tensor end = run_on(plan, network, x, torch_arithmetic{x, {}}, zero);
  end.sum().backward();
  EXPECT_TRUE(torch::allclose(x.grad(), (end / x).detach()));
}

}  // namespace
}  // namespace tweedie
