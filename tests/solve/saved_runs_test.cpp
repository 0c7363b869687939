#include <gtest/gtest.h>

#include <map>
#include <string>

#include "laws/planners.hpp"
#include "refusal.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/guidance/projected.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/saved_bytes.hpp"

namespace tweedie {
namespace {

grid test_grid() { return karras(scaled_linear_beta_schedule(1000), 5); }

const network_description scaled{.prediction = predicts_noise,
                                 .input_scale = variance_preserving_input};

template <class Run>
void answer(Run& run) {
  using scalar = typename Run::scalar;
  for (std::size_t b = 0; b < run.branches(); ++b)
    for (std::size_t i = 0; i < run.input().size(); ++i)
      run.output(b)[i] = static_cast<scalar>(
          std::sin(static_cast<double>(run.input()[i]) + run.network_time() + double(b)));
}

// A run that was saved at every network call and taken up again from bytes ends with the bits of one that
// was not.
template <class Make>
void expect_same_bits(const Make& make) {
  auto whole = make();
  std::vector<std::vector<std::byte>> saved;
  while (whole.next()) {
    saved.push_back(to_bytes(whole.saved(), whole.plan()));
    answer(whole);
  }
  saved.push_back(to_bytes(whole.saved(), whole.plan()));
  using scalar = typename decltype(whole)::scalar;
  for (const std::vector<std::byte>& bytes : saved) {
    auto again = make();
    const auto state = saved_from_bytes<scalar>(bytes, again.plan());
    EXPECT_EQ(to_bytes(state, again.plan()), bytes);
    again.resume(state);
    while (again.next()) answer(again);
    for (std::size_t i = 0; i < whole.state().size(); ++i)
      EXPECT_EQ(std::bit_cast<detail::bits_of_size<sizeof(scalar)>>(again.state()[i]),
                std::bit_cast<detail::bits_of_size<sizeof(scalar)>>(whole.state()[i]));
  }
}

TEST(saved_runs, take_every_planner_up_with_the_same_bits) {
  for (const laws::planner& p : laws::planners()) {
    SCOPED_TRACE(p.name);
    const program plan = p.plan(test_grid());
    expect_same_bits(
        [&] { return sampling(plan, scaled, std::vector<float>(19, 0.7f), gaussian_noise{8}); });
  }
}

TEST(saved_runs, keep_every_scalar_guidance_and_what_it_remembers) {
  const program plan = dpm_solver_plus_plus(test_grid(), 2);
  const auto of = [&]<class S>(S first, auto... parts) {
    expect_same_bits(
        [&] { return sampling(plan, scaled, std::vector<S>(19, first), no_noise{}, parts...); });
  };
  of(0.7, guidance_scale(3));
  of(0.7f, adaptive_projected{5, 0, 15, -0.5});
  of(float16(0.7f), clip{-1, 1});
  of(bfloat16(0.7f));
}

TEST(saved_runs, refuse_another_run) {
  const auto made = [](const program& plan, std::size_t size = 19) {
    return sampling(plan, scaled, std::vector<float>(size, 0.7f), gaussian_noise{8});
  };
  auto run = made(ddim(test_grid(), 0.5));
  run.next();
  const std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
  const auto refused = [&](const auto& other) {
    return refusal([&] { saved_from_bytes<float>(bytes, other.plan()); });
  };
  const std::string another =
      "saved_from_bytes: saved by a run of another plan, network description or guidance";
  EXPECT_EQ(refused(made(ddim(test_grid(), 0.5))), "");
  EXPECT_EQ(refused(made(ddim(test_grid(), 0.500001))), another);
  EXPECT_EQ(refused(made(ddim(karras(scaled_linear_beta_schedule(1000), 6), 0.5))), another);
  EXPECT_EQ(refused(made(ddpm(test_grid()))), another);
  EXPECT_EQ(refused(sampling(ddim(test_grid(), 0.5), {.prediction = predicts_v},
                             std::vector<float>(19), gaussian_noise{8})),
            another);
  EXPECT_EQ(refused(sampling(ddim(test_grid(), 0.5), scaled, std::vector<float>(19),
                             gaussian_noise{8}, clip{-1, 1})),
            another);
  auto larger = made(ddim(test_grid(), 0.5), 40);
  EXPECT_EQ(refusal([&] { larger.resume(saved_from_bytes<float>(bytes, larger.plan())); }),
            "sampling::resume: memory = 32; valid: 48");
}

// Samplers that are the same by different derivations are the same plan, and no others are.
TEST(saved_runs, know_plans_by_their_steps) {
  std::map<std::uint64_t, std::vector<std::string>> named;
  for (const laws::planner& p : laws::planners())
    named[fingerprint(lower(p.plan(test_grid()), scaled))].push_back(p.name);
  std::vector<std::vector<std::string>> same;
  for (const auto& [print, names] : named)
    if (names.size() > 1) same.push_back(names);
  std::ranges::sort(same);
  EXPECT_EQ(same, (std::vector<std::vector<std::string>>{
                      {"DPM-Solver++ 2M", "UniP-2"},
                      {"ddim", "euler", "DPM-Solver++ 1"},
                      {"ddim, eta = 1", "ddpm, fixed small", "ddpm, analytic", "euler ancestral"},
                      {"linear multistep in the noise level", "ipndm-v"}}));
}

}  // namespace
}  // namespace tweedie
