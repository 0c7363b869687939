// LibTorch: torch::Tensor as a tensor of the library, losses that join its autograd, runs on any device.
//
//   torch::Tensor x = torch::randn({8, 4, 64, 64});
//   sampling s(plan, network, x, gaussian_noise{1});                         // views are torch::Tensor
//   while (s.next()) s.output().copy_(unet->forward(s.input(), s.network_time()));
//
//   const torch::Tensor losses = joined(output, [&](const torch::Tensor& y, torch::Tensor& gradient) {
//     return regression(y, target, weights, squared_error{}, reduction::mean_over_dimensions, gradient);
//   });
//   losses.mean().backward();
//
// Tensors in place are of float, contiguous, on the CPU, batch first: {N, ...} is N items, one dimension one
// item. Others are refused when their data is asked for; run_on with torch_arithmetic runs on them where they are.
//
// Tried with LibTorch 1.13 and g++ 12. Its headers are not C++20 to clang 14.
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/solve/noise.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// LibTorch has no tensors of constants: a view of constant memory, such as `input()`, must not be written.
template <>
struct tensor_traits<torch::Tensor> {
  using scalar = float;
  using shape_type = std::vector<std::int64_t>;
  using view_type = torch::Tensor;
  using const_view_type = torch::Tensor;

  /// \throws std::invalid_argument for a tensor that is not contiguous floats on the CPU.
  static float* data(torch::Tensor& t) { return checked(t); }
  static const float* data(const torch::Tensor& t) { return checked(t); }
  static std::size_t size(const torch::Tensor& t) { return static_cast<std::size_t>(t.numel()); }
  static std::size_t items(const torch::Tensor& t) {
    return t.dim() < 2 ? 1 : static_cast<std::size_t>(t.size(0));
  }
  static shape_type shape(const torch::Tensor& t) { return t.sizes().vec(); }
  /// A tensor over memory that somebody else owns.
  static torch::Tensor make_view(const float* data, const shape_type& shape) {
    return torch::from_blob(const_cast<float*>(data), shape, torch::kFloat);
  }
  /// Copies of torch's tensors share their memory; this one does not.
  static torch::Tensor unset_like(const torch::Tensor& t) {
    return torch::empty_like(t, torch::MemoryFormat::Contiguous);
  }

 private:
  static float* checked(const torch::Tensor& t) {
    constexpr const char* name = "tensor_traits<torch::Tensor>";
    const std::string elsewhere = "; or run_on with torch_arithmetic runs on it where it is";
    if (!t.defined()) detail::fail(name, "the tensor is undefined");
    if (!t.device().is_cpu())
      detail::fail(name, "the tensor is on " + t.device().str() + "; use t.cpu()" + elsewhere);
    if (t.scalar_type() != torch::kFloat)
      detail::fail(name, std::string("the tensor is of ") + torch::toString(t.scalar_type()) +
                             "; use t.to(torch::kFloat)" + elsewhere);
    if (!t.is_contiguous())
      detail::fail(name, "the tensor has strides; use t.contiguous()" + elsewhere);
    return t.data_ptr<float>();
  }
};

/// Losses of the items of `output`, {N}, whose backward pass is the library's own gradient.
/// \param loss called once: loss(y, gradient), where y holds the values of `output`, returns N values and writes
///   their derivatives by y to `gradient`, a tensor of the same shape
/// \throws std::invalid_argument if there are not N values; whatever `loss` throws.
template <class Loss>
torch::Tensor joined(const torch::Tensor& output, Loss&& loss);

/// A device of run_on: tensors like `like`, wherever it lives and of whichever type. Noise is made on the CPU, item by
/// item, so that a run draws the numbers that `sampling` draws.
struct torch_arithmetic {
  torch::Tensor like;
  gaussian_noise noise;

  torch::Tensor combine(std::span<const double> weights,
                        std::span<const torch::Tensor* const> from) const {
    if (from.empty()) return torch::zeros_like(like);
    torch::Tensor sum = *from[0] * weights[0];
    for (std::size_t i = 1; i < from.size(); ++i) sum.add_(*from[i], weights[i]);
    return sum;
  }

  torch::Tensor normal(noise_request request) const {
    request.items = tensor_traits<torch::Tensor>::items(like);
    const auto made = [&]<class S>(S, torch::ScalarType type) {
      torch::Tensor z = torch::empty(like.sizes(), type);
      noise.fill(request, std::span<S>(z.data_ptr<S>(), static_cast<std::size_t>(z.numel())));
      return z.to(like.options());
    };
    return like.scalar_type() == torch::kDouble ? made(0.0, torch::kDouble)
                                                : made(0.0f, torch::kFloat);
  }
};

namespace detail {

// Values and derivatives that are known already, as a function of `output`.
struct known_gradient : torch::autograd::Function<known_gradient> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, torch::Tensor,
                               torch::Tensor values, torch::Tensor gradient) {
    context->save_for_backward({std::move(gradient)});
    return values;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list losses) {
    const torch::Tensor gradient = context->get_saved_variables()[0];
    std::vector<std::int64_t> per_item(static_cast<std::size_t>(gradient.dim()), 1);
    if (!per_item.empty()) per_item[0] = losses[0].numel();
    return {gradient * losses[0].reshape(per_item), torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace detail

template <class Loss>
torch::Tensor joined(const torch::Tensor& output, Loss&& loss) {
  const torch::Tensor y = output.detach();
  torch::Tensor gradient = torch::empty_like(y);
  const std::vector<double> values = std::forward<Loss>(loss)(y, gradient);
  detail::require_equal("joined", "number of losses", values.size(),
                        tensor_traits<torch::Tensor>::items(output));
  torch::Tensor losses = torch::empty({static_cast<std::int64_t>(values.size())}, torch::kFloat);
  for (std::size_t i = 0; i < values.size(); ++i)
    losses.data_ptr<float>()[i] = static_cast<float>(values[i]);
  return detail::known_gradient::apply(output, losses, gradient);
}

}  // namespace tweedie
