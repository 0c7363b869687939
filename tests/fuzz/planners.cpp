// Every planner on walks made of bytes: refused, or finite, exact for a perfect denoiser, and asking as often
// as it says.
#include <cstdint>

#include "fuzz/program_checks.hpp"
#include "laws/planners.hpp"

namespace {

using namespace tweedie;

// Falling in an ordinary range, falling through the range of double, or any levels at all.
grid some_grid(fuzz::bytes& in, bool& falls, bool& ordinary) {
  const std::size_t shape = in.below(4);
  const std::size_t gauge = in.below(3);
  const std::size_t count = in.below(11);
  grid nodes;
  falls = shape < 2;
  ordinary = shape == 0;
  if (shape < 2) {
    std::vector<double> levels;
    for (std::size_t i = 0; i < count; ++i) levels.push_back(in.noise_level(shape == 0 ? 4 : 150));
    std::sort(levels.rbegin(), levels.rend());
    for (const double u : levels) nodes.push_back({u, fuzz::level_of(u, gauge)});
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i)
      falls = falls && nodes[i].level != nodes[i + 1].level;
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      if (shape == 2)
        nodes.push_back({in.number(), {in.number(), in.number()}});
      else
        nodes.push_back({in.number(), fuzz::level_of(in.noise_level(3), gauge)});
      if (i > 0 && in.below(8) == 1) nodes.push_back(nodes[in.below(nodes.size())]);
    }
  }
  const std::uint8_t ends = in.byte();
  ordinary = ordinary && !(ends & 2);
  if (ends & 1) nodes.push_back(clean_node(0));
  if (ends & 2) nodes.insert(nodes.begin(), {1, {0, 1}});
  return nodes;
}

// A planner with a claim, or one with numbers of its own.
program plan_some(fuzz::bytes& in, const laws::planner& p, const grid& g, bool& claims) {
  claims = false;
  const std::size_t family = in.below(16);
  const double a = in.number();
  const int order = static_cast<int>(in.below(9)) - 1;
  switch (family) {
    case 0: return ddim(g, a);
    case 1: return dpm_solver_plus_plus(g, order);
    case 2: return deis(g, order);
    case 3: return unipc(g, order);
    case 4: return unip(g, order);
    case 5: return linear_multistep(g, order, noise_row, {.last = last_step::denoises});
    case 6: return ipndm(g, order);
    case 7: return ipndm_v(g, order);
    case 8: return euler_ancestral(g, a);
    case 9: return sa_solver(g, laws::constant(a), order, order);
    case 10: return sde_dpm_solver_plus_plus(g, order, a);
    case 11: return exponential_runge_kutta(g, dpm_solver_3(a, in.number()), laws::inner_node);
    default: claims = true; return p.plan(g);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<laws::planner> all = laws::planners();
  fuzz::bytes in(data, size);
  const laws::planner& p = all[in.below(all.size())];
  bool falls = false, ordinary = false, claims = false;
  const grid g = some_grid(in, falls, ordinary);
  program plan;
  if (!fuzz::accepted([&] { plan = plan_some(in, p, g, claims); })) return 0;
  fuzz::expect_finite(plan, p.name);
  fuzz::expect_reproduces_perfect_denoiser(plan, 1.7, p.name + (claims ? "" : " (or a variant)"));
  if (claims && falls && g.size() > 1) {
    const std::size_t steps = g.size() - 1;
    const bool clean_end = g.back().level.sigma == 0;
    const auto per_step = static_cast<std::size_t>(p.evaluations_per_step);
    fuzz::expect(plan.steps() == steps, p.name + ": a mark a step");
    // From pure noise, and where a level between two rounds to clean data, a step may take one evaluation.
    const std::size_t said = per_step * steps - (clean_end ? per_step - 1 : 0);
    fuzz::expect(ordinary ? plan.evaluations() == said : plan.evaluations() <= said,
                 p.name + ": as many evaluations as it says");
    fuzz::expect(p.draws || plan.draws.empty(), p.name + ": draws only if it says so");
  }
  return 0;
}
