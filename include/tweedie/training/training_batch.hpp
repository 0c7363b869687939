// A training batch: what the network is shown and told, what it should answer, and how much the
// squared error of its answer counts.
//
//   input = c (alpha x0 + sigma z),   target = p_x x0 + p_z z
//
// (alpha, sigma) at each item's own time, c the network's input scale and p its prediction's row:
// the same network_description binds samplers, so that a network is trained on exactly what it
// will be asked. One pass: reads x0 and z, writes input and target.
#pragma once

#include <span>
#include <vector>

#include "tweedie/program/network.hpp"
#include "tweedie/tensor/per_item.hpp"
#include "tweedie/training/weighting.hpp"

namespace tweedie {

/// The numbers of one item of a batch.
struct training_item {
  node at;                  ///< time in the schedule's clock, (alpha, sigma) of the state
  double network_time = 0;  ///< what the network is told
  double input_scale = 1;   ///< c
  plane_row row;            ///< (p_x, p_z)
  double weight = 1;        ///< on |output - target|^2, divided by the density of the time if any
};

/// Inputs and targets with their items. `Tensor` is the type of the data.
template <class Tensor>
struct training_batch {
  std::vector<training_item> items;
  Tensor input;
  Tensor target;

  std::vector<double> weights() const {
    std::vector<double> out;
    for (const training_item& item : items) out.push_back(item.weight);
    return out;
  }
  std::vector<double> network_times() const {
    std::vector<double> out;
    for (const training_item& item : items) out.push_back(item.network_time);
    return out;
  }
};

/// The numbers of a batch, one item per time.
/// \throws std::invalid_argument where the weighting is unbounded for the network's prediction.
template <noise_schedule Schedule, loss_weighting Weighting>
std::vector<training_item> training_items(const Schedule& schedule,
                                          const network_description& network,
                                          std::span<const double> times,
                                          const Weighting& weighting) {
  std::vector<training_item> items;
  items.reserve(times.size());
  for (const double t : times) {
    training_item item;
    item.at = node_at(schedule, t);
    item.input_scale = network.input_scale(item.at);
    item.network_time = network.time(item.at);
    const double c = item.input_scale;
    item.row = network.prediction({t, {c * item.at.level.alpha, c * item.at.level.sigma}});
    item.weight = prediction_weight(weighting, item.at.level, item.row);
    items.push_back(item);
  }
  return items;
}

/// Writes the inputs and targets of `items`. `input` may be x0's storage, `target` z's.
template <tensor_like Data, tensor_like Noise, writable_tensor Input, writable_tensor Target>
void noise_and_target(const Data& x0, const Noise& z, std::span<const training_item> items,
                      Input&& input, Target&& target) {
  constexpr const char* name = "noise_and_target";
  detail::require_per_item(name, "items", items.size(), traits_of<Data>::items(x0));
  using S = scalar_t<Data>;
  static_assert(std::same_as<S, scalar_t<Noise>> && std::same_as<S, scalar_t<Input>> &&
                    std::same_as<S, scalar_t<Target>>,
                "x0, z, input and target hold the same scalar");
  const auto kernel = [&](std::size_t i) {
    const double alpha = items[i].input_scale * items[i].at.level.alpha;
    const double sigma = items[i].input_scale * items[i].at.level.sigma;
    return detail::item_kernel{[alpha, sigma, row = items[i].row](
                                   const auto& clean, const auto& noise, auto& in, auto& out) {
      in = alpha * clean + sigma * noise;
      out = row.x0 * clean + row.z * noise;
    }};
  };
  detail::per_item(name, reduction::sum_over_dimensions, kernel,
                   std::tuple(detail::named("x0", x0), detail::named("z", z)),
                   std::tuple(detail::named("input", input), detail::named("target", target)));
}

namespace detail {

/// A tensor of the same shape, its elements not set where the type allows it.
template <class Tensor>
Tensor unset_like(const Tensor& t) {
  if constexpr (requires { traits_of<Tensor>::unset_like(t); }) {
    return traits_of<Tensor>::unset_like(t);
  } else if constexpr (requires(Tensor out) { out.resizeLike(t); }) {
    Tensor out;
    out.resizeLike(t);
    return out;
  } else if constexpr (requires { Tensor(t.dimensions()); }) {
    return Tensor(t.dimensions());
  } else {
    return t;
  }
}

}  // namespace detail

/// Items, inputs and targets for clean data x0, noise z and one time per item. Keep the batch and
/// call `noise_and_target` on it to reuse its memory.
template <tensor_like Tensor, noise_schedule Schedule, loss_weighting Weighting>
training_batch<Tensor> make_training_batch(const Tensor& x0, const Tensor& z,
                                           const Schedule& schedule,
                                           const network_description& network,
                                           std::span<const double> times,
                                           const Weighting& weighting) {
  training_batch<Tensor> batch{training_items(schedule, network, times, weighting),
                               detail::unset_like(x0), detail::unset_like(x0)};
  noise_and_target(x0, z, batch.items, batch.input, batch.target);
  return batch;
}

}  // namespace tweedie
