// Whole runs and planning.
#include <string>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using namespace tweedie;
using comparison::pair;
using comparison::reach;

struct run_state {
  run_state(program planned, std::size_t n)
      : plan(std::move(planned)),
        x(n),
        s(plan, network_description{predicts_noise}, x, no_noise{}) {
    fill_standard_normal(x, 1);
    for (float& v : s.output()) v = 0.5f;
  }
  void whole_run() {
    s.restart(x);
    while (s.next()) {
    }
  }

  program plan;
  std::vector<float> x;
  sampling<std::vector<float>> s;
};

constexpr int steps = 50;

// DPM-Solver++(2M) by hand: x0 = p x + q e; x <- a x + b x0 + c old; old = x0, three streams read,
// two written.
[[gnu::noinline]] void second_order_pass(float* x, const float* e, float* old, float a, float b,
                                         float c, float p, float q, std::size_t n) {
  using namespace Eigen::internal;
  using packet = packet_traits<float>::type;
  constexpr std::size_t step = packet_traits<float>::size;
  const packet pa = pset1<packet>(a), pb = pset1<packet>(b), pc = pset1<packet>(c),
               pp = pset1<packet>(p), pq = pset1<packet>(q);
  for (std::size_t i = 0; i < n; i += step) {
    const packet state = ploadu<packet>(x + i);
    const packet clean = pmadd(pp, state, pmul(pq, ploadu<packet>(e + i)));
    const packet history = ploadu<packet>(old + i);
    pstoreu(x + i, pmadd(pa, state, pmadd(pb, clean, pmul(pc, history))));
    pstoreu(old + i, clean);
  }
}

// The same ten Euler steps on 320 floats.
[[gnu::noinline]] void euler_by_hand(float* x, const float* e, std::size_t n) {
  using namespace Eigen::internal;
  using packet = packet_traits<float>::type;
  constexpr std::size_t step = packet_traits<float>::size;
  const packet a = pset1<packet>(0.99f), b = pset1<packet>(0.1f);
  for (std::size_t i = 0; i < n; i += step) {
    pstoreu(x + i, pmadd(b, ploadu<packet>(e + i), pmul(a, ploadu<packet>(x + i))));
  }
}

void whole_run(std::size_t n, const std::string& name) {
  comparison::add(
      {"DPM-Solver++(2M), 50 steps, " + name, "50 hand-written passes", reach::at_most, 1.10}, [n] {
        auto state = std::make_shared<run_state>(
            dpm_solver_plus_plus(trailing(linear_beta_schedule(1000), steps), 2), n);
        auto m = make_streams<float>(3, n);
        return pair{[=] { state->whole_run(); },
                    [=] {
                      std::copy_n((*m)[1], n, (*m)[0]);
                      for (int i = 0; i < steps; ++i) {
                        second_order_pass((*m)[0], (*m)[1], (*m)[2], 0.9f, 0.1f, -0.05f, 1.01f,
                                          -0.2f, n);
                        comparison::touch();
                      }
                    }};
      });
}

void planning(const std::string& name, double milliseconds, std::function<program()> plan) {
  comparison::add({"planning " + name, "1 ms", reach::at_most, milliseconds}, [plan] {
    auto result = std::make_shared<program>();
    return pair{[=] { *result = plan(); },
                [] {
                  const auto start = std::chrono::steady_clock::now();
                  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1)) {
                  }
                }};
  });
}

}  // namespace

void register_sampling() {
  whole_run(16'384, "4x64x64");
  whole_run(262'144, "16x128x128");
  whole_run(4 << 20, "4 M");
  comparison::add({"robot planner: 10 Euler steps of 80x4, sampling in the loop",
                   "10 hand-written loops", reach::at_most, 1.3},
                  [] {
                    auto state = std::make_shared<run_state>(
                        euler(trailing(linear_beta_schedule(100), 10)), 320);
                    auto m = make_streams<float>(2, 320);
                    return pair{[=] { state->whole_run(); },
                                [=] {
                                  std::copy_n((*m)[1], 320, (*m)[0]);
                                  for (int i = 0; i < 10; ++i) {
                                    euler_by_hand((*m)[0], (*m)[1], 320);
                                    comparison::touch();
                                  }
                                }};
                  });
  planning("DDPM, 1000 steps", 1.0, [] {
    static const auto nodes = leading(linear_beta_schedule(1000), 1000);
    return ddpm(nodes);
  });
  planning("UniPC, 50 steps", 0.2, [] {
    static const auto nodes = trailing(linear_beta_schedule(1000), 50);
    return unipc(nodes);
  });
}
