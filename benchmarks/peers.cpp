// The same steps as users write them in xtensor and in LibTorch's eager mode, where these are
// installed.
#include <cmath>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/tensor/fused_pass.hpp"

#ifdef TWEEDIE_WITH_XTENSOR
#include <xtensor/xnoalias.hpp>

#include "tweedie/interop/xtensor.hpp"
#endif
#ifdef TWEEDIE_WITH_LIBTORCH
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#endif

namespace {

using namespace tweedie;
using comparison::pair;
using comparison::reach;

[[maybe_unused]] std::string elements(std::size_t n) {
  return n < 100'000 ? "4x64x64" : std::to_string(n >> 20) + " M";
}

// out_0 = sum_k weight_k in_k
[[maybe_unused]] void update(float* out, std::vector<const float*> in, std::vector<double> weights,
                             std::size_t n) {
  combine<float>(std::span<float* const>(&out, 1), in, weights, n);
}

#ifdef TWEEDIE_WITH_XTENSOR
void register_xtensor(std::size_t n) {
  using tensor = xt::xtensor<float, 1>;
  const auto make = [n](bool fused) {
    struct state {
      tensor x, e, old;
    };
    auto s = std::make_shared<state>();
    for (tensor* t : {&s->x, &s->e, &s->old}) *t = tensor::from_shape({n});
    s->x.fill(0.3f);
    s->e.fill(0.1f);
    s->old.fill(0.2f);
    return pair{[=] {
                  update(s->x.data(), {s->x.data(), s->e.data(), s->old.data()}, {0.9, 0.1, -0.1},
                         n);
                },
                [=] {
                  if (fused) {
                    xt::noalias(s->x) = 0.9f * s->x + 0.1f * s->e - 0.1f * s->old;
                  } else {
                    const tensor clean = (s->x - 0.1f * s->e) / 0.9f;
                    const tensor slope = clean - s->old;
                    s->x = 0.9f * s->x + 0.1f * slope;
                  }
                }};
  };
  comparison::add({"multistep update, " + elements(n), "xtensor, one expression by hand",
                   reach::at_least, 1.0},
                  [make] { return make(true); });
  comparison::add({"multistep update, " + elements(n), "xtensor with temporaries", reach::at_least,
                   3.0},
                  [make] { return make(false); });
}
#endif

#ifdef TWEEDIE_WITH_LIBTORCH
at::Tensor tensor_of(std::size_t n) { return at::randn({static_cast<std::int64_t>(n)}); }

struct torch_state {
  explicit torch_state(std::size_t n)
      : x(tensor_of(n)), e(tensor_of(n)), old(tensor_of(n)), ours(4, n) {}
  at::Tensor x, e, old;
  streams<float> ours;
};

void register_libtorch(std::size_t n) {
  const double eight = n < 100'000 ? 8 : std::getenv("MALLOC_MMAP_MAX_") != nullptr ? 4 : 8;
  comparison::add({"Euler, " + elements(n), "LibTorch eager", reach::at_least, eight}, [n] {
    auto s = std::make_shared<torch_state>(n);
    return pair{[=] { update(s->ours[0], {s->ours[0], s->ours[1]}, {1, -0.3}, n); },
                [=] {
                  const at::Tensor clean = s->x - 1.5 * s->e;
                  const at::Tensor derivative = (s->x - clean) / 1.5;
                  s->x = s->x + derivative * -0.3;
                }};
  });
  comparison::add({"DDIM, " + elements(n), "LibTorch eager", reach::at_least, eight}, [n] {
    auto s = std::make_shared<torch_state>(n);
    return pair{[=] { update(s->ours[0], {s->ours[0], s->ours[1]}, {1.05, -0.3}, n); },
                [=] {
                  const at::Tensor clean = (s->x - 0.6 * s->e) / 0.8;
                  const at::Tensor direction = 0.5 * s->e;
                  s->x = 0.866 * clean + direction;
                }};
  });
  comparison::add({"DPM-Solver++(2M), " + elements(n), "LibTorch eager", reach::at_least, eight},
                  [n] {
                    auto s = std::make_shared<torch_state>(n);
                    return pair{[=] {
                                  float* const out[] = {s->ours[0], s->ours[2]};
                                  const float* const in[] = {s->ours[0], s->ours[1], s->ours[2]};
                                  constexpr double weights[] = {0.95, -0.1, -0.05, 1.25, -0.75, 0};
                                  combine<float>(out, in, weights, n);
                                },
                                [=] {
                                  const at::Tensor clean = (s->x - 0.6 * s->e) / 0.8;
                                  const at::Tensor d1 = (clean - s->old) / 1.1;
                                  s->x = 0.9 * s->x + 0.1 * clean + 0.05 * d1;
                                  s->old = clean;
                                }};
                  });
  comparison::add({"Euler ancestral, " + elements(n), "LibTorch eager", reach::at_least, 3}, [n] {
    auto s = std::make_shared<torch_state>(n);
    return pair{[=] {
                  static constexpr double weights[] = {1, -0.3, 0.2};
                  static const pass_draw<float> draws[] = {{1, nullptr}};
                  static const noise_key keys[] = {{7, 0, 0}};
                  float* const out[] = {s->ours[0]};
                  const float* const in[] = {s->ours[0], s->ours[1]};
                  fused_pass<float> pass;
                  pass.item_size = n;
                  pass.outputs = out;
                  pass.inputs = in;
                  pass.weights = weights;
                  pass.draws = draws;
                  pass.item_keys = keys;
                  apply(pass);
                },
                [=] {
                  const at::Tensor clean = s->x - 1.5 * s->e;
                  const at::Tensor derivative = (s->x - clean) / 1.5;
                  s->x = s->x + derivative * -0.3;
                  s->x = s->x + at::randn_like(s->x) * 0.2;
                }};
  });
}
#endif

}  // namespace

void register_peers() {
  for ([[maybe_unused]] const std::size_t n : {std::size_t{16'384}, std::size_t{24} << 20}) {
#ifdef TWEEDIE_WITH_XTENSOR
    register_xtensor(n);
#endif
#ifdef TWEEDIE_WITH_LIBTORCH
    at::set_num_threads(1);
    register_libtorch(n);
#endif
  }
#ifdef TWEEDIE_WITH_LIBTORCH
#if defined(__AVX512F__)
  constexpr double target = 2.8;
#else
  constexpr double target = 1.2;
#endif
  comparison::add({"normals, float", "torch normal_", reach::at_least, target}, [] {
    auto s = std::make_shared<torch_state>(1 << 16);
    return pair{[=] { fill_normal<float>({1, 0, 0}, 0, s->ours.tensors[0]); },
                [=] { s->x.normal_(); }};
  });
#endif
}
