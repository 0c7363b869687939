// The same steps as users write them in xtensor and in LibTorch's eager mode, where these are
// installed. One thread each.
#include <array>
#include <cstdlib>
#include <string>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/tensor/combine.hpp"

#ifdef TWEEDIE_WITH_XTENSOR
#include <xtensor/xnoalias.hpp>
#include <xtensor/xrandom.hpp>
#include <xtensor/xtensor.hpp>
#endif
#ifdef TWEEDIE_WITH_LIBTORCH
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#endif

namespace {

using namespace tweedie;
using comparison::body;
using comparison::pair;
using comparison::reach;

[[maybe_unused]] std::string elements(std::size_t n) {
  return n < 100'000 ? "4x64x64" : std::to_string(n >> 20) + " M";
}

enum method { euler_step, ddim_step, multistep, ancestral_step };
constexpr std::array methods = {euler_step, ddim_step, multistep, ancestral_step};
constexpr std::array names = {"Euler", "DDIM", "DPM-Solver++(2M)", "Euler ancestral"};

// The state is stream 0, the network's output 1, the previous clean estimate 2.
[[maybe_unused]] body ours(method which, std::size_t n) {
  auto m = make_streams<float>(3, n);
  switch (which) {
    case euler_step:
    case ddim_step:
      return [=] {
        float* const out[] = {(*m)[0]};
        const float* const in[] = {(*m)[0], (*m)[1]};
        static constexpr double weights[] = {0.99, -0.02};
        combine<float>(out, in, weights, n);
      };
    case multistep:
      return [=] {
        float* const out[] = {(*m)[0], (*m)[2]};
        const float* const in[] = {(*m)[0], (*m)[1], (*m)[2]};
        static constexpr double weights[] = {0.95, -0.1, -0.05, 1.25, -0.75, 0};
        combine<float>(out, in, weights, n);
      };
    default:
      return [=] {
        const float* const in[] = {(*m)[0], (*m)[1]};
        static constexpr double weights[] = {1, -0.3, 0.2};
        noisy_step((*m)[0], in, weights, n);
      };
  }
}

[[maybe_unused]] void compare(method which, std::size_t n, const std::string& against,
                              double target, std::function<body()> theirs) {
  comparison::add(
      {std::string(names[which]) + ", " + elements(n), against, reach::at_least, target}, [=] {
        return pair{ours(which, n), theirs()};
      });
}

#ifdef TWEEDIE_WITH_XTENSOR
struct xtensor_state {
  using tensor = xt::xtensor<float, 1>;
  explicit xtensor_state(std::size_t n) {
    for (tensor* t : {&x, &e, &old}) *t = xt::random::randn<float>(std::array{n});
  }
  tensor x, e, old;
};

// The whole step as one expression, so that xtensor makes no temporary.
body xtensor_fused(method which, std::size_t n) {
  auto s = std::make_shared<xtensor_state>(n);
  switch (which) {
    case euler_step:
    case ddim_step: return [=] { xt::noalias(s->x) = 0.99F * s->x - 0.02F * s->e; };
    case multistep:
      return [=] {
        const auto clean = 1.25F * s->x - 0.75F * s->e;
        xt::noalias(s->x) = 0.85F * s->x + 0.1F * clean - 0.05F * s->old;
        xt::noalias(s->old) = clean;
      };
    default:
      return [=] {
        xt::noalias(s->x) =
            s->x - 0.3F * s->e + 0.2F * xt::random::randn<float>(std::array{s->x.size()});
      };
  }
}

// As the formulas are usually typed: every named quantity is a tensor.
body xtensor_temporaries(method which, std::size_t n) {
  using tensor = xtensor_state::tensor;
  auto s = std::make_shared<xtensor_state>(n);
  switch (which) {
    case euler_step:
      return [=] {
        const tensor clean = s->x - 1.5F * s->e;
        const tensor derivative = (s->x - clean) / 1.5F;
        s->x = s->x + derivative * -0.3F;
      };
    case ddim_step:
      return [=] {
        const tensor clean = (s->x - 0.6F * s->e) / 0.8F;
        const tensor direction = 0.5F * s->e;
        s->x = 0.866F * clean + direction;
      };
    case multistep:
      return [=] {
        const tensor clean = (s->x - 0.6F * s->e) / 0.8F;
        const tensor d1 = (clean - s->old) / 1.1F;
        s->x = 0.9F * s->x + 0.1F * clean + 0.05F * d1;
        s->old = clean;
      };
    default:
      return [=] {
        const tensor clean = s->x - 1.5F * s->e;
        const tensor derivative = (s->x - clean) / 1.5F;
        const tensor z = xt::random::randn<float>(std::array{s->x.size()});
        s->x = s->x + derivative * -0.3F;
        s->x = s->x + z * 0.2F;
      };
  }
}
#endif

#ifdef TWEEDIE_WITH_LIBTORCH
struct torch_state {
  explicit torch_state(std::size_t n)
      : x(at::randn({static_cast<std::int64_t>(n)})),
        e(at::randn_like(x)),
        old(at::randn_like(x)) {}
  at::Tensor x, e, old;
};

body libtorch(method which, std::size_t n) {
  auto s = std::make_shared<torch_state>(n);
  switch (which) {
    case euler_step:
      return [=] {
        const at::Tensor clean = s->x - 1.5 * s->e;
        const at::Tensor derivative = (s->x - clean) / 1.5;
        s->x = s->x + derivative * -0.3;
      };
    case ddim_step:
      return [=] {
        const at::Tensor clean = (s->x - 0.6 * s->e) / 0.8;
        const at::Tensor direction = 0.5 * s->e;
        s->x = 0.866 * clean + direction;
      };
    case multistep:
      return [=] {
        const at::Tensor clean = (s->x - 0.6 * s->e) / 0.8;
        const at::Tensor d1 = (clean - s->old) / 1.1;
        s->x = 0.9 * s->x + 0.1 * clean + 0.05 * d1;
        s->old = clean;
      };
    default:
      return [=] {
        const at::Tensor clean = s->x - 1.5 * s->e;
        const at::Tensor derivative = (s->x - clean) / 1.5;
        s->x = s->x + derivative * -0.3;
        s->x = s->x + at::randn_like(s->x) * 0.2;
      };
  }
}
#endif

}  // namespace

void register_peers() {
  for ([[maybe_unused]] const std::size_t n : {std::size_t{16'384}, std::size_t{24} << 20}) {
    for ([[maybe_unused]] const method which : methods) {
#ifdef TWEEDIE_WITH_XTENSOR
      compare(which, n, "xtensor, one expression by hand", 1,
              [=] { return xtensor_fused(which, n); });
      compare(which, n, "xtensor with temporaries", 3,
              [=] { return xtensor_temporaries(which, n); });
#endif
#ifdef TWEEDIE_WITH_LIBTORCH
      // Half of LibTorch's time on large tensors is the kernel clearing the pages of temporaries.
      const bool kept = std::getenv("MALLOC_MMAP_MAX_") != nullptr;
      compare(which, n, kept ? "LibTorch eager, memory kept by malloc" : "LibTorch eager",
              kept && n > 100'000 ? 4 : 8, [=] { return libtorch(which, n); });
#endif
    }
  }
#ifdef TWEEDIE_WITH_LIBTORCH
  at::set_num_threads(1);
#if defined(__AVX512F__)
  constexpr double target = 2.8;
#else
  constexpr double target = 1.2;
#endif
  comparison::add({"normals, float", "torch normal_", reach::at_least, target}, [] {
    auto m = make_streams<float>(1, 1 << 16);
    auto s = std::make_shared<torch_state>(1 << 16);
    return pair{[=] { fill_normal<float>({1, 0, 0}, 0, m->tensors[0]); }, [=] { s->x.normal_(); }};
  });
#endif
}
