// The linear-combination kernel and the fused pass against hand-written packet loops and memcpy.
#include <cstring>
#include <string>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/tensor/fused_pass.hpp"
#include "tweedie/tensor/parallel.hpp"

namespace {

using namespace tweedie;
using comparison::pair;
using comparison::reach;

// x <- a x + b e + c h as someone with intrinsics would write it for this step alone.
[[gnu::noinline]] void packet_loop(float* x, const float* e, const float* h, float a, float b,
                                   float c, std::size_t n) {
  using namespace Eigen::internal;
  using packet = packet_traits<float>::type;
  constexpr std::size_t step = packet_traits<float>::size;
  const packet pa = pset1<packet>(a), pb = pset1<packet>(b), pc = pset1<packet>(c);
  for (std::size_t i = 0; i < n; i += 2 * step) {
    const packet s = pmadd(pc, ploadu<packet>(h + i),
                           pmadd(pb, ploadu<packet>(e + i), pmul(pa, ploadu<packet>(x + i))));
    const packet t =
        pmadd(pc, ploadu<packet>(h + i + step),
              pmadd(pb, ploadu<packet>(e + i + step), pmul(pa, ploadu<packet>(x + i + step))));
    pstoreu(x + i, s);
    pstoreu(x + i + step, t);
  }
}

template <class S>
void three_terms(streams<S>& memory, std::size_t n) {
  S* const out[] = {memory[0]};
  const S* const in[] = {memory[0], memory[1], memory[2]};
  constexpr double weights[] = {0.999, 0.02, -0.01};
  combine<S>(out, in, weights, n);
}

std::string size_name(std::size_t n) {
  switch (n) {
    case 16'384: return "4x64x64";
    case 65'536: return "4x128x128";
    case 262'144: return "16x128x128";
    default: return std::to_string(n / 1'000'000) + " M";
  }
}

constexpr std::size_t large = 24 << 20;

void fused_step(std::size_t n) {
  comparison::add(
      {"fused step, three streams, " + size_name(n), "packet loop by hand", reach::at_least, 0.95},
      [n] {
        auto m = make_streams<float>(3, n);
        return pair{[=] { three_terms(*m, n); },
                    [=] { packet_loop((*m)[0], (*m)[1], (*m)[2], 0.999f, 0.02f, -0.01f, n); }};
      });
}

template <class S>
void smaller_storage(const std::string& name) {
  comparison::add({"fused step in " + name + ", 24 M", "in float", reach::at_least, 1.7}, [] {
    auto narrow = make_streams<S>(3, large);
    auto wide = make_streams<float>(3, large);
    return pair{[=] { three_terms(*narrow, large); }, [=] { three_terms(*wide, large); }};
  });
}

// Outputs: the state in place and the next scaled input, of two network outputs.
void guided_one_pass(streams<float>& m, std::size_t n) {
  float* const out[] = {m[0], m[3]};
  const float* const in[] = {m[0], m[1], m[2]};
  constexpr double weights[] = {1, -0.3 * 7.5, 0.3 * 6.5, 0.9, -0.27 * 7.5, 0.27 * 6.5};
  combine<float>(out, in, weights, n);
}
void guided_three_passes(streams<float>& m, std::size_t n) {
  float* const guided[] = {m[4]};
  float* const state[] = {m[0]};
  float* const input[] = {m[3]};
  const float* const outputs[] = {m[1], m[2]};
  const float* const step[] = {m[0], m[4]};
  const float* const scale[] = {m[0]};
  combine<float>(guided, outputs, std::vector<double>{7.5, -6.5}, n);
  combine<float>(state, step, std::vector<double>{1, -0.3}, n);
  combine<float>(input, scale, std::vector<double>{0.9}, n);
}

void clipped_step(streams<float>& m, std::size_t n) {
  static constexpr double head[] = {1.2, -0.6};
  static constexpr double weights[] = {0.7, 0, 0.3};
  float* const out[] = {m[0]};
  const float* const in[] = {m[0], m[1]};
  fused_pass<float> pass;
  pass.item_size = n;
  pass.outputs = out;
  pass.inputs = in;
  pass.weights = weights;
  pass.head = {head, -1, 1};
  apply(pass);
}
void plain_step(streams<float>& m, std::size_t n) {
  float* const out[] = {m[0]};
  const float* const in[] = {m[0], m[1]};
  constexpr double weights[] = {0.9, 0.1};
  combine<float>(out, in, weights, n);
}

}  // namespace

void register_kernels() {
  for (const std::size_t n :
       {std::size_t{16'384}, std::size_t{65'536}, std::size_t{262'144}, large}) {
    fused_step(n);
  }
  comparison::add({"fused step, time per byte, 24 M", "memcpy", reach::at_most, 1.10}, [] {
    auto m = make_streams<float>(4, large);
    // The step moves four streams, memcpy two.
    return pair{[=] { three_terms(*m, large); },
                [=] { std::memcpy((*m)[3], (*m)[1], large * sizeof(float)); }, 0.5};
  });
  smaller_storage<float16>("half");
  smaller_storage<bfloat16>("bfloat16");
  for (const std::size_t n : {std::size_t{16'384}, std::size_t{262'144}, large}) {
    comparison::add(
        {"guidance + step + next input in one pass, " + size_name(n), "three passes",
         reach::at_least, 1.8},
        [n] {
          auto m = make_streams<float>(5, n);
          return pair{[=] { guided_one_pass(*m, n); }, [=] { guided_three_passes(*m, n); }};
        });
  }
  comparison::add(
      {"step with a second network output, 24 M", "step, by streams", reach::at_most, 1.05}, [] {
        auto m = make_streams<float>(3, large);
        return pair{[=] { three_terms(*m, large); }, [=] { plain_step(*m, large); }, 3.0 / 4.0};
      });
  comparison::add({"step with clipped x0, 24 M", "step", reach::at_most, 1.05}, [] {
    auto m = make_streams<float>(2, large);
    return pair{[=] { clipped_step(*m, large); }, [=] { plain_step(*m, large); }};
  });
}
