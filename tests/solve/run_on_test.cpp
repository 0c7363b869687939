#include "tweedie/solve/run_on.hpp"

#include <gtest/gtest.h>

#include <valarray>

#include "laws/planners.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/run.hpp"

namespace tweedie::run_on_test {
namespace {

using array = std::valarray<double>;

struct valarray_device {
  gaussian_noise noise{3};
  std::size_t size = 5;
  int sums = 0;

  array combine(std::span<const double> weights, std::span<const array* const> from) {
    ++sums;
    array out(size);
    for (std::size_t i = 0; i < weights.size(); ++i) out += weights[i] * *from[i];
    return out;
  }
  array normal(const noise_request& request) {
    array z(size);
    noise.fill(request, std::span(&z[0], size));
    return z;
  }
};

double network(double x, double t) { return 0.3 * std::sin(x) + 0.2 * x + 0.1 * std::cos(t); }
const std::vector<double> start{0.3, -1.2, 0.01, 2.2, -0.4};

template <class... Parts>
std::vector<double> by_run(const program& plan, const network_description& description,
                           Parts... parts) {
  std::vector<double> x = start;
  run(
      plan, description, x,
      [](auto in, double t, auto out) {
        for (std::size_t i = 0; i < in.size(); ++i) out[i] = network(in[i], t);
      },
      gaussian_noise{3}, parts...);
  return x;
}
const auto evaluate = [](const array& x, double t) {
  array y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = network(x[i], t);
  return y;
};
void same(const array& a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < b.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-12 * (1 + std::abs(b[i])));
}

TEST(run_on, is_run_for_every_planner) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 6);
  const network_description plain{predicts_noise};
  const network_description scaled{.prediction = predicts_noise,
                                   .input_scale = variance_preserving_input};
  for (const laws::planner& p : laws::planners()) {
    SCOPED_TRACE(p.name);
    const program plan = p.plan(nodes);
    for (const network_description& description : {plain, scaled}) {
      valarray_device device;
      same(run_on(plan, description, array(start.data(), 5), device, evaluate),
           by_run(plan, description));
    }
  }
}

TEST(run_on, makes_the_next_input_in_the_same_step) {
  const program plan = ddim(variance_exploding(karras(scaled_linear_beta_schedule(1000), 6)));
  valarray_device device;
  run_on(plan, {.prediction = predicts_noise, .input_scale = variance_preserving_input},
         array(start.data(), 5), device, evaluate);
  EXPECT_EQ(device.sums, 6 + 6);  // six steps; the first input, and five beside the steps before
}

TEST(run_on, changes_estimates_as_run_does) {
  const program plan = ddpm(karras(scaled_linear_beta_schedule(1000), 6));
  const network_description description{.prediction = predicts_noise,
                                        .input_scale = variance_preserving_input};
  valarray_device device;
  const auto limits = [](array clean, const node&) {
    for (double& v : clean) v = std::clamp(v, -1.0, 1.0);
    return clean;
  };
  same(run_on(plan, description, array(start.data(), 5), device, evaluate, limits),
       by_run(plan, description, clip{-1, 1}));
}

// A device that writes down what it is asked, as a remote one would send it.
struct recorder_device {
  std::string script;
  int made = 0;
  int combine(std::span<const double> weights, std::span<const int* const> from) {
    script += "t" + std::to_string(++made) + " =";
    for (std::size_t i = 0; i < weights.size(); ++i) {
      char text[48];
      std::snprintf(text, sizeof text, " %+.3f t%d", weights[i], *from[i]);
      script += text;
    }
    script += "\n";
    return made;
  }
};

TEST(run_on, asks_a_device_for_two_sums_a_step_at_most) {
  recorder_device device;
  const grid nodes{{3, {0, 1}}, {2, {0.6, 0.8}}, {0, {1, 0}}};
  const auto ask = [&](int shown, double time) {
    device.script += "t" + std::to_string(++device.made) + " = network(t" + std::to_string(shown) +
                     ", " + std::to_string(static_cast<int>(time)) + ")\n";
    return device.made;
  };
  EXPECT_EQ(run_on(ddim(nodes), {.prediction = predicts_sample}, 0, device, ask), 4);
  EXPECT_EQ(device.script,
            "t1 = network(t0, 3)\n"
            "t2 = +0.800 t0 +0.600 t1\n"
            "t3 = network(t2, 2)\n"
            "t4 = +1.000 t3\n");
}

TEST(run_on, refuses_what_a_device_cannot_do) {
  recorder_device device;
  const auto ask = [](int, double) { return 0; };
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 3);
  EXPECT_THROW(run_on(ddpm(nodes), {}, 0, device, ask), std::invalid_argument);
  EXPECT_THROW(run_on(ddpm(nodes, learned_range{}), {}, 0, device, ask), std::invalid_argument);
  EXPECT_EQ(device.script, "");
}

}  // namespace
}  // namespace tweedie::run_on_test
